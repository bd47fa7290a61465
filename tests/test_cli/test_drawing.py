"""The options of drawing: all commands that draw have them, and they change the pixels."""

import json

import numpy as np
import pytest
from PIL import Image

from glip.cli import detect, test, video
from glip.cli.analysis_tools import analyze_results, browse_dataset
from glip.cli.drawing import read_style
from glip.visualization import DrawStyle

ARGUMENTS = {
    detect: ["a.jpg", "--texts", "cat ."],
    video: ["a.mp4", "--texts", "cat ."],
    test: ["config", "checkpoint"],
    analyze_results: ["config", "results.pkl", "out"],
    browse_dataset: ["config"],
}


@pytest.mark.parametrize("module", ARGUMENTS, ids=lambda module: module.__name__)
def test_all_commands_have_them(module):
    options = ["--thickness", "3", "--font-size", "20", "--hide-labels"]
    if module is not browse_dataset:
        options.append("--hide-scores")
    args = module.build_parser().parse_args([*ARGUMENTS[module], *options])
    expected = DrawStyle(
        line_width=3, font_size=20, hide_labels=True, hide_scores=module is not browse_dataset
    )
    assert read_style(args) == expected


def test_detect_draws_so(tmp_path):
    texts = [
        "--texts",
        "red star . green triangle . purple square .",
        "--out-dir",
        str(tmp_path),
        "--device",
        "cpu",
    ]
    options = ["--thickness", "5", "--hide-labels", "--hide-scores"]
    detect.main(["demo/shapes.jpg", *texts, *options])
    boxes = json.loads((tmp_path / "preds" / "shapes.json").read_text())["bboxes"]
    assert len(boxes) >= 2
    drawn = np.array(Image.open(tmp_path / "vis" / "shapes.jpg")).astype(int)
    plain = np.array(Image.open("demo/shapes.jpg")).astype(int)
    outlines = np.zeros(plain.shape[:2], dtype=bool)
    for x1, y1, x2, y2 in np.round(boxes).astype(int):
        own = np.zeros_like(outlines)
        own[max(0, y1 - 4) : y2 + 4, max(0, x1 - 4) : x2 + 4] = True  # with the shade
        own[y1 + 9 : y2 - 9, x1 + 9 : x2 - 9] = False
        outlines |= own
    far = np.abs(drawn - plain).max(axis=2) > 60
    assert not (far & ~outlines).any()
    # The edges of the star's box are 5 pixels wide, of one colour but for JPEG's losses.
    x1, y1, x2, y2 = np.round(boxes[0]).astype(int)
    assert np.ptp(drawn[(y1 + y2) // 2, x2 - 5 : x2], axis=0).max() < 60


def test_crops(tmp_path, capsys):
    prompt = "red star . green triangle . purple square ."
    options = ["--out-dir", str(tmp_path), "--device", "cpu", "--no-save-vis", "--save-crops"]
    detect.main(["demo/shapes.jpg", "--texts", prompt, *options])
    found = json.loads((tmp_path / "preds" / "shapes.json").read_text())
    crops = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.jpg"))
    expected = [f"crops/{name}/shapes_{k}.jpg" for k, name in enumerate(found["label_names"])]
    assert crops == sorted(expected)
    assert f"; {len(crops)} crops; in " in capsys.readouterr().out
    image = np.array(Image.open("demo/shapes.jpg")).astype(int)
    for path, box in zip(expected, found["bboxes"], strict=True):
        x1, y1 = np.floor(box[:2]).astype(int)
        x2, y2 = np.ceil(box[2:]).astype(int)
        crop = np.array(Image.open(tmp_path / path)).astype(int)
        assert np.abs(crop - image[y1:y2, x1:x2]).mean() < 4
