"""A labeling run over captions: ODVG grounding records and the report."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmengine.config import Config

from glip.apis.build import build_detector
from glip.labeling.folder import check_not_all_unreadable
from glip.labeling.labeler import Labeler, label_pairs
from glip.labeling.merging import merge_shards
from glip.labeling.output import ResumableOutput
from glip.labeling.pairs import Pairs
from glip.labeling.report import write_report
from glip.labeling.shards import Shard
from glip.version import __version__


@dataclass(frozen=True)
class CaptionRun:
    """What to label, with what, and where to write it.

    Attributes:
        pairs: images and captions.
        path: JSON lines file to write.
        cfg: config of the teacher.
        checkpoint: its weights.
        digests: hashes of the config and the checkpoint, by name.
        np_extractor: finds the noun phrases of captions.
        score_thr: boxes with a higher score are kept.
        max_boxes_per_phrase: keep at most so many boxes of a phrase; ``None`` for all.
        keep_empty: also write captions without a kept box.
        batch_size: images per batch; the last digits of the results depend on it.
        num_workers: processes that read images.
        num_samples: records to draw in the report.
    """

    pairs: Pairs
    path: Path
    cfg: Config
    checkpoint: str
    digests: dict[str, str]
    np_extractor: str = "rules"
    score_thr: float = 0.5
    max_boxes_per_phrase: int | None = None
    keep_empty: bool = False
    batch_size: int = 4
    num_workers: int = 2
    num_samples: int = 12
    overwrite: bool = field(default=False, init=False)  # captions have no such option

    @property
    def num_images(self) -> int:
        """Number of images."""
        return len(self.pairs)

    @property
    def settings(self) -> dict[str, Any]:
        """What a resumed run must not change."""
        return {
            "version": __version__,
            **self.digests,
            "pairs": self.pairs.digest,
            "np_extractor": self.np_extractor,
            "score_thr": self.score_thr,
            "max_boxes_per_phrase": self.max_boxes_per_phrase,
            "keep_empty": self.keep_empty,
            "batch_size": self.batch_size,
        }

    def build(self, device: str) -> Labeler:
        """Build the teacher.

        Raises:
            CheckpointError: the checkpoint does not fit the config.
        """
        return Labeler(
            build_detector(self.cfg, self.checkpoint, device),
            score_thr=self.score_thr,
            max_boxes_per_phrase=self.max_boxes_per_phrase,
            keep_empty=self.keep_empty,
        )

    def label_shard(self, part: Shard, labeler: Labeler) -> None:
        """Label a shard, or resume it."""
        label_captions(self, part=part, labeler=labeler)


def label_captions(
    run: CaptionRun,
    *,
    device: str = "cpu",
    part: Shard | None = None,
    merge: bool = False,
    labeler: Labeler | None = None,
) -> str:
    """Label, or resume; then write the report.

    Args:
        run: what to do.
        device: where the teacher runs.
        part: label only this shard.
        merge: merge the finished shards instead of labeling.
        labeler: one of :meth:`CaptionRun.build` to use; by default it is built.

    Returns:
        The report as text.

    Raises:
        LabelingMismatchError: the files at the output are of another run.
        StorageError: a file cannot be written; what is finished is kept.
        ImageReadError: no image can be read.
    """
    shard = part or Shard()
    path = part.path(run.path) if part else run.path
    settings = run.settings | ({"shard": str(part)} if part else {})
    batches = shard.batches(run.num_images, run.batch_size)
    with ResumableOutput(path, settings=settings, num_batches=len(batches)) as out:
        was_finished = out.finished
        if merge and not was_finished:
            merge_shards(out, run.settings)
        elif not was_finished:
            todo = batches[out.done :]
            found = label_pairs(
                labeler or run.build(device),
                run.pairs,
                todo,
                np_extractor=run.np_extractor,
                num_workers=run.num_workers,
            )
            with shard.progress_bar(batches, out.done) as bar:
                for batch, labels in zip(todo, found, strict=True):
                    out.add_batch(labels.records, labels.excluded, labels.statistics)
                    bar.update(len(batch))
                    bar.set_postfix(boxes=out.statistics.counts["boxes"], refresh=False)
            out.finish()
        if part is None:
            counts = out.statistics.counts
            check_not_all_unreadable(
                counts["pictures"], counts["unreadable"], f"all are listed in '{out.excluded}'"
            )
        text = write_report(out, run.pairs, num_samples=run.num_samples)
    return f"{path} is finished already\n{text}" if was_finished else text
