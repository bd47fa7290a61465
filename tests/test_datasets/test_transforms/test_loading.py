"""Loading images and annotations into the results."""

import numpy as np
import pytest
from PIL import Image

from glip.datasets.transforms import LoadAnnotations, LoadImageFromFile, LoadImageFromNDArray
from glip.registry import TRANSFORMS
from glip.utils.errors import ImageReadError


@pytest.fixture
def rgb():
    return np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)


@pytest.fixture
def path(tmp_path, rgb):
    Image.fromarray(rgb).save(tmp_path / "a.png")
    return str(tmp_path / "a.png")


@pytest.mark.parametrize("backend", ["pillow", "cv2"])
@pytest.mark.parametrize("to_float32", [False, True])
def test_file(path, rgb, backend, to_float32):
    load = LoadImageFromFile(to_float32=to_float32, imdecode_backend=backend)
    results = load({"img_path": path, "img_id": 3})
    assert results["img_id"] == 3
    assert results["img_shape"] == results["ori_shape"] == (5, 7)
    assert results["img"].dtype == (np.float32 if to_float32 else np.uint8)
    np.testing.assert_array_equal(results["img"], rgb[:, :, ::-1])


def test_pillow_is_the_default(tmp_path):
    """Transparent 16-bit and palette files go by our rules, not by mmcv's."""
    assert LoadImageFromFile().imdecode_backend == "pillow"
    Image.fromarray(np.full((2, 3), 25700, np.uint16)).save(tmp_path / "gray16.png")
    results = LoadImageFromFile()({"img_path": tmp_path / "gray16.png"})
    assert (results["img"] == 100).all()


def test_config_of_mmdet(path):
    load = TRANSFORMS.build(
        {"type": "LoadImageFromFile", "imdecode_backend": "pillow", "backend_args": None}
    )
    assert isinstance(load, LoadImageFromFile)
    assert load({"img_path": path})["img_shape"] == (5, 7)
    assert "pillow" in repr(load)


def test_backend_args_reach_the_file_backend(path):
    load = LoadImageFromFile(backend_args={"backend": "local"})
    assert load({"img_path": path})["img_shape"] == (5, 7)
    with pytest.raises(ImageReadError, match="KeyError"):
        LoadImageFromFile(backend_args={"backend": "no such"})({"img_path": path})


@pytest.mark.parametrize("backend", ["pillow", "cv2"])
@pytest.mark.parametrize("content", [None, b"", b"not an image"])
def test_unreadable_files(tmp_path, backend, content):
    path = tmp_path / "bad.jpg"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ImageReadError, match=r"bad\.jpg"):
        LoadImageFromFile(imdecode_backend=backend)({"img_path": path})
    lenient = LoadImageFromFile(imdecode_backend=backend, ignore_empty=True)
    assert lenient({"img_path": path}) is None


def test_array(rgb):
    results = LoadImageFromNDArray()({"img": rgb})
    assert results["img"] is rgb or np.shares_memory(results["img"], rgb)
    assert results["img_shape"] == results["ori_shape"] == (5, 7)
    assert results["img_path"] is None


def test_array_keeps_its_path_and_becomes_float(rgb):
    results = LoadImageFromNDArray(to_float32=True)({"img": rgb[:, :, 0], "img_path": "frame 3"})
    assert results["img_path"] == "frame 3"
    assert results["img"].dtype == np.float32
    assert results["img"].shape == (5, 7, 3)


def test_array_stands_in_for_file(rgb):
    """Replacing only the type in a config must do."""
    config = {"type": "LoadImageFromFile", "imdecode_backend": "pillow", "backend_args": None}
    load = TRANSFORMS.build({**config, "type": "LoadImageFromNDArray"})
    assert load({"img": rgb})["img_shape"] == (5, 7)


def test_bad_array():
    bad = np.full((2, 2), 0.5)
    with pytest.raises(ImageReadError, match="multiply it by 255"):
        LoadImageFromNDArray()({"img": bad})
    assert LoadImageFromNDArray(ignore_empty=True)({"img": bad}) is None


def test_annotations():
    instances = [
        {"bbox": [1, 2, 3.5, 4], "bbox_label": 7, "ignore_flag": 0},
        {"bbox": (0, 0, 9, 9), "bbox_label": 0, "ignore_flag": 1},
        {"bbox": np.array([5, 6, 7, 8]), "bbox_label": np.int64(2)},
    ]
    results = LoadAnnotations(with_bbox=True)({"instances": instances})
    expected = [[1, 2, 3.5, 4], [0, 0, 9, 9], [5, 6, 7, 8]]
    np.testing.assert_array_equal(results["gt_bboxes"], np.array(expected, np.float32))
    np.testing.assert_array_equal(results["gt_bboxes_labels"], [7, 0, 2])
    np.testing.assert_array_equal(results["gt_ignore_flags"], [False, True, False])
    assert results["gt_bboxes"].dtype == np.float32
    assert results["gt_bboxes_labels"].dtype == np.int64
    assert results["gt_ignore_flags"].dtype == bool


@pytest.mark.parametrize("results", [{}, {"instances": []}, {"instances": None}])
def test_no_annotations(results):
    results = LoadAnnotations()(results)
    assert results["gt_bboxes"].shape == (0, 4)
    assert results["gt_bboxes"].dtype == np.float32
    assert results["gt_bboxes_labels"].shape == (0,)
    assert results["gt_bboxes_labels"].dtype == np.int64
    assert results["gt_ignore_flags"].shape == (0,)
    assert results["gt_ignore_flags"].dtype == bool


def test_parts_of_the_annotations():
    instances = [{"bbox": [1, 2, 3, 4], "bbox_label": 7}]
    assert set(LoadAnnotations(with_label=False)({"instances": instances})) == {
        "instances",
        "gt_bboxes",
        "gt_ignore_flags",
    }
    assert set(LoadAnnotations(with_bbox=False)({"instances": instances})) == {
        "instances",
        "gt_bboxes_labels",
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"with_mask": True}, "only boxes and labels"),
        ({"with_seg": True}, "only boxes and labels"),
        ({"box_type": "qbox"}, "'hbox'"),
    ],
)
def test_what_annotations_refuse(arguments, message):
    with pytest.raises(ValueError, match=message):
        LoadAnnotations(**arguments)


def test_boxes_of_the_wrong_length():
    with pytest.raises(ValueError, match="reshape"):
        LoadAnnotations()({"instances": [{"bbox": [1] * 8, "bbox_label": 0}]})


def test_representations():
    assert repr(LoadAnnotations()) == "LoadAnnotations(with_bbox=True, with_label=True)"
    assert LoadAnnotations(box_type="hbox").with_bbox
