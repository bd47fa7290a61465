"""Writing what converters have found: lines, with their counts, and label maps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from glip.converters.box_table import Box
from glip.converters.coco_format import SourceImage
from glip.converters.report import Report
from glip.datasets.odvg.records import Region, detection_line, grounding_line
from glip.datasets.odvg.writing import LineWriter, read_label_map, write_label_map
from glip.utils.errors import DataError


def write_detection(
    writer: LineWriter,
    image: SourceImage,
    instances: Sequence[tuple[Box, int, str]],
    extra: Mapping[str, Any],
    report: Report,
) -> None:
    """Write the line of an image with the boxes, labels and categories of its objects.

    Args:
        writer: of the file.
        image: the image.
        instances: box (x1, y1, x2, y2, pixels), label and category of each object.
        extra: more keys of the line.
        report: where to count.
    """
    line = detection_line(**_facts(image), instances=instances, extra=extra)
    counts = {"image": 1, "empty image": int(not instances), "box": len(instances)}
    report.write(writer, line, counts)


def write_grounding(
    writer: LineWriter,
    image: SourceImage,
    caption: str,
    regions: Sequence[Region],
    extra: Mapping[str, Any],
    report: Report,
) -> None:
    """Write the line of a caption with its phrases.

    Args:
        writer: of the file.
        image: the image.
        caption: what is said of it.
        regions: the phrases with their boxes.
        extra: more keys of the line.
        report: where to count.
    """
    line = grounding_line(**_facts(image), caption=caption, regions=regions, extra=extra)
    boxes = sum(len(region.boxes) for region in regions)
    report.write(writer, line, {"caption": 1, "phrase": len(regions), "box": boxes})


def _facts(image: SourceImage) -> dict[str, Any]:
    """What every line says of its image."""
    return dict(filename=image.file_name, height=image.height, width=image.width)


def label_map_path(out: Path) -> Path:
    """Where the label map of a file of lines goes: beside it.

    Example:
        >>> label_map_path(Path("coco/train.jsonl")).as_posix()
        'coco/train_label_map.json'
    """
    return out.with_name(f"{out.stem}_label_map.json")


def save_label_map(path: Path, names: list[str], *, overwrite: bool) -> None:
    """Write a label map, unless another one is there.

    Raises:
        DataError: it is, and must not be overwritten; or two labels have one name.
    """
    if path.exists() and not overwrite and read_label_map(path) != tuple(names):
        raise DataError(
            f"'{path}' exists already and has other names; name another file, or add --overwrite."
        )
    write_label_map(path, names)
