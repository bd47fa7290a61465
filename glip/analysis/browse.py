"""Draw samples of a data set as the model gets them: after the pipeline, with the prompt."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from mmengine.dataset import BaseDataset

from glip.apis import evaluation
from glip.apis.build import load_config
from glip.datasets import leaf_datasets
from glip.datasets.transforms import LoadAnnotations
from glip.models.detectors.samples import read_prompt
from glip.structures import DetDataSample
from glip.utils.config_entries import config_name
from glip.utils.errors import ConfigError
from glip.utils.options import check_mapping
from glip.visualization import DrawStyle, draw_detections, label_color
from glip.visualization.captions import draw_caption, draw_text, join
from glip.visualization.draw import default_sizes
from glip.visualization.palette import IGNORED

_SPLITS = ("train", "val", "test")
#: Minimum width of the caption in font sizes, for narrow images.
_CAPTION_EMS = 35


def build_dataset(config: str, options: dict | None, split: str) -> BaseDataset:
    """Build a data set of a config.

    Raises:
        ConfigError: the config has no such data set.
        DataError: its annotations are missing or cannot be used.
    """
    cfg = load_config(config, options)
    loader = check_mapping(f"{split}_dataloader", cfg.get(f"{split}_dataloader"), none=True)
    if not (loader or {}).get("dataset"):
        present = [each for each in _SPLITS if cfg.get(f"{each}_dataloader")]
        has = f"--split {' or '.join(present)}" if present else "another config: it has no data"
        raise ConfigError(
            f"{config_name(cfg)} has no {split}_dataloader with a data set: try {has}"
        )
    return evaluation.build_dataset(cfg, split)


def move_boxes_with_images(dataset: BaseDataset) -> None:
    """Load the boxes first in test pipelines, so that the other transforms change them too."""
    for leaf in leaf_datasets(dataset):
        if leaf.test_mode:
            # The sort is stable: the other transforms keep their order.
            leaf.pipeline.transforms.sort(
                key=lambda transform: not isinstance(transform, LoadAnnotations)
            )


def draw_sample(packed: dict, style: DrawStyle | None = None) -> np.ndarray:
    """Draw a packed sample.

    Args:
        packed: result of PackDetInputs: ``inputs``, a (3, H, W) BGR tensor, and
            ``data_samples``.
        style: how to draw; its font is also that of the caption.

    Returns:
        RGB image, uint8, with the caption below the sample's image.

    Raises:
        ConfigError: the pipeline does not pack its samples.
        PromptError: the sample has no prompt.
    """
    sample = packed.get("data_samples") if isinstance(packed, dict) else None
    if not isinstance(sample, DetDataSample) or "inputs" not in packed:
        raise ConfigError(
            "the pipeline of the data set does not pack its samples: expected "
            "dict(type='PackDetInputs') as its last transform"
        )
    pixels = packed["inputs"].permute(1, 2, 0).flip(-1).numpy()
    image = pixels.clip(0, 255).astype(np.uint8)
    prompt = read_prompt(sample)
    boxes, labels, ignored = _boxes(sample)
    names = [
        prompt.names[label] if 0 <= label < len(prompt.names) else f"label {label} has no phrase"
        for label in labels
    ]
    colors = [
        IGNORED if skip else label_color(label) for label, skip in zip(labels, ignored, strict=True)
    ]
    style = style or DrawStyle()
    drawn = draw_detections(image, boxes, names, colors=colors, style=style)
    font_size = default_sizes(*image.shape[:2])[0] + 2
    width = max(image.shape[1], _CAPTION_EMS * font_size)
    shown = {label for label, skip in zip(labels, ignored, strict=True) if not skip}
    return join(
        [
            drawn,
            draw_text(_facts(sample, image), width, max(9, font_size - 3), style.font),
            draw_caption(prompt, shown, width, font_size, font=style.font),
        ],
        axis=0,
    )


def _boxes(sample: DetDataSample) -> tuple[np.ndarray, list[int], list[bool]]:
    """Return the (G, 4) boxes of a sample, their labels, and whether each is ignored."""
    boxes, labels, ignored = [np.zeros((0, 4))], [], []
    # The boxes of an unreadable image do not belong to its placeholder.
    kinds = () if sample.get("unreadable") else ("gt_instances", "ignored_instances")
    for kind in kinds:
        instances = sample.get(kind)
        if instances is not None and "bboxes" in instances:
            boxes.append(instances.bboxes.numpy().reshape(-1, 4))
            labels += instances.labels.tolist()
            ignored += [kind == "ignored_instances"] * len(instances)
    return np.concatenate(boxes), labels, ignored


def _facts(sample: DetDataSample, image: np.ndarray) -> str:
    """Describe the image and its augmentation."""
    facts = [Path(sample.get("img_path", "")).name, f"{image.shape[1]} x {image.shape[0]} pixels"]
    if sample.get("ori_shape"):
        facts[1] += " of {1} x {0}".format(*sample.ori_shape[:2])
    if sample.get("flip"):
        facts.append(f"flipped ({sample.get('flip_direction')})")
    if sample.get("unreadable"):
        facts.append("CANNOT BE READ")
    return ", ".join(facts)
