r"""Draw samples of a data set as the model sees them: after the pipeline, with the prompt.

Below each picture stands its caption, where the phrases that have boxes lie on the colours of these
boxes. Of a long caption they and their neighbours are shown. Boxes to be ignored, crowds for
example, are gray.

In training, the boxes are those the model learns from: after GTBoxSubOne their right and lower
edges are the last pixel inside. Pipelines for testing keep boxes in pixels of the original image,
for the metrics; here they are resized with the image.

The samples are spread evenly over the data set. The options are called as in tools/test.py; for
those who know MMDetection's browse_dataset: --out-dir is its --output-dir, --wait-time its
--show-interval, and there is no window unless --show asks for one.

Examples:
    python tools/analysis_tools/browse_dataset.py CONFIG --out-dir browsed
    python tools/analysis_tools/browse_dataset.py CONFIG --split test --num 5 --show
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from mmengine.dataset import BaseDataset
from mmengine.registry import DefaultScope
from PIL import Image

from glip.apis import load_config
from glip.apis.build import config_name
from glip.cli.common import CfgOptions, positive_int, run
from glip.datasets.transforms import LoadAnnotations
from glip.models.detectors.samples import prompt_of
from glip.registry import DATASETS
from glip.structures import DetDataSample
from glip.utils.errors import ConfigError
from glip.visualization import DetLocalVisualizer, draw_detections, label_color
from glip.visualization.captions import draw_caption, draw_text, join
from glip.visualization.draw import scales
from glip.visualization.palette import IGNORED

_SPLITS = ("train", "val", "test")
#: The caption is at least so many text sizes wide, beside a narrow picture, too.
_CAPTION_EMS = 35


def build_dataset(config: str, options: dict | None, split: str) -> BaseDataset:
    """Build a data set of a config.

    Raises:
        ConfigError: the config has no such data set.
        DataError: its annotations are absent or unusable.
    """
    cfg = load_config(config, options)
    if not (cfg.get(f"{split}_dataloader") or {}).get("dataset"):
        present = [each for each in _SPLITS if cfg.get(f"{each}_dataloader")]
        has = f"--split {' or '.join(present)}" if present else "another config: it has no data"
        raise ConfigError(
            f"{config_name(cfg)} has no {split}_dataloader with a data set: try {has}"
        )
    with DefaultScope.overwrite_default_scope(cfg.get("default_scope", "glip")):
        return DATASETS.build(cfg[f"{split}_dataloader"].dataset)


def move_boxes_with_images(dataset: BaseDataset) -> None:
    """Let the pipelines for testing load the boxes first, so that all they do moves these, too."""
    for leaf in leaves(dataset):
        if leaf.test_mode:
            # A stable sort: the other steps keep their order.
            leaf.pipeline.transforms.sort(key=lambda step: not isinstance(step, LoadAnnotations))


def leaves(dataset: BaseDataset) -> Iterator[BaseDataset]:
    """Go through the data sets that a data set joins, repeats or wraps otherwise."""
    below = getattr(dataset, "datasets", None) or [getattr(dataset, "dataset", None)]
    if below == [None]:
        yield dataset
        return
    for each in below:
        yield from leaves(each)


def draw_sample(packed: dict) -> np.ndarray:
    """Draw what a pipeline gives.

    Args:
        packed: ``inputs``, a tensor (3, H, W), BGR, and ``data_samples``, as PackDetInputs gives
            them.

    Returns:
        RGB picture, uint8, of the image and, below it, its caption.

    Raises:
        ConfigError: the pipeline gives something else.
        PromptError: the sample has no prompt.
    """
    sample = packed.get("data_samples") if isinstance(packed, dict) else None
    if not isinstance(sample, DetDataSample) or "inputs" not in packed:
        raise ConfigError(
            "the pipeline of the data set does not give what the model takes: expected "
            "dict(type='PackDetInputs') as its last step"
        )
    pixels = packed["inputs"].permute(1, 2, 0).flip(-1).numpy()
    image = pixels.clip(0, 255).astype(np.uint8)
    prompt = prompt_of(sample)
    boxes, labels, ignored = _boxes(sample)
    names = [
        prompt.names[label] if 0 <= label < len(prompt.names) else f"label {label} has no phrase"
        for label in labels
    ]
    colors = [
        IGNORED if skip else label_color(label) for label, skip in zip(labels, ignored, strict=True)
    ]
    drawn = draw_detections(image, boxes, names, colors=colors)
    font_size = scales(*image.shape[:2])[0] + 2
    width = max(image.shape[1], _CAPTION_EMS * font_size)
    shown = {label for label, skip in zip(labels, ignored, strict=True) if not skip}
    return join(
        [
            drawn,
            draw_text(_facts(sample, image), width, max(9, font_size - 3)),
            draw_caption(prompt, shown, width, font_size),
        ],
        axis=0,
    )


def _boxes(sample: DetDataSample) -> tuple[np.ndarray, list[int], list[bool]]:
    """Return the G boxes (G, 4) of a sample, their labels, and whether they are to be ignored."""
    boxes, labels, ignored = [np.zeros((0, 4))], [], []
    # The boxes of an image that cannot be read do not lie in the one that stands for it.
    kinds = () if sample.get("unreadable") else ("gt_instances", "ignored_instances")
    for kind in kinds:
        instances = sample.get(kind)
        if instances is not None and "bboxes" in instances:
            boxes.append(instances.bboxes.numpy().reshape(-1, 4))
            labels += instances.labels.tolist()
            ignored += [kind == "ignored_instances"] * len(instances)
    return np.concatenate(boxes), labels, ignored


def _facts(sample: DetDataSample, image: np.ndarray) -> str:
    """Say which image it is and what was done to it."""
    facts = [Path(sample.get("img_path", "")).name, f"{image.shape[1]} x {image.shape[0]} pixels"]
    if sample.get("ori_shape"):
        facts[1] += " of {1} x {0}".format(*sample.ori_shape[:2])
    if sample.get("flip"):
        facts.append(f"flipped ({sample.get('flip_direction')})")
    if sample.get("unreadable"):
        facts.append("CANNOT BE READ")
    return ", ".join(facts)


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("config", help="config file, or the name of a shipped config")
    parser.add_argument("--split", choices=_SPLITS, default="train", help="default: train")
    parser.add_argument(
        "--out-dir", type=Path, help="save the pictures here; default: outputs/browse, or --show"
    )
    parser.add_argument("--show", action="store_true", help="show the pictures in a window")
    parser.add_argument("--wait-time", type=float, default=2, help="seconds to show a picture")
    parser.add_argument(
        "--num", type=positive_int, default=20, help="how many samples; default: 20"
    )
    parser.add_argument(
        "--cfg-options", nargs="+", action=CfgOptions, help="override the config: key=value ..."
    )
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    """Draw; see the module's docstring."""
    args = parse_args(argv)
    out_dir = args.out_dir or (None if args.show else Path("outputs/browse"))
    dataset = build_dataset(args.config, args.cfg_options, args.split)
    move_boxes_with_images(dataset)
    count = min(args.num, len(dataset))
    visualizer = DetLocalVisualizer() if args.show else None
    if out_dir is not None:
        out_dir.mkdir(parents=True, exist_ok=True)
    for index in np.linspace(0, len(dataset) - 1, count).round().astype(int).tolist():
        packed = dataset[index]
        picture = draw_sample(packed)
        name = Path(packed["data_samples"].get("img_path", "image")).stem
        if out_dir is not None:
            Image.fromarray(picture).save(out_dir / f"{index:06d}_{name}.jpg", quality=92)
        if visualizer is not None:
            visualizer.show(picture, win_name=name, wait_time=args.wait_time)
    print(f"drew {count} of {len(dataset)} samples" + (f" to {out_dir}" if out_dir else ""))


if __name__ == "__main__":
    run(main)
