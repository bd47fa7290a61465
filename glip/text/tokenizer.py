"""Load, store and restore the WordPiece tokenizer.

A checkpoint can carry its tokenizer (:func:`tokenizer_to_bytes`), so that nothing is downloaded.
"""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glip.config import demo_file
from glip.utils.errors import CheckpointError, TokenizerNotFoundError, shorten, summarize

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


#: Words that every caption needs, or that transformers would add behind the last word.
_SPECIAL_WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
#: Hub names of the tokenizer that ships with the library.
_SHIPPED = ("bert-base-uncased", "google-bert/bert-base-uncased")


def load_tokenizer(name: str) -> PreTrainedTokenizerBase:
    """Load a tokenizer from a local folder or the Hugging Face hub.

    That of ``bert-base-uncased`` ships with the library, so it needs neither network nor cache.

    Args:
        name: a folder with ``vocab.txt`` (or what ``AutoTokenizer`` reads), or a hub name.

    Raises:
        TokenizerNotFoundError: there is no such folder and the hub cannot provide it, or the folder
            has no vocabulary.
    """
    from transformers import AutoTokenizer

    if name in _SHIPPED and not Path(name).is_dir():
        name = str(demo_file("bert-base-uncased"))
    try:
        # A vocab.txt alone does not tell the kind of tokenizer.
        bare = Path(name, "vocab.txt").is_file() and not any(Path(name).glob("*.json"))
        kind = {"tokenizer_type": "bert"} if bare else {}
        tokenizer = AutoTokenizer.from_pretrained(name, use_fast=True, **kind)
    except Exception as error:  # transformers raises many kinds, bare Exception too
        raise TokenizerNotFoundError(_not_found(name)) from error
    # For a folder without a vocabulary transformers 5 returns a tokenizer without words.
    if len(tokenizer) <= len(tokenizer.all_special_tokens):
        raise TokenizerNotFoundError(_not_found(name))
    if not tokenizer.is_fast:
        raise TokenizerNotFoundError(
            f"the tokenizer of {name!r} is not a fast one, and only fast ones give the character "
            "spans of tokens; run `pip install -U tokenizers transformers`."
        )
    return tokenizer


def _not_found(name: str) -> str:
    return (
        f"no tokenizer: the checkpoint carries no vocabulary, and {name!r} is neither a local "
        "folder with a tokenizer nor reachable on the Hugging Face hub. Either create the "
        f"folder {Path(name).absolute()} with the model's vocab.txt and tokenizer_config.json "
        "(or set lang_model_name to a folder that holds them), or run once online: "
        f'python -c "from transformers import AutoTokenizer; '
        f"AutoTokenizer.from_pretrained('{name}')\". A checkpoint converted by "
        "tools/model_converters/convert_glip.py carries its vocabulary and needs neither."
    )


def tokenizer_to_bytes(tokenizer: PreTrainedTokenizerBase) -> bytes:
    """Serialize a WordPiece tokenizer as JSON: its words in order, and whether it is uncased."""
    vocabulary = tokenizer.get_vocab()
    words = sorted(vocabulary, key=vocabulary.__getitem__)
    lower = bool(getattr(tokenizer, "do_lower_case", True))
    return json.dumps({"do_lower_case": lower, "vocab": words}, ensure_ascii=False).encode()


def read_vocabulary(data: bytes) -> tuple[list[str], bool]:
    """Read the record of :func:`tokenizer_to_bytes`.

    Returns:
        The words in order, and whether they are lowercase.

    Raises:
        CheckpointError: it is not such a record, or a word would get another id than its place.
    """
    try:
        record = json.loads(data.decode())
        words, lower = record["vocab"], record["do_lower_case"]
        problem = _vocabulary_problem(words)
        if not isinstance(lower, bool):
            problem = "'do_lower_case' is not true or false"
    except (ValueError, LookupError, TypeError, RecursionError):
        problem = f"got {data[:40]!r}..."
    if problem:
        raise CheckpointError(
            "expected the checkpoint's vocabulary as JSON with 'vocab' and 'do_lower_case', but "
            f"{problem}. Convert the checkpoint again with convert_glip.py."
        )
    return words, lower


def _vocabulary_problem(words: Any) -> str:
    """Return what is wrong with the words of a vocabulary, "" if nothing is."""
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        return "'vocab' is not a list of texts"
    missing = [word for word in _SPECIAL_WORDS if word not in words]
    if missing:
        return f"the vocabulary lacks {', '.join(missing)}"
    if len(set(words)) < len(words):
        word, number = Counter(words).most_common(1)[0]
        return f"the vocabulary has the word {shorten(repr(word))} {number} times"
    # A vocabulary file has a word in each line, without the spaces at its end.
    for word in words:
        if word != word.rstrip() or "\n" in word or "\r" in word:
            return f"the vocabulary has the word {shorten(repr(word))} with a line break or a space"
    return ""


def tokenizer_from_bytes(data: bytes) -> PreTrainedTokenizerBase:
    """Restore a tokenizer from :func:`tokenizer_to_bytes`.

    Raises:
        CheckpointError: the bytes are not such a record.
    """
    from transformers import AutoTokenizer

    words, lower = read_vocabulary(data)
    settings = {
        "tokenizer_class": "BertTokenizer",
        "do_lower_case": lower,
        "model_max_length": 512,
    }
    try:
        # Loading by class name from a folder works on transformers 4.36 and on 5.
        with tempfile.TemporaryDirectory() as folder:
            text = "\n".join(words) + "\n"
            Path(folder, "vocab.txt").write_bytes(text.encode())
            Path(folder, "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
            tokenizer = AutoTokenizer.from_pretrained(folder, use_fast=True)
    except Exception as error:  # transformers raises bare Exception for a vocabulary it cannot use
        raise CheckpointError(
            f"transformers cannot use the checkpoint's vocabulary ({summarize(error)}). Convert "
            "the checkpoint again with convert_glip.py."
        ) from error
    ids = tokenizer.get_vocab()
    moved = next((word for at, word in enumerate(words) if ids.get(word) != at), None)
    if moved is not None:
        raise CheckpointError(
            f"the checkpoint's vocabulary has the word {shorten(repr(moved))}, which transformers "
            "reads as another word. Convert the checkpoint again with convert_glip.py."
        )
    return tokenizer
