"""The Hugging Face Space is the same page: its files fit the command."""

from __future__ import annotations

import runpy
from pathlib import Path

import yaml

from glip.cli.web import build_parser
from glip.web.settings import WebSettings

ROOT = Path(__file__).parents[2]
SPACE = ROOT / "demo" / "space"


def test_options_are_those_of_the_command():
    options = runpy.run_path(str(SPACE / "app.py"))["OPTIONS"]
    args = build_parser().parse_args(options)
    assert args.host == "0.0.0.0"
    assert args.port == WebSettings.port == 7860


def test_front_matter():
    front = yaml.safe_load((SPACE / "README.md").read_text(encoding="utf-8").split("---")[1])
    assert front["sdk"] == "gradio"
    assert (SPACE / front["app_file"]).is_file()
    (floor,) = [
        line for line in (ROOT / "requirements" / "web.txt").read_text().splitlines()
        if line.startswith("gradio")
    ]  # fmt: skip
    assert front["sdk_version"].startswith(floor.partition(">=")[2].partition(",")[0])
    assert len(front["short_description"]) <= 60


def test_requirements():
    lines = (SPACE / "requirements.txt").read_text().split()
    assert lines == ["glip[web]", *(ROOT / "requirements" / "optional.txt").read_text().split()]
