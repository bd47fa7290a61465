"""The report of a labeling run: counts, a histogram of the scores, and a sheet of samples."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from glip.datasets.images import open_image
from glip.datasets.odvg.records import boxes_of, scores_of
from glip.labeling.output import ResumableOutput
from glip.labeling.pairs import Pairs
from glip.labeling.statistics import NUM_BINS, Statistics
from glip.text import Prompt
from glip.utils.atomic_write import atomic_write
from glip.utils.errors import ImageReadError
from glip.utils.tables import format_table
from glip.visualization import draw_detections, label_color
from glip.visualization.captions import draw_caption, join

#: Width and maximum height of an image on the sheet, in pixels.
_CELL = (360, 480)
_COLUMNS = 4
_FONT_SIZE = 13
#: Counts from this value on share a row of a table.
_MANY = 10


def write_report(output: ResumableOutput, pairs: Pairs, *, num_samples: int) -> str:
    """Write the report of a finished output, beside it.

    Args:
        output: a finished output.
        pairs: that it was made of.
        num_samples: number of records to draw; 0 for none.

    Returns:
        The counts as text.
    """
    text = format_report(output, pairs)
    name = output.path.name
    content = {
        "settings": output.settings,
        **means(output.statistics),
        "left out of the pairs": dict(pairs.skipped.counts),
        **output.statistics.to_dict(),
    }
    folder = output.path.parent
    atomic_write(folder / f"{name}.report.json", json.dumps(content, indent=1).encode())
    atomic_write(folder / f"{name}.report.txt", (text + "\n").encode())
    draw_histogram(output.statistics, output.settings["score_thr"], folder / f"{name}.scores.png")
    sheet = draw_samples(output.path, pairs, num_samples)
    if sheet is not None:
        Image.fromarray(sheet).save(folder / f"{name}.samples.jpg", quality=90)
    return text


def means(statistics: Statistics) -> dict[str, float]:
    """Return the means of the counts."""
    captions = sum(statistics.phrases.values())
    phrases = sum(statistics.boxes.values())
    return {
        "phrases per caption": _total(statistics.phrases) / max(captions, 1),
        "boxes per phrase": _total(statistics.boxes) / max(phrases, 1),
        "share of phrases with a box": 1 - statistics.boxes[0] / phrases if phrases else 0.0,
    }


def _total(histogram: Counter[int]) -> int:
    return sum(value * count for value, count in histogram.items())


def format_report(output: ResumableOutput, pairs: Pairs) -> str:
    """Return the counts as text. Its words are part of the output format."""
    statistics, counts = output.statistics, output.statistics.counts
    rows: list[list[object]] = [
        ["pictures", counts["pictures"]],
        ["  unreadable", counts["unreadable"]],
        ["captions", counts["captions"]],
        ["  kept, a line each", counts["lines"]],
        *([f"  left out: {reason}", n] for reason, n in sorted(statistics.excluded.items())),
        ["phrases with boxes", counts["phrases"]],
        ["boxes", counts["boxes"]],
    ]
    parts = [
        f"{output.path}: made with score_thr {output.settings['score_thr']}",
        format_table(["", "number"], rows),
        format_table(["mean", "value"], [[name, n] for name, n in means(statistics).items()]),
        format_table(["phrases", "captions"], _histogram_rows(statistics.phrases)),
        format_table(["boxes kept", "phrases"], _histogram_rows(statistics.boxes)),
    ]
    if pairs.skipped.total:
        parts.append(f"left out of '{pairs.path}': {pairs.skipped.summary()}")
    if statistics.excluded or counts["unreadable"]:
        parts.append(f"each that was left out, and why: {output.excluded}")
    return "\n\n".join(parts)


def draw_histogram(statistics: Statistics, score_thr: float, path: Path) -> None:
    """Draw the histogram of the scores, with the kept boxes in another color."""
    from matplotlib.figure import Figure

    edges = np.arange(NUM_BINS) / NUM_BINS
    heights = [statistics.scores[at] for at in range(NUM_BINS)]
    colors = ["tab:blue" if edge >= score_thr else "lightgray" for edge in edges]
    figure = Figure(figsize=(6, 3.5), layout="constrained")
    axes = figure.add_subplot()
    axes.bar(edges, heights, width=1 / NUM_BINS, align="edge", color=colors)
    axes.axvline(score_thr, color="black", linewidth=1)
    axes.set(xlim=(0, 1), xlabel="score", ylabel="boxes", title=f"boxes kept above {score_thr:g}")
    figure.savefig(path, dpi=120)


def draw_samples(path: Path, pairs: Pairs, num_samples: int) -> np.ndarray | None:
    """Draw records with their boxes and phrases, sampled evenly over a file.

    Args:
        path: file of records.
        pairs: that hold the images.
        num_samples: maximum number of records.

    Returns:
        RGB image, uint8 (H, W, 3); ``None`` if there is nothing to draw.
    """
    cells = []
    for record in sample_records(path, num_samples):
        try:
            cells.append(_draw_record(record, pairs))
        except ImageReadError:  # the image was removed after it was labeled
            continue
    if not cells:
        return None
    left = iter(cells)
    rows = iter(lambda: list(islice(left, _COLUMNS)), [])
    return join([join(row, axis=1, gap=12) for row in rows], axis=0, gap=12)


def sample_records(path: Path, count: int) -> list[dict[str, Any]]:
    """Read records that are spread evenly over a file, without reading all of it."""
    size = path.stat().st_size
    found: dict[int, dict[str, Any]] = {}
    with open(path, "rb") as file:
        for index in range(count):
            file.seek(size * index // count)
            if index:
                file.readline()  # the rest of a record
            start = file.tell()
            content = file.readline()
            if content:
                found[start] = json.loads(content)
    return list(found.values())


def _draw_record(record: Mapping[str, Any], pairs: Pairs) -> np.ndarray:
    """Draw a grounding record: the image with its boxes, and the caption below it."""
    source = pairs.image(record["filename"])
    pixels = open_image(source, limits=pairs.limits)
    image = Image.fromarray(np.ascontiguousarray(pixels[..., ::-1]))
    scale = min(side / own for side, own in zip(_CELL, image.size, strict=True))
    width, height = (max(1, round(scale * side)) for side in image.size)
    regions = record["grounding"]["regions"]
    boxes, scores, labels = [], [], []
    for label, region in enumerate(regions):
        own = boxes_of(region)
        boxes += own
        scores += scores_of(region) or []
        labels += [label] * len(own)
    drawn = draw_detections(
        np.asarray(image.resize((width, height))),
        np.asarray(boxes, dtype=np.float64).reshape(-1, 4) * scale,
        [regions[label]["phrase"] for label in labels],
        scores,
        [label_color(label) for label in labels],
    )
    caption = record["grounding"]["caption"]
    if regions:
        prompt = Prompt.from_spans(caption, [region["tokens_positive"] for region in regions])
    else:
        prompt = Prompt.from_whole_caption(caption)
    below = draw_caption(prompt, range(len(regions)), _CELL[0], _FONT_SIZE)
    return join([drawn, below], axis=0)


def _histogram_rows(histogram: Counter[int]) -> list[list[object]]:
    """Return the rows of a table: how often each value occurs, large values together."""
    rows: list[list[object]] = [
        [str(value), histogram[value]] for value in sorted(histogram) if value < _MANY
    ]
    many = sum(count for value, count in histogram.items() if value >= _MANY)
    return [*rows, [f"{_MANY} or more", many]] if many else rows
