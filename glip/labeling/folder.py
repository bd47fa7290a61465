"""A labeling run over a folder: detections first, which resumes, then the formats made of them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmengine.config import Config

from glip.apis.build import build_detector, config_name
from glip.apis.results import default_score_thr
from glip.classes.class_file import ClassFile
from glip.datasets.odvg.records import parse_record
from glip.labeling.class_labeler import ClassLabeler, label_images
from glip.labeling.class_report import write_class_report
from glip.labeling.files import OutputFiles
from glip.labeling.formats.export import TARGETS, Export, check_format, write_format
from glip.labeling.image_list import ImageList
from glip.labeling.merging import merge_shards
from glip.labeling.output import ResumableOutput, read_state
from glip.labeling.review import write_review
from glip.labeling.reviewed import ReviewedExport, read_reviews
from glip.labeling.shards import Shard
from glip.models import GLIP
from glip.utils.errors import ImageReadError, LabelingMismatchError, OdvgRecordError
from glip.utils.file_names import is_safe_path
from glip.utils.text_lines import iter_lines
from glip.version import __version__


@dataclass(frozen=True)
class FolderRun:
    """What to label, with what, and where to write it.

    Attributes:
        images: the images.
        classes: what to detect.
        files: where to write.
        cfg: config of the model.
        checkpoint: its weights.
        digests: hashes of the config and the checkpoint, by name.
        formats: names of :data:`glip.labeling.formats.export.FORMATS`.
        batch_size: images per batch; the last digits of the results depend on it.
        num_workers: processes that read images.
        num_reviewed: images of the review page, the most doubtful first; 0 for no page.
        image_prefix: of the URLs of images in Label Studio.
    """

    images: ImageList
    classes: ClassFile
    files: OutputFiles
    cfg: Config
    checkpoint: str
    digests: dict[str, str]
    formats: Sequence[str] = ("coco",)
    batch_size: int = 4
    num_workers: int = 2
    num_reviewed: int = 2000
    image_prefix: str = Export.image_prefix
    thresholds: list[float] = field(init=False)

    def __post_init__(self) -> None:
        thresholds = self.classes.thresholds(default_score_thr(self.cfg))
        object.__setattr__(self, "thresholds", thresholds)
        for name in self.formats:
            check_format(name, self.classes.names, self.images)

    @property
    def path(self) -> Path:
        """The detections, of which the formats are made."""
        return self.files.detections

    @property
    def overwrite(self) -> bool:
        """Whether the output of another run is replaced."""
        return self.files.overwrite

    @property
    def num_images(self) -> int:
        """Number of images."""
        return len(self.images)

    @property
    def model_version(self) -> str:
        """Name of the config, and the start of the hash of the weights."""
        name = Path(config_name(self.cfg)).stem
        return f"{name} {self.digests['checkpoint'][:8]}"

    @property
    def settings(self) -> dict[str, Any]:
        """What a resumed run must not change."""
        thresholds = hashlib.sha256(repr(self.thresholds).encode()).hexdigest()
        return {
            "version": __version__,
            **self.digests,
            "images": self.images.digest,
            "classes": self.classes.digest(),
            "thresholds": thresholds,
            "batch_size": self.batch_size,
        }

    def build(self, device: str | None) -> ClassLabeler:
        """Build the model and encode the text.

        Raises:
            CheckpointError: the checkpoint does not fit the config.
            ClassFileError: a phrase cannot be tokenized.
        """
        model: GLIP = build_detector(self.cfg, self.checkpoint, device or "cpu")
        return ClassLabeler(model, self.classes, self.thresholds)

    def label_shard(self, part: Shard, labeler: ClassLabeler) -> None:
        """Label a shard, or resume it."""
        label_folder(self, part=part, labeler=labeler)


def label_folder(
    run: FolderRun,
    *,
    device: str | None = None,
    part: Shard | None = None,
    merge: bool = False,
    labeler: ClassLabeler | None = None,
) -> str:
    """Label, or resume; then write the formats, the report and the review page.

    Args:
        run: what to do.
        device: where the model runs.
        part: label only this shard, and write no formats.
        merge: merge the finished shards instead of labeling.
        labeler: one of :meth:`FolderRun.build` to use; by default it is built.

    Returns:
        The report as text.

    Raises:
        LabelingMismatchError: the files at the output are of another run.
        StorageError: a file cannot be written; what is finished is kept.
        ImageReadError: no image can be read.
    """
    shard = part or Shard()
    batches = shard.batches(len(run.images), run.batch_size)
    detections = part.path(run.files.detections) if part else run.files.detections
    settings = run.settings | ({"shard": str(part)} if part else {})
    output = ResumableOutput(detections, settings=settings, num_batches=len(batches))
    if run.files.overwrite:
        _remove_of_others(run, output)
    elif read_state(detections) is None:
        _check_free(run)
    with output as out:
        if merge and not out.finished:
            merge_shards(out, run.settings)
        elif not out.finished:
            _label(run, labeler or run.build(device), batches, out, shard)
        if part:
            return f"shard {part} is finished; merge the shards when all are"
        counts = out.statistics.counts
        check_not_all_unreadable(
            counts["pictures"], counts["unreadable"], f"all are listed in '{out.excluded}'"
        )
        export = Export(
            run.files, run.classes.names, run.model_version, run.images, run.image_prefix
        )
        written = [path for name in run.formats for path in write_format(name, export)]
        if run.num_reviewed:
            written.append(write_review(export, run.thresholds, run.num_reviewed))
        report = write_class_report(export, run.thresholds, out)
    return "\n".join([report, "", *(f"written: {path}" for path in written)])


def apply_reviews(run: FolderRun, paths: Sequence[str]) -> str:
    """Write the formats of a finished run with the corrections of review pages.

    They are written to ``reviewed`` beside the labels of the detector, which stay as they are.

    Args:
        run: the finished run.
        paths: files that its review pages downloaded.

    Returns:
        What was changed and written, as text.

    Raises:
        LabelingMismatchError: the run is not finished, or a file is not of it.
        AnnotationFileError: a file is invalid.
        StorageError: a file cannot be written.
    """
    detections = run.files.detections
    state = read_state(detections)
    if state is None or not state["finished"]:
        raise LabelingMismatchError(
            f"there are no finished labels at '{detections}': label first, with the same command "
            "without --apply-review"
        )
    batches = Shard().batches(len(run.images), run.batch_size)
    output = ResumableOutput(detections, settings=run.settings, num_batches=len(batches))
    with output:  # checks the settings
        reviews = read_reviews(paths, detections, run.classes.names)
        export = ReviewedExport(
            *(run.files.reviewed(), run.classes.names, run.model_version, run.images),
            image_prefix=run.image_prefix,
            labels=detections,
            reviews=reviews,
        )
        summary = export.summary()
        written = [path for name in run.formats for path in write_format(name, export)]
    return "\n".join([summary, *(f"written: {path}" for path in written)])


def check_not_all_unreadable(number: int, unreadable: int, example: str) -> None:
    """Check that an image could be read: labels of none look like images without an object.

    Raises:
        ImageReadError: none could; the message has the example.
    """
    if number and unreadable == number:
        raise ImageReadError(
            f"none of the {number} images can be read, so there is nothing to label: {example}"
        )


def _label(
    run: FolderRun,
    labeler: ClassLabeler,
    batches: Sequence[range],
    out: ResumableOutput,
    shard: Shard,
) -> None:
    """Label the batches that are not finished."""
    todo = batches[out.done :]
    bar = shard.progress_bar(batches, out.done)
    with bar:
        found = label_images(labeler, run.images, todo, num_workers=run.num_workers)
        for batch, labels in zip(todo, found, strict=True):
            out.add_batch(labels.records, labels.excluded, labels.statistics)
            bar.update(len(batch))
            counts = out.statistics.counts
            bar.set_postfix(boxes=counts["boxes"], unreadable=counts["unreadable"], refresh=False)
    out.finish()


def _targets(run: FolderRun) -> list[Path]:
    names = [name for each in run.formats for name in TARGETS[each]]
    if run.num_reviewed:
        names += ["review.html", "thumbnails"]
    coco = [run.files.coco()] if "coco" in run.formats else []
    return [*coco, *map(run.files.path, names)]


def _check_free(run: FolderRun) -> None:
    """Check before the slow part that nothing is there which the formats would replace."""
    for path in _targets(run):
        if path.exists() and not (path.is_dir() and not any(path.iterdir())):
            raise LabelingMismatchError(
                f"'{path}' exists already and is not of this run: choose another output, or pass "
                "--overwrite"
            )


def _remove_of_others(run: FolderRun, output: ResumableOutput) -> None:
    """Delete the detections of another run, and the files that were written for its images."""
    part = output.part if output.part.exists() else output.path
    if part.exists() and output.is_of_others():
        stale = [
            run.files.path(folder) / f"{stem}{extension}"
            for stem in _stems(part)
            for folder, extension in (
                ("labels", ".txt"),
                ("annotations", ".xml"),
                ("labelme", ".json"),
                ("thumbnails", ".jpg"),
            )
        ]
        output.discard()
        for path in stale:
            path.unlink(missing_ok=True)


def _stems(detections: Path) -> list[str]:
    """Return the names of the images of another run, which may have been killed, or damaged."""
    stems = []
    with open(detections, "rb") as file:
        for line in iter_lines(file, str(detections)):
            with suppress(OdvgRecordError):
                stem = parse_record(line).get("stem")
                if isinstance(stem, str) and is_safe_path(stem):
                    stems.append(stem)
    return stems
