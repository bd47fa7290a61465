"""Image files by their extension."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from glip.utils.image_files import IMAGE_EXTENSIONS, is_image_file


@pytest.mark.parametrize("path", ["a.jpg", "b/a.JPEG", Path("a.b.webp"), "a.tiff"])
def test_image_files(path):
    assert is_image_file(path)


@pytest.mark.parametrize("path", ["a.json", "jpg", ".jpg", "a.jpg.part", Path("a.jpg/b"), ""])
def test_other_files(path):
    assert not is_image_file(path)


@pytest.mark.parametrize("extension", IMAGE_EXTENSIONS)
def test_pillow_reads_every_extension(extension):
    assert extension in Image.registered_extensions()
