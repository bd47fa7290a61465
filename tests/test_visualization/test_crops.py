"""Crops: which pixels, which files, and what no run overwrites."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from glip.utils.file_names import is_safe_name
from glip.visualization.crops import CropFolder, clip, phrase_folder


@pytest.fixture
def image():
    """Smooth, so that JPEG loses little: red grows to the right, green downwards."""
    y, x = np.mgrid[:60, :80]
    return np.stack([x * 3, y * 4, np.full_like(x, 90)], axis=2).astype(np.uint8)


def save(path, image, boxes, phrases, name="a"):
    return CropFolder(path).save(
        name,
        boxes,
        phrases,
        range(len(boxes)),
        image.shape[:2],
        lambda at: image[at[1] : at[3], at[0] : at[2]],
    )


def pixels(path):
    return np.array(Image.open(path)).astype(int)


def test_pixels_and_files(tmp_path, image):
    boxes = [(10.2, 5, 29.5, 25), (-50, 40, 7, 900.0)]
    saved = save(tmp_path, image, boxes, ["red star", "cat"])
    assert saved.files == [tmp_path / "red star" / "a_0.jpg", tmp_path / "cat" / "a_1.jpg"]
    assert np.abs(pixels(saved.files[0]) - image[5:25, 10:30]).max() < 12
    assert pixels(saved.files[1]).shape == (20, 7, 3)


@pytest.mark.parametrize(
    "box", [(90, 0, 99, 9), (0, -9, 9, 0), (5, 5, 5, 9), (9, 9, 5, 5), (np.nan, 0, 9, 9)]
)
def test_a_box_without_a_pixel_is_counted(tmp_path, image, box):
    saved = save(tmp_path, image, [(0, 0, 9, 9), box], ["cat", "cat"])
    assert (len(saved.files), saved.num_empty) == (1, 1)


@given(st.lists(st.floats(), min_size=4, max_size=4), st.integers(1, 50), st.integers(1, 50))
def test_a_crop_is_in_the_image(box, height, width):
    rect = clip(box, (height, width))
    if rect is not None:
        assert 0 <= rect[0] < rect[2] <= width
        assert 0 <= rect[1] < rect[3] <= height


def test_a_crop_that_no_jpeg_holds(tmp_path):
    image = np.zeros((2, 70_000, 3), np.uint8)
    (file,) = save(tmp_path, image, [(0, 0, 70_000, 2)], ["road"]).files
    assert file.name == "a_0.png"
    assert pixels(file).shape == image.shape


@given(st.text(max_size=300))
def test_any_phrase_has_a_folder(phrase):
    assert is_safe_name(phrase_folder(phrase))


def test_different_phrases_have_different_folders():
    phrases = ["../cat", "..\\cat", "_cat", "con", "CON", "x" * 70, "x" * 71, "", "?", "*", "猫"]
    assert len({phrase_folder(phrase).casefold() for phrase in phrases}) == len(phrases)


def test_a_second_run_replaces_the_crops_of_its_images_only(tmp_path, image):
    boxes = [(0, 0, 9, 9)] * 3
    save(tmp_path, image, boxes, ["cat"] * 3, "a")
    save(tmp_path, image, boxes[:1], ["dog"], "a_1")
    save(tmp_path, image, boxes[:1], ["cat"], "folder/a")
    (tmp_path / "cat" / "notes_1.txt").write_text("mine")
    save(tmp_path, image, boxes[:1], ["bird"], "a")
    left = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.*"))
    assert left == ["bird/a_0.jpg", "cat/folder/a_0.jpg", "cat/notes_1.txt", "dog/a_1_0.jpg"]
