"""The review page: one HTML file that a browser opens from the disk, beside its thumbnails.

Its parts are in ``review_page/``. Everything that comes from files or users is data: it is in a
JSON block whose ``<`` are escaped, and the script sets it as text. A content security policy allows
this script only, and no request to another host.
"""

from __future__ import annotations

import base64
import hashlib
import heapq
import io
import json
import os
from collections.abc import Iterator, Sequence
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any
from urllib.parse import quote

from PIL import Image

from glip.datasets.images import open_image
from glip.engine.digests import file_digest
from glip.labeling.formats.export import Export, scoring
from glip.labeling.image_list import ListedImage
from glip.structures.export import BOX_DECIMALS
from glip.utils.errors import DataError

#: Longest side of a thumbnail in pixels; the page shows the image itself where the browser can.
_THUMBNAIL = 640


def write_review(export: Export, thresholds: Sequence[float], count: int) -> Path:
    """Write ``review.html`` with the images that are most in doubt, and their thumbnails.

    Args:
        export: a finished run.
        thresholds: of the classes.
        count: maximum number of images.

    Returns:
        The page.
    """
    chosen: list[tuple[float, int, dict[str, Any], ListedImage]] = []
    total, last_id = 0, 0
    for image_id, (record, image) in enumerate(export.records_with_images(), start=1):
        first = last_id + 1  # ids as in the COCO file
        last_id += len(record["detections"])
        entry = (doubt(record, thresholds), -image_id, record | {"first_id": first}, image)
        total = image_id
        if len(chosen) < count:
            heapq.heappush(chosen, entry)
        else:
            heapq.heappushpop(chosen, entry)
    chosen.sort(key=lambda entry: entry[:2], reverse=True)
    entries = list(_entries(export, chosen))
    note = f"Labels of {export.model}. The score is raw; p is the calibrated probability."
    if total > len(entries):
        note += f" These are the {len(entries)} most doubtful of {total} images."
    run = hashlib.sha256(json.dumps(entries).encode()).hexdigest()
    data = dict(
        run=run,
        labels=file_digest(export.files.detections),
        classes=export.names,
        model=export.model,
        note=note,
        last_id=last_id,
        download=f"{export.files.prefix}corrected.json",
        images=entries,
    )
    path = export.files.path("review.html")
    export.files.write(path, make_page(data))
    return path


def doubt(record: dict[str, Any], thresholds: Sequence[float]) -> float:
    """Return how doubtful an image's labels are, from 0 to 1; -1 for an image without any.

    It is that of the most doubtful box or proposal: 1 at the threshold, or at a probability of 0.5.
    """
    found = (*record["detections"], *proposals_of(record))
    return max((_doubt_of(each, thresholds[each["label"]]) for each in found), default=-1.0)


def proposals_of(record: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the boxes below the threshold that a record keeps; those of version 0.1 keep none."""
    return record.get("proposals", [])


def _doubt_of(found: dict[str, Any], threshold: float) -> float:
    if "probability" in found:
        return 1 - 2 * abs(found["probability"] - 0.5)
    distance = found["score"] - threshold
    room = 1 - threshold if distance > 0 else threshold
    return 1 - abs(distance) / room if distance else 1.0


def _entries(
    export: Export, chosen: list[tuple[float, int, dict[str, Any], ListedImage]]
) -> Iterator[dict[str, Any]]:
    folder = export.files.path("thumbnails")
    for _, negative_id, record, image in chosen:
        thumbnail = folder / f"{image.stem}.jpg"
        if not thumbnail.is_file():
            content = make_thumbnail(export, image)
            if content is not None:
                export.files.write(thumbnail, content)
        source = None
        if isinstance(image.source, str):
            source = _url(os.path.relpath(image.source, export.files.folder))
        yield dict(
            id=-negative_id,
            file_name=record["file_name"],
            width=record["width"],
            height=record["height"],
            thumbnail=_url(os.path.relpath(thumbnail, export.files.folder)),
            source=source,
            boxes=[
                dict(id=record["first_id"] + at, **_box(found))
                for at, found in enumerate(record["detections"])
            ],
            proposals=[_box(found) for found in proposals_of(record)],
        )


def _box(found: dict[str, Any]) -> dict[str, Any]:
    x1, y1, x2, y2 = found["bbox"]
    box = [x1, y1, round(x2 - x1, BOX_DECIMALS), round(y2 - y1, BOX_DECIMALS)]
    return dict(box=box, label=found["label"], **scoring(found))


def make_thumbnail(export: Export, image: ListedImage) -> bytes | None:
    """Return a JPEG of an image; ``None`` if it cannot be read any more."""
    try:
        source = image.source if isinstance(image.source, str) else image.source.read()
        pixels = open_image(source, limits=export.images.limits)
    except DataError:
        return None
    small = Image.fromarray(pixels[..., ::-1])
    small.thumbnail((_THUMBNAIL, _THUMBNAIL))
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=80)
    return buffer.getvalue()


def make_page(data: dict[str, Any]) -> bytes:
    """Return the page for its data, which cannot end the block that it is in."""
    folder = resources.files("glip.labeling").joinpath("review_page")
    template, style, script = (
        folder.joinpath(f"review.{extension}").read_text(encoding="utf-8")
        for extension in ("html", "css", "js")
    )
    script = "\n" + script
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    text = json.dumps(data, separators=(",", ":"))  # ASCII
    escaped = text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    page = Template(template).substitute(
        script_hash=f"sha256-{digest}", style=style, script=script, data=escaped
    )
    return page.encode()


def _url(path: str) -> str:
    return quote(os.fsencode(path.replace(os.sep, "/")))
