"""``glip calibrate`` on generated images, and the file where it is applied."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from glip.apis import DetInferencer, Predictor, inference_detector, init_detector
from glip.apis.class_detection import binding_of
from glip.apis.results import to_dict
from glip.calibration import calibrate as calibrate_classes
from glip.calibration import detect_in_labelled, read_labels, with_calibration
from glip.calibration.matching import outcomes_of
from glip.classes import load_classes, read_class_file, write_class_file
from glip.cli import calibrate, detect
from glip.cli.common import UsageError
from glip.structures.export import to_record
from glip.utils.errors import AnnotationFileError, ClassFileError, DataError, PromptError
from tests.test_labeling.generated import draw_shapes

CLASSES = """
circle: {prompts: [circle, disc], max: 6}
square: {}
star: {not: [heart]}
ring: {}
"""


@pytest.fixture(scope="module")
def shapes(tmp_path_factory) -> Path:
    """Ten images, and a class file."""
    out = tmp_path_factory.mktemp("shapes")
    draw_shapes(out)
    (out / "classes.yaml").write_text(CLASSES)
    return out


def arguments(shapes: Path, out: Path, *more: str, classes: str = "classes.yaml") -> list[str]:
    labels = shapes / "annotations" / "shapes.json"
    paths = [str(shapes / classes), str(labels), "--images", str(shapes / "images")]
    return [*paths, "--out", str(out), "--device", "cpu", *more]


@pytest.fixture(scope="module")
def calibrated(shapes, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("calibrated") / "c.yaml"
    calibrate.main(arguments(shapes, out))
    return out


@pytest.fixture(scope="module")
def model():
    return init_detector(weights="glip_nano_shapes", device="cpu")


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        (lambda c: c.update(annotations=[]), DataError, "has no annotated box of"),
        (
            lambda c: [each.update(iscrowd=1) for each in c["annotations"]],
            DataError,
            "has no annotated box of",
        ),
        (
            lambda c: [each.update(width=5, height=7) for each in c["images"]],
            AnnotationFileError,
            "have another size than",
        ),
        (
            lambda c: [
                each.update(width=each["width"] * 2, height=each["height"] * 2)
                for each in c["images"]
            ],
            AnnotationFileError,
            "have another size than",
        ),
    ],
)
def test_labels_that_say_nothing_stop_before_the_model_runs(
    shapes, tmp_path, monkeypatch, change, error, said
):
    content = json.loads((shapes / "annotations" / "shapes.json").read_text())
    change(content)
    (tmp_path / "labels.json").write_text(json.dumps(content))
    monkeypatch.setattr("glip.apis.build.make_detector", None)
    args = arguments(shapes, tmp_path / "c.yaml")
    args[1] = str(tmp_path / "labels.json")
    with pytest.raises(error, match=said):
        calibrate.main(args)


def test_the_file(calibrated, shapes, tmp_path):
    before, file = read_class_file(shapes / "classes.yaml"), read_class_file(calibrated)
    assert file.names == before.names
    assert file.phrases == before.phrases
    done = [each.name for each in file.classes if each.threshold is not None]
    assert len(done) >= 2
    assert set(file.calibration.probabilities) == set(done)
    assert all(0 < each.threshold < 1 for each in file.classes if each.name in done)
    assert file.calibrated_digest() == before.calibrated_digest()
    page = calibrated.with_suffix(".html").read_text()
    assert page.count("<svg") == 2 + len(done)
    assert not re.search(r"(src|href)=|<script", page)
    assert "disc" in page
    again = tmp_path / "c.yaml"
    calibrate.main(arguments(shapes, again))
    assert again.read_bytes() == calibrated.read_bytes()


def test_a_wanted_precision(calibrated, shapes, tmp_path, capsys):
    out = tmp_path / "c.yaml"
    calibrate.main(arguments(shapes, out, "--precision", "0.95", "--add-negatives"))
    printed = capsys.readouterr().out
    assert "held-out probabilities" in printed
    assert "annotated boxes" in printed  # ten images are few
    for sure, usual in zip(read_class_file(out).classes, read_class_file(calibrated).classes):  # noqa: B905
        assert (sure.threshold is None) == (usual.threshold is None)


def test_it_is_applied_alike_everywhere(calibrated, shapes, model, tmp_path, capsys):
    file = read_class_file(calibrated)
    thresholds = file.thresholds(0.6)
    image = shapes / "images" / "000003.jpg"
    sample = inference_detector(model, image, classes=calibrated)
    found, presence = sample.pred_instances, sample.presence
    assert len(found) > 0
    assert sample.prompt.names == presence.label_names == file.names
    for score, label, name, prompt, probability in zip(
        found.scores.tolist(),
        found.labels.tolist(),
        found.label_names,
        found.prompts,
        found.probabilities.tolist(),
        strict=True,
    ):
        assert name == file.names[label]
        assert prompt in file.classes[label].prompts
        assert score >= thresholds[label] - 1e-6
        assert score <= presence.scores[label] + 1e-6
        if name in file.calibration.probabilities:
            expected = file.calibration.probabilities[name](score)
            assert probability == pytest.approx(expected, abs=1e-3)
        else:
            assert np.isnan(probability)
    # Predictor, DetInferencer and the command give the same.
    predictor = Predictor(model, classes=calibrated)
    predictor.set_image(image)
    assert to_dict(predictor.predict()) == to_dict(sample)
    with pytest.raises(PromptError, match="expected no prompt"):
        predictor.predict("star .")
    inferencer = DetInferencer(model, classes=file)
    (prediction,) = inferencer(image)["predictions"]
    assert prediction == to_dict(sample)
    assert len(prediction["presence_probabilities"]) == len(file.names)
    with pytest.raises(PromptError, match="expected no prompt"):
        inferencer(image, texts="star .")
    options = ["--classes", str(calibrated), "--out-dir", str(tmp_path), "--device", "cpu"]
    detect.main([str(image), *options])
    saved = json.loads((tmp_path / "preds" / "000003.json").read_text())
    assert saved == to_record(sample, model="glip_nano_shapes", score_thr=None) | dict(
        image=str(image)
    )
    printed = capsys.readouterr().out
    assert f"with the thresholds of {calibrated}" in printed
    assert "not found: " in printed


@pytest.mark.parametrize("class_agnostic", [False, True])
def test_thresholds_keep_what_the_calibration_counted(shapes, model, class_agnostic):
    """Used on its own images, a calibration has the precision and recall that it reported."""
    text = CLASSES.replace("max: 6", "max: 2")
    (shapes / "limited.yaml").write_text(text)
    classes = replace(read_class_file(shapes / "limited.yaml"), class_agnostic=class_agnostic)
    labels, folder = shapes / "annotations" / "shapes.json", shapes / "images"
    images = detect_in_labelled(model, classes, read_labels(str(labels), folder, classes), folder)
    done = calibrate_classes(classes, images, [0.6] * 4, precision=0.8)
    binding = binding_of(model, classes)
    predictor = Predictor(model, classes=with_calibration(classes, done, binding))
    found = []
    for name in images.names:
        predictor.set_image(folder / name)
        found.append(predictor.predict().pred_instances.numpy())
    compared = 0
    for label, each in enumerate(done):
        own = [(one.bboxes[one.labels == label], one.scores[one.labels == label]) for one in found]
        outcomes = outcomes_of(own, images.truths, label)
        if each.threshold is not None:
            compared += len(outcomes)
            assert outcomes.right.mean() == each.threshold.measures.precision
            recall = outcomes.right.sum() / outcomes.num_boxes.sum()
            assert recall == each.threshold.measures.recall
    assert compared > 10


def test_it_is_applied_without_sklearn(calibrated, shapes, model, monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    image = shapes / "images" / "000003.jpg"
    assert "probabilities" in inference_detector(model, image, classes=calibrated).pred_instances


def test_without_a_calibration(shapes, model):
    image = shapes / "images" / "000003.jpg"
    both = [
        inference_detector(model, image, classes=shapes / "classes.yaml", score_thr=threshold)
        for threshold in (None, 0.3)
    ]
    assert "probabilities" not in both[0].pred_instances
    assert both[0].pred_instances.scores.min() >= 0.6  # the config's default_score_thr
    assert len(both[1].pred_instances) > len(both[0].pred_instances)
    with pytest.raises(PromptError, match="got both"):
        inference_detector(model, image, text_prompt="star .", classes="star .")


def test_other_models_and_classes_are_refused(calibrated, model, tmp_path):
    file = read_class_file(calibrated)
    changed = tmp_path / "changed.yaml"
    one, *others = file.classes
    for other in (replace(one, max=2), replace(one, prompts=("circle",))):
        write_class_file(changed, replace(file, classes=(other, *others)))
        with pytest.raises(ClassFileError, match="made with other classes, so"):
            DetInferencer(model, classes=changed)
    # A threshold can be changed by hand.
    write_class_file(changed, replace(file, classes=(replace(one, threshold=0.9), *others)))
    DetInferencer(model, classes=changed)
    options = {"model.test_cfg.chunked_size": 2, "test_pipeline.1.scale": (128, 128)}
    with pytest.raises(ClassFileError, match="other chunked size and image scale, so"):
        DetInferencer(weights="glip_nano_shapes", cfg_options=options, classes=file, device="cpu")
    binding = {**file.calibration.binding, "weights": "0"}
    other = replace(file, calibration=replace(file.calibration, binding=binding))
    with pytest.raises(ClassFileError, match="made with other weights, so"):
        DetInferencer(model, classes=other)


def test_what_is_refused(shapes, tmp_path):
    out = tmp_path / "c.yaml"
    for wrong, more, message in (
        (UsageError, ("--precision", "90"), "--precision"),
        (UsageError, ("--seed", "-1"), "--seed"),
        (UsageError, ("--out", str(tmp_path / "c.txt")), "extension"),
        (DataError, ("--images", str(tmp_path)), "do not exist"),
    ):
        parsed = calibrate.build_parser().parse_args([*arguments(shapes, out), *more])
        with pytest.raises(wrong, match=message):
            calibrate.run(parsed)
    few = json.loads((shapes / "annotations" / "shapes.json").read_text())
    few["images"] = few["images"][:3]
    kept = {each["id"] for each in few["images"]}
    few["annotations"] = [each for each in few["annotations"] if each["image_id"] in kept]
    (tmp_path / "few.json").write_text(json.dumps(few))
    parsed = calibrate.build_parser().parse_args(arguments(shapes, out))
    parsed.labelled = str(tmp_path / "few.json")
    with pytest.raises(DataError, match="has 3 images"):
        calibrate.run(parsed)
    assert not out.exists()
    assert load_classes("star .").names == ["star"]
