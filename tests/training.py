"""A training small enough for a test: the tiny model on the generated examples."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config

from glip.testing import tiny_config
from tests.test_tools.commands import tool

ROOT = Path(__file__).parents[1]

PIPELINE = [
    dict(type="LoadImageFromFile", imdecode_backend="pillow"),
    dict(type="LoadAnnotations", with_bbox=True),
    dict(type="GTBoxSubOne"),
    dict(
        type="RandomChoiceResize",
        scales=[(128, 213), (96, 160)],
        resize_type="FixScaleResize",
        keep_ratio=True,
        backend="pillow",
    ),
    dict(type="RandomFlip_GLIP", prob=0.5),
    dict(type="FilterAnnotations", min_gt_bbox_wh=(1, 1)),
    dict(type="PackDetInputs"),
]
#: Options that leave out the validation.
NO_VALIDATION = dict(val_cfg=None, val_dataloader=None, val_evaluator=None)
#: What the generated pictures show, under COCO's names.
CLASSES = ("sports ball", "car", "tie", "cat", "umbrella")


def draw_examples(folder: Path) -> Path:
    """Draw the pictures that a training learns from, nine of them; return the folder."""
    tool("dataset_converters/make_examples.py").main([str(folder)])
    return folder


def training_config(
    examples: Path, work_dir: Path, *, early_fuse: bool = True, **options: Any
) -> Config:
    """Make the config of a training on COCO's examples, five steps an epoch.

    Args:
        examples: what ``make_examples.py`` wrote.
        work_dir: the working folder.
        early_fuse: see :func:`glip.testing.tiny_config`.
        options: as of ``--cfg-options``, with ``__`` instead of dots.
    """
    cfg = tiny_config(
        early_fuse=early_fuse, lang_model_name=str(ROOT / "demo" / "bert-base-uncased")
    )
    data = dict(
        data_root=f"{examples}/coco/",
        ann_file="annotations/instances_val2017.json",
        data_prefix=dict(img="val2017/"),
        metainfo=dict(classes=CLASSES),
    )
    cfg.train_dataloader = dict(
        batch_size=2,
        num_workers=0,
        sampler=dict(type="DefaultSampler", shuffle=True),
        dataset=dict(type="CocoDataset", pipeline=PIPELINE, return_classes=True, **data),
    )
    for name in ("val_dataloader", "test_dataloader"):
        cfg[name].update(num_workers=0, persistent_workers=False)
        cfg[name].dataset.update(data)
    for name in ("val_evaluator", "test_evaluator"):
        cfg[name].ann_file = f"{examples}/coco/{data['ann_file']}"
    cfg.train_cfg = dict(type="EpochBasedTrainLoop", max_epochs=2, val_interval=1)
    cfg.optim_wrapper = dict(
        type="OptimWrapper",
        optimizer=dict(type="AdamW", lr=1e-3, weight_decay=0.05),
        clip_grad=dict(max_norm=1.0, norm_type=2),
    )
    cfg.param_scheduler = [
        dict(type="LinearLR", start_factor=0.1, by_epoch=False, begin=0, end=5),
        dict(type="MultiStepLR", milestones=[1], by_epoch=True),
    ]
    cfg.default_hooks.logger.interval = 2
    cfg.log_level = "WARNING"
    cfg.randomness = dict(seed=3)
    cfg.work_dir = str(work_dir)
    cfg.experiment_name = uuid.uuid4().hex  # mmengine keeps state by this name
    cfg.train_cfg = options.pop("train_cfg", cfg.train_cfg)
    cfg.merge_from_dict({key.replace("__", "."): value for key, value in options.items()})
    return cfg


def differences(first: Any, second: Any, name: str = "") -> list[str]:
    """List where two stored things differ, to the last bit."""
    if isinstance(first, torch.Tensor):
        same = isinstance(second, torch.Tensor) and torch.equal(first, second)
        return [] if same else [name]
    if isinstance(first, dict):
        if not isinstance(second, dict) or first.keys() != second.keys():
            return [f"{name}: the keys"]
        return [
            each for key in first for each in differences(first[key], second[key], f"{name}.{key}")
        ]
    if isinstance(first, (list, tuple)):
        if len(first) != len(second):
            return [f"{name}: the length"]
        pairs = enumerate(zip(first, second, strict=True))
        return [each for at, pair in pairs for each in differences(*pair, f"{name}.{at}")]
    return [] if first == second else [name]
