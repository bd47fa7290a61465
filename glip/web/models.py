"""The models of a page: loaded at the start, shared by all visitors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from glip.apis.build import config_of_weights, make_detector
from glip.apis.class_detection import with_class_limit
from glip.apis.predictor import Predictor
from glip.apis.results import default_score_thr
from glip.models import GLIP, TextFeatureCache
from glip.models.heads.postprocess import PostProcessor
from glip.utils.errors import ConfigError
from glip.weights import find_weights_file


@dataclass(frozen=True)
class WebModel:
    """A model, and what its visitors share.

    Attributes:
        name: shown to the visitors.
        weights: as in the command line, shown in commands.
        checkpoint: file of the weights.
        model: the detector. It keeps more detections per image than its config says, for classes
            with several prompts.
        texts: text features of all visitors' prompts.
        score_thr: threshold at which the page starts.
        max_per_img: detections per image by the model's config.
    """

    name: str
    weights: str
    checkpoint: str
    model: GLIP
    texts: TextFeatureCache
    score_thr: float
    max_per_img: int

    def predictor(self) -> Predictor:
        """Return a predictor, which holds one image."""
        return Predictor(self.model, text_cache=self.texts)

    @property
    def config_name(self) -> str:
        """Name of the config, as predictions have it."""
        return Path(self.model.cfg.filename).stem


def load_models(weights: Sequence[str], device: str | None = None) -> dict[str, WebModel]:
    """Load models.

    Args:
        weights: checkpoints: files, URLs, or names of published weights.
        device: where they run; ``None`` for the first GPU, or the CPU without one.

    Returns:
        The models by name, which is that of the file without its extension.

    Raises:
        ConfigError: there are no weights, or two files of the same name.
        CheckpointError: a checkpoint cannot be read safely or belongs to no known config.
    """
    if not weights:
        raise ConfigError("expected weights of one model or more, got none")
    names = [Path(each).name.removesuffix(".safetensors").removesuffix(".pth") for each in weights]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"two models are called {name!r}: expected files of other names")
    return {name: _load(name, each, device) for name, each in zip(names, weights, strict=True)}


def _load(name: str, weights: str, device: str | None) -> WebModel:
    cfg = config_of_weights(weights)
    own = (cfg.model.get("test_cfg") or {}).get("max_per_img", PostProcessor.max_per_img)
    cfg.merge_from_dict(with_class_limit(None))
    model = make_detector(cfg, weights, device)
    return WebModel(
        name=name,
        weights=weights,
        checkpoint=str(find_weights_file(weights)),
        model=model,
        texts=TextFeatureCache(model),
        score_thr=default_score_thr(model.cfg),
        max_per_img=own,
    )
