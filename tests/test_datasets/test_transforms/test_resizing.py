"""The size rule, the pixels and the boxes of resized images."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mmengine.registry import TRANSFORMS as MMENGINE_TRANSFORMS
from mmengine.registry import DefaultScope, Registry
from PIL import Image

from glip.datasets.images import read_image
from glip.datasets.transforms import FixScaleResize, RandomChoiceResize, Resize, official_size
from glip.registry import TRANSFORMS
from glip.utils.errors import ConfigError

GOLDEN = Path(__file__).resolve().parents[3].parent / "shared" / "golden"
MEAN = np.array([103.53, 116.28, 123.675], dtype=np.float32)
STD = np.array([57.375, 57.12, 58.395], dtype=np.float32)

sides = st.integers(1, 6000)


def image_of(width, height, dtype=np.uint8):
    return np.random.default_rng(0).integers(0, 256, (height, width, 3)).astype(dtype)


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((640, 427), (1199, 800)),  # 1199.06: the long side is truncated
        ((427, 640), (800, 1199)),
        ((640, 480), (1066, 800)),  # 1066.67, not 1067
        ((500, 333), (1201, 800)),
        ((800, 800), (800, 800)),
        ((1, 1), (800, 800)),
        ((1333, 800), (1333, 800)),
        ((2000, 1000), (1332, 666)),  # long side limits: 666.5 is rounded to even, then doubled
        ((1000, 2000), (666, 1332)),
        ((1000, 300), (1333, 400)),  # 399.9 rounds up, and the long side follows it to 1333.3
        ((1000, 301), (1332, 401)),
        ((3000, 1001), (1333, 445)),
        ((5000, 2), (2500, 1)),  # 0.53 rounds to 1, and the long side passes the limit
        ((5000, 1), (1333, 1)),  # 0.27 rounds to 0: kept at one pixel
        ((1, 5000), (1, 1333)),
    ],
)
def test_official_size(size, expected):
    assert official_size(*size, short=800, long=1333) == expected


@given(sides, sides, st.integers(1, 1500), st.integers(0, 1500))
def test_official_size_in_exact_arithmetic(width, height, short, extra):
    long = short + extra
    low, high = sorted((width, height))
    new_low = short
    if Fraction(high * short, low) > long:
        new_low = round(Fraction(long * low, high))  # ties to even, as Python's round of a float
    new_high = new_low * high // low
    if new_low == 0:
        new_low, new_high = 1, long
    expected = (new_low, new_high) if width <= height else (new_high, new_low)
    assert official_size(width, height, short, long) == expected


@given(sides, sides)
def test_official_size_of_a_rotated_image(width, height):
    assert official_size(height, width, 800, 1333) == official_size(width, height, 800, 1333)[::-1]


@given(sides, sides)
def test_official_size_is_never_empty(width, height):
    assert min(official_size(width, height, 800, 1333)) >= 1


@pytest.mark.parametrize("scale", [(800, 1333), (1333, 800), [800, 1333]])
def test_fix_scale_resize(scale):
    results = {"img": image_of(640, 427), "img_shape": (427, 640), "ori_shape": (427, 640)}
    results = FixScaleResize(scale=scale)(results)
    assert results["img"].shape == (800, 1199, 3)
    assert results["img"].dtype == np.uint8
    assert results["img_shape"] == (800, 1199)
    assert results["ori_shape"] == (427, 640)
    assert results["scale_factor"] == (1199 / 640, 800 / 427)
    assert all(isinstance(factor, float) for factor in results["scale_factor"])
    assert "gt_bboxes" not in results


def test_pixels_are_those_of_pillow():
    """Resizing BGR is resizing RGB; when shrinking, bilinear is antialiased."""
    image = image_of(90, 60)
    results = FixScaleResize(scale=(20, 40))({"img": image})
    rgb = Image.fromarray(np.ascontiguousarray(image[:, :, ::-1]))
    expected = np.asarray(rgb.resize((30, 20), Image.Resampling.BILINEAR))
    np.testing.assert_array_equal(results["img"], expected[:, :, ::-1])


@pytest.mark.parametrize("resize", [FixScaleResize, Resize])
@pytest.mark.parametrize("backend", ["pillow", "cv2"])
def test_without_keeping_the_ratio(resize, backend):
    results = resize(scale=(30, 50), keep_ratio=False, backend=backend)({"img": image_of(60, 60)})
    assert results["img"].shape == (50, 30, 3)
    assert results["scale_factor"] == (30 / 60, 50 / 60)


@pytest.mark.parametrize("resize", [FixScaleResize, Resize])
@pytest.mark.parametrize("backend", ["pillow", "cv2"])
@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1)])
def test_extreme_images(resize, backend, size):
    transform = resize(scale=(80, 133), keep_ratio=True, backend=backend)
    results = transform({"img": image_of(*size)})
    assert results["img"].shape == (*results["img_shape"], 3)
    assert min(results["img_shape"]) >= 1
    assert max(results["img_shape"]) <= 133


def test_resize_by_the_rule_of_mmcv():
    results = Resize(scale=(1333, 800), keep_ratio=True)({"img": image_of(640, 480)})
    assert results["img_shape"] == (800, 1067)  # rounded, not truncated
    results = Resize(scale_factor=0.5)({"img": image_of(640, 480)})
    assert results["img_shape"] == (240, 320)


def test_float_images():
    image = image_of(64, 48, np.float32)
    assert Resize(scale=(20, 20))({"img": image})["img"].dtype == np.float32
    with pytest.raises(TypeError, match="to_float32=False"):
        FixScaleResize(scale=(20, 20))({"img": image})


@pytest.mark.parametrize("resize", [FixScaleResize, Resize])
@settings(deadline=None)
@given(size=st.tuples(st.integers(1, 60), st.integers(1, 60)), data=st.data())
def test_boxes_follow(resize, size, data):
    width, height = size
    x1, x2 = sorted(data.draw(st.tuples(st.floats(0, width), st.floats(0, width))))
    y1, y2 = sorted(data.draw(st.tuples(st.floats(0, height), st.floats(0, height))))
    boxes = np.array([[x1, y1, x2, y2]], dtype=np.float32)
    results = resize(scale=(80, 133), keep_ratio=True)(
        {"img": image_of(width, height), "gt_bboxes": boxes}
    )
    new_height, new_width = results["img_shape"]
    relative = boxes / np.array([width, height, width, height])
    expected = relative * [new_width, new_height, new_width, new_height]
    assert results["gt_bboxes"].dtype == np.float32
    np.testing.assert_allclose(results["gt_bboxes"], expected, rtol=1e-5, atol=1e-4)


def test_boxes_are_clipped_if_wanted():
    boxes = np.array([[-5, -5, 50, 50]], dtype=np.float32)
    for clip, expected in [(True, [0, 0, 80, 80]), (False, [-10, -10, 100, 100])]:
        resize = FixScaleResize(scale=(80, 80), clip_object_border=clip)
        results = resize({"img": image_of(40, 40), "gt_bboxes": boxes})
        np.testing.assert_allclose(results["gt_bboxes"], [expected])
    np.testing.assert_array_equal(boxes, [[-5, -5, 50, 50]])  # the input is left alone


def test_no_boxes():
    results = FixScaleResize(scale=(8, 8))(
        {"img": image_of(4, 4), "gt_bboxes": np.zeros((0, 4), np.float32)}
    )
    assert results["gt_bboxes"].shape == (0, 4)


@pytest.mark.parametrize("scale", [(1, 2, 3), [5]])
def test_bad_scale(scale):
    with pytest.raises(ValueError, match=r"one number or \(width, height\)"):
        FixScaleResize(scale=scale)


@pytest.mark.parametrize(
    "step",
    [
        dict(type="Resize", scale=(100_000, 100_000)),
        dict(type="Resize", scale=20_000),
        dict(type="Resize", scale=(10**9, 1)),
        dict(type="FixScaleResize", scale=(100_000, 100_000)),
        dict(type="FixScaleResize", scale=(10**12, 10**12)),
        dict(type="FixScaleResize", scale=(1, 10**9), keep_ratio=False),
        dict(type="RandomChoiceResize", scales=[(1333, 800), (100_000, 100_000)]),
        dict(type="RandomChoiceResize", scales=[(1333, 800), 10**6], resize_type="FixScaleResize"),
    ],
)
def test_a_scale_that_would_fill_the_memory(step):
    with pytest.raises(ConfigError, match="expected a scale of at most 178,956,970 pixels"):
        TRANSFORMS.build(step)


@pytest.mark.parametrize("factor", [1e4, (10**6, 1), 1e9])
def test_a_factor_that_would_fill_the_memory(factor):
    with pytest.raises(ConfigError, match="expected a scale of at most 178,956,970 pixels"):
        Resize(scale_factor=factor)({"img": image_of(400, 400)})


MULTI_SCALE = {
    "type": "RandomChoiceResize",
    "scales": [(133, 48), (133, 56), [133, 80]],
    "keep_ratio": True,
    "resize_type": "FixScaleResize",
    "backend": "pillow",
}


# Another project, with a transform of the same name.
SIBLING = Registry("transform", parent=MMENGINE_TRANSFORMS, scope="glip_sibling_of_test")
SIBLING.register_module(name="FixScaleResize", module=Resize)


@pytest.mark.parametrize("scope", [None, "glip", "mmengine", "glip_sibling_of_test"])
def test_random_choice_resize(scope):
    """Ours is found whatever the default scope, also where another project has that name."""
    with DefaultScope.overwrite_default_scope(scope):
        transform = TRANSFORMS.build({**MULTI_SCALE, "type": "glip.RandomChoiceResize"})
    assert type(transform) is RandomChoiceResize
    assert type(transform.resize) is FixScaleResize
    seen = set()
    for _ in range(50):
        results = transform({"img": image_of(64, 43)})
        short = (48, 56, 80)[results["scale_idx"]]
        assert results["img_shape"] == (short, short * 64 // 43)
        seen.add(short)
    assert seen == {48, 56, 80}


def test_random_choice_resize_in_scope_glip():
    with DefaultScope.overwrite_default_scope("glip"):
        assert type(TRANSFORMS.build(MULTI_SCALE).resize) is FixScaleResize
        plain = TRANSFORMS.build({"type": "RandomChoiceResize", "scales": [20]})
    assert type(plain.resize) is Resize
    assert plain({"img": image_of(9, 5)})["img_shape"] == (20, 20)


@pytest.mark.skipif(
    not GOLDEN.is_dir(), reason="the stored outputs of the official code are absent"
)
def test_input_of_the_official_code():
    """Decoding, resizing and normalising give the official network input."""
    stored = np.load(GOLDEN / "A_china_short.npz")
    results = FixScaleResize(scale=(800, 1333))({"img": read_image(GOLDEN / "img_china.png")})
    height, width = results["img_shape"]
    batch = np.zeros((1, 3, -(-height // 32) * 32, -(-width // 32) * 32), dtype=np.float32)
    normalised = (results["img"].astype(np.float32) - MEAN) / STD
    batch[0, :, :height, :width] = normalised.transpose(2, 0, 1)
    assert batch.shape == tuple(stored["input__shape"])
    ours = batch.ravel()[stored["input__idx"]]
    np.testing.assert_allclose(ours, stored["input__val"], rtol=0, atol=1e-5)
