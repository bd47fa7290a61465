"""Weights and vocabularies that no model can use, and files that announce what they do not have."""

import gc
import io
import json
import os
import weakref
import zipfile

import pytest
import torch

from glip.checkpoint import check_finite, find_state_dict, open_checkpoint, read_checkpoint
from glip.checkpoint.formats import convert
from glip.utils.errors import CheckpointError

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def refusal(checkpoint, path, **options):
    torch.save(checkpoint, path, **options)
    with pytest.raises(CheckpointError) as caught:
        open_checkpoint(path)
    assert len(str(caught.value)) < 1000
    assert str(path) in str(caught.value)
    return str(caught.value)


KINDS = {
    "int64": lambda x: x.long(),
    "bool": lambda x: x > 0,
    "complex64": lambda x: x.to(torch.complex64),
    "uint8": lambda x: x.to(torch.uint8),
    "float8_e4m3fn": lambda x: x.to(torch.float8_e4m3fn),
    "sparse": lambda x: x.to_sparse(),
    "a sparse tensor": lambda x: x.reshape(1, -1).to_sparse_csr(),
    "quantized": lambda x: torch.quantize_per_tensor(x, 1.0, 0, torch.qint8),
    "without data": lambda x: x.to("meta"),
    "nested": lambda x: torch.nested.nested_tensor([x]),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.filterwarnings("ignore")
def test_other_tensors(kind, tmp_path):
    state = {"rpn.head.bias0": KINDS[kind](torch.ones(1))}
    try:
        torch.save(state, tmp_path / "x.pth")
    except (RuntimeError, KeyError):
        pytest.skip("this version of torch cannot save it")
    assert kind in refusal({"model": state}, tmp_path / "x.pth")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("at", [0, 7, 9999])
def test_non_finite_weights(dtype, value, at):
    weights = {"a": torch.ones(3), "b": torch.full((100, 100), 3e4, dtype=dtype)}
    weights["b"].flatten()[at] = value
    with pytest.raises(CheckpointError, match=r"x\.pth: the weight b has 1 non-finite values"):
        check_finite(weights, "x.pth")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
def test_finite_weights(dtype):
    largest = torch.finfo(dtype).max
    odd = torch.tensor(
        [largest, -largest, 0.0, -0.0, largest, torch.finfo(dtype).tiny], dtype=dtype
    )
    whole = {"a": odd, "b": odd.reshape(2, 3).t(), "c": odd[:0], "d": odd[0], "e": odd[::2]}
    check_finite(whole, "x.pth")


def test_a_key_twice():
    tensors = {"rpn.head.a": torch.ones(1), "module.rpn.head.a": torch.zeros(1)}
    with pytest.raises(CheckpointError, match=r"holds both rpn.head.a and module.rpn.head.a"):
        find_state_dict(tensors)


@pytest.mark.parametrize(
    "key",
    [
        "bbox_head.tower.blocks.999999999.x",
        "bbox_head.tower.blocks.000000007.x",
        "bbox_head.tower.blocks." + "9" * 6000 + ".x",
        "bbox_head.tower." + "a." * 10**5,
    ],
)
def test_keys_of_no_model(key):
    result = convert({"bbox_head.tower.x": torch.ones(1), key: torch.ones(1)})
    assert key in result.unexpected


def test_a_long_key_is_shortened(tmp_path):
    assert len(refusal({"model": {"x" * 10**6: torch.ones(1)}}, tmp_path / "x.pth")) < 1000


@pytest.mark.parametrize("shape", [(), (3,), (3, 5), (0,)])
@pytest.mark.parametrize(
    "key", ["backbone.stages.0.downsample.norm.weight", "bbox_head.head.scales.0.scale"]
)
def test_shapes_that_cannot_be_converted(key, shape):
    convert({"bbox_head.head.x": torch.ones(1), key: torch.ones(shape)})


@pytest.mark.parametrize(
    ("words", "lower", "message"),
    [
        (["[UNK]"], True, "lacks .PAD., .CLS."),
        ([*SPECIAL, "a", "a"], True, "has the word 'a' 2 times"),
        ([*SPECIAL, "a\nb"], True, "with a line break"),
        ([*SPECIAL, "a\rb"], True, "with a line break"),
        ([*SPECIAL, "a "], True, "or a space"),
        ([*SPECIAL, 3], True, "not a list of texts"),
        ("abc", True, "not a list of texts"),
        (SPECIAL, "yes", "'do_lower_case' is not true or false"),
        ([*SPECIAL, "a", "b", "c"], True, "has 8 words, but the weight .* has only 7 rows"),
    ],
)
def test_vocabularies(words, lower, message, tmp_path):
    content = json.dumps({"vocab": words, "do_lower_case": lower}).encode()
    state = {
        "bbox_head.tower.x": torch.ones(1),
        "language_model.bert.embeddings.word_embeddings.weight": torch.ones(7, 2),
        "language_model._extra_state": torch.tensor(list(content), dtype=torch.uint8),
    }
    torch.save({"state_dict": state}, tmp_path / "x.pth")
    with pytest.raises(CheckpointError, match=message):
        open_checkpoint(tmp_path / "x.pth")


@pytest.mark.parametrize(
    "stored", [torch.ones(3), torch.ones(3).long(), torch.ones(3, 3).byte(), torch.tensor(1).byte()]
)
def test_vocabularies_of_other_types(stored, tmp_path):
    state = {"bbox_head.tower.x": torch.ones(1), "language_model._extra_state": stored}
    assert "the vocabulary is stored as" in refusal({"state_dict": state}, tmp_path / "x.pth")


# --- sizes ----------------------------------------------------------------------------------------


def rewrite(source, target, compression=zipfile.ZIP_STORED, **changes):
    """Copy a zip file record by record, with another compression or content."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", compression) as new:
        for entry in old.infolist():
            new.writestr(
                entry.filename, changes.get(entry.filename.split("/")[-1], old.read(entry))
            )


@pytest.fixture
def saved(tmp_path):
    torch.save({"a": torch.arange(1000.0)}, tmp_path / "a.pth")
    return tmp_path / "a.pth"


@pytest.mark.parametrize("mmap", [True, False])
def test_compressed_records(mmap, saved, tmp_path):
    rewrite(saved, tmp_path / "x.pth", zipfile.ZIP_DEFLATED)
    with pytest.raises(CheckpointError, match="is compressed"):
        read_checkpoint(tmp_path / "x.pth", mmap=mmap)


@pytest.mark.parametrize("mmap", [True, False])
def test_records_of_another_length(mmap, saved, tmp_path):
    rewrite(saved, tmp_path / "x.pth", **{"0": bytes(100)})
    with pytest.raises(CheckpointError, match="has 100 bytes, expected 4000"):
        read_checkpoint(tmp_path / "x.pth", mmap=mmap)


@pytest.mark.parametrize("mmap", [True, False])
def test_other_zip_programs(mmap, saved, tmp_path):
    rewrite(saved, tmp_path / "x.pth")  # records are not aligned
    assert torch.equal(read_checkpoint(tmp_path / "x.pth", mmap=mmap)["a"], torch.arange(1000.0))


@pytest.mark.parametrize("options", [dict(mmap=False), dict(verify=True)])
def test_a_changed_bit(options, saved):
    content = bytearray(saved.read_bytes())
    content[content.index(torch.arange(1000.0).numpy().tobytes()) + 2000] ^= 1
    saved.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"checksum of the record .* is wrong"):
        read_checkpoint(saved, **options)


@pytest.mark.skipif(not hasattr(torch.serialization, "set_crc32_options"), reason="torch < 2.6")
def test_files_without_checksums(tmp_path):
    torch.serialization.set_crc32_options(False)
    try:
        torch.save({"a": torch.arange(9)}, tmp_path / "x.pth")
    finally:
        torch.serialization.set_crc32_options(True)
    assert torch.equal(read_checkpoint(tmp_path / "x.pth", mmap=False)["a"], torch.arange(9))


@pytest.mark.parametrize("zipped", [True, False])
def test_overlapping_tensors(zipped, tmp_path):
    options = dict(_use_new_zipfile_serialization=zipped)
    torch.save({"a": torch.ones(1).expand(10**10)}, tmp_path / "x.pth", **options)
    with pytest.raises(CheckpointError, match="much larger than the file"):
        read_checkpoint(tmp_path / "x.pth")
    torch.save({"a": torch.ones(1).expand(5, 7)}, tmp_path / "x.pth", **options)
    assert torch.equal(read_checkpoint(tmp_path / "x.pth")["a"], torch.ones(5, 7))


@pytest.mark.parametrize("extension", [".pth", ".safetensors"])
@pytest.mark.parametrize("kind", ["device", "pipe"])
def test_regular_files_only(kind, extension, tmp_path):
    target = "/dev/zero"
    if kind == "pipe":
        os.mkfifo(target := tmp_path / "pipe")
    link = tmp_path / f"x{extension}"
    link.symlink_to(target)
    with pytest.raises(CheckpointError, match="not a regular file"):
        read_checkpoint(link)


def test_a_zip_of_something_else(tmp_path):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        file.writestr("a/b.txt", "x")
    (tmp_path / "x.pth").write_bytes(content.getvalue())
    with pytest.raises(CheckpointError, match=r"without data\.pkl"):
        read_checkpoint(tmp_path / "x.pth")


def test_tensors_are_freed(saved):
    tensor = read_checkpoint(saved, mmap=False)["a"]
    reference = weakref.ref(tensor)
    gc.disable()
    try:
        del tensor
        assert reference() is None
    finally:
        gc.enable()
