"""The test pipeline of a config: the transforms from an image to the input of the detector."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence

from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.registry import DefaultScope

from glip.registry import TRANSFORMS, build_part, check_component
from glip.utils.config_entries import config_name
from glip.utils.errors import ConfigError
from glip.utils.image_files import ImageLimits
from glip.utils.messages import shorten
from glip.utils.options import check_mapping

# The transforms that have max_pixels and max_bytes.
_LOADING = ("LoadImageFromFile", "LoadImageFromNDArray")

# DefaultScope.overwrite_default_scope exchanges a dictionary of the class.
_SCOPE_LOCK = threading.RLock()


def make_pipeline(
    cfg: Config,
    *,
    from_array: bool,
    limits: ImageLimits | None = None,
    steps: Sequence[Mapping] | None = None,
) -> Compose:
    """Build the transforms of a config's ``test_pipeline`` for images without annotations.

    Args:
        cfg: the config.
        from_array: images are arrays, bytes or other objects rather than paths or URLs.
        limits: those of the config are replaced by these, unless they are None.
        steps: of the pipeline; by default the test pipeline's.

    Raises:
        ConfigError: the config has no test pipeline, or one that cannot be built.
    """
    steps = find_test_pipeline(cfg) if steps is None else steps
    scope = cfg.get("default_scope", "glip")
    built = []
    with _SCOPE_LOCK, DefaultScope.overwrite_default_scope(scope):
        for index, step in enumerate(steps):
            place = f"test_pipeline.{index}"
            own = _without_annotations(step, place, from_array, limits)
            if own is None:
                continue
            try:
                built.append(build_part(TRANSFORMS, own, place))
            except ConfigError as error:
                raise ConfigError(
                    f"the test pipeline of {config_name(cfg)} cannot be built ({error}): expected "
                    "the steps of a GLIP, as in configs/glip"
                ) from error.__cause__
    return Compose(built)


def step_name(step: Mapping) -> str:
    """Return the name of a step's type, which may be a class, or have a scope before it."""
    return getattr(step["type"], "__name__", step["type"]).split(".")[-1]


def _without_annotations(
    step: Mapping, place: str, from_array: bool, limits: ImageLimits | None
) -> dict | None:
    """Return a step for images without annotations; ``None``: there is none.

    Raises:
        ConfigError: it is no dictionary with a type.
    """
    if not isinstance(step, Mapping) or not step.get("type"):
        check_component(TRANSFORMS, step, place)
    name, step = step_name(step), dict(step)
    if name == "LoadAnnotations":
        return None
    if name == "LoadImageFromFile" and from_array:
        step["type"] = "LoadImageFromNDArray"
    if name in _LOADING and limits is not None:
        step.update({key: own for key, own in vars(limits).items() if own is not None})
    if name == "TestTimeAug" and isinstance(step.get("transforms"), Sequence):
        groups = []
        for number, group in enumerate(step["transforms"]):
            where = f"{place}.transforms.{number}"
            steps = [_without_annotations(each, where, from_array, limits) for each in group]
            if kept := [each for each in steps if each is not None]:
                groups.append(kept)
        step["transforms"] = groups
    return step


def set_image_limits(cfg: Config, limits: ImageLimits) -> None:
    """Set the limits of every transform of a config that loads images, in place.

    Args:
        cfg: the config.
        limits: those that are None stay as the config has them.
    """
    given = {key: value for key, value in vars(limits).items() if value is not None}

    def update(part: object) -> None:
        if isinstance(part, dict):
            kind = part.get("type")
            name = str(getattr(kind, "__name__", kind)).split(".")[-1]
            if name in _LOADING:
                part.update(given)
            for value in part.values():
                update(value)
        elif isinstance(part, (list, tuple)):
            for value in part:
                update(value)

    if given:
        update(cfg._cfg_dict)


def has_test_pipeline(cfg: Config) -> bool:
    """Return whether a config has a test pipeline, of any kind."""
    return cfg.get("test_pipeline") is not None or bool(_test_dataset(cfg))


def _test_dataset(cfg: Config) -> dict:
    """Return the config of the test data; empty without one."""
    loader = check_mapping("test_dataloader", cfg.get("test_dataloader"), none=True) or {}
    return check_mapping("test_dataloader.dataset", loader.get("dataset"), none=True) or {}


def find_test_pipeline(cfg: Config) -> list[dict]:
    """Return a config's test pipeline.

    Raises:
        ConfigError: there is none.
    """
    steps = cfg.get("test_pipeline")
    if steps is None:
        dataset = _test_dataset(cfg)
        while dataset and "pipeline" not in dataset:
            nested = dataset.get("datasets") or [dataset.get("dataset", {})]
            dataset = nested[0]
        steps = dataset.get("pipeline") if dataset else None
    if steps is None:
        raise ConfigError(
            f"{config_name(cfg)} has no test pipeline: expected `test_pipeline` or "
            "`test_dataloader.dataset.pipeline`"
        )
    if isinstance(steps, (str, Mapping)) or not isinstance(steps, Sequence) or not steps:
        raise ConfigError(
            f"expected the test pipeline of {config_name(cfg)} as a list of dict(type=...), got "
            f"{shorten(steps)}"
        )
    return list(steps)
