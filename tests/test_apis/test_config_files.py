"""Files that cannot be read as a config: one sentence, without running what is no config."""

from __future__ import annotations

import os

import pytest

from glip.apis import load_config
from glip.utils.errors import ConfigError

#: The content of files by name, of which ``a.py`` is read, and a part of the message.
FILES = {
    "inherits from itself": ({"a.py": "_base_ = './a.py'"}, "inherits from it as well"),
    "circle": (
        {"a.py": "_base_ = './b.py'", "b.py": "_base_ = ['./c.py']", "c.py": "_base_ = './a.py'"},
        "inherits from it as well",
    ),
    "base is a number": ({"a.py": "_base_ = 5"}, "its _base_ has 5, which is no path"),
    "base in a list": ({"a.py": "_base_ = [None]"}, "its _base_ has None"),
    "base is missing": ({"a.py": "_base_ = './b.py'"}, "b.py"),
    "base is YAML": ({"a.py": "_base_ = './b.yml'", "b.yml": "a: 1"}, "could run code unseen"),
    "bases have one entry": (
        {"a.py": "_base_ = ['./b.py', './c.py']", "b.py": "x = 1", "c.py": "x = 2"},
        "several of its bases have the entry 'x': keep one",
    ),
    "ends the program": ({"a.py": "import sys\nsys.exit(3)"}, "SystemExit: 3"),
    "stops": ({"a.py": "raise SystemExit"}, "SystemExit"),
    "binary": ({"a.py": b"\xff\xfe\x00"}, "it is not a text in UTF-8"),
    "UTF-16": ({"a.py": "a = 1".encode("utf-16")}, "it is not a text in UTF-8"),
    "module is missing": ({"a.py": "custom_imports = dict(imports=['nowhere'])"}, "nowhere"),
    "module is a number": ({"a.py": "custom_imports = dict(imports=[5])"}, "5"),
}


@pytest.mark.parametrize("name", FILES)
def test_file_that_is_no_config(tmp_path, name):
    files, part = FILES[name]
    for file, content in files.items():
        content = content if isinstance(content, bytes) else content.encode()
        (tmp_path / file).write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load_config(tmp_path / "a.py")
    message = str(caught.value)
    assert "cannot be read as a config" in message
    assert part in message
    assert len(message) < 500 + len(str(tmp_path))
    assert "\n" not in message


def test_two_paths_to_one_base(tmp_path):
    """A config that several bases inherit from is no circle."""
    (tmp_path / "a.py").write_text("_base_ = './b.py'\nx = 1")
    (tmp_path / "b.py").write_text("_base_ = './c.py'\ny = 1")
    (tmp_path / "c.py").write_text("z = 1")
    os.symlink(tmp_path / "a.py", tmp_path / "link.py")
    assert load_config(tmp_path / "link.py").z == 1
