"""Shards of a folder, merged, are the bytes of one run; a run belongs to one version."""

from __future__ import annotations

from pathlib import Path
from unittest import mock

import pytest

from glip.cli import label
from glip.labeling import folder as folder_module
from glip.utils.errors import LabelingMismatchError

NAMES = "red star . ring . blue circle ."


@pytest.fixture(scope="module")
def command(images):
    def run(out: Path, *more: str) -> None:
        options = ["--device", "cpu", "--num-workers", "0", "--batch-size", "2"]
        label.main([str(images), NAMES, "--out", str(out), *options, *more])

    return run


@pytest.fixture(scope="module")
def whole(command, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("whole")
    command(out, "--format", "coco", "voc")
    return out


def content(folder: Path) -> dict[str, bytes]:
    """Return the files of an output without those of its shards."""
    paths = (path for path in folder.rglob("*") if path.is_file() and "-of-" not in path.name)
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def test_shards(command, whole, tmp_path, capsys):
    for index in (2, 0):
        command(tmp_path, "--shard", f"{index}/3")
    assert not (tmp_path / "annotations.json").exists()
    with pytest.raises(LabelingMismatchError, match="shard 1/3 is not finished"):
        command(tmp_path, "--merge")
    command(tmp_path, "--shard", "1/3")
    assert "shard 1/3 is finished" in capsys.readouterr().out
    command(tmp_path, "--merge", "--format", "coco", "voc")
    assert content(tmp_path) == content(whole)


def test_a_launcher(command, whole, tmp_path, monkeypatch):
    for rank in range(2):
        for name, value in (("RANK", rank), ("WORLD_SIZE", 2), ("LOCAL_RANK", rank)):
            monkeypatch.setenv(name, str(value))
        command(tmp_path, "--launcher", "pytorch")
    command(tmp_path, "--merge", "--format", "coco", "voc")
    assert content(tmp_path) == content(whole)


def test_another_version(command, tmp_path):
    command(tmp_path)
    with (
        mock.patch.object(folder_module, "__version__", "9.9.9"),
        pytest.raises(LabelingMismatchError, match=r"version \(.* then, 9\.9\.9 now\)"),
    ):
        command(tmp_path)
