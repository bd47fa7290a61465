"""The preview of a run: a sample of the images, counts and score histograms of the classes.

The sheet is one HTML file with everything in it, and no script.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np
from PIL import Image
from tqdm import tqdm

from glip.datasets.images import open_image
from glip.labeling.class_labeler import label_images
from glip.labeling.class_report import ClassCounts, format_counts
from glip.labeling.folder import FolderRun, check_not_all_unreadable
from glip.labeling.statistics import NUM_BINS
from glip.utils.atomic_write import atomic_write, describe_write_errors
from glip.utils.errors import ImageReadError
from glip.visualization import draw_detections, label_color

#: Longest side of an image on the sheet, in pixels.
_SIDE = 360

_STYLE = """\
body { font: 14px/1.4 system-ui, sans-serif; margin: 1em; color: #222; }
td, th { padding: 2px 12px 2px 0; text-align: right; vertical-align: bottom; }
td:first-child, th:first-child { text-align: left; }
figure { display: inline-block; margin: 6px; vertical-align: top; }
figcaption { font-size: 12px; max-width: 360px; overflow-wrap: anywhere; }"""


def write_preview(run: FolderRun, count: int, device: str) -> str:
    """Label a sample, spread evenly over the images, and write ``preview.html``.

    Args:
        run: the run to preview; nothing of it is stored.
        count: maximum number of images.
        device: where the model runs.

    Returns:
        The counts as text, and where the sheet is.

    Raises:
        StorageError: the sheet cannot be written.
        ImageReadError: no image of the sample can be read.
    """
    total = len(run.images)
    count = min(count, total)
    sample = [total * at // count for at in range(count)]
    batches = [sample[at : at + run.batch_size] for at in range(0, len(sample), run.batch_size)]
    names = run.classes.names
    kept, every = ([ClassCounts() for _ in names] for _ in range(2))
    drawn: list[tuple[str, str]] = []
    unreadable: list[str] = []
    bar = tqdm(desc="Labeling", unit="image", total=len(sample), dynamic_ncols=True)
    labeler = run.build(device)
    found = label_images(labeler, run.images, batches, num_workers=run.num_workers)
    with bar:
        for batch, labels in zip(batches, found, strict=True):
            bar.update(len(batch))
            unreadable += [each["reason"] for each in labels.excluded]
            sources = {run.images[index].stem: index for index in batch}
            for record, candidates in zip(labels.records, labels.candidates, strict=True):
                for label in range(len(names)):
                    own = candidates.scores[candidates.labels == label]
                    every[label].add(own.tolist())
                    kept[label].add(
                        [d["score"] for d in record["detections"] if d["label"] == label]
                    )
                drawn.append((record["file_name"], _draw(run, sources[record["stem"]], record)))
    check_not_all_unreadable(len(sample), len(unreadable), next(iter(unreadable), ""))
    text = format_counts(names, run.thresholds, kept)
    lines = [f"a sample of {len(sample)} of {total} images, labeled by {run.model_version}"]
    if unreadable:
        lines.append(f"{len(unreadable)} images cannot be read, the first: {unreadable[0]}")
    path = run.files.path("preview.html")
    with describe_write_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(path, _page(lines, names, run.thresholds, kept, every, drawn))
    return "\n".join([text, "", *lines, f"written: {path}"])


def _draw(run: FolderRun, index: int, record: dict[str, Any]) -> str:
    """Return an image with its boxes as a data URL; empty if it cannot be read any more."""
    try:
        pixels = open_image(run.images.load(index), limits=run.images.limits)
    except ImageReadError:
        return ""
    small = Image.fromarray(np.ascontiguousarray(pixels[..., ::-1]))
    small.thumbnail((_SIDE, _SIDE))
    scale = np.array([small.width / record["width"], small.height / record["height"]] * 2)
    found = record["detections"]
    labels = [each["label"] for each in found]
    image = draw_detections(
        np.asarray(small),
        np.array([each["bbox"] for each in found], dtype=np.float64).reshape(-1, 4) * scale,
        [run.classes.names[label] for label in labels],
        [each["score"] for each in found],
        [label_color(label) for label in labels],
    )
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def _page(
    lines: Sequence[str],
    names: Sequence[str],
    thresholds: Sequence[float],
    kept: Sequence[ClassCounts],
    every: Sequence[ClassCounts],
    drawn: Sequence[tuple[str, str]],
) -> bytes:
    rows = [
        f"<tr><td>{escape(name)}</td><td>{own.images}</td><td>{own.boxes}</td>"
        f"<td>{f'{own.mean:.3f}' if own.boxes else '-'}</td><td>{threshold:g}</td>"
        f"<td>{_histogram(all_.histogram, threshold)}</td></tr>"
        for name, threshold, own, all_ in zip(names, thresholds, kept, every, strict=True)
    ]
    figures = [
        f'<figure><img alt="" src="{source}"><figcaption>{escape(name)}</figcaption></figure>'
        for name, source in drawn
    ]
    page = "\n".join(
        [
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            '<meta http-equiv="Content-Security-Policy" '
            "content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">",
            f"<title>Preview of labels</title><style>{_STYLE}</style></head><body>",
            *(f"<p>{escape(line)}</p>" for line in lines),
            "<table><tr><th>class</th><th>images</th><th>boxes</th><th>mean score</th>"
            "<th>threshold</th><th>scores from 0 to 1; kept ones in blue</th></tr>",
            *rows,
            "</table>",
            *figures,
            "</body></html>\n",
        ]
    )
    return page.encode("utf-8", "replace")


def _histogram(heights: Sequence[int], threshold: float) -> str:
    """Return a histogram as SVG, with the threshold as a line."""
    top = max(*heights, 1)
    bars = []
    for at, height in enumerate(heights):
        if height:
            size = max(36 * height / top, 1)
            color = "#1f77b4" if (at + 1) / NUM_BINS > threshold else "#bbb"
            bars.append(
                f'<rect x="{4 * at}" y="{40 - size:.1f}" width="3.5" height="{size:.1f}" '
                f'fill="{color}"><title>{at / NUM_BINS:.2f}: {height}</title></rect>'
            )
    axes = f'<path d="M0 40.5H200M{200 * threshold:.1f} 0V40" stroke="#000"/>'
    return f'<svg width="200" height="41">{"".join(bars)}{axes}</svg>'
