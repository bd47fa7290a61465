"""What came of a labeling: numbers, a histogram of the scores, and a sheet of samples."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from glip.datasets.images import array_to_bgr, read_image
from glip.datasets.odvg.records import boxes_of, scores_of
from glip.labeling.output import Output
from glip.labeling.pairs import Pairs
from glip.labeling.statistics import NUM_BINS, Tally
from glip.text import Prompt
from glip.utils.atomic_write import atomic_write
from glip.utils.errors import ImageReadError
from glip.utils.tables import format_table
from glip.visualization import draw_detections, label_color
from glip.visualization.captions import draw_caption, join

#: A picture of the sheet is so wide, in pixels, and at most so high.
_CELL = (360, 480)
_COLUMNS = 4
_FONT_SIZE = 13
#: Numbers from here on share a line of the text.
_MANY = 10


def write_report(output: Output, pairs: Pairs, *, num_samples: int) -> str:
    """Write the report of a finished output, beside it.

    Args:
        output: what was written.
        pairs: what it was made of.
        num_samples: how many lines to draw; 0 to draw none.

    Returns:
        the numbers as text.
    """
    text = format_report(output, pairs)
    name = output.path.name
    content = {
        "settings": output.settings,
        **summarise(output.tally),
        "left out of the pairs": dict(pairs.skipped.counts),
        **output.tally.to_dict(),
    }
    folder = output.path.parent
    atomic_write(folder / f"{name}.report.json", json.dumps(content, indent=1).encode())
    atomic_write(folder / f"{name}.report.txt", (text + "\n").encode())
    draw_histogram(output.tally, output.settings["score_thr"], folder / f"{name}.scores.png")
    sheet = draw_samples(output.path, pairs, num_samples)
    if sheet is not None:
        Image.fromarray(sheet).save(folder / f"{name}.samples.jpg", quality=90)
    return text


def summarise(tally: Tally) -> dict[str, float]:
    """Return the means."""
    asked = sum(tally.phrases.values())
    phrases = sum(tally.boxes.values())
    return {
        "phrases per caption": sum(n * times for n, times in tally.phrases.items()) / max(asked, 1),
        "boxes per phrase": sum(n * times for n, times in tally.boxes.items()) / max(phrases, 1),
        "share of phrases with a box": 1 - tally.boxes[0] / phrases if phrases else 0.0,
    }


def format_report(output: Output, pairs: Pairs) -> str:
    """Write the numbers as text."""
    tally, counts = output.tally, output.tally.counts
    rows: list[list[object]] = [
        ["pictures", counts["pictures"]],
        ["  unreadable", counts["unreadable"]],
        ["captions", counts["captions"]],
        ["  kept, a line each", counts["lines"]],
        *([f"  left out: {reason}", number] for reason, number in sorted(tally.left_out.items())),
        ["phrases with boxes", counts["phrases"]],
        ["boxes", counts["boxes"]],
    ]
    parts = [
        f"{output.path}: made with score_thr {output.settings['score_thr']}",
        format_table(["", "number"], rows),
        format_table(["mean", "value"], [[name, n] for name, n in summarise(tally).items()]),
        format_table(["phrases", "captions"], _few(tally.phrases)),
        format_table(["boxes kept", "phrases"], _few(tally.boxes)),
    ]
    if pairs.skipped.total:
        parts.append(f"left out of '{pairs.path}': {pairs.skipped.summary()}")
    if tally.left_out or counts["unreadable"]:
        parts.append(f"each that was left out, and why: {output.left_out}")
    return "\n\n".join(parts)


def draw_histogram(tally: Tally, score_thr: float, path: Path) -> None:
    """Draw how many boxes have which score, those that were kept in another colour."""
    from matplotlib.figure import Figure

    edges = np.arange(NUM_BINS) / NUM_BINS
    heights = [tally.scores[at] for at in range(NUM_BINS)]
    colors = ["tab:blue" if edge >= score_thr else "lightgray" for edge in edges]
    figure = Figure(figsize=(6, 3.5), layout="constrained")
    axes = figure.add_subplot()
    axes.bar(edges, heights, width=1 / NUM_BINS, align="edge", color=colors)
    axes.axvline(score_thr, color="black", linewidth=1)
    axes.set(xlim=(0, 1), xlabel="score", ylabel="boxes", title=f"boxes kept above {score_thr:g}")
    figure.savefig(path, dpi=120)


def draw_samples(path: Path, pairs: Pairs, num_samples: int) -> np.ndarray | None:
    """Draw lines of a file, spread evenly over it, with their boxes and phrases.

    Args:
        path: of the file of lines.
        pairs: where its pictures are.
        num_samples: how many, if there are as many.

    Returns:
        RGB picture, uint8 (H, W, 3); ``None`` if there is nothing to draw.
    """
    cells = []
    for line in spread_lines(path, num_samples):
        try:
            cells.append(_draw_line(line, pairs))
        except ImageReadError:  # it was there when it was labeled
            continue
    if not cells:
        return None
    left = iter(cells)
    rows = iter(lambda: list(islice(left, _COLUMNS)), [])
    return join([join(row, axis=1, gap=12) for row in rows], axis=0, gap=12)


def spread_lines(path: Path, number: int) -> list[dict[str, Any]]:
    """Read lines that are spread evenly over a file, which may be large."""
    size = path.stat().st_size
    found: dict[int, dict[str, Any]] = {}
    with open(path, "rb") as file:
        for at in range(number):
            file.seek(size * at // number)
            if at:
                file.readline()  # the rest of the line that stands there
            start = file.tell()
            content = file.readline()
            if content:
                found[start] = json.loads(content)
    return list(found.values())


def _draw_line(line: Mapping[str, Any], pairs: Pairs) -> np.ndarray:
    """Draw a grounding line: the picture with its boxes, and the caption below it."""
    source = pairs.image(line["filename"])
    pixels = array_to_bgr(source) if isinstance(source, np.ndarray) else read_image(source)
    picture = Image.fromarray(np.ascontiguousarray(pixels[..., ::-1]))
    scale = min(side / own for side, own in zip(_CELL, picture.size, strict=True))
    picture = picture.resize(tuple(max(1, round(scale * side)) for side in picture.size))
    regions = line["grounding"]["regions"]
    boxes, scores, labels = [], [], []
    for label, region in enumerate(regions):
        own = boxes_of(region)
        boxes += own
        scores += scores_of(region)
        labels += [label] * len(own)
    drawn = draw_detections(
        np.asarray(picture),
        np.asarray(boxes, dtype=np.float64).reshape(-1, 4) * scale,
        [regions[label]["phrase"] for label in labels],
        scores,
        [label_color(label) for label in labels],
    )
    caption = line["grounding"]["caption"]
    if regions:
        prompt = Prompt.from_spans(caption, [region["tokens_positive"] for region in regions])
    else:
        prompt = Prompt.from_whole_caption(caption)
    below = draw_caption(prompt, range(len(regions)), _CELL[0], _FONT_SIZE)
    return join([drawn, below], axis=0)


def _few(numbers: Counter[int]) -> list[list[object]]:
    """Rows of a table: how often each number occurs, large ones together."""
    rows: list[list[object]] = [
        [str(number), numbers[number]] for number in sorted(numbers) if number < _MANY
    ]
    many = sum(times for number, times in numbers.items() if number >= _MANY)
    return [*rows, [f"{_MANY} or more", many]] if many else rows
