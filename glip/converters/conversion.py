"""One run of a converter: its output file, the images it accepts, and its counts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

from glip.converters.box_table import Box, clip_box
from glip.converters.excluded_images import ExcludedImages
from glip.converters.image_files import ImageFolder
from glip.converters.report import Report
from glip.datasets.box_layout import LayoutCounter
from glip.datasets.odvg.records import Region, detection_record, grounding_record
from glip.datasets.odvg.writing import RecordWriter, read_label_map, write_label_map
from glip.utils.errors import AnnotationFileError, DataError, ImageReadError

Entry = dict[str, Any]


class SourceImage(NamedTuple):
    """An image of an annotation file.

    Attributes:
        entry: its entry in the annotation file.
        file_name: relative to the image folder.
        height: in pixels.
        width: in pixels.
    """

    entry: Entry
    file_name: str
    height: int
    width: int


class Conversion:
    """The output of a converter; use it with ``with``.

    Args:
        out: ODVG file to write; a label map is written beside it.
        folder: folder of the images.
        excluded: images to exclude.
        overwrite: overwrite existing files.

    Attributes:
        report: counts of what was kept and excluded.

    Raises:
        DataError: ``out`` exists (on entering).
        AnnotationFileError: most images have another size than the annotations say (on leaving).
    """

    def __init__(
        self, out: Path, *, folder: ImageFolder, excluded: ExcludedImages, overwrite: bool
    ) -> None:
        self.folder = folder
        self.report = Report()
        self._layout = LayoutCounter()
        self._out = out
        self._excluded = excluded
        self._overwrite = overwrite
        self._writer = RecordWriter(out, overwrite)

    def __enter__(self) -> Conversion:
        self._writer.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is not None:
            self._writer.__exit__(kind, error, traceback)
            return
        try:
            self.report.warnings += self.folder.check()
        except AnnotationFileError as failure:
            self._writer.__exit__(type(failure), failure, failure.__traceback__)
            raise
        if self._layout.message():
            self.report.warnings.append(self._layout.message())
        self._writer.__exit__(None, None, None)

    def accept_image(
        self,
        entry: Entry,
        file_name: str,
        size: tuple[int, int] | None,
        *,
        coco_id: int | None = None,
    ) -> SourceImage | None:
        """Return an image with its size, or exclude it and return None.

        Args:
            entry: of the image in the annotation file.
            file_name: relative to the image folder.
            size: height and width in pixels as the annotations state them; if they do not, the
                image file is read.
            coco_id: the id of the image in COCO, if the annotations state it.
        """
        reason = self._excluded.reason(file_name, coco_id)
        if reason is None:
            file_name = self.folder.find(file_name)
            reason = self.folder.problem(file_name)
        if reason is None:
            if size is not None:
                self.folder.compare_size(file_name, size)
            try:
                return SourceImage(entry, file_name, *(size or self.folder.size(file_name)))
            except ImageReadError:
                reason = "not readable"
                if self.folder.root is None:
                    reason = "of unknown size (give --img-root)"
        self.report.exclude("image", reason, file_name)
        return None

    def clip_boxes(
        self, image: SourceImage, boxes: Iterable[tuple[Box, Any]]
    ) -> Iterator[tuple[Box, Any]]:
        """Yield the boxes of an image (xyxy, pixels) and their values, clipped, duplicates once."""
        seen = set()
        for box, value in boxes:
            left, top, right, bottom = box
            size = (left, top, right - left, bottom - top)
            self._layout.add(size, image.width, image.height, image.file_name)
            clipped = clip_box(box, image.width, image.height)
            if clipped is None:
                self.report.exclude("box", "outside the image", image.file_name)
            elif (clipped, value) in seen:
                self.report.exclude("box", "found twice", image.file_name)
            else:
                seen.add((clipped, value))
                yield clipped, value

    def write_detection(
        self,
        image: SourceImage,
        instances: Sequence[tuple[Box, int, str]],
        extra: Mapping[str, Any],
    ) -> None:
        """Write the record of an image with its objects.

        Args:
            image: the image.
            instances: box (xyxy, pixels), label and category of each object.
            extra: additional keys of the record.
        """
        _, filename, height, width = image
        record = detection_record(
            filename=filename, height=height, width=width, instances=instances, extra=extra
        )
        counts = {"image": 1, "empty image": int(not instances), "box": len(instances)}
        self.report.write(self._writer, record, counts)

    def write_grounding(
        self,
        image: SourceImage,
        caption: str,
        regions: Sequence[Region],
        extra: Mapping[str, Any],
    ) -> None:
        """Write the record of a caption with its phrases.

        Args:
            image: the image.
            caption: of the image.
            regions: the phrases with their boxes.
            extra: additional keys of the record.
        """
        _, filename, height, width = image
        record = grounding_record(
            filename=filename,
            height=height,
            width=width,
            caption=caption,
            regions=regions,
            extra=extra,
        )
        boxes = sum(len(region.boxes) for region in regions)
        self.report.write(
            self._writer, record, {"caption": 1, "phrase": len(regions), "box": boxes}
        )

    def write_label_map(self, names: Sequence[str]) -> None:
        """Write the label map beside the output: ``train_label_map.json`` for ``train.jsonl``.

        Raises:
            DataError: another label map exists and must not be overwritten, or two labels have the
                same name.
        """
        path = self._out.with_name(f"{self._out.stem}_label_map.json")
        if path.exists() and not self._overwrite and read_label_map(path) != tuple(names):
            raise DataError(
                f"'{path}' exists and has other names; choose another output, or add --overwrite."
            )
        write_label_map(path, names)
