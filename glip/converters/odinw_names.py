"""Rename the ODinW categories whose original names tell a language model little."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from mmengine.config import Config

from glip.config import config_root
from glip.datasets.annotation_file import read_content
from glip.datasets.annotation_json import load_content
from glip.utils.atomic_write import atomic_write
from glip.utils.errors import AnnotationFileError
from glip.utils.messages import shorten

#: Prefix of the file names of renamed annotation files.
PREFIX = "new_"


def renamed_datasets() -> Iterator[tuple[str, Path, tuple[str, ...]]]:
    """Yield the data sets whose categories are renamed.

    Yields:
        Name, path of the renamed annotation file below the folder of ODinW, and new names of the
        categories 1, 2, ...
    """
    cfg = Config.fromfile(config_root() / "_base_" / "datasets" / "odinw.py")
    for name, dataset in cfg.odinw35.items():
        names = dataset.metainfo.get("category_names")
        if names:
            path = Path(dataset.data_root, dataset.ann_file).relative_to("data/odinw")
            yield name, path, tuple(names)


def rename(source: Path, target: Path, names: tuple[str, ...]) -> None:
    """Write a copy of an annotation file with other category names.

    Args:
        source: original file.
        target: file to write.
        names: names of the categories 1, 2, ...

    Raises:
        AnnotationFileError: the original cannot be read, or has other category ids.
    """
    try:
        content = load_content(str(source))
        used = {each.get("category_id") for each in content["annotations"]}
        old = {each["id"]: each for each in read_content(content, str(source)).categories}
    except (AnnotationFileError, AttributeError, TypeError) as error:
        reason = shorten(str(error), 400)[1:-1]
        raise AnnotationFileError(
            f"'{source}' is not an annotation file in COCO format ({reason})"
        ) from None
    known = range(1, len(names) + 1)
    unknown = sorted(used - set(known), key=str)
    if unknown:
        raise AnnotationFileError(
            f"'{source}' has annotations of the categories {unknown}, expected only {known[0]} to "
            f"{known[-1]}: it is not ODinW's file without background"
        )
    content["categories"] = [
        {"supercategory": "none", **old.get(number, {}), "id": number, "name": name}
        for number, name in zip(known, names, strict=True)
    ]
    atomic_write(target, json.dumps(content).encode())
