"""Generated images with captions and known boxes, and the small model that finds them."""

from __future__ import annotations

import json
from pathlib import Path

from tests.test_tools.commands import ROOT, tool

CHECKPOINT = ROOT / "demo" / "glip_nano_shapes.safetensors"


def draw_shapes(out: Path) -> list[dict]:
    """Draw ten images, in ``images``, with make_shapes.py.

    Returns:
        ``filename`` and ``caption`` of each, and ``truth``: the boxes (xyxy) of each span.
    """
    tool("dataset_converters/make_shapes.py").main([str(out), "--seed", "5", "--num-images", "10"])
    content = json.loads((out / "annotations" / "grounding.json").read_text())
    found = []
    for image in content["images"]:
        truth: dict[tuple[int, int], list[list[float]]] = {}
        for each in content["annotations"]:
            if each["image_id"] == image["id"]:
                x, y, width, height = each["bbox"]
                span = tuple(each["tokens_positive"][0])
                truth.setdefault(span, []).append([x, y, x + width, y + height])
        found.append(dict(filename=image["file_name"], caption=image["caption"], truth=truth))
    return found


def write_pairs(path: Path, entries: list[dict | str]) -> Path:
    """Write JSON lines; a string is written as it is."""
    lines = [each if isinstance(each, str) else json.dumps(each) for each in entries]
    path.write_text("".join(line + "\n" for line in lines))
    return path
