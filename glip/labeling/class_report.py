"""The report of a run over a folder: what was found of each class, and what could not be read."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from glip.labeling.formats.export import Export
from glip.labeling.output import ResumableOutput
from glip.labeling.statistics import NUM_BINS
from glip.utils.atomic_write import atomic_write
from glip.utils.tables import format_table


@dataclass
class ClassCounts:
    """Counts of a class.

    Attributes:
        images: with at least one box.
        boxes: of the class.
        total: sum of their scores.
        histogram: boxes per bin of the score, from 0 to 1.
    """

    images: int = 0
    boxes: int = 0
    total: float = 0.0
    histogram: list[int] = field(default_factory=lambda: [0] * NUM_BINS)

    def add(self, scores: list[float]) -> None:
        """Count the boxes of an image."""
        self.images += bool(scores)
        self.boxes += len(scores)
        self.total += sum(scores)
        for score in scores:
            self.histogram[min(int(score * NUM_BINS), NUM_BINS - 1)] += 1

    @property
    def mean(self) -> float:
        """Mean score; -1 without boxes, which tables show as a dash."""
        return self.total / self.boxes if self.boxes else -1.0


def write_class_report(export: Export, thresholds: list[float], out: ResumableOutput) -> str:
    """Write ``report.txt`` and ``report.json``; return the text."""
    counts = [ClassCounts() for _ in export.names]
    for record in export.records():
        scores: dict[int, list[float]] = {}
        for found in record["detections"]:
            scores.setdefault(found["label"], []).append(found["score"])
        for label, own in scores.items():
            counts[label].add(own)
    text = format_counts(export.names, thresholds, counts)
    totals = out.statistics.counts
    number, boxes, unreadable = (totals[key] for key in ("pictures", "boxes", "unreadable"))
    lines = [f"{number} images, {boxes} boxes"]
    if unreadable:
        lines.append(f"{unreadable} images cannot be read, listed in {out.excluded.name}")
    full = totals["images with the maximum number of detections"]
    if full:
        lines.append(
            f"{full} images have the maximum number of detections, so some may be missing: raise "
            "model.test_cfg.max_per_img with --cfg-options"
        )
    text += "\n\n" + "\n".join(lines)
    content: dict[str, Any] = {
        "settings": out.settings,
        "model": export.model,
        "images": number,
        "unreadable": unreadable,
        "boxes": boxes,
        "classes": [
            dict(
                name=name,
                threshold=threshold,
                images=each.images,
                boxes=each.boxes,
                mean_score=each.mean if each.boxes else None,
            )
            for name, threshold, each in zip(export.names, thresholds, counts, strict=True)
        ],
    }
    files = export.files
    atomic_write(files.path("report.txt"), (text + "\n").encode("utf-8", "backslashreplace"))
    atomic_write(files.path("report.json"), json.dumps(content, indent=1).encode())
    return text


def format_counts(names: list[str], thresholds: list[float], counts: list[ClassCounts]) -> str:
    """Return the counts of the classes as a table."""
    rows: list[list[object]] = [
        [name, each.images, each.boxes, each.mean, threshold]
        for name, threshold, each in zip(names, thresholds, counts, strict=True)
    ]
    return format_table(["class", "images", "boxes", "mean score", "threshold"], rows)
