"""Names from files before they become paths."""

import pytest

from glip.utils.file_names import is_safe_name, is_safe_path
from glip.utils.nesting import MAX_DEPTH, check_nesting
from glip.utils.regular_files import file_problem

BAD_NAMES = ["", ".", "..", "a/b", "a\\b", "/", "a\0", "C:", "c:x", "NUL", "con.txt", "COM1.jpg"]


@pytest.mark.parametrize(
    "name", [*BAD_NAMES, "x" * 256, "...", ". ", " .. ", "\u00e9" * 128, "aux ", "lpt9."]
)
def test_bad_names(name):
    assert not is_safe_name(name)


@pytest.mark.parametrize(
    "name", ["a.jpg", ".a", "...a", "console", "com", "a b", "x" * 255, "\u72d7"]
)
def test_good_names(name):
    assert is_safe_name(name)
    assert is_safe_path(f"./folder//{name}")


@pytest.mark.parametrize(
    "path", ["../a", "a/../b", "/a", "a/..", "./..", "a\\..\\b", "C:/a", "a/nul/b", ".", ""]
)
def test_bad_paths(path):
    assert not is_safe_path(path)


def test_nesting():
    value = []
    for _ in range(MAX_DEPTH - 1):
        value = [value]
    check_nesting(value, 1000)
    with pytest.raises(ValueError, match="nested"):
        check_nesting([value], 1000)
    shared = list(range(10))
    check_nesting([shared] * 10, 110)
    with pytest.raises(ValueError, match="many times"):
        check_nesting([shared] * 10, 109)
    own = {}
    own["a"] = (1, [own])
    with pytest.raises(ValueError, match="itself"):
        check_nesting(own, 1000)


def test_file_problems(tmp_path):
    (tmp_path / "a").write_text("a")
    (tmp_path / "link").symlink_to("/dev/zero")
    assert file_problem(tmp_path / "a") is None
    assert file_problem(tmp_path) == "is a folder"
    assert "not a regular file" in file_problem(tmp_path / "link")
    for name in ("none", "a/b", "x" * 300, "a\0"):
        assert file_problem(tmp_path / name) == "does not exist"
