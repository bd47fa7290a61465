"""Write checkpoints atomically, readable by others."""

import pytest
import torch

from glip.checkpoint import open_checkpoint, read_checkpoint, write_checkpoint
from glip.utils.errors import CheckpointError
from glip.version import __version__
from tests.test_checkpoint.conftest import same_tensors

#: The least vocabulary that a checkpoint can hold.
VOCABULARY = b'{"do_lower_case": true, "vocab": ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]}'


@pytest.mark.parametrize("name", ["x.pth", "x.safetensors", "new/folder/x.pth"])
def test_round_trip(name, ours, tmp_path):
    path = tmp_path / name
    write_checkpoint(path, ours, config="some_config", tokenizer=VOCABULARY)
    checkpoint = open_checkpoint(path)
    carried = checkpoint["state_dict"].pop("language_model._extra_state")
    assert bytes(carried.tolist()) == VOCABULARY
    same_tensors(checkpoint["state_dict"], ours)
    assert checkpoint["conversion"].source == "glip"
    assert checkpoint["meta"] == {
        "format": "glip",
        "glip_version": __version__,
        "config": "some_config",
    }
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_without_a_vocabulary(ours, tmp_path):
    old = {"language_model._extra_state": torch.ones(3, dtype=torch.uint8)}
    write_checkpoint(tmp_path / "x.pth", ours | old)
    same_tensors(read_checkpoint(tmp_path / "x.pth")["state_dict"], ours)


@pytest.mark.parametrize("name", ["x.pth", "x.safetensors"])
def test_mmdet_names(name, ours, mmdet, tmp_path):
    write_checkpoint(tmp_path / name, ours, naming="mmdet", tokenizer=VOCABULARY)
    written = read_checkpoint(tmp_path / name)
    same_tensors(written["state_dict"], mmdet)  # no key that MMDetection does not know
    assert written["meta"]["tokenizer"] == VOCABULARY.decode()
    opened = open_checkpoint(tmp_path / name)
    assert bytes(opened["state_dict"].pop("language_model._extra_state").tolist()) == VOCABULARY
    same_tensors(opened["state_dict"], ours)


@pytest.mark.parametrize(
    ("name", "dtype"),
    [("fp16", torch.float16), ("bf16", torch.bfloat16), ("fp32", torch.float32)],
)
def test_dtypes(name, dtype, ours, tmp_path):
    counted = ours | {"count": torch.tensor(3)}
    write_checkpoint(tmp_path / "x.safetensors", counted, dtype=name, tokenizer=VOCABULARY)
    written = read_checkpoint(tmp_path / "x.safetensors")["state_dict"]
    assert written.pop("language_model._extra_state").dtype == torch.uint8
    assert written.pop("count").dtype == torch.int64
    same_tensors(written, {key: value.to(dtype) for key, value in ours.items()})


def test_dtypes_are_kept_by_default(ours, tmp_path):
    mixed = {
        key: value.half() if index % 2 else value for index, (key, value) in enumerate(ours.items())
    }
    write_checkpoint(tmp_path / "x.pth", mixed)
    same_tensors(read_checkpoint(tmp_path / "x.pth")["state_dict"], mixed)


def test_tensors_that_are_views(ours, tmp_path):
    views = {key: value[None].expand(2, *value.shape)[1] for key, value in ours.items()}
    views["bbox_head.bbox_pred.weight"] = views["bbox_head.bbox_pred.weight"].transpose(0, 1)
    write_checkpoint(tmp_path / "x.safetensors", views)
    same_tensors(read_checkpoint(tmp_path / "x.safetensors")["state_dict"], views)


@pytest.mark.parametrize("name", ["x", "x.bin", "x.pth.tar", ".pth"])
def test_other_file_extensions(name, ours, tmp_path):
    with pytest.raises(CheckpointError, match=r"expected DST to end in \.pth or \.safetensors"):
        write_checkpoint(tmp_path / name, ours)
    assert list(tmp_path.iterdir()) == []


def test_other_dtypes(ours, tmp_path):
    with pytest.raises(CheckpointError, match=r"one of \['bf16', 'fp16', 'fp32'\], got 'int8'"):
        write_checkpoint(tmp_path / "x.pth", ours, dtype="int8")


@pytest.mark.parametrize("name", ["x.pth", "x.safetensors"])
@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_an_interrupted_write_leaves_the_old_file(name, error, ours, tmp_path, monkeypatch):
    def break_off(tensors, path, *_):
        path.write_bytes(b"half of it")
        raise error("no space left on device")

    path = tmp_path / name
    path.write_bytes(b"the old one")
    monkeypatch.setattr("torch.save", break_off)
    monkeypatch.setattr("safetensors.torch.save_file", break_off)
    with pytest.raises(CheckpointError if error is OSError else error, match="no space left"):
        write_checkpoint(path, ours)
    assert path.read_bytes() == b"the old one"
    assert [entry.name for entry in tmp_path.iterdir()] == [name]


def test_a_file_can_overwrite_itself(ours, tmp_path):
    path = tmp_path / "x.pth"
    write_checkpoint(path, ours)
    opened = open_checkpoint(path)  # its tensors are still on disk
    write_checkpoint(path, opened["state_dict"], dtype="fp16")
    written = read_checkpoint(path)["state_dict"]
    same_tensors(written, {key: value.half() for key, value in ours.items()})


@pytest.mark.parametrize("name", ["file/x.pth", "file/x.safetensors", "folder.pth"])
def test_unwritable_paths(name, ours, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "folder.pth").mkdir()
    with pytest.raises(CheckpointError, match=f"{name} cannot be written"):
        write_checkpoint(tmp_path / name, ours)
    assert {entry.name for entry in tmp_path.iterdir()} == {"file", "folder.pth"}
