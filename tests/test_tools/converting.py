"""Run the converters as a user does, and read their output."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image

from tests.test_tools.commands import tool


def convert(name: str, *args: str | Path) -> list[dict]:
    """Run a converter whose second argument is its output file; return the records."""
    tool(f"dataset_converters/{name}.py").main([str(each) for each in args])
    return read_lines(args[1])


def read_lines(path: str | Path) -> list[dict]:
    """Read JSON lines."""
    return [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]


def label_map(out: Path) -> dict:
    """Read the label map beside a file of lines."""
    return json.loads(out.with_name(f"{out.stem}_label_map.json").read_text(encoding="utf-8"))


def write_json(path: Path, content: object) -> Path:
    """Write a JSON file; return its path."""
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def draw(path: Path, width: int, height: int, **options: object) -> Path:
    """Write an image of noise; return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, **options)
    return path
