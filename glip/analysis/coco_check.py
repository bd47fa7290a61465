"""Find everything that is wrong with an annotation file in COCO's format, and repair it.

The file is read as data sets and metrics read it, so what is reported as left out here is what they
leave out, and a repaired file gives the same boxes.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

from glip.datasets.annotation_entries import category_problem, shorten_entry
from glip.datasets.annotation_file import AnnotationFile, Notes, read_content
from glip.datasets.annotation_json import load_content
from glip.datasets.annotation_values import NO_CATEGORY, parse_area
from glip.datasets.image_paths import find_renamed
from glip.datasets.image_sizes import differs, explain_difference, file_size
from glip.datasets.json_keys import RepeatedKey
from glip.utils.atomic_write import atomic_write
from glip.utils.errors import DataError
from glip.utils.messages import shorten

_SINGULAR = dict(images="image", annotations="annotation", categories="category")


class Problem(NamedTuple):
    """Something that is wrong with an entry.

    Attributes:
        place: names the entry, by its position in its list (from 0) and its id.
        reason: what is wrong, the same text for all entries with this problem.
        detail: the values of this entry.
        repair: what a repaired file has instead; empty if only a person can decide.
    """

    place: str
    reason: str
    detail: str
    repair: str


class CocoChecker(Notes):
    """Collects the problems of a file.

    Args:
        path: path of the file.
        images: folder of the images, to check them too.

    Attributes:
        problems: everything that is wrong.
        remarks: number of boxes that are valid but not used in training, by reason.
        content: the content of the file, repaired as far as possible.
        fatal: number of problems for which data sets refuse the file.

    Raises:
        AnnotationFileError: the file does not exist, is not valid JSON or not in COCO's format.
    """

    def __init__(self, path: Path, images: Path | None = None) -> None:
        super().__init__(str(path))
        self.images = images
        self.problems: list[Problem] = []
        self.remarks: Counter[str] = Counter()
        self.fatal = 0
        repeated: list[RepeatedKey] = []
        self.content = load_content(str(path), repeated=repeated)
        self._positions = {
            id(entry): (kind, index)
            for kind in _SINGULAR
            for index, entry in enumerate(self.content[kind])
        }
        self._check_keys(repeated)
        originals = list(self.content["annotations"])
        file = read_content(self.content, str(path), self)
        kept = self._check_annotations(file, originals)
        self._check_images(file)
        self._check_categories(file, kept)
        if file.unusual:
            self.problems.append(Problem("annotations", "in an unusual layout", file.unusual, ""))
        if originals and not kept and file.images:
            self.fatal += 1
            reason = "of which none can be used"
            self.problems.append(
                Problem("annotations", reason, f"{len(originals)} in the file", "")
            )
        self.content.update(images=file.images, annotations=kept, categories=file.categories)

    def skip(self, kind: str, index: int, entry: Any, reason: str) -> None:
        """Note an entry, or a part of it, that is not used."""
        repair = "left out" if kind == "annotations" or reason == "that occur twice" else "removed"
        if kind == "categories" and repair == "removed":
            repair = ""  # only a person knows the name
        self._add(kind, index, entry, reason, shorten_entry(entry), repair)

    def repair(self, kind: str, index: int, entry: Any, what: str) -> None:
        """Note a value in an unusual form that has one meaning."""
        self._add(kind, index, entry, f"with {what}", "", "written in COCO's form")

    def reject(self, kind: str, index: int, entry: Any, message: str) -> None:
        """Note an entry that must be a mistake."""
        self.fatal += 1
        double = isinstance(entry, dict) and "two different" in message
        reason = "with the id of another one" if double else "that cannot be read"
        self._add(kind, index, entry, reason, message, "")

    def log(self) -> None:
        """Log nothing: everything is reported."""

    def write(self, path: Path) -> None:
        """Write the repaired file atomically.

        Raises:
            DataError: the file has problems that cannot be repaired.
        """
        if self.fatal:
            raise DataError(
                f"'{self.path}' cannot be repaired: {self.fatal} of its problems need a decision "
                "(those without a repair); correct them first."
            )
        atomic_write(path, json.dumps(self.content).encode())

    def _add(
        self, kind: str, index: int, entry: Any, reason: str, detail: str, repair: str
    ) -> None:
        key = entry.get("id") if isinstance(entry, dict) else None
        place = f"{_SINGULAR[kind]} {index}" + ("" if key is None else f" (id {shorten(key, 40)})")
        self.problems.append(Problem(place, reason, detail, repair))

    def _check_keys(self, repeated: list[RepeatedKey]) -> None:
        """Report the keys that an object has twice."""
        for each in repeated:
            reason = f"with the key {shorten(each.key, 40)} twice"
            detail = " and then ".join(shorten(value, 40) for value in each.values[:3])
            kind, index = self._positions.get(id(each.entry), ("", 0))
            if kind:
                self._add(kind, index, each.entry, reason, detail, "the last value is kept")
            else:
                place = f"object {shorten(each.entry)}"
                self.problems.append(Problem(place, reason, detail, "the last value is kept"))

    def _check_annotations(
        self, file: AnnotationFile, originals: list[Any]
    ) -> list[dict[str, Any]]:
        """Check what is valid for itself but not for its image; return what is kept, in order."""
        category_ids = {category["id"] for category in file.categories}
        sizes = {
            image["id"]: (image.get("width", 0), image.get("height", 0)) for image in file.images
        }
        readable = {id(each) for each in file.all_annotations()}
        kept = []
        renumber = False
        for index, entry in enumerate(originals):
            if id(entry) not in readable:
                continue
            if category_ids and category_problem(entry, category_ids) == NO_CATEGORY:
                self.skip("annotations", index, entry, NO_CATEGORY)
                continue
            kept.append(entry)
            left, top, width, height = entry["bbox"]
            if width < 0 or height < 0:
                detail = f"{entry['bbox']}, which no detection matches"
                reason = "with a negative width or height"
                self._add("annotations", index, entry, reason, detail, "written without area")
                entry["area"] = parse_area(entry)
                entry["bbox"] = [left, top, max(width, 0), max(height, 0)]
            elif width < 1 or height < 1:
                self.remarks["boxes smaller than one pixel"] += 1
            elif sizes[entry["image_id"]][0] and _is_outside(
                entry["bbox"], sizes[entry["image_id"]]
            ):
                self.remarks["boxes outside their image"] += 1
            if "area" in entry:
                area = parse_area(entry)
                if type(entry["area"]) not in (int, float) or entry["area"] != area:
                    reason = "with an area that is not a number"
                    detail = shorten(entry["area"])
                    self._add("annotations", index, entry, reason, detail, "written in COCO's form")
                entry["area"] = area
            if type(entry["id"]) is not int or entry["id"] < 1:
                reason = "with an id that is not a positive integer, as COCO's tools need"
                self._add("annotations", index, entry, reason, "", "numbered")
                renumber = True
        if renumber or len({each["id"] for each in kept}) < len(kept):
            for number, entry in enumerate(kept, 1):
                entry["id"] = number
        return kept

    def _check_categories(self, file: AnnotationFile, kept: list[dict[str, Any]]) -> None:
        """Check that no two categories with annotations have the same name."""
        used = {each.get("category_id") for each in kept}
        if kept and not file.categories:
            self.remarks["boxes without categories in the file"] = len(kept)
        first: dict[Any, Any] = {}
        for category in file.categories:
            name = category.get("name")
            if name is None or category["id"] not in used:
                continue
            other = first.setdefault(name, category["id"])
            if other != category["id"]:
                _, index = self._positions[id(category)]
                detail = f"{shorten(name)}, that of the category {shorten(other)}"
                reason = "with the name of another one that has annotations too"
                self._add("categories", index, category, reason, detail, "")

    def _check_images(self, file: AnnotationFile) -> None:
        """Check the names and sizes of the images."""
        names = [image.get("file_name") or image.get("coco_url") for image in file.images]
        named = [name for name in names if isinstance(name, str)]
        renamed: dict[str, str] = {}
        folder = self.images
        if folder is not None:
            renamed = find_renamed(named, lambda name: os.path.isfile(os.path.join(folder, name)))
        for image, name in zip(file.images, names, strict=True):
            _, index = self._positions[id(image)]
            if not isinstance(name, str) or not name:
                self.fatal += 1
                self._add("images", index, image, "without a file name", shorten(name), "")
            elif name in renamed:
                reason = "with a name that is not written as that of its file"
                detail = f"{shorten(name)}, the file is {shorten(renamed[name])}"
                self._add("images", index, image, reason, detail, "written as that of the file")
                name = image["file_name"] = renamed[name]
            elif "\\" in name and folder is None:
                reason = "with a backslash in its name"
                self._add("images", index, image, reason, f"{shorten(name)}; add --images", "")
            self._check_size(index, image, name)

    def _check_size(self, index: int, image: dict[str, Any], name: Any) -> None:
        """Compare an image's size with its file; remove an unknown one."""
        stated = image.get("height", 0), image.get("width", 0)
        size = None
        if self.images is not None and isinstance(name, str) and name:
            path = os.path.join(
                self.images, "/".join(name.split("/")[-2:]) if "://" in name else name
            )
            size = file_size(path)
            if size is None:
                exists = os.path.isfile(path)
                reason = "that cannot be read" if exists else "that does not exist"
                self._add("images", index, image, f"with a file {reason}", shorten(path), "")
            elif all(stated) and differs(size, stated):
                detail = explain_difference(path, size, stated)
                self._add("images", index, image, "of another size than stated", detail, "")
        if not all(stated):
            if size is not None:
                reason = "of unknown size"
                detail = f"the file is {size[1]} x {size[0]}"
                self._add("images", index, image, reason, detail, "written as that of the file")
                image["height"], image["width"] = size
            else:
                image.pop("height", None)
                image.pop("width", None)


def _is_outside(box: list[float], size: tuple[int, int]) -> bool:
    if not all(size):
        return False
    left, top, width, height = box
    return left >= size[0] or top >= size[1] or left + width <= 0 or top + height <= 0
