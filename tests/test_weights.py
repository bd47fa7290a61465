"""Names, URLs and files of weights."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from glip.config import demo_file
from glip.utils.errors import CheckpointError
from glip.weights import (
    download_url,
    find_published,
    find_weights_file,
    is_weights_name,
    published_weights,
    weights_folder,
)


def test_names():
    names = [each.name for each in published_weights()]
    assert names[:5] == ["glip_tiny_a", "glip_tiny_b", "glip_tiny_c", "glip_tiny", "glip_l"]
    assert all(len(each.hash) == 8 for each in published_weights())
    published = find_published("glip_tiny_a")
    assert published.config == "glip_atss_swin-t_a_fpn_dyhead_pretrain_obj365"
    assert find_published("glip_a_tiny_o365.pth") == published
    assert download_url("glip_tiny_a") == published.url
    assert is_weights_name("glip_nano_shapes")
    for other in ("glip_tiny_a.pth", "x/glip_tiny_a", "nothing", None, Path("glip_tiny_a")):
        assert not is_weights_name(other)


def test_a_file_comes_before_a_name(tmp_path, monkeypatch):
    assert find_weights_file("glip_nano_shapes") == demo_file("glip_nano_shapes.safetensors")
    monkeypatch.chdir(tmp_path)
    Path("glip_nano_shapes").touch()
    assert find_weights_file("glip_nano_shapes") == Path("glip_nano_shapes")


def test_unknown(tmp_path):
    with pytest.raises(CheckpointError, match="did you mean 'glip_tiny_a'"):
        find_weights_file("glip_tiny_aa")
    with pytest.raises(CheckpointError, match="is a folder"):
        find_weights_file(tmp_path)


def test_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("GLIP_HOME", str(tmp_path))
    assert weights_folder() == tmp_path


@pytest.mark.parametrize("variable", ["TORCH_HOME", "XDG_CACHE_HOME", None])
def test_the_default_folder_is_that_of_torch(variable, tmp_path, monkeypatch):
    for name in ("GLIP_HOME", "TORCH_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    if variable:
        monkeypatch.setenv(variable, str(tmp_path))
    expected = Path(torch.hub.get_dir()) / "checkpoints"
    assert weights_folder() == expected
    monkeypatch.delitem(sys.modules, "torch")
    assert weights_folder() == expected  # without importing torch
    assert "torch" not in sys.modules
