"""Images in tar archives, by their URLs."""

from __future__ import annotations

import pytest

from glip.datasets.images import read_bytes
from glip.datasets.tar_backend import member_url
from glip.utils.errors import ImageReadError


@pytest.mark.parametrize(
    "name", ["tar://a.tar/b.png", "tar://a.tar@1+x/b.png", "tar://none.tar@0+1/b.png"]
)
def test_invalid_urls(name):
    with pytest.raises(ImageReadError, match=r"b\.png"):
        read_bytes(name)


def test_a_truncated_archive(tmp_path):
    (tmp_path / "a.tar").write_bytes(b"1234")
    with pytest.raises(ImageReadError, match="truncated or was changed"):
        read_bytes(member_url(str(tmp_path / "a.tar"), 2, 3, "b.png"))
