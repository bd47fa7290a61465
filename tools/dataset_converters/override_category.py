r"""Rename the categories of the ODinW data sets whose own names tell a language model little.

Of the 35 data sets these are ChessPieces, CottontailRabbits and NorthAmericaMushrooms. For each a
file new_annotations_without_background.json is written beside the original, which stays as it is;
the names are in configs/_base_/datasets/odinw.py. Data sets that are absent are left out.

Example:
    python tools/dataset_converters/override_category.py data/odinw/
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator
from pathlib import Path

from mmengine.config import Config

from glip.cli.common import run
from glip.config import config_root
from glip.utils.errors import AnnotationFileError, AnnotationFileNotFoundError

#: What a renamed file's name begins with.
PREFIX = "new_"


def renamed_datasets() -> Iterator[tuple[str, Path, tuple[str, ...]]]:
    """Give each data set that gets other names.

    Yields:
        its name, its renamed annotation file below ODinW's folder, and the new names of its
        categories, in the order of their ids from 1.
    """
    cfg = Config.fromfile(config_root() / "_base_" / "datasets" / "odinw.py")
    for name, dataset in cfg.odinw35.items():
        names = dataset.metainfo.get("category_names")
        if names:
            path = Path(dataset.data_root, dataset.ann_file).relative_to("data/odinw")
            yield name, path, tuple(names)


def rename(source: Path, target: Path, names: tuple[str, ...]) -> None:
    """Write an annotation file with other category names; nothing else changes.

    Args:
        source: the original.
        target: where to.
        names: of the categories 1, 2, ...

    Raises:
        AnnotationFileError: the original cannot be read, or has other category ids.
    """
    try:
        content = json.loads(source.read_text(encoding="utf-8"))
        old = {category["id"]: category for category in content["categories"]}
        used = {annotation["category_id"] for annotation in content["annotations"]}
    except (ValueError, KeyError, TypeError) as error:
        raise AnnotationFileError(
            f"'{source}' is no annotation file in COCO's format ({type(error).__name__}: {error})"
        ) from error
    known = range(1, len(names) + 1)
    strangers = sorted(used - set(known))
    if strangers:
        raise AnnotationFileError(
            f"'{source}' has annotations of the categories {strangers}, but there are names only "
            f"for {known[0]} to {known[-1]}: it is not the file of ODinW without background"
        )
    content["categories"] = [
        {"supercategory": "none", **old.get(number, {}), "id": number, "name": name}
        for number, name in zip(known, names, strict=True)
    ]
    partial = target.with_name(f".{target.name}.partial")
    partial.write_text(json.dumps(content), encoding="utf-8")
    os.replace(partial, target)


def main(argv: list[str] | None = None) -> None:
    """Rename; see the module's docstring."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data_root", type=Path, help="ODinW's folder, with CottontailRabbits/ ...")
    root = parser.parse_args(argv).data_root
    absent = []
    for name, path, names in renamed_datasets():
        target = root / path
        source = target.with_name(target.name.removeprefix(PREFIX))
        if not source.is_file():
            absent.append(source)
            continue
        rename(source, target, names)
        print(f"{name}: wrote {target}")
    if absent and len(absent) == len(list(renamed_datasets())):
        listed = "".join(f"\n  {source}" for source in absent)
        raise AnnotationFileNotFoundError(
            f"none of the files to rename is there; looked for{listed}"
        )
    for source in absent:
        print(f"absent: {source}")


if __name__ == "__main__":
    run(main)
