"""Configs for a user's own data in COCO's format, without a config file.

The evaluation and the fine-tuning are those of the templates in ``configs/glip/_templates``: the
model's own test pipeline, and microsoft/GLIP's recipe for small data sets.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config

from glip.apis.build import apply_cfg_options, config_of_weights, load_config
from glip.apis.pipelines import find_test_pipeline
from glip.config import config_root
from glip.datasets.annotation_file import AnnotationFile, read_annotation_file
from glip.datasets.image_paths import find_renamed
from glip.utils.errors import AnnotationFileError, AnnotationFileNotFoundError, ImageReadError
from glip.weights import download_url, is_weights_name

#: The name of the config that is written beside the results.
CONFIG_NAME = "config.py"
#: Entries of a config that belong to no data set.
_RUNTIME = (
    "default_scope",
    "default_hooks",
    "env_cfg",
    "vis_backends",
    "visualizer",
    "log_processor",
    "log_level",
    "default_score_thr",
)
#: Names of a split's files and folders.
_SPLITS = {"train": ("train",), "val": ("val", "valid", "validation")}
#: Places of a split's annotation file below the data folder.
_ANNOTATIONS = (
    "{split}.json",
    "annotations/{split}.json",
    "annotations/instances_{split}.json",
    "annotations/instances_{split}20*.json",
    "{split}/_annotations.coco.json",
    "{split}/annotations.json",
    "{split}/{split}.json",
)
LAYOUTS = (
    "train.json and val.json (or annotations/instances_train*.json and instances_val*.json) with "
    "the images in train/ and val/, images/train/ and images/val/, or images/; or "
    "train/_annotations.coco.json and valid/_annotations.coco.json with the images beside them"
)
#: An epoch has at least this many images, so that validation and early stopping are not at once.
_MIN_EPOCH = 100
#: Longest prompt of a training, in tokens, and the tokenizer of the published models.
_MAX_TOKENS = 256
_TOKENIZER = "bert-base-uncased"
#: Sizes of training images of the small model; its test images have the largest.
_SMALL_SCALES = [(192, 192), (224, 224), (256, 256)]


@dataclass(frozen=True)
class Split:
    """The annotation file and the image folder of a part of a data set.

    Attributes:
        file: The content of the annotation file.
        images: Folder that the file names of the images are relative to.
    """

    file: AnnotationFile
    images: Path

    @property
    def ann_file(self) -> str:
        """Path of the annotation file."""
        return self.file.path


def evaluation_config(
    weights: str | Path,
    ann_file: str | Path,
    images: str | Path,
    *,
    config: str | Path | Config | None = None,
    cfg_options: Mapping | None = None,
) -> Config:
    """Return a config that evaluates weights on a file in COCO's format.

    Args:
        weights: a checkpoint: a file, a URL, or a name of published weights.
        ann_file: the annotation file; its categories are the class names of the prompt.
        images: folder of the images.
        config: config of the model; ``None`` for that of the weights.
        cfg_options: values to override, by dotted name.

    Raises:
        AnnotationFileError: the file cannot be used, or has no categories.
        ImageReadError: the images are not in the folder.
        CheckpointError: the weights cannot be read, or are of no shipped model.
    """
    split = open_split(ann_file, [Path(images)])
    base = load_config(config) if config else config_of_weights(weights)
    cfg = {key: base[key] for key in _RUNTIME if key in base}
    cfg["model"] = base.model
    cfg["test_pipeline"] = find_test_pipeline(base)
    cfg["test_dataloader"] = _loader(_dataset(split, class_names(split), cfg["test_pipeline"]))
    cfg["test_evaluator"] = _evaluator(split)
    cfg["test_cfg"] = dict(type="TestLoop")
    return _finish(cfg, cfg_options)


def training_config(
    weights: str | Path,
    data: str | Path,
    *,
    config: str | Path | Config | None = None,
    cfg_options: Mapping | None = None,
) -> Config:
    """Return a config that fine-tunes weights on a folder of data in COCO's format.

    Args:
        weights: a checkpoint: a file, a URL, or a name of published weights.
        data: the folder, see :data:`LAYOUTS`; the categories of its training file are the classes.
        config: config of the model; ``None`` for that of the weights.
        cfg_options: values to override, by dotted name.

    Raises:
        AnnotationFileError: the folder has no such files, or one cannot be used.
        ImageReadError: the images are not found.
        CheckpointError: the weights cannot be read, or are of no shipped model.
    """
    train, val = (find_split(Path(data), split) for split in _SPLITS)
    base = load_config(config) if config else config_of_weights(weights)
    small = base.model.backbone.get("embed_dims", 96) < 96
    name = "finetune_on_cpu.py" if small else "custom_coco_finetune.py"
    recipe = Config.fromfile(config_root() / "glip" / "_templates" / name)
    cfg = {key: recipe[key] for key in _RUNTIME if key in recipe}
    cfg |= {key: recipe[key] for key in ("optim_wrapper", "param_scheduler", "custom_hooks")}
    cfg |= {key: recipe[key] for key in ("auto_scale_lr", "train_cfg", "val_cfg")}
    cfg["train_cfg"] = Config.fromfile(
        config_root() / "_base_" / "schedules" / "finetune.py"
    ).train_cfg
    cfg["model"] = copy.deepcopy(base.model)
    if not small:
        cfg["model"]["backbone"]["frozen_stages"] = recipe.model.backbone.frozen_stages
        cfg["model"]["neck"]["type"] = recipe.model.neck.type
        cfg["model"]["bbox_head"]["use_checkpoint"] = recipe.model.bbox_head.use_checkpoint
    cfg["train_pipeline"] = recipe.train_pipeline
    if small:
        cfg["train_pipeline"][3]["scales"] = _SMALL_SCALES
    cfg["test_pipeline"] = find_test_pipeline(base)
    classes = class_names(train)
    if not small and _num_tokens(classes) > _MAX_TOKENS:
        # As in pre-training: the names of an image, and a sample of the others.
        sampling = dict(
            type="RandomSamplingNegPos", tokenizer_name=_TOKENIZER, num_sample_negative=85
        )
        cfg["train_pipeline"].insert(-1, sampling)
    cfg["train_dataloader"] = recipe.train_dataloader
    cfg["train_dataloader"]["dataset"] = dict(
        type="RepeatDataset",
        times=max(1, math.ceil(_MIN_EPOCH / len(train.file.images))),
        dataset=dict(
            _dataset(train, classes, cfg["train_pipeline"]),
            test_mode=False,
            filter_cfg=dict(filter_empty_gt=True, min_size=0),
        ),
    )
    cfg["val_dataloader"] = _loader(_dataset(val, classes, cfg["test_pipeline"]))
    cfg["val_evaluator"] = _evaluator(val)
    cfg["test_dataloader"], cfg["test_evaluator"] = cfg["val_dataloader"], cfg["val_evaluator"]
    cfg["test_cfg"] = dict(type="TestLoop")
    text = str(weights)
    named = is_weights_name(text) or download_url(text) is not None
    cfg["load_from"] = text if named else str(Path(text).expanduser().absolute())
    cfg["resume"] = False
    return _finish(cfg, cfg_options)


def class_names(split: Split) -> tuple[str, ...]:
    """Return the names of a file's categories, in their order.

    A category without annotations whose name is the ``supercategory`` of the others is left out:
    Roboflow adds one to every file.

    Raises:
        AnnotationFileError: the file has no categories, or one without a name.
    """
    categories = split.file.categories
    used = {each.get("category_id") for each in split.file.all_annotations()}
    parents = {each.get("supercategory") for each in categories}
    names: list[str] = [
        each.get("name", "")
        for each in categories
        if each["id"] in used or each.get("name") not in parents
    ]
    if not names or not all(isinstance(name, str) and name.strip() for name in names):
        raise AnnotationFileError(
            f"the categories of {split.ann_file} give no class names: expected "
            '"categories": [{"id": 1, "name": "car"}, ...]'
        )
    return tuple(dict.fromkeys(names))


def find_split(data: Path, split: str) -> Split:
    """Find the annotation file and the images of a split in a folder; see :data:`LAYOUTS`.

    Args:
        data: the folder.
        split: ``'train'`` or ``'val'``.

    Raises:
        AnnotationFileError: there is no annotation file, several, or an invalid one.
        ImageReadError: the images are not found.
    """
    for pattern in _ANNOTATIONS:
        for name in _SPLITS[split]:
            files = sorted(data.glob(pattern.format(split=name)))
            if len(files) > 1:
                raise AnnotationFileError(
                    f"{data} has several annotation files for {split}: "
                    f"{', '.join(str(each.relative_to(data)) for each in files)}; keep one"
                )
            if files:
                stem = files[0].stem.removeprefix("instances_")
                folders = [f"{name}", f"images/{name}", f"{stem}", f"images/{stem}", "images", "."]
                beside = [files[0].parent, files[0].parent / "images"]
                return open_split(files[0], [*(data / each for each in folders), *beside])
    problem = "has no annotation file"
    if not data.is_dir():
        problem = "is no folder" if data.exists() else "does not exist"
        problem += ", so there is no file"
    raise AnnotationFileNotFoundError(f"{data} {problem} for {split}: expected {LAYOUTS}")


def open_split(ann_file: str | Path, folders: Iterable[Path]) -> Split:
    """Read an annotation file and find the folder of its images.

    Args:
        ann_file: the file.
        folders: folders that may have the images.

    Raises:
        AnnotationFileError: the file cannot be used.
        ImageReadError: none of the folders has the file's first and last image.
    """
    file = read_annotation_file(str(Path(ann_file).expanduser().absolute()))
    if not file.images:
        raise AnnotationFileError(
            f"'{file.path}' has no images: expected them in its list 'images', with 'file_name'"
        )
    names = [str(image.get("file_name", "")) for image in (file.images[0], file.images[-1])]
    tried = list(dict.fromkeys(folders))
    for folder in tried:
        if _has_images(names, folder):
            return Split(file, folder.expanduser().absolute())
    raise ImageReadError(
        f"the images of {ann_file} are not found: expected {names[0]} in "
        + " or ".join(str(folder) for folder in tried)
    )


def _has_images(names: list[str], folder: Path) -> bool:
    """Return whether a folder has images, with the names that the data set tries, too."""
    missing = [name for name in names if not (folder / name).is_file()]
    found = find_renamed(missing, lambda name: (folder / name).is_file())
    return all(name in found for name in missing)


def _num_tokens(classes: tuple[str, ...]) -> int:
    """Return the number of tokens of a prompt of class names, [CLS] and [SEP] included."""
    from glip.text import Prompt
    from glip.text.tokenizer import load_tokenizer

    return len(load_tokenizer(_TOKENIZER)(Prompt.from_class_names(classes).caption).input_ids)


def _dataset(split: Split, classes: tuple[str, ...], pipeline: Any) -> dict[str, Any]:
    return dict(
        type="CocoDataset",
        ann_file=split.ann_file,
        data_prefix=dict(img=f"{split.images}/"),
        metainfo=dict(classes=classes),
        test_mode=True,
        pipeline=pipeline,
        return_classes=True,
    )


def _loader(dataset: dict[str, Any]) -> dict[str, Any]:
    return dict(
        batch_size=1,
        num_workers=2,
        persistent_workers=True,
        drop_last=False,
        sampler=dict(type="DefaultSampler", shuffle=False),
        dataset=dataset,
    )


def _evaluator(split: Split) -> dict[str, Any]:
    return dict(type="CocoMetric", ann_file=split.ann_file, metric="bbox")


def _finish(cfg: dict[str, Any], cfg_options: Mapping | None) -> Config:
    """Return the values as a config, which the runner writes beside the results."""
    text = "# Made by glip from the command line.\n"
    config = Config(copy.deepcopy(cfg), cfg_text=text, filename=CONFIG_NAME)
    apply_cfg_options(config, cfg_options or {})
    return config
