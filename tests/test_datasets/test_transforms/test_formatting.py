"""What the model gets."""

import numpy as np
import pytest
import torch
from PIL import Image

from glip.datasets.transforms import PackDetInputs
from glip.registry import TRANSFORMS
from glip.structures import DetDataSample
from glip.utils.errors import PromptError


@pytest.fixture
def image():
    return np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)


def annotated(**others):
    return {
        "gt_bboxes": np.arange(12, dtype=np.float32).reshape(3, 4),
        "gt_bboxes_labels": np.array([4, 5, 6]),
        "gt_ignore_flags": np.array([False, True, False]),
        **others,
    }


@pytest.mark.parametrize(
    "view",
    [
        lambda a: a,
        lambda a: a[:, ::-1],  # as a flip leaves it
        lambda a: a[::-1, ::-1],
        lambda a: a[:1, :1],
        lambda a: a[:, :, ::-1],
        lambda a: a.astype(np.float32),
    ],
)
def test_inputs(image, view):
    image = view(image)
    inputs = PackDetInputs()({"img": image})["inputs"]
    assert inputs.shape == (3, *image.shape[:2])
    assert inputs.is_contiguous()
    assert inputs.dtype == (torch.uint8 if image.dtype == np.uint8 else torch.float32)
    np.testing.assert_array_equal(inputs.numpy(), image.transpose(2, 0, 1))


@pytest.mark.filterwarnings("error")
def test_read_only_image(image):
    image.setflags(write=False)
    assert PackDetInputs()({"img": image})["inputs"].shape == (3, 5, 7)


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 1), (5, 7, 4), (3, 5, 7)])
def test_images_without_three_channels(shape):
    with pytest.raises(ValueError, match="color_type='color'"):
        PackDetInputs()({"img": np.zeros(shape, np.uint8)})


def test_instances(image):
    sample = PackDetInputs()(annotated(img=image))["data_samples"]
    assert isinstance(sample, DetDataSample)
    assert sample.gt_instances.bboxes.tolist() == [[0, 1, 2, 3], [8, 9, 10, 11]]
    assert sample.gt_instances.labels.tolist() == [4, 6]
    assert sample.ignored_instances.bboxes.tolist() == [[4, 5, 6, 7]]
    assert sample.ignored_instances.labels.tolist() == [5]
    assert sample.gt_instances.bboxes.dtype == torch.float32
    assert sample.gt_instances.labels.dtype == torch.int64


def test_without_flags_nothing_is_ignored():
    results = annotated()
    del results["gt_ignore_flags"]
    sample = PackDetInputs()(results)["data_samples"]
    assert len(sample.gt_instances) == 3
    assert sample.ignored_instances.bboxes.shape == (0, 4)


def test_without_objects():
    results = {
        "gt_bboxes": np.zeros((0, 4), np.float32),
        "gt_bboxes_labels": np.zeros(0, np.int64),
        "gt_ignore_flags": np.zeros(0, bool),
    }
    sample = PackDetInputs()(results)["data_samples"]
    assert sample.gt_instances.bboxes.shape == (0, 4)
    assert sample.gt_instances.labels.shape == (0,)


def test_without_annotations(image):
    packed = PackDetInputs()({"img": image})
    assert list(packed) == ["inputs", "data_samples"]
    assert len(packed["data_samples"].gt_instances) == 0
    assert len(packed["data_samples"].ignored_instances) == 0


def test_meta_information(image):
    pack = PackDetInputs(meta_keys=("img_id", "text", "custom_entities", "nothing"))
    sample = pack({"img": image, "img_id": 3, "text": "a. b", "other": 1})["data_samples"]
    assert dict(sample.metainfo_items()) == {"img_id": 3, "text": "a. b"}
    assert repr(pack) == (
        "PackDetInputs(meta_keys=('img_id', 'text', 'custom_entities', 'nothing'))"
    )


def test_default_meta_information(image):
    results = {
        "img_id": 3,
        "img_path": "a.jpg",
        "ori_shape": (5, 7),
        "img_shape": (5, 7),
        "scale_factor": (1.0, 1.0),
        "flip": False,
        "flip_direction": None,
        "text": ("a", "b"),
        "custom_entities": True,
        "tokens_positive": [[[0, 1]]],
    }
    sample = PackDetInputs()({"img": image, **results})["data_samples"]
    assert dict(sample.metainfo_items()) == results


@pytest.mark.parametrize(
    ("results", "names"),
    [
        (dict(text=("a cat", "dog"), custom_entities=True), ["a cat", "dog"]),
        (dict(text="a cat. dog", custom_entities=True), ["a cat", "dog"]),
        (dict(text="a cat on a mat", tokens_positive=[[[2, 5]], [[11, 14]]]), ["cat", "mat"]),
        (dict(text="a cat on a mat", tokens_positive=-1), ["a cat on a mat"]),
        (dict(text="a cat on a mat"), ["cat", "mat"]),
        (dict(text=("cat", ""), caption_prompt=dict(cat=dict(prefix="a "))), ["cat", ""]),
    ],
)
@pytest.mark.parametrize("meta_keys", [("img_id",), ("img_id", "text", "flip")])
def test_prompt(image, results, names, meta_keys):
    """It is parsed here, once, whatever ``meta_keys`` a config of MMDetection lists."""
    pack = PackDetInputs(meta_keys=meta_keys)
    sample = pack({"img": image, "img_id": 3, **results})["data_samples"]
    assert sample.prompt.names == names
    assert ("a cat" in sample.prompt.caption) == (names != ["cat", "dog"])
    assert sample.to_dict() == {
        **{"img_id": 3, "gt_instances": {}, "ignored_instances": {}},
        **results,
    }


def test_what_metrics_read_is_kept(image):
    known = dict(phrases=["cat"], phrase_ids=[0], phrase_types=[["animals"]], phrase_boxes=[[]])
    known |= dict(dataset_mode="refcoco", img_shape=(5, 7), scale_factor=(1.0, 1.0))
    sample = PackDetInputs(meta_keys=())({"img": image, "other": 1, **known})["data_samples"]
    assert dict(sample.metainfo_items()) == known


def test_bad_prompts_name_the_image(image):
    with pytest.raises(PromptError, match=r"image 'a\.jpg': span"):
        PackDetInputs()(
            {"img": image, "img_path": "a.jpg", "text": "a", "tokens_positive": [[[0, 9]]]}
        )


TRAIN = [
    {"type": "LoadImageFromFile", "imdecode_backend": "pillow", "backend_args": None},
    {"type": "LoadAnnotations", "with_bbox": True},
    {"type": "GTBoxSubOne_GLIP"},
    {
        "type": "RandomChoiceResize",
        "scales": [(133, 48), (133, 80)],
        "keep_ratio": True,
        "resize_type": "FixScaleResize",
        "backend": "pillow",
    },
    {"type": "RandomFlip_GLIP", "prob": 0.5},
    {"type": "FilterAnnotations", "min_gt_bbox_wh": (1, 1)},
    {"type": "PackDetInputs"},
]
TEST = [
    {"type": "LoadImageFromFile", "imdecode_backend": "pillow", "backend_args": None},
    {"type": "FixScaleResize", "scale": (80, 133), "keep_ratio": True, "backend": "pillow"},
    {"type": "LoadAnnotations", "with_bbox": True},
    {"type": "PackDetInputs", "meta_keys": ("img_id", "img_shape", "scale_factor")},
]


def test_whole_train_pipeline(tmp_path):
    """The training pipeline of the configs: the box stays on the white pixels."""
    pixels = np.zeros((43, 64, 3), np.uint8)
    pixels[10:31, 20:41] = 255
    Image.fromarray(pixels).save(tmp_path / "a.png")
    steps = [TRANSFORMS.build(step) for step in TRAIN]
    for _ in range(10):
        results = {
            "img_path": str(tmp_path / "a.png"),
            "instances": [{"bbox": [20, 10, 41, 31], "bbox_label": 0, "ignore_flag": 0}],
        }
        for step in steps:
            results = step(results)
        rows, columns = np.nonzero(results["inputs"][0].numpy() > 127)
        box = results["data_samples"].gt_instances.bboxes[0].numpy()
        seen = [columns.min(), rows.min(), columns.max(), rows.max()]
        np.testing.assert_allclose(box, seen, atol=1.5)


def test_whole_test_pipeline(tmp_path):
    """Without annotations, and boxes of the original image if there are some."""
    Image.new("RGB", (64, 43)).save(tmp_path / "a.png")
    for instances in [{}, {"instances": [{"bbox": [1, 2, 3, 4], "bbox_label": 0}]}]:
        results = {"img_path": str(tmp_path / "a.png"), "img_id": 1, **instances}
        for step in TEST:
            results = TRANSFORMS.build(step)(results)
        assert results["inputs"].shape == (3, 80, 119)
        assert results["data_samples"].img_shape == (80, 119)
        expected = [[1, 2, 3, 4]] if instances else []
        assert results["data_samples"].gt_instances.bboxes.tolist() == expected
