"""Samples are drawn as the model sees them."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.structures import InstanceData
from PIL import Image

from glip.analysis import browse
from glip.structures import DetDataSample
from glip.utils.errors import USER_ERRORS
from glip.visualization import DetLocalVisualizer, label_color
from glip.visualization.palette import IGNORED
from tests.test_tools.commands import command, tool
from tests.test_tools.conftest import TASKS
from tests.test_tools.test_test import IMAGES

TOOL = "analysis_tools/browse_dataset.py"

LOAD = dict(type="LoadImageFromFile", imdecode_backend="pillow")
BOXES = dict(type="LoadAnnotations", with_bbox=True)
PACK = dict(
    type="PackDetInputs",
    meta_keys=("img_path", "ori_shape", "flip", "flip_direction", "text", "custom_entities"),
)
TRAIN = [
    LOAD,
    BOXES,
    dict(type="GTBoxSubOne_GLIP"),
    dict(
        type="RandomChoiceResize",
        scales=[(1000, 200), (1000, 180)],
        resize_type="FixScaleResize",
        keep_ratio=True,
        backend="pillow",
    ),
    dict(type="RandomFlip_GLIP", prob=1.0),
    dict(type="FilterAnnotations", min_gt_bbox_wh=(1, 1)),
    PACK,
]
TEST = [LOAD, dict(type="FixScaleResize", scale=(1000, 360), backend="pillow"), BOXES, PACK]


@pytest.fixture
def data(tmp_path):
    """A config of a black image with an annotated white square and a crowd."""
    pixels = np.zeros((240, 400, 3), dtype=np.uint8)
    pixels[40:160, 240:360] = 255
    Image.fromarray(pixels).save(tmp_path / "square.png")
    images = [dict(id=1, file_name="square.png", width=400, height=240)]
    annotations = [
        dict(id=1, image_id=1, category_id=2, bbox=[240, 40, 120, 120], iscrowd=0),
        dict(id=2, image_id=1, category_id=1, bbox=[40, 120, 80, 80], iscrowd=1),
    ]
    categories = [dict(id=1, name="heap"), dict(id=2, name="x")]
    content = dict(images=images, annotations=annotations, categories=categories)
    (tmp_path / "a.json").write_text(json.dumps(content))

    def write(pipeline, wrap=lambda dataset: dataset, split="train", **others):
        dataset = dict(
            type="CocoDataset",
            data_root=str(tmp_path),
            ann_file="a.json",
            metainfo=dict(classes=("heap", "x")),
            pipeline=pipeline,
            test_mode=split != "train",
            **others,
        )
        Config({f"{split}_dataloader": dict(dataset=wrap(dataset))}).dump(tmp_path / "config.py")
        return str(tmp_path / "config.py")

    return write


def draw(config, split="train"):
    """Draw the first sample; return the packed image, RGB, and the drawn image."""
    dataset = browse.build_dataset(config, None, split)
    browse.move_boxes_with_images(dataset)
    packed = dataset[0]
    return packed["inputs"].permute(1, 2, 0).flip(-1).numpy(), browse.draw_sample(packed)


def extent(mask):
    """Left, right and bottom of what is set."""
    rows, columns = np.nonzero(mask)
    return columns.min(), columns.max(), rows.max()


def is_color(picture, color):
    return (picture == np.array(color)).all(axis=2)


WRAPPED = {
    "alone": lambda dataset: dataset,
    "repeated": lambda dataset: dict(type="RepeatDataset", times=2, dataset=dataset),
    "balanced": lambda dataset: dict(
        type="ClassBalancedDataset", oversample_thr=0.5, dataset=dataset
    ),
    "joined": lambda dataset: dict(
        type="ConcatDataset", datasets=[dict(type="RepeatDataset", times=2, dataset=dataset)]
    ),
}


@pytest.mark.parametrize("wrap", WRAPPED)
@pytest.mark.parametrize(("pipeline", "split"), [(TRAIN, "train"), (TEST, "test")])
def test_boxes_are_where_the_things_are(data, wrap, pipeline, split):
    image, picture = draw(data(pipeline, WRAPPED[wrap], split), split)
    inside = picture[: len(image)]
    square, box = extent(image[..., 0] > 127), extent(is_color(inside, label_color(1)))
    assert np.abs(np.subtract(square, box)).max() <= 2
    assert is_color(inside, IGNORED).any()
    below = picture[len(image) :]
    assert is_color(below, label_color(1)).any()  # the phrase that has a box
    assert not is_color(below, label_color(0)).any()  # the phrase of the crowd


@pytest.mark.parametrize("task", TASKS)
def test_every_format(small_configs, examples, tmp_path, task):
    options = ("--cfg-options", f"data_root={examples[task]}")
    arguments = (str(small_configs[task]), "--split", "test", "--out-dir", str(tmp_path))
    tool(TOOL).main([*arguments, "--num", "100", *options])
    pictures = sorted(tmp_path.iterdir())
    assert [int(path.name[:6]) for path in pictures] == list(range(IMAGES[task]))
    assert all(Image.open(path).height > 128 for path in pictures)
    every = {path.name: path.read_bytes() for path in pictures}
    for path in pictures:
        path.unlink()
    tool(TOOL).main([*arguments, "--num", "2", *options])
    two = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert two == {name: every[name] for name in (min(every), max(every))}


def test_command(data, tmp_path):
    out = tmp_path / "new" / "browsed"
    printed = command(
        *(f"tools/{TOOL}", data(TRAIN, WRAPPED["repeated"]), "--out-dir", out),
        *("--cfg-options", "train_dataloader.dataset.times=3"),
    )
    assert f"drew 3 of 3 samples to {out}" in printed
    assert len(list(out.iterdir())) == 3


def test_show(data, tmp_path, monkeypatch):
    shown = []

    def show(self, drawn_img, win_name, wait_time):
        shown.append((drawn_img.shape[2], win_name, wait_time))

    monkeypatch.setattr(DetLocalVisualizer, "show", show)
    monkeypatch.setattr("glip.visualization.local_visualizer.check_display", lambda: None)
    monkeypatch.chdir(tmp_path)
    config = data(TEST, split="val")
    tool(TOOL).main([config, "--split", "val", "--show", "--wait-time", "0.5"])
    assert shown == [(3, "square", 0.5)]
    assert not (tmp_path / "outputs").exists()
    tool(TOOL).main([config, "--split", "val"])
    assert (tmp_path / "outputs/browse/000000_square.jpg").is_file()


def test_facts(data):
    facts = browse._facts
    sample = DetDataSample(metainfo=dict(img_path="a/b.jpg", ori_shape=(60, 100)))
    image = np.zeros((240, 400, 3))
    assert facts(sample, image) == "b.jpg, 400 x 240 pixels of 100 x 60"
    sample.set_metainfo(dict(flip=True, flip_direction="horizontal", unreadable=True))
    assert facts(sample, image).endswith("of 100 x 60, flipped (horizontal), CANNOT BE READ")


def test_picture_that_cannot_be_read(data, tmp_path):
    config = data(TEST, split="test", max_unreadable=1.0)
    (tmp_path / "square.png").write_bytes(b"")
    image, picture = draw(config, "test")
    assert image.shape == (32, 32, 3)
    assert not is_color(picture, label_color(1)).any()  # the boxes belong to another image


def test_label_without_phrase(monkeypatch):
    named = []

    def draw_detections(image, boxes, names, **others):
        named.extend(names)
        return image

    monkeypatch.setattr(browse, "draw_detections", draw_detections)
    sample = DetDataSample(metainfo=dict(text=("cat", "dog"), custom_entities=True))
    sample.gt_instances = InstanceData(bboxes=torch.zeros(2, 4), labels=torch.tensor([1, 2]))
    browse.draw_sample(dict(inputs=torch.zeros(3, 40, 50), data_samples=sample))
    assert named == ["dog", "label 2 has no phrase"]


@pytest.mark.parametrize(
    ("pipeline", "options", "message"),
    [
        (TRAIN[:-1], {}, "PackDetInputs"),
        (TRAIN, dict(return_classes=False), "has no prompt"),
    ],
)
def test_samples_that_are_not_packed(data, pipeline, options, message):
    with pytest.raises(USER_ERRORS, match=message):
        tool(TOOL).main([data(pipeline, **options)])


def test_the_prompt_is_packed_whatever_meta_keys_say(data, tmp_path):
    pipeline = [*TRAIN[:-1], dict(type="PackDetInputs", meta_keys=("img_path",))]
    tool(TOOL).main([data(pipeline), "--out-dir", str(tmp_path / "out")])
    assert len(list((tmp_path / "out").iterdir())) == 1


def test_missing_data(small_configs, data, tmp_path):
    with pytest.raises(USER_ERRORS, match=r"no train_dataloader.* try --split val or test"):
        tool(TOOL).main([str(small_configs["coco"])])
    config = data(TRAIN)
    (tmp_path / "a.json").unlink()
    with pytest.raises(USER_ERRORS, match="there is no annotation file"):
        tool(TOOL).main([config])
