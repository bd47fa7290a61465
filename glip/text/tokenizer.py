"""Load, store and restore the WordPiece tokenizer.

A checkpoint can carry its tokenizer (:func:`tokenizer_to_bytes`), so that nothing is downloaded.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from glip.utils.errors import TokenizerNotFoundError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def load_tokenizer(name: str) -> PreTrainedTokenizerBase:
    """Load a tokenizer from a local folder or the Hugging Face hub.

    Args:
        name: a folder with ``vocab.txt`` (or what ``AutoTokenizer`` reads), or a hub name.

    Raises:
        TokenizerNotFoundError: there is no such folder and the hub cannot provide it, or the folder
            has no vocabulary.
    """
    from transformers import AutoTokenizer

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


def tokenizer_from_bytes(data: bytes) -> PreTrainedTokenizerBase:
    """Restore a tokenizer from :func:`tokenizer_to_bytes`.

    Raises:
        ValueError: the bytes are not such a record.
    """
    from transformers import AutoTokenizer

    try:
        record = json.loads(data.decode())
        if "[UNK]" not in record["vocab"]:
            raise ValueError("a vocabulary without [UNK]")
        text = "\n".join(record["vocab"]) + "\n"
        settings = {
            "tokenizer_class": "BertTokenizer",
            "do_lower_case": record["do_lower_case"],
            "model_max_length": 512,
        }
        # Loading by class name from a folder works on transformers 4.36 and on 5.
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "vocab.txt").write_text(text, encoding="utf-8")
            Path(folder, "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
            return AutoTokenizer.from_pretrained(folder, use_fast=True)
    except Exception as error:  # transformers raises bare Exception for a vocabulary it cannot use
        raise ValueError(
            "expected the checkpoint's vocabulary as JSON with 'vocab' and 'do_lower_case', got "
            f"{data[:40]!r}... Convert the checkpoint again with convert_glip.py."
        ) from error
