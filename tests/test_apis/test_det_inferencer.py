"""The inferencer in MMDetection's call shape, on a small real model."""

from __future__ import annotations

import copy
import errno
import io
import json
import logging
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from PIL import Image

from glip.apis import DetInferencer, inference_detector, load_config
from glip.apis.det_inferencer import list_images
from glip.apis.results import default_score_thr
from glip.checkpoint import open_checkpoint, write_checkpoint
from glip.datasets.images import read_image
from glip.structures import DetDataSample
from glip.text import load_tokenizer, load_vocabulary, parse_prompt
from glip.text.tokenizer import tokenizer_to_bytes
from glip.utils.errors import (
    CheckpointError,
    ConfigError,
    ImageReadError,
    PromptError,
    StorageError,
)

NAMES = "bench . car ."


@pytest.fixture(scope="module")
def inferencer(tiny_config_file, tiny_checkpoint):
    return DetInferencer(
        str(tiny_config_file), str(tiny_checkpoint), device="cpu", show_progress=False
    )


@pytest.fixture(scope="module")
def expected(tiny_model, photo):
    """What the function finds in the photograph."""
    return inference_detector(tiny_model, photo, text_prompt=NAMES).pred_instances


def test_each_prompt_is_encoded_once(inferencer, photo):
    """Over the images of a call, and over calls as long as the weights stay the same."""
    model = inferencer.model
    weights = copy.deepcopy(model.state_dict())
    forward = model.language_model.forward
    try:
        with mock.patch.object(model.language_model, "forward", wraps=forward) as calls:
            texts = [["horse", "cart"], ["wheel"]]
            first = inferencer([str(photo)] * 4, texts=texts * 2)["predictions"]
            assert calls.call_count == 2
            assert first[0] == first[2]
            inferencer(str(photo), texts=texts[1])
            assert calls.call_count == 2
            for parameter in model.language_model.parameters():
                parameter.data.mul_(1.1)
            (changed,) = inferencer(str(photo), texts=texts[0])["predictions"]
            assert calls.call_count == 3
        expected = inference_detector(model, photo, text_prompt=texts[0]).pred_instances
        assert changed["scores"] == expected.scores.tolist()
    finally:
        model.load_state_dict(weights)


@pytest.fixture
def folder(tmp_path, photo):
    """Four pictures of three sizes, one of them no picture, and a text file."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    shutil.copy(photo, folder / "b.jpg")
    with Image.open(photo) as image:
        image.resize((320, 427)).save(folder / "a.PNG")
        image.resize((400, 200)).save(folder / "d.webp")
    (folder / "c.jpg").write_bytes(b"not a picture")
    (folder / "notes.txt").write_text("not to be read")
    return folder


def assert_same(prediction: dict, other: dict, atol: float = 1e-4) -> None:
    assert prediction["labels"] == other["labels"]
    assert prediction["label_names"] == other["label_names"]
    np.testing.assert_allclose(prediction["scores"], other["scores"], atol=atol)
    np.testing.assert_allclose(prediction["bboxes"], other["bboxes"], rtol=1e-5, atol=atol)


def as_saved(prediction: dict) -> dict:
    """What the file of a prediction holds of it."""
    rounded = dict(
        scores=[round(score, 4) for score in prediction["scores"]],
        bboxes=[[round(at, 2) for at in box] for box in prediction["bboxes"]],
        presence=[round(score, 4) for score in prediction["presence"]],
    )
    return prediction | rounded


def saved_lists(path: Path) -> dict:
    """The detections of a file of predictions, without what it says of the image and the model."""
    content = json.loads(path.read_text(encoding="utf-8"))
    keys = ("labels", "label_names", "scores", "bboxes", "phrases", "presence")
    return {key: content[key] for key in keys}


def noise(seed: int, height: int = 90, width: int = 120) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


# Building


def test_building(inferencer, expected, photo, tiny_model, tiny_cfg, tiny_checkpoint):
    prediction = inferencer(str(photo), texts=NAMES)["predictions"][0]
    assert prediction["scores"] == expected.scores.tolist()
    for other in (
        DetInferencer(tiny_model),
        DetInferencer(tiny_cfg, tiny_checkpoint, "cpu"),
        DetInferencer(model=tiny_cfg, weights=str(tiny_checkpoint), device=torch.device("cpu")),
    ):
        assert_same(other(photo, texts=NAMES)["predictions"][0], prediction, atol=0)


def test_config_named_by_the_checkpoint(tmp_path, tiny_checkpoint, vocabulary, tiny_config_file):
    state_dict = open_checkpoint(tiny_checkpoint)["state_dict"]
    path = tmp_path / "own.pth"
    tokenizer = tokenizer_to_bytes(load_tokenizer(vocabulary))
    shipped = "glip_atss_swin-t_b_fpn_dyhead_pretrain_obj365"
    write_checkpoint(path, state_dict, config=shipped, tokenizer=tokenizer)
    # The shipped config is found by its name; the tiny weights do not fit it.
    with pytest.raises(CheckpointError, match="does not fit"):
        DetInferencer(weights=path, device="cpu")
    # A path is not followed: a config is a program, and the checkpoint may be anybody's.
    write_checkpoint(path, state_dict, config=str(tiny_config_file), tokenizer=tokenizer)
    for nameless in (path, tiny_checkpoint):
        with pytest.raises(CheckpointError, match="names no shipped config"):
            DetInferencer(weights=nameless, device="cpu")
    with pytest.raises(ValueError, match="got neither"):
        DetInferencer()


def test_random_weights_are_said(tiny_config_file, caplog):
    with caplog.at_level(logging.WARNING, logger="glip"):
        DetInferencer(str(tiny_config_file), device="cpu")
    assert "no weights were given" in caplog.text


def test_scope_is_left_untouched(inferencer, photo):
    with DefaultScope.overwrite_default_scope("mmengine"):
        inferencer(photo, texts=NAMES, return_vis=True)
        assert DefaultScope.get_current_instance().scope_name == "mmengine"


# Pictures


def test_prediction_can_be_json(inferencer, photo):
    result = inferencer(photo, texts=NAMES)
    assert result["visualization"] is None
    (prediction,) = json.loads(json.dumps(result["predictions"]))
    assert list(prediction) == [
        "labels", "label_names", "scores", "bboxes", "phrases", "presence",
    ]  # fmt: skip
    assert len({len(values) for values in list(prediction.values())[:4]}) == 1
    assert prediction["phrases"] == ["bench", "car"]
    best = dict(
        zip(reversed(prediction["label_names"]), reversed(prediction["scores"]), strict=True)
    )
    assert [best[name] for name in prediction["phrases"]] == prediction["presence"]
    assert len(prediction["labels"]) > 20
    assert prediction["label_names"] == [["bench", "car"][label] for label in prediction["labels"]]
    assert prediction["scores"] == sorted(prediction["scores"], reverse=True)


def test_array_and_list_and_path(inferencer, photo):
    array = read_image(photo)
    results = [
        inferencer(inputs, texts=NAMES, batch_size=2)["predictions"]
        for inputs in (array, [photo], [str(photo), array])
    ]
    assert [len(result) for result in results] == [1, 1, 2]
    for result in results[1:]:
        for prediction in result:
            assert_same(prediction, results[0][0])


@pytest.mark.parametrize("batch_size", [1, 2, 3, 8])
def test_folder(inferencer, folder, expected, batch_size, caplog):
    with caplog.at_level(logging.WARNING, logger="glip"):
        result = inferencer(str(folder), texts=NAMES, batch_size=batch_size, return_vis=True)
    predictions, drawn = result["predictions"], result["visualization"]
    # By name: a.PNG, b.jpg, c.jpg (no picture), d.webp.
    assert ["error" in prediction for prediction in predictions] == [False, False, True, False]
    assert str(folder / "c.jpg") in predictions[2]["error"]
    assert predictions[2]["error"] in caplog.text
    shapes = [None if image is None else image.shape for image in drawn]
    assert shapes == [(427, 320, 3), (427, 640, 3), None, (200, 400, 3)]
    for prediction, (width, height) in zip(
        [predictions[i] for i in (0, 1, 3)], [(320, 427), (640, 427), (400, 200)], strict=True
    ):
        boxes = np.array(prediction["bboxes"])
        assert len(boxes) > 20
        assert (boxes >= 0).all()
        assert (boxes < np.array([width, height, width, height]) + 1).all()
    if batch_size == 1:
        assert predictions[1]["scores"] == expected.scores.tolist()


def test_batch_of_one_size_is_one_by_one(inferencer):
    pictures = [noise(seed) for seed in range(5)]
    together = inferencer(pictures, texts=NAMES, batch_size=3)["predictions"]
    assert len({tuple(prediction["scores"]) for prediction in together}) == 5
    for picture, prediction in zip(pictures, together, strict=True):
        assert_same(prediction, inferencer(picture, texts=NAMES)["predictions"][0])


def test_batch_of_two_sizes(inferencer):
    """The picture that sets the batch's size is detected as alone; the other one is padded."""
    wide, narrow = noise(0, 90, 130), noise(1, 90, 120)
    for pictures, index in (([wide, narrow], 0), ([narrow, wide], 1)):
        together = inferencer(pictures, texts=NAMES, batch_size=2)["predictions"]
        assert_same(together[index], inferencer(wide, texts=NAMES)["predictions"][0])
        # The official + 1 comes after scaling: a box may end less than a pixel past the border.
        assert np.array(together[1 - index]["bboxes"])[:, 2].max() < 120 + 1


def test_batch_size_must_be_positive(inferencer, photo):
    with pytest.raises(ValueError, match="batch_size"):
        inferencer(photo, texts=NAMES, batch_size=0)


def test_unreadable_picture_alone(inferencer, folder):
    for inputs in (folder / "c.jpg", [folder / "c.jpg"], folder / "nowhere.jpg"):
        with pytest.raises(ImageReadError, match="cannot read"):
            inferencer(inputs, texts=NAMES)


def test_only_unreadable_pictures(inferencer, folder):
    result = inferencer([folder / "c.jpg", folder / "x.jpg"], texts=NAMES, batch_size=2)
    assert [list(prediction) for prediction in result["predictions"]] == [["error"], ["error"]]


def test_nothing_to_read(tmp_path):
    with pytest.raises(ImageReadError, match="empty list"):
        list_images([])
    (tmp_path / "notes.txt").touch()
    with pytest.raises(ImageReadError, match="has no images"):
        list_images(tmp_path)


# Prompts


def test_prompts_of_a_batch(inferencer):
    """A prompt a picture, of different lengths and kinds, gives what each gives alone."""
    pictures = [noise(seed) for seed in range(4)]
    texts = [NAMES, "$: coco", ["dog"], "sheep . goat ."]
    together = inferencer(pictures, texts=texts, batch_size=4)["predictions"]
    for picture, text, prediction in zip(pictures, texts, together, strict=True):
        alone = inferencer(picture, texts=text)["predictions"][0]
        assert len(alone["labels"]) > 5
        assert_same(prediction, alone)


def test_prompts_of_a_batch_with_different_numbers_of_pieces(inferencer):
    """Images of one batch may need different numbers of text passes."""
    pictures = [noise(seed) for seed in range(3)]
    texts = [list(load_vocabulary("lvis")[:200]), NAMES, list(load_vocabulary("lvis")[:120])]
    pieces = [len(inferencer.model.chunk_prompt(parse_prompt(text))) for text in texts]
    assert len(set(pieces)) == 3
    together = inferencer(pictures, texts=texts, batch_size=3)["predictions"]
    for picture, text, prediction in zip(pictures, texts, together, strict=True):
        assert_same(prediction, inferencer(picture, texts=text)["predictions"][0])


def test_captions_of_a_batch(inferencer):
    pictures = [noise(0), noise(1)]
    captions, spans = ["a dog and a cat", "one red bird"], [[[[2, 5]]], [[[4, 7]], [[8, 12]]]]
    result = inferencer(pictures, texts=captions, tokens_positive=spans, batch_size=2)
    names = [set(prediction["label_names"]) for prediction in result["predictions"]]
    assert names == [{"dog"}, {"red", "bird"}]


def test_mmdet_texts_with_custom_entities(inferencer):
    pictures = [noise(0), noise(1)]
    result = inferencer(pictures, texts=["bench. car", "dog"], custom_entities=True)
    names = [set(prediction["label_names"]) for prediction in result["predictions"]]
    assert names == [{"bench", "car"}, {"dog"}]


def test_wrong_number_of_prompts(inferencer):
    with pytest.raises(PromptError, match="each of 2 images, got 3"):
        inferencer([noise(0), noise(1)], texts=["a .", "b .", "c ."])


def test_no_prompt(inferencer, photo):
    with pytest.raises(PromptError, match="there is no prompt"):
        inferencer(photo)


# Results


def test_data_samples(inferencer, folder):
    result = inferencer(folder, texts=NAMES, return_datasamples=True)["predictions"]
    assert [isinstance(sample, DetDataSample) for sample in result] == [True, True, False, True]
    assert "error" in result[2]
    assert result[1].ori_shape == (427, 640)


def test_printing(inferencer, photo, folder, capsys):
    for options in ({}, dict(return_datasamples=True)):
        result = inferencer([photo, folder / "c.jpg"], texts=NAMES, print_result=True, **options)
        assert isinstance(result["predictions"][0], DetDataSample) == bool(options)
        printed = json.loads(capsys.readouterr().out)
        assert len(printed[0]["labels"]) > 20
        assert list(printed[1]) == ["error"]
    inferencer(photo, texts=NAMES)
    assert capsys.readouterr().out == ""


def test_saving(inferencer, folder, tmp_path):
    out = tmp_path / "out"
    result = inferencer(folder, texts=NAMES, out_dir=out, no_save_pred=False)
    files = sorted(str(file.relative_to(out)) for file in out.rglob("*.*"))
    assert files == [f"{kind}/{n}" for kind, end in (("preds", "json"), ("vis", "jpg")) for n in
                     (f"a.{end}", f"b.{end}", f"d.{end}")]  # fmt: skip
    assert saved_lists(out / "preds" / "b.json") == as_saved(result["predictions"][1])
    names = ("a", "b", None, "d")  # c is no image
    assert result["files"] == [
        [out / "preds" / f"{name}.json", out / "vis" / f"{name}.jpg"] if name else []
        for name in names
    ]
    assert result["images"][1] == str(folder / "b.jpg")
    with Image.open(out / "vis" / "b.jpg") as image:
        assert image.size == (640, 427)


@pytest.mark.parametrize(
    ("options", "folders"),
    [
        ({}, ["vis"]),
        (dict(no_save_vis=True), []),
        (dict(no_save_vis=True, no_save_pred=False), ["preds"]),
    ],
)
def test_what_is_saved(inferencer, photo, tmp_path, options, folders):
    inferencer(photo, texts=NAMES, out_dir=str(tmp_path), **options)
    assert [folder.name for folder in tmp_path.iterdir()] == folders


def test_what_predictions_say(inferencer, photo, tmp_path, capsys):
    """Image, size, prompt, model and threshold; printed as in the file."""
    options = dict(texts=NAMES, score_thr=0.4, out_dir=tmp_path, no_save_pred=False)
    inferencer([photo, noise(0)], print_result=True, **options)
    names = ("demo", "00000001")
    files = [json.loads((tmp_path / "preds" / f"{name}.json").read_text()) for name in names]
    expected = dict(prompt="bench. car", model="tiny", score_thr=0.4)
    sizes = (dict(image=str(photo), width=640, height=427), dict(width=120, height=90))
    sizes[1]["image"] = "00000001"
    for content, size in zip(files, sizes, strict=True):
        assert {key: content[key] for key in expected | size} == expected | size
        assert content["scores"] == [round(score, 4) for score in content["scores"]]
    assert json.loads(capsys.readouterr().out) == files


def test_names_are_saved_as_they_are(inferencer, photo, tmp_path):
    inferencer(photo, texts=["長椅子"], out_dir=tmp_path, no_save_pred=False, no_save_vis=True)
    assert "長椅子" in (tmp_path / "preds" / "demo.json").read_text(encoding="utf-8")


def test_equal_names_do_not_overwrite_each_other(inferencer, tmp_path):
    # The third would be called a_2 by its place, which the second is called already.
    paths = [tmp_path / name for name in ("a.png", "a_2.png", "x/a.png", "a.bmp")]
    for index, path in enumerate(paths):
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(noise(index, 30, 40 + index)).save(path)
    inputs = [*paths, noise(9)]
    result = inferencer(inputs, texts=NAMES, out_dir=tmp_path / "out", no_save_pred=False)
    saved = [saved_lists(file) for file in sorted(Path(tmp_path, "out/preds").iterdir())]
    assert len(saved) == 5
    assert all(as_saved(prediction) in saved for prediction in result["predictions"])
    assert len(list(Path(tmp_path, "out/vis").iterdir())) == 5


def test_drawing(inferencer, photo):
    rgb = read_image(photo)[..., ::-1]

    def drawn(**options: object) -> np.ndarray:
        (image,) = inferencer(photo, texts=NAMES, return_vis=True, **options)["visualization"]
        assert image.dtype == np.uint8
        assert image.shape == rgb.shape
        return image

    changed = [(drawn(pred_score_thr=thr) != rgb).any(-1).mean() for thr in (0.1, 0.5, 1.1)]
    assert changed[0] > changed[1] > changed[2] == 0
    assert (drawn(draw_pred=False) == rgb).all()


def test_threshold_keeps_predictions(inferencer, photo):
    low, high = (
        inferencer(photo, texts=NAMES, pred_score_thr=thr)["predictions"] for thr in (0.0, 0.9)
    )
    assert low == high


def test_score_threshold(inferencer, photo, tmp_path):
    """It holds for what is returned, saved and drawn, in both functions."""
    (whole,) = inferencer(photo, texts=NAMES)["predictions"]
    options = dict(score_thr=0.5, pred_score_thr=0, out_dir=tmp_path, no_save_pred=False)
    result = inferencer(photo, texts=NAMES, return_vis=True, **options)
    (kept,) = result["predictions"]
    count = sum(score >= 0.5 for score in whole["scores"])
    assert 0 < count < len(whole["scores"])
    detections = ("labels", "label_names", "scores", "bboxes")
    assert kept == whole | {key: whole[key][:count] for key in detections}
    saved = json.loads((tmp_path / "preds" / "demo.json").read_text())
    assert saved["labels"] == kept["labels"]
    drawn = inferencer(photo, texts=NAMES, return_vis=True, pred_score_thr=0.5)["visualization"]
    np.testing.assert_array_equal(result["visualization"][0], drawn[0])
    (sample,) = inferencer([photo], texts=NAMES, score_thr=0.5, return_datasamples=True)[
        "predictions"
    ]
    (same,) = inference_detector(inferencer.model, [photo], text_prompt=NAMES, score_thr=0.5)
    assert sample.pred_instances.scores.tolist() == same.pred_instances.scores.tolist()
    assert same.pred_instances.scores.tolist() == kept["scores"]
    (nothing,) = inferencer(photo, texts=NAMES, score_thr=1.1)["predictions"]
    detections = dict(labels=[], label_names=[], scores=[], bboxes=[])
    assert nothing == whole | detections
    for wrong in ("0.5", float("nan")):
        with pytest.raises(ConfigError, match="score_thr"):
            inferencer(photo, texts=NAMES, score_thr=wrong)
        with pytest.raises(ConfigError, match="score_thr"):
            inference_detector(inferencer.model, photo, text_prompt=NAMES, score_thr=wrong)


def test_default_threshold():
    assert default_score_thr(load_config("glip_nano_shapes")) == 0.6
    assert default_score_thr(load_config("glip_atss_swin-t_a_fpn_dyhead_pretrain_obj365")) == 0.3
    assert default_score_thr(Config()) == 0.3
    with pytest.raises(ConfigError, match="default_score_thr"):
        default_score_thr(Config(dict(default_score_thr="high")))


# Sources, threads, disks


def test_sources(inferencer, photo):
    """Everything that holds the same pixels gives the same detections, also drawn."""
    expected = inferencer(photo, texts=NAMES, return_vis=True)
    content = photo.read_bytes()
    with Image.open(photo) as image, open(photo, "rb") as file:
        tensor = torch.from_numpy(read_image(photo)[..., ::-1].copy()).permute(2, 0, 1)
        sources = [content, bytearray(content), io.BytesIO(content), file, image, tensor]
        sources += [f"file://{photo}", read_image(photo)]
        results = inferencer(sources, texts=NAMES, return_vis=True)
        lazy = inferencer(iter(sources), texts=NAMES)
    assert results["predictions"] == lazy["predictions"]
    assert all(each == expected["predictions"][0] for each in results["predictions"])
    for drawn in results["visualization"]:
        np.testing.assert_array_equal(drawn, expected["visualization"][0])


def test_sources_that_are_none(inferencer):
    for inputs in (None, 5, {"a.jpg": 1}, {"a.jpg"}, [None], iter([5])):
        with pytest.raises(TypeError, match="Pillow image"):
            inferencer(inputs, texts=NAMES)
    with pytest.raises(ImageReadError, match="generator"):
        inferencer(iter([]), texts=NAMES)
    with pytest.raises(PromptError, match="2 prompts for a generator"):
        inferencer(iter([noise(0)] * 2), texts=[["dog"], ["cat"]])


def test_threads_share_an_inferencer(inferencer, tmp_path):
    """Results, drawn images and files of calls at once are those of one call after the other."""
    shared = DetInferencer(inferencer.model, show_progress=False)  # nothing is built yet
    png = io.BytesIO()
    Image.fromarray(noise(1)[..., ::-1]).save(png, "PNG")
    images = [noise(0), png.getvalue(), Image.fromarray(noise(2)), noise(3, 60, 80)]
    prompts = ["dog .", "cat . sheep .", ["wheel", "horse", "cart"]]
    cases = [(image, prompt) for image in range(len(images)) for prompt in range(len(prompts))]
    alone = {
        case: inferencer(images[case[0]], texts=prompts[case[1]], return_vis=True) for case in cases
    }
    wrong = []

    def run(thread):
        for step in range(6):
            case = cases[(5 * thread + step) % len(cases)]
            out = tmp_path / f"{thread}_{step}"
            result = shared(
                images[case[0]],
                texts=prompts[case[1]],
                return_vis=True,
                out_dir=out,
                no_save_pred=False,
            )
            expected = alone[case]
            saved = saved_lists(out / "preds" / "00000000.json")
            is_right = (
                result["predictions"] == expected["predictions"]
                and [as_saved(each) for each in result["predictions"]] == [saved]
                and np.array_equal(result["visualization"], expected["visualization"])
                and (out / "vis" / "00000000.jpg").is_file()
            )
            if not is_right:
                wrong.append((thread, case))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(run, range(4)))
    assert wrong == []


def test_limits(inferencer, photo):
    limited = DetInferencer(inferencer.model, show_progress=False, max_pixels=100)
    with pytest.raises(ImageReadError, match="max_pixels"):
        limited(photo, texts=NAMES)
    with pytest.raises(ImageReadError, match="max_bytes"):
        inference_detector(inferencer.model, photo, text_prompt=NAMES, max_bytes=100)
    with pytest.raises(ConfigError, match="max_bytes"):
        DetInferencer(inferencer.model, max_bytes=-1)


def test_full_disk_before_the_model_runs(inferencer, tmp_path, monkeypatch):
    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    monkeypatch.setattr(inferencer.model, "test_step", None)
    with pytest.raises(StorageError, match=r"vis.*No space left.*free space"):
        inferencer(noise(0), texts=NAMES, out_dir=tmp_path / "out")


def test_full_disk_in_between(inferencer, tmp_path, monkeypatch):
    """What was finished is kept, and no partial file stays."""
    calls = []

    def full(file):
        calls.append(file)
        if len(calls) > 2:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StorageError, match=r"00000002\.jpg' cannot be written \(No space left"):
        inferencer([noise(0)] * 4, texts=NAMES, out_dir=tmp_path)
    assert sorted(path.name for path in Path(tmp_path, "vis").iterdir()) == [
        "00000000.jpg",
        "00000001.jpg",
    ]


@pytest.mark.parametrize("out_dir", ["a.txt", "a.txt/x", "a\0", 5])
def test_wrong_out_dir(inferencer, tmp_path, monkeypatch, out_dir):
    monkeypatch.chdir(tmp_path)
    Path("a.txt").touch()
    with pytest.raises((StorageError, ValueError), match="folder"):
        inferencer(noise(0), texts=NAMES, out_dir=out_dir)


def test_extreme_shapes_are_saved(inferencer, tmp_path):
    shapes = [(1, 1), (1, 20_000), (1, 70_000)]
    images = [np.zeros((*shape, 3), np.uint8) for shape in shapes]
    inferencer(images, texts=NAMES, out_dir=tmp_path)
    files = sorted(path.name for path in Path(tmp_path, "vis").iterdir())
    assert files == ["00000000.jpg", "00000001.jpg", "00000002.png"]  # too long for a JPEG


def test_no_display(inferencer, monkeypatch):
    monkeypatch.setattr("matplotlib.pyplot.get_backend", lambda: "agg")
    with pytest.raises(ConfigError, match=r"no display.*--out-dir"):
        inferencer(noise(0), texts=NAMES, show=True)
