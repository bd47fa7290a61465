"""Where the tokenizer comes from, and how a checkpoint carries it."""

import json
import shutil
from pathlib import Path

import pytest

from glip.text import load_tokenizer
from glip.text.tokenizer import tokenizer_from_bytes, tokenizer_to_bytes
from glip.utils.errors import TokenizerNotFoundError

TEXT = "A Café, naïve toothbrushes; 狗🐕 [MASK] İstanbul"


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    """The hub is not asked."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    for module in ("huggingface_hub.constants", "transformers.utils.hub"):
        monkeypatch.setattr(f"{module}.HF_HUB_OFFLINE", True, raising=False)
        monkeypatch.setattr(f"{module}._is_offline_mode", True, raising=False)


@pytest.fixture
def write(tmp_path):
    """Write a folder of files."""

    def write(**files):
        for name, content in files.items():
            (tmp_path / name.replace("__", ".")).write_bytes(content)
        return str(tmp_path)

    return write


def test_from_a_folder(tokenizer):
    assert tokenizer.is_fast
    assert len(tokenizer) == 30522
    assert tokenizer.tokenize("Hair-Drier") == ["hair", "-", "dr", "##ier"]


def test_a_vocabulary_alone_is_enough(tokenizer, vocabulary, tmp_path):
    shutil.copy(Path(vocabulary, "vocab.txt"), tmp_path)
    alone = load_tokenizer(str(tmp_path))
    assert alone.get_vocab() == tokenizer.get_vocab()
    assert alone(TEXT)["input_ids"] == tokenizer(TEXT)["input_ids"]


@pytest.mark.parametrize("name", ["nowhere/at-all", "/nowhere/at/all", "x" * 300])
def test_nowhere(name):
    with pytest.raises(TokenizerNotFoundError) as caught:
        load_tokenizer(name)
    message = str(caught.value)
    assert f"the folder {Path(name).absolute()} with the model's vocab.txt" in message
    assert f"AutoTokenizer.from_pretrained('{name}')" in message
    assert "convert_glip.py" in message


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"config__json": b'{"model_type": "bert"}'},  # transformers 5 would know no word
        {"tokenizer_config__json": b'{"tokenizer_class": "BertTokenizer"}'},
        {"vocab__txt": b"[PAD]\n[UNK]\n", "tokenizer_config__json": b"{damaged"},
        {"vocab__txt": b"", "config__json": b'{"model_type": "bert"}'},
        {"vocab__txt": b"\xff\xfe\x00", "config__json": b'{"model_type": "bert"}'},
    ],
)
def test_a_folder_without_a_vocabulary(files, write):
    with pytest.raises(TokenizerNotFoundError, match=r"vocab\.txt"):
        load_tokenizer(write(**files))


def test_a_slow_tokenizer_is_refused(monkeypatch, tokenizer):
    class Slow:
        is_fast = False
        all_special_tokens = ("[UNK]",)

        def __len__(self):
            return 30522

    monkeypatch.setattr("transformers.AutoTokenizer.from_pretrained", lambda *_, **__: Slow())
    with pytest.raises(TokenizerNotFoundError, match="not a fast one"):
        load_tokenizer("slow")


def test_bytes_round_trip(tokenizer):
    data = tokenizer_to_bytes(tokenizer)
    restored = tokenizer_from_bytes(data)
    assert restored.is_fast
    assert restored.get_vocab() == tokenizer.get_vocab()
    assert restored.all_special_ids == tokenizer.all_special_ids
    theirs = tokenizer(TEXT, return_offsets_mapping=True)
    assert dict(restored(TEXT, return_offsets_mapping=True)) == dict(theirs)
    assert tokenizer_to_bytes(restored) == data


def test_a_cased_tokenizer_stays_cased(write):
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "Dog", "dog", "café"]
    folder = write(
        vocab__txt="\n".join(words).encode(),
        tokenizer_config__json=b'{"tokenizer_class": "BertTokenizer", "do_lower_case": false}',
    )
    restored = tokenizer_from_bytes(tokenizer_to_bytes(load_tokenizer(folder)))
    assert restored.tokenize("Dog dog café DOG") == ["Dog", "dog", "café", "[UNK]"]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b"3",
        b'{"vocab": ["[UNK]", "a"]}',
        b'{"vocab": [], "do_lower_case": true}',
        b'{"vocab": ["a", "b"], "do_lower_case": true}',
        b'{"vocab": ["[UNK]", 3], "do_lower_case": true}',
        b'{"vocab": 3, "do_lower_case": true}',
    ],
)
def test_damaged_bytes(data):
    with pytest.raises(ValueError, match="expected the checkpoint's vocabulary as JSON"):
        tokenizer_from_bytes(data)


def test_bytes_are_readable_json(tokenizer):
    record = json.loads(tokenizer_to_bytes(tokenizer))
    assert record["do_lower_case"] is True
    assert [record["vocab"].index(word) for word in ("[PAD]", "[CLS]", "bench")] == [0, 101, 6847]
