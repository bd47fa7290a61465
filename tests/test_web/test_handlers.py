"""What a visitor's changes do, without a browser."""

from __future__ import annotations

import gc
import json
import re
import shlex
from dataclasses import replace
from unittest import mock

import pytest
from PIL import Image

from glip.apis import DetInferencer, Predictor
from glip.cli.detect import build_parser
from glip.cli.model_and_prompt import read_prompt
from glip.text import Prompt
from glip.web.handlers import NO_IMAGE, Handlers
from glip.web.prompts import CAPTION, NAMES, SEVERAL
from glip.web.visit import Upload

MODEL = "glip_nano_shapes"
TEXT = "red star . green triangle . purple square ."


def detect(handlers, upload, text=TEXT, kind=NAMES, visit=None):
    return handlers.detect("detect", visit, upload, kind, text, MODEL)


def records(shown):
    with open(shown.files[0], encoding="utf-8") as file:
        return json.load(file)


def test_the_answer_is_that_of_the_command(handlers, models, shapes):
    """The JSON is the file that ``glip detect`` saves."""
    visit = detect(handlers, shapes)
    shown = handlers.show("detect", visit, 0.6)
    inferencer = DetInferencer(weights=MODEL, device="cpu")
    found = inferencer(shapes.path, texts=TEXT, custom_entities=True, score_thr=0.6)
    expected = found["predictions"][0]
    record = records(shown)
    assert record["label_names"] == expected["label_names"]
    assert len(record["scores"]) == 4
    assert record["scores"] == [round(score, 4) for score in expected["scores"]]
    assert record["image"] == "shapes.jpg"
    assert record["model"] == inferencer._model_name()
    assert (record["width"], record["height"]) == Image.open(shapes.path).size
    assert [row[0] for row in shown.rows] == expected["label_names"]
    with Image.open(shown.files[1]) as drawn:
        assert drawn.size == (640, 768)


def test_all_detections_up_to_the_limit_of_the_config(handlers, models, shapes):
    """The model keeps more, for labels; the page shows what the API returns."""
    visit = detect(handlers, shapes)
    low = records(handlers.show("detect", visit, 0.0))
    predictor = Predictor(weights=MODEL, device="cpu")
    predictor.set_image(shapes.path)
    assert low["scores"] == json.loads(predictor.predict(TEXT).to_json())["scores"]


def test_typing_and_the_threshold_encode_no_image(handlers, models, shapes):
    model = models[MODEL].model
    with mock.patch.object(model, "encode_image", wraps=model.encode_image) as encode:
        visit = detect(handlers, shapes)
        assert detect(handlers, shapes, "red star . banana .", visit=visit) is visit
        with mock.patch.object(model, "predict_prompts") as predict:
            shown = handlers.show("detect", visit, 0.6)
            low = handlers.show("detect", visit, 0.05)
    assert encode.call_count == 1
    assert not predict.called
    assert len(low.rows) > len(shown.rows) == 1
    assert re.search(r"glip-absent.*?banana <b>not found · best 0\.\d\d</b>", shown.result)
    assert "does not know" in shown.status


def test_a_caption_marks_its_phrases(handlers, shapes):
    visit = detect(handlers, shapes, "A red star & a blue heart.", CAPTION)
    shown = handlers.show("detect", visit, 0.6)
    marks = re.findall(r"<mark(.*?)data-phrase=\"(\d)\".*?>(.*?)</mark>", shown.result)
    assert [(number, words) for _, number, words in marks] == [
        ("0", "red star"),
        ("1", "blue heart"),
    ]
    assert "glip-absent" not in marks[0][0]
    assert "glip-absent" in marks[1][0]
    assert " &amp; " in shown.result
    boxes = re.findall(r'class="glip-box[^"]*" data-phrase="(\d)"', shown.result)
    assert boxes == ["0"]


def test_several_prompts(handlers, shapes):
    visit = detect(handlers, shapes, "red star .\n\nA green triangle.", SEVERAL)
    shown = handlers.show("detect", visit, 0.6)
    assert [record["label_names"] for record in records(shown)] == [
        ["red star"],
        ["green triangle"],
    ]
    assert {row[0] for row in shown.rows} == {"red star", "green triangle"}
    assert len(shown.command.splitlines()) == 2


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (NAMES, 'it\'s . $HOME . a "b" .'),
        (CAPTION, "A star's ring; and `two` red circles."),
        (CAPTION, "dog . a red star ."),
        (SEVERAL, "a . b c .\nA red star."),
    ],
)
def test_copied_commands_give_the_same_prompts(handlers, shapes, kind, text):
    upload = Upload(shapes.path, "it's; rm -rf $(x) `.jpg")
    visit = detect(handlers, upload, text, kind)
    prompts = visit.answers["detect"].prompts
    shown = handlers.show("detect", visit, 0.6)
    for line, prompt in zip(shown.command.splitlines(), prompts, strict=True):
        words = shlex.split(line)
        assert words[:2] == ["glip", "detect"]
        args = build_parser().parse_args(words[2:])
        assert read_prompt(args) == prompt
        assert args.score_thr == 0.6
        assert args.inputs == [visit.answers["detect"].image.name]
    seen = []

    class Recorder:
        def __init__(self, weights):
            assert weights == MODEL

        def set_image(self, image):
            assert image == visit.answers["detect"].image.name

        def predict(self, prompt, score_thr):
            seen.append(prompt if isinstance(prompt, Prompt) else Prompt.from_class_names(prompt))
            return mock.Mock(**{"to_json.return_value": ""})

    with mock.patch("glip.apis.Predictor", Recorder):
        exec(shown.python, {})
    assert tuple(seen) == prompts


def test_names_are_text(handlers, shapes):
    name = "<script>alert(1)</script>\"' onload=x"
    upload = Upload(shapes.path, name + ".jpg")
    shown = handlers.show("detect", detect(handlers, upload, name + " ."), 0.0)
    for html in (shown.result, shown.status):
        assert "<script" not in html
        assert not re.search(r"<[^>]*onload=x[^>]*>", re.sub(r'"[^"]*"', "", html))


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ("", NAMES, "the prompt is empty"),
        ("a" * 5000, NAMES, "at most 4000 characters"),
        ("a . " * 300, NAMES, "at most 200 phrases"),
        ("$: lvis", NAMES, "at most 200 phrases"),
        ("a .\n" * 9, SEVERAL, "at most 8 prompts"),
        ("a .", "/etc/passwd", "expected a text and one of"),
        ("the of and", CAPTION, "found no"),
    ],
)
def test_what_cannot_be_read_is_said(handlers, shapes, text, kind, message):
    shown = handlers.show("detect", detect(handlers, shapes, text, kind), 0.6)
    assert "glip-error" in shown.result
    assert message in shown.result
    assert not shown.files
    assert not shown.rows


BAD = [float("nan"), float("inf"), -1, 2, "x", "0.5", None, [0.5], {}, True]


def test_values_that_no_control_of_the_page_has(handlers, shapes):
    visit = detect(handlers, shapes)
    for value in BAD:
        shown = handlers.show("detect", visit, value)
        assert "expected the threshold as a finite number from 0 to 1" in shown.result
        assert not shown.files
    for value in ("", "no", 5, None, [MODEL], {}):
        visit = handlers.detect("detect", None, shapes, NAMES, TEXT, value)
        assert "there is no model" in visit.answers["detect"]


def test_images_that_cannot_be_read(models, tmp_path, shapes):
    handlers = Handlers(models, replace(small_settings(), max_pixels=1000), tmp_path)
    shown = handlers.show("detect", detect(handlers, shapes), 0.6)
    assert "640 x 768" in shown.result or "491,520" in shown.result
    path = tmp_path / "a.jpg"
    path.write_bytes(b"GIF89a")
    shown = handlers.show("detect", detect(handlers, Upload(str(path), "a.jpg")), 0.6)
    assert "glip-error" in shown.result
    shown = handlers.show("detect", detect(handlers, Upload("/no/file.jpg", "a.jpg")), 0.6)
    assert "choose it again" in shown.result
    assert NO_IMAGE in handlers.show("detect", detect(handlers, None), 0.6).result


def small_settings():
    from tests.test_web.conftest import SETTINGS

    return SETTINGS


def test_visits_share_nothing_and_leave_nothing(handlers, shapes, photo_upload):
    one, other = detect(handlers, shapes), detect(handlers, photo_upload)
    first = handlers.show("detect", one, 0.6).result
    second = handlers.show("detect", other, 0.6).result
    assert str(one.folder) in first
    assert str(one.folder) not in second
    assert one.folder.is_dir()
    folder = one.folder
    del one
    gc.collect()
    assert not folder.exists()
    assert other.folder.exists()


def test_another_image_replaces_the_first(handlers, shapes, photo_upload):
    visit = detect(handlers, shapes)
    path = visit.answers["detect"].image.path
    detect(handlers, photo_upload, visit=visit)
    assert records(handlers.show("detect", visit, 0.0))["width"] == 640
    gc.collect()
    assert not path.exists()
    assert visit.answers["detect"].image.name == "a bench.jpg"
