"""``glip label``: classes in a folder, resumed runs, captions, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from pycocotools.coco import COCO

from glip.apis import Predictor
from glip.cli import label, pseudo_label
from glip.cli.common import UsageError
from glip.labeling import folder as folder_module
from glip.labeling.output import ResumableOutput
from glip.labeling.preview import write_preview
from glip.utils.errors import (
    ClassFileError,
    ConfigError,
    DataError,
    ImageReadError,
    LabelingMismatchError,
)
from tests.test_labeling import review_page
from tests.test_labeling.generated import CHECKPOINT, draw_shapes, write_pairs

CLASSES = """
threshold: 0.3
classes:
  red one: {prompts: [red star, red circle], max: 3}
  ring: {}
  star: {not: [red star], threshold: 0.4}
"""


@pytest.fixture(scope="module")
def shapes(tmp_path_factory) -> Path:
    """Ten images, one file that is none, and a class file."""
    out = tmp_path_factory.mktemp("shapes")
    draw_shapes(out)
    (out / "images" / "zz.jpg").write_bytes(b"broken")
    (out / "classes.yaml").write_text(CLASSES)
    return out


@pytest.fixture(scope="module")
def command(shapes):
    def run(out: Path, *more: str, images="images", classes="classes.yaml") -> None:
        arguments = [str(shapes / images), str(shapes / classes), "--out", str(out)]
        label.main([*arguments, "--device", "cpu", "--num-workers", "0", *more])

    return run


def read(folder: Path) -> dict[str, bytes]:
    """Return the content of all files below a folder."""
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


@pytest.fixture(scope="module")
def whole(tmp_path_factory, command) -> Path:
    """The output of an uninterrupted run, in all formats."""
    out = tmp_path_factory.mktemp("whole") / "out"
    command(out, "--format", *label.FORMATS)
    return out


def records_of(out: Path) -> list[dict]:
    return [json.loads(line) for line in (out / "detections.jsonl").read_text().splitlines()]


def test_the_detections_are_those_of_the_model(tmp_path, command, shapes):
    # Images are padded to the largest of a batch, which changes scores a little: one at a time.
    command(tmp_path, "--batch-size", "1", "--review", "0", images="images/0*.jpg")
    predictor = Predictor(
        weights="glip_nano_shapes", device="cpu", cfg_options={"model.test_cfg.max_per_img": 1000}
    )
    compared = 0
    for record in records_of(tmp_path):
        predictor.set_image(shapes / "images" / record["file_name"])
        # The phrases that stand beside a phrase change its scores: the same prompt.
        found = predictor.predict(["red star", "red circle", "ring", "star"]).pred_instances
        rings = [at for at, name in enumerate(found.label_names) if name == "ring"]
        rings = [at for at in rings if round(found.scores[at].item(), 4) >= 0.3]
        labeled = [each for each in record["detections"] if each["label"] == 1]
        assert len(labeled) == len(rings)
        for each, at in zip(labeled, rings, strict=True):
            compared += 1
            assert each["score"] == pytest.approx(found.scores[at].item(), abs=1e-3)
            limits = [record["width"], record["height"]] * 2
            box = np.clip(found.bboxes[at].numpy(), 0, limits)
            np.testing.assert_allclose(each["bbox"], box, atol=0.1)
    assert compared > 1


def test_records_hold_sizes_boxes_and_prompts(whole, shapes):
    content = json.loads((shapes / "annotations" / "grounding.json").read_text())
    sizes = {each["file_name"]: (each["width"], each["height"]) for each in content["images"]}
    records = records_of(whole)
    assert {each["file_name"]: (each["width"], each["height"]) for each in records} == sizes
    assert sum(len(each["detections"]) for each in records) > 5
    for record in records:
        for found in record["detections"]:
            x1, y1, x2, y2 = found["bbox"]
            assert 0 <= x1 < x2 <= record["width"]
            assert 0 <= y1 < y2 <= record["height"]
            assert found["score"] >= (0.4 if found["label"] == 2 else 0.3)
            prompts = (("red star", "red circle"), ("ring",), ("star",))[found["label"]]
            assert found["prompt"] in prompts


def test_unreadable_images_are_counted_and_listed(whole):
    (excluded,) = [
        json.loads(line)
        for line in (whole / "detections.jsonl.left_out.jsonl").read_text().splitlines()
    ]
    assert excluded["file_name"] == "zz.jpg"
    report = json.loads((whole / "report.json").read_text())
    assert (report["images"], report["unreadable"]) == (11, 1)
    assert report["boxes"] == sum(each["boxes"] for each in report["classes"])
    assert len(COCO(str(whole / "annotations.json")).imgs) == 10
    assert "1 images cannot be read" in (whole / "report.txt").read_text()


@pytest.mark.parametrize("stage", ["detecting", "writing"])
def test_a_stopped_run_resumes_with_the_same_bytes(stage, tmp_path, command, whole, monkeypatch):
    """It is stopped in the third batch with half a record written, or between two formats."""
    out = tmp_path / "out"
    formats = ("--format", *label.FORMATS)
    with monkeypatch.context() as patch:
        if stage == "detecting":
            add = ResumableOutput.add_batch

            def stop(self, *args):
                if self.done == 2:
                    self._files[0].write(b'{"file_name":"0000')
                    self._files[0].flush()
                    raise KeyboardInterrupt
                add(self, *args)

            patch.setattr(ResumableOutput, "add_batch", stop)
        else:
            write = folder_module.write_format

            def stop_between(name, export):
                if name == "cvat":
                    raise KeyboardInterrupt
                return write(name, export)

            patch.setattr(folder_module, "write_format", stop_between)
        with pytest.raises(KeyboardInterrupt):
            command(out, *formats)
    assert read(out) != read(whole)
    command(out, *formats)
    before, after = read(whole), read(out)
    # The folder of the data set is in this one.
    assert before.pop("data.yaml") != after.pop("data.yaml")
    assert after == before


def test_another_format_does_not_detect_again(tmp_path, command, monkeypatch):
    out = tmp_path / "out"
    command(out, "--review", "0", images="images/000001.jpg")
    assert sorted(path.name for path in out.iterdir() if "detections" not in path.name) == [
        "annotations.json",
        "report.json",
        "report.txt",
    ]
    monkeypatch.setattr(folder_module, "build_detector", None)
    command(out, "--review", "0", "--format", "yolo", images="images/000001.jpg")
    assert (out / "labels" / "000001.txt").is_file()


def test_a_review_is_merged_into_the_labels(tmp_path, command, shapes, monkeypatch, capsys):
    out, corrected = tmp_path / "out", tmp_path / "corrected.json"
    with pytest.raises(LabelingMismatchError, match="no finished labels"):
        command(out, "--apply-review", str(corrected))
    command(out)
    truth = json.loads((shapes / "annotations" / "shapes.json").read_text())
    names = dict(ring="ring", star="star", circle="red one")
    truth["categories"] = [
        each | {"name": names[each["name"]]}
        for each in truth["categories"]
        if each["name"] in names
    ]
    known = {each["id"] for each in truth["categories"]}
    truth["annotations"] = [each for each in truth["annotations"] if each["category_id"] in known]
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    review = [str(out / "review.html"), str(tmp_path / "truth.json"), "--share", "0.3"]
    review_page.main([*review, "--out", str(corrected)])
    before = read(out)
    monkeypatch.setattr(folder_module, "build_detector", None)
    command(out, "--apply-review", str(corrected), "--format", "coco", "yolo")
    assert "3 images reviewed" in capsys.readouterr().out
    after = read(out)
    assert {name: after[name] for name in before} == before
    coco = COCO(str(out / "reviewed" / "annotations.json"))
    files = {each["file_name"] for each in coco.imgs.values() if each["reviewed"]}
    assert len(files) == 3
    expected = {each["id"]: each["file_name"] for each in truth["images"]}
    boxes = [each["bbox"] for each in truth["annotations"] if expected[each["image_id"]] in files]
    found = [each["bbox"] for each in coco.anns.values() if "corrected" in each]
    np.testing.assert_allclose(sorted(found), sorted(boxes), atol=0.01)
    assert len(coco.anns) > len(found)
    with pytest.raises(LabelingMismatchError, match="other settings: classes"):
        command(out, "--apply-review", str(corrected), "--overwrite", classes="../absent . x .")
    assert read(out) == after


def test_out_may_be_the_coco_file(tmp_path, command):
    command(tmp_path / "shapes.json", images="images/000001.jpg")
    assert {path.name for path in tmp_path.iterdir()} == {
        "shapes.json",
        "shapes.detections.jsonl",
        "shapes.detections.jsonl.left_out.jsonl",
        "shapes.detections.jsonl.state.json",
        "shapes.report.json",
        "shapes.report.txt",
        "shapes.review.html",
        "shapes.thumbnails",
    }
    assert json.loads((tmp_path / "shapes.json").read_text())["categories"][1]["name"] == "ring"


def test_the_output_of_another_run_is_replaced_only_with_overwrite(tmp_path, command, shapes):
    out = tmp_path / "out"
    one = "images/000001.jpg"
    command(out, "--review", "0", "--format", "yolo", images=one)
    before = read(out)
    with pytest.raises(LabelingMismatchError, match="other settings: classes"):
        command(out, "--review", "0", "--format", "yolo", images=one, classes="../absent . x .")
    assert read(out) == before
    other = ("--review", "0", "--format", "yolo", "--overwrite")
    command(out, *other, images="images/000002.jpg")
    assert [path.name for path in (out / "labels").iterdir()] == ["000002.txt"]
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "annotations.json").write_text("{}")
    with pytest.raises(LabelingMismatchError, match="exists already and is not of this run"):
        command(foreign, images=one)
    assert (foreign / "annotations.json").read_text() == "{}"


def test_preview_labels_a_sample_only(tmp_path, command, capsys):
    out = tmp_path / "out"
    command(out, "--preview", "4")
    assert [path.name for path in out.iterdir()] == ["preview.html"]
    page = (out / "preview.html").read_text()
    assert page.count("<figure>") == 4
    assert page.count("<svg") == 3
    text = capsys.readouterr().out
    assert "a sample of 4 of 11 images" in text
    assert "red one" in text


@pytest.mark.parametrize(
    ("number", "labelled"), [("11", 11), ("12", 11), ("13", 11), ("2000", 11), ("7", 7), ("1", 1)]
)
def test_preview_of_any_number(monkeypatch, number, labelled):
    """More than there are gave a part of them."""
    seen = []
    monkeypatch.setattr(
        "glip.labeling.preview.label_images",
        lambda labeler, images, batches, num_workers: seen.extend(batches) or [],
    )
    run = SimpleNamespace(images=range(11), batch_size=4, num_workers=0, build=lambda device: None)
    run.classes = SimpleNamespace(names=[])
    with pytest.raises(ValueError, match="zip"):  # of the batches with nothing
        write_preview(run, int(number), "cpu")
    assert sum(map(len, seen)) == labelled
    assert len({index for batch in seen for index in batch}) == labelled


@pytest.mark.parametrize("more", [[], ["--preview", "3"], ["--format", "yolo", "odvg"]])
def test_no_image_can_be_read(shapes, tmp_path, more):
    """Empty labels look like images without an object."""
    args = [str(shapes / "images"), "ring .", "--out", str(tmp_path / "out"), "--device", "cpu"]
    with pytest.raises(ImageReadError, match=r"none of the \d+ images can be read"):
        label.main([*args, "--num-workers", "0", "--max-bytes", "10", *more])
    assert not list(tmp_path.rglob("*.txt"))
    assert not list(tmp_path.rglob("annotations.json"))


@pytest.mark.parametrize(
    "more",
    [
        ["--preview", "0"],
        ["--preview", "2001"],
        ["--preview", "100000000000"],
        ["--preview", "9" * 30],
        ["--samples", "2001"],
        ["--num-workers", "1025"],
        ["--num-workers", "99999999999"],
        ["--num-workers", "-1"],
        ["--image-prefix", "http://a/"],
        ["--batch-size", "9" * 19],
    ],
)
def test_numbers_without_bound(shapes, tmp_path, more, capsys):
    with pytest.raises(SystemExit) as ended:
        label.main([str(shapes / "images"), "ring .", "--out", str(tmp_path / "out"), *more])
    assert ended.value.code == 2
    assert more[0] in capsys.readouterr().err


@pytest.mark.parametrize(
    ("source", "more"),
    [
        ("classes", ["--keep-empty"]),
        ("classes", ["--max-boxes-per-phrase", "3"]),
        ("classes", ["--samples", "5"]),
        ("classes", ["--np-extractor", "spacy"]),
        ("captions", ["--format", "yolo"]),
        ("captions", ["--preview", "3"]),
        ("captions", ["--review", "0"]),
        ("captions", ["--apply-review", "a.json"]),
        ("captions", ["--overwrite"]),
        ("captions", ["--recursive"]),
        ("captions", ["--image-prefix", "http://a/"]),
    ],
)
def test_options_without_an_effect(shapes, tmp_path, source, more, capsys):
    what = ["ring ."] if source == "classes" else ["--captions", str(tmp_path / "a.jsonl")]
    with pytest.raises(SystemExit) as ended:
        label.main([str(shapes / "images"), *what, "--out", str(tmp_path / "out"), *more])
    assert ended.value.code == 2
    message = capsys.readouterr().err.splitlines()[-1]
    assert more[0] in message
    assert "--captions" in message


@pytest.mark.parametrize(
    "option", ["model=5", "model.test_cfg=5", "model.test_cfg.max_per_img=x", "model=[1]"]
)
def test_configs_without_a_model(shapes, tmp_path, option):
    args = [str(shapes / "images"), "ring .", "--out", str(tmp_path / "out")]
    with pytest.raises(ConfigError, match=r"expected model"):
        label.main([*args, "--cfg-options", option])


def test_captions_of_images_that_cannot_be_read(shapes, tmp_path):
    """Labels of nothing look like captions without an object."""
    (tmp_path / "a.jpg").write_bytes(b"broken")
    pairs = write_pairs(tmp_path / "pairs.jsonl", [dict(filename="a.jpg", caption="a red star")])
    args = [str(tmp_path), "--captions", str(pairs), "--out", str(tmp_path / "labels.jsonl")]
    with pytest.raises(ImageReadError, match="none of the 1 images can be read"):
        label.main([*args, "--device", "cpu", "--num-workers", "0"])


def test_the_records_of_another_run_name_no_file_elsewhere(tmp_path, command):
    """With --overwrite the files of another run's images are deleted."""
    out = tmp_path / "out"
    out.mkdir()
    mine = tmp_path / "mine.txt"
    mine.write_text("mine")
    stems = ["../../mine", str(tmp_path / "mine"), "a/../../../mine", 5, None, "x" * 300]
    lines = [json.dumps({"stem": stem}) for stem in stems]
    (out / "detections.jsonl.part").write_text("\n".join([*lines, "5", "[", '{"stem": "0000']))
    command(out, "--review", "0", "--overwrite", images="images/000001.jpg")
    assert mine.read_text() == "mine"
    assert len((out / "detections.jsonl").read_text().splitlines()) == 1


def test_captions_give_what_pseudo_label_gives(tmp_path, shapes):
    captions = json.loads((shapes / "annotations" / "grounding.json").read_text())["images"][:4]
    entries = [dict(filename=each["file_name"], caption=each["caption"]) for each in captions]
    pairs = write_pairs(tmp_path / "pairs.jsonl", entries)
    options = ["--device", "cpu", "--num-workers", "0", "--score-thr", "0.4", "--samples", "2"]
    images = str(shapes / "images")
    pseudo_label.main(
        [
            *("glip_nano_shapes", str(CHECKPOINT), str(pairs), str(tmp_path / "a/labels.jsonl")),
            *("--images", images, *options),
        ]
    )
    label.main(
        [
            *(images, "--captions", str(pairs), "--out", str(tmp_path / "b/labels.jsonl")),
            *("--config", "glip_nano_shapes", "--weights", str(CHECKPOINT), *options),
        ]
    )
    one, other = read(tmp_path / "a"), read(tmp_path / "b")
    assert other.pop("labels.jsonl.report.txt") != one.pop("labels.jsonl.report.txt")  # its path
    assert other == one


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (["images"], SystemExit, ""),
        (
            ["images", "classes.yaml", "--out", "a.json", "--format", "yolo"],
            UsageError,
            "COCO file",
        ),
        (["images", "classes.yaml", "--out", "images"], UsageError, "folder of the images"),
        (["images", "bad.yaml", "--out", "out"], ClassFileError, "line 1"),
        (["images", "zero.yaml", "--out", "out"], ClassFileError, "zero.yaml, line 2"),
        (["empty", "classes.yaml", "--out", "out"], DataError, "has no images"),
        (["images", "--captions", "a", "--preview", "3", "--out", "out"], UsageError, "without"),
        (["images", "xml.yaml", "--out", "out", "--format", "voc"], DataError, "is XML"),
    ],
)
def test_mistakes_are_found_before_an_image_is_read(
    arguments, error, message, shapes, tmp_path, monkeypatch
):
    (shapes / "empty").mkdir(exist_ok=True)
    (shapes / "bad.yaml").write_text("a: {prompt: b}\n")
    (shapes / "zero.yaml").write_text("ring: {}\nb: {prompts: [\ufe0f]}\n")
    (shapes / "xml.yaml").write_text('"a\\uFFFE": {prompts: ring}\n')
    monkeypatch.chdir(shapes)
    monkeypatch.setattr("glip.labeling.class_labeler.load_image", None)
    args = [*arguments, *(() if "--out" in arguments else ("--out", "out"))]
    args = label.build_parser().parse_args([*args, "--num-workers", "0", "--device", "cpu"])
    if error is SystemExit:
        with pytest.raises(UsageError, match="expected IMAGES and CLASSES"):
            label.run(args)
        return
    with pytest.raises(error, match=message):
        label.run(args)
