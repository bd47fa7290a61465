"""Detection in slices finds what is too small in the whole image."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image

from glip.apis import DetInferencer, inference_detector, init_detector
from glip.classes import load_classes
from glip.cli.detect import main
from glip.config import demo_file
from glip.datasets.images import open_image
from glip.slicing import Slicing, slice_windows
from glip.testing.shapes.mosaic import make_mosaic
from glip.utils.errors import ClassFileError, ConfigError, ImageReadError
from glip.weights import SMALL_MODEL

PAIRS = [("red", "circle"), ("red", "star"), ("blue", "heart"), ("green", "ring")]
NAMES = [" ".join(pair) for pair in PAIRS]


@pytest.fixture(scope="module")
def model():
    return init_detector(weights=SMALL_MODEL, device="cpu")


@pytest.fixture(scope="module")
def mosaic(tmp_path_factory):
    image, boxes, names = make_mosaic(
        0, 4, 4, backgrounds=demo_file("backgrounds"), pairs=PAIRS, max_objects=4
    )
    path = tmp_path_factory.mktemp("mosaic") / "mosaic.png"
    image.save(path)
    return path, boxes, names


def recall(result, boxes, names, iou=0.5):
    """Part of the shapes that a detection of their name matches."""
    found = 0
    for box, name in zip(boxes, names, strict=True):
        x1, y1, x2, y2 = box
        for other, other_name in zip(result["bboxes"], result["label_names"], strict=True):
            inside = max(min(x2, other[2]) - max(x1, other[0]), 0)
            inside *= max(min(y2, other[3]) - max(y1, other[1]), 0)
            areas = (x2 - x1) * (y2 - y1) + (other[2] - other[0]) * (other[3] - other[1])
            if other_name == name and inside / (areas - inside) >= iou:
                found += 1
                break
    return found / len(boxes)


@pytest.mark.parametrize("merge", ["nms", "nmm"])
def test_small_objects(model, mosaic, merge):
    path, boxes, names = mosaic
    plain = DetInferencer(model, show_progress=False)
    slicing = Slicing(size=256, overlap=0.25, merge=merge)
    sliced = DetInferencer(model, show_progress=False, slicing=slicing)
    (before,) = plain(path, texts=NAMES, score_thr=0.5)["predictions"]
    (after,) = sliced(path, texts=NAMES, score_thr=0.5)["predictions"]
    assert recall(before, boxes, names) < 0.4
    assert recall(after, boxes, names) > 0.85
    assert len(after["scores"]) < 1.5 * len(boxes)  # no duplicates
    assert after["slices"]["count"] == 16
    assert after["slices"]["added"] >= len(after["scores"]) - len(before["scores"]) > 0
    assert after["scores"] == sorted(after["scores"], reverse=True)
    assert all(a >= b for a, b in zip(after["presence"], before["presence"], strict=True))


def test_slices_by_hand(model, mosaic):
    """Each box is one that the model finds in a slice, or in the whole image."""
    path, _, _ = mosaic
    slicing = Slicing(size=512, overlap=0)
    detect = DetInferencer(model, show_progress=False, slicing=slicing)
    (sample,) = detect(path, texts=NAMES, return_datasamples=True)["predictions"]
    pixels = open_image(path)
    parts = [inference_detector(model, path, text_prompt=NAMES).pred_instances.bboxes]
    presence = []
    for x1, y1, x2, y2 in slice_windows(*pixels.shape[:2], slicing):
        part = inference_detector(model, pixels[y1:y2, x1:x2], text_prompt=NAMES)
        parts.append(part.pred_instances.bboxes + torch.tensor([x1, y1, x1, y1]))
        presence.append(part.presence.scores)
    distances = torch.cdist(sample.pred_instances.bboxes, torch.cat(parts), p=float("inf"))
    assert distances.amin(1).max() < 1e-2
    assert (sample.presence.scores >= torch.stack(presence).amax(0) - 1e-5).all()
    assert sample.ori_shape == pixels.shape[:2]


def test_an_image_that_is_no_larger_than_a_slice(model):
    image = demo_file("shapes.jpg")
    plain = DetInferencer(model, show_progress=False)(image, texts=NAMES)["predictions"][0]
    detect = DetInferencer(model, show_progress=False, slicing=Slicing(size=1000))
    result = detect(image, texts=NAMES)["predictions"][0]
    assert result.pop("slices") == dict(count=0, size=1000, overlap=0.2, added=0)
    assert result == plain


def test_tiled_tiff(model, mosaic, tmp_path):
    """Read by windows: the slices are the same, the whole image is not reduced at this size."""
    tifffile = pytest.importorskip("tifffile")
    path, _, _ = mosaic
    tifffile.imwrite(tmp_path / "m.tif", np.asarray(Image.open(path)), tile=(256, 256))
    detect = DetInferencer(model, show_progress=False, slicing=Slicing(size=512))
    whole = detect(path, texts=NAMES)["predictions"][0]
    tiled = detect(tmp_path / "m.tif", texts=NAMES, return_vis=True, out_dir=tmp_path / "out")
    assert tiled["predictions"][0] == whole
    assert tiled["visualization"][0].shape == (768, 768, 3)
    assert Image.open(tmp_path / "out/vis/m.jpg").size == (768, 768)


def test_reduced_pixels_are_drawn_on(model, mosaic, monkeypatch, tmp_path):
    monkeypatch.setattr("glip.slicing.sources.REDUCED_SIDE", 400)
    monkeypatch.setattr("glip.apis.sliced_detection.MAX_DRAWN_PIXELS", 1000)
    path, _, _ = mosaic
    detect = DetInferencer(model, show_progress=False, slicing=Slicing(size=512))
    output = detect(path, texts=NAMES, return_vis=True, out_dir=tmp_path, save_crops=True)
    assert output["visualization"][0].shape == (384, 384, 3)
    # Crops are of the image itself.
    boxes = np.array(output["predictions"][0]["bboxes"]).clip(0, 768)
    crops = output["crops"][0].files
    assert len(crops) > 5
    for file in crops:
        box = boxes[int(file.stem.rpartition("_")[2])]
        assert Image.open(file).size == tuple(np.ceil(box[2:]) - np.floor(box[:2]))
    assert np.max(output["predictions"][0]["bboxes"]) > 700  # pixels of the image itself
    (sample,) = detect(path, texts=NAMES, return_vis=True, return_datasamples=True)["predictions"]
    assert sample.pred_instances.bboxes.max() > 700


def test_classes(model, mosaic):
    path, boxes, names = mosaic
    classes = load_classes({"round": {"prompts": ["red circle", "green ring"]}, "red star": {}})
    detect = DetInferencer(
        model, show_progress=False, classes=classes, slicing=Slicing(size=256, overlap=0.25)
    )
    (result,) = detect(path)["predictions"]
    names = ["round" if name in ("red circle", "green ring") else name for name in names]
    wanted = [at for at, name in enumerate(names) if name in ("round", "red star")]
    found = recall(result, [boxes[at] for at in wanted], [names[at] for at in wanted])
    assert found > 0.8
    assert 0 < result["slices"]["added"] <= len(result["scores"])


def test_several_images_of_which_one_is_damaged(model, mosaic, tmp_path):
    (tmp_path / "a.png").write_bytes(b"no image")
    detect = DetInferencer(model, show_progress=False, slicing=Slicing())
    output = detect([tmp_path / "a.png", mosaic[0]], texts=NAMES)["predictions"]
    assert "error" in output[0]
    assert output[1]["scores"]
    with pytest.raises(ImageReadError):
        detect(tmp_path / "a.png", texts=NAMES)


def test_calibrated_classes_are_refused(model, tmp_path):
    classes = load_classes(["ring"])
    object.__setattr__(classes, "calibration", object())
    with pytest.raises(ClassFileError, match="slices are of another scale"):
        DetInferencer(model, classes=classes, slicing=Slicing())
    with pytest.raises(TypeError, match="expected slicing"):
        DetInferencer(model, slicing=640)


def test_command(mosaic, tmp_path, capsys):
    path, _, _ = mosaic
    arguments = [str(path), "--texts", "red star . red circle .", "--device", "cpu"]
    slices = ["--slices", "--slice-size", "256", "--overlap", "0.25", "--merge", "nmm"]
    main([*arguments, *slices, "--batch-size", "2", "--out-dir", str(tmp_path)])
    shown = capsys.readouterr().out
    record = json.loads((tmp_path / "preds/mosaic.json").read_text())
    assert record["slices"]["count"] == 16
    assert f"16 slices added {record['slices']['added']} of them" in shown


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--slice-size", "512"], "go with --slices"),
        (["--merge", "nms"], "go with --slices"),
        (["--slices", "--slice-size", "10"], "slice size as an integer of 256 or more"),
        (["--slices", "--overlap", "1"], "overlap of slices"),
        (["--slices", "--overlap", "nan"], "overlap of slices"),
    ],
)
def test_wrong_options(mosaic, capsys, options, message):
    with pytest.raises((SystemExit, ConfigError)) as error:
        main([str(mosaic[0]), "--texts", "ring", *options])
    assert message in capsys.readouterr().err + str(error.value)
