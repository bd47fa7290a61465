"""Test-time augmentation: the merged views are those detected one by one."""

from __future__ import annotations

import json
import logging

import numpy as np
import pytest
import torch

from glip.apis import DetInferencer, inference_detector, init_detector
from glip.apis.pipelines import make_pipeline
from glip.apis.tta import SCALES, default_tta_pipeline, find_tta_pipeline
from glip.classes import load_classes
from glip.cli.dataset_converters.make_shapes import main as make_shapes
from glip.cli.detect import main as detect
from glip.cli.test import main as evaluate
from glip.config import demo_file
from glip.datasets.images import read_image
from glip.evaluation import load_predictions
from glip.models import DetTTAModel
from glip.models.detectors.tta import unflip
from glip.slicing import Slicing
from glip.structures import DetDataSample
from glip.utils.errors import ClassFileError, ConfigError, EvaluationMismatchError
from glip.weights import SMALL_MODEL

PROMPT = "red star . purple square . green triangle ."
#: As in MMDetection's configs.
META_KEYS = ("img_id", "img_path", "ori_shape", "img_shape", "scale_factor", "text")
TTA_PIPELINE = [
    dict(type="LoadImageFromFile", imdecode_backend="pillow"),
    dict(
        type="TestTimeAug",
        transforms=[
            [dict(type="FixScaleResize", scale=(side, side)) for side in (256, 320)],
            [dict(type="RandomFlip", prob=1.0), dict(type="RandomFlip", prob=0.0)],
            [dict(type="LoadAnnotations", with_bbox=True)],
            [dict(type="PackDetInputs", meta_keys=META_KEYS)],
        ],
    ),
]
TTA_MODEL = dict(
    type="DetTTAModel",
    tta_cfg=dict(nms=dict(type="nms", iou_threshold=0.6), max_per_img=7),
)


@pytest.fixture(scope="module")
def model():
    return init_detector(weights=SMALL_MODEL, device="cpu")


def suppress(boxes, scores, labels, threshold):
    """Greedy NMS per label; return the indices that are kept."""
    kept = []
    for at in np.argsort(-scores, kind="stable"):
        x1, y1, x2, y2 = boxes[at]
        for other in kept:
            u1, v1, u2, v2 = boxes[other]
            inside = max(min(x2, u2) - max(x1, u1), 0) * max(min(y2, v2) - max(y1, v1), 0)
            union = (x2 - x1) * (y2 - y1) + (u2 - u1) * (v2 - v1) - inside
            if labels[at] == labels[other] and inside > threshold * union:
                break
        else:
            kept.append(at)
    return kept


def by_hand(model, image, sides, threshold):
    """Detect in each view of an image alone, and merge; return boxes, scores, labels, presence."""
    width = image.shape[1]
    parts, presence = [], []
    for side in sides:
        steps = [
            dict(type="LoadImageFromNDArray"),
            dict(type="FixScaleResize", scale=(side, side)),
            dict(type="PackDetInputs"),
        ]
        pipeline = make_pipeline(model.cfg, from_array=True, steps=steps)
        for is_flipped in (False, True):
            pixels = np.ascontiguousarray(image[:, ::-1]) if is_flipped else image
            found = inference_detector(model, pixels, pipeline, PROMPT, custom_entities=True)
            boxes = found.pred_instances.bboxes.double().numpy()
            if is_flipped:  # in inclusive pixels of the network's input
                scale = found.scale_factor[0]
                x1, x2 = boxes[:, 0] * scale, (boxes[:, 2] - 1) * scale
                last = width * scale - 1
                boxes[:, 0], boxes[:, 2] = (last - x2) / scale, (last - x1) / scale + 1
            parts.append((boxes, found.pred_instances.scores, found.pred_instances.labels))
            presence.append(found.presence.scores.numpy())
    boxes, scores, labels = (np.concatenate(each) for each in zip(*parts, strict=True))
    kept = suppress(boxes, scores, labels, threshold)
    return boxes[kept], scores[kept], labels[kept], np.max(presence, axis=0)


@pytest.mark.parametrize("form", ["default", "mmdetection"])
def test_views_merged_by_hand(model, form):
    path = demo_file("shapes.jpg")
    (side,) = {step["scale"][0] for step in model.cfg.test_pipeline if "scale" in step}
    sides, threshold, limit = [round(side * factor) for factor in SCALES], 0.5, 100
    if form == "mmdetection":
        sides, threshold, limit = [256, 320], 0.6, 7
        model.cfg.update(tta_pipeline=TTA_PIPELINE, tta_model=TTA_MODEL)
    try:
        inferencer = DetInferencer(model, show_progress=False, tta=True)
    finally:
        model.cfg.pop("tta_pipeline", None)
        model.cfg.pop("tta_model", None)
    boxes, scores, labels, presence = by_hand(model, read_image(str(path)), sides, threshold)
    (found,) = inferencer(str(path), texts=PROMPT)["predictions"]
    np.testing.assert_allclose(found["scores"], scores[:limit], atol=2e-5)
    np.testing.assert_allclose(found["bboxes"], boxes[:limit], atol=0.02)
    assert found["labels"] == labels[:limit].tolist()
    assert found["label_names"] == [found["phrases"][label] for label in found["labels"]]
    np.testing.assert_allclose(found["presence"], presence, atol=2e-5)


@pytest.mark.parametrize(
    ("direction", "expected"),
    [
        # 20 x 10 pixels, resized to 40 x 20: the last pixel of the input is 39 and 19.
        ("horizontal", [15.5, 2, 18.5, 5]),
        ("vertical", [2, 5.5, 5, 8.5]),
        ("diagonal", [15.5, 5.5, 18.5, 8.5]),
    ],
)
def test_boxes_of_flipped_views(direction, expected):
    view = DetDataSample(
        metainfo=dict(
            flip=True, flip_direction=direction, img_shape=(20, 40), scale_factor=(2.0, 2.0)
        )
    )
    box = torch.tensor([[2.0, 2.0, 5.0, 5.0]])
    assert unflip(box, view).tolist() == [expected]
    assert torch.equal(unflip(unflip(box, view), view), box)
    view.set_metainfo(dict(flip=False))
    assert torch.equal(unflip(box, view), box)


def test_left_and_right(model, caplog):
    """A prompt with sides is detected in the views that are not flipped, others in all."""
    flips = [dict(type="RandomFlip", prob=prob) for prob in (1.0, 0.0)]
    (last,) = model.cfg.test_pipeline[-1:]
    resize = next(step for step in model.cfg.test_pipeline if "scale" in step)
    views = dict(type="TestTimeAug", transforms=[[resize], flips, [last]])
    model.cfg.tta_pipeline = [model.cfg.test_pipeline[0], views]
    model.cfg.tta_model = dict(TTA_MODEL, tta_cfg=dict(nms=dict(iou_threshold=0.6)))
    try:
        inferencer = DetInferencer(model, show_progress=False, tta=True)
        views["transforms"] = [[resize], flips[:1], [last]]
        model.cfg.tta_pipeline = [model.cfg.test_pipeline[0], views]
        flipped = DetInferencer(model, show_progress=False, tta=True)
    finally:
        model.cfg.pop("tta_pipeline")
        model.cfg.pop("tta_model")
    path, sides = str(demo_file("shapes.jpg")), "red star on the left . star ."
    plain = inference_detector(model, path, text_prompt=sides)
    with caplog.at_level(logging.WARNING, "glip"):
        output = inferencer([path, path], texts=[sides, "red star ."], batch_size=2)
    first, second = output["predictions"]
    np.testing.assert_allclose(first["scores"], plain.pred_instances.scores, atol=1e-5)
    np.testing.assert_allclose(first["bboxes"], plain.pred_instances.bboxes, atol=0.01)
    assert "left or right" in caplog.text
    alone = inference_detector(model, path, text_prompt="red star .")
    assert len(second["scores"]) != len(alone.pred_instances)
    with pytest.raises(ConfigError, match="every view is flipped"):
        flipped(path, texts=sides)


def test_refused(model):
    classes = load_classes(["red star"])
    object.__setattr__(classes, "calibration", object())
    with pytest.raises(ClassFileError, match="test-time augmentation changes the scores"):
        DetInferencer(model, classes=classes, tta=True)
    with pytest.raises(ConfigError, match="slicing or tta"):
        DetInferencer(model, slicing=Slicing(), tta=True)
    with pytest.raises(SystemExit):
        detect([str(demo_file("shapes.jpg")), "--texts", "star", "--tta", "--slices"])
    with pytest.raises(ConfigError, match="of type 'nms', got 'soft_nms'"):
        DetTTAModel(model, dict(nms=dict(type="soft_nms")))
    with pytest.raises(ConfigError, match="several views"):
        DetTTAModel(model).test_step(dict(inputs=[], data_samples=[]))
    for steps in (TTA_PIPELINE[:1], [], dict(type="TestTimeAug")):
        model.cfg.tta_pipeline = steps
        with pytest.raises(ConfigError, match="ends with"):
            find_tta_pipeline(model.cfg)
        model.cfg.pop("tta_pipeline")


def test_default_views_without_a_resize():
    steps = default_tta_pipeline([dict(type="LoadImageFromFile"), dict(type="PackDetInputs")])
    assert [step["type"] for step in steps] == ["LoadImageFromFile", "TestTimeAug"]
    assert [len(group) for group in steps[1]["transforms"]] == [2, 1]


@pytest.mark.slow
def test_evaluation(tmp_path, monkeypatch):
    """Of the command line: resumed, and not mixed with predictions of single views."""
    monkeypatch.chdir(tmp_path)
    words = ("red", "blue", "circle", "star")
    make_shapes(["shapes", "--num-images", "2", "--seed", "3", "--words", *words])
    ann = tmp_path / "shapes/annotations/detection.json"
    content = json.loads(ann.read_text())
    used = {each["category_id"] for each in content["annotations"]}
    content["categories"] = [each for each in content["categories"] if each["id"] in used]
    ann.write_text(json.dumps(content))
    data = ["--ann", str(ann), "--images", "shapes/images", "--device", "cpu"]
    command = [*data, "--weights", SMALL_MODEL, "--out-dir", "work", "--resume-dir", "half"]
    metrics = evaluate([*command, "--tta", "--out", "first.pkl"])
    stored = sorted((tmp_path / "half").glob("**/*"))
    again = evaluate([*command, "--tta", "--out", "second.pkl"])
    assert metrics == again
    assert stored == sorted((tmp_path / "half").glob("**/*"))
    assert (tmp_path / "first.pkl").read_bytes() == (tmp_path / "second.pkl").read_bytes()
    predictions = load_predictions(tmp_path / "first.pkl")
    inferencer = DetInferencer(weights=SMALL_MODEL, device="cpu", show_progress=False, tta=True)
    image = predictions[0]
    names = [each["name"] for each in content["categories"]]
    (found,) = inferencer(image["img_path"], texts=[names])["predictions"]
    np.testing.assert_allclose(image["pred_instances"]["scores"], found["scores"], atol=1e-5)
    with pytest.raises(EvaluationMismatchError, match="data config"):
        evaluate(command)
