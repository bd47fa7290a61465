"""The tokenizer of an exported model, with the calls that :mod:`glip.text` makes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from glip.utils.errors import CheckpointError, DependencyError, shorten


class Encoding:
    """Tokens of a text, with the reading of transformers' ``BatchEncoding``.

    Args:
        encoding: of the package tokenizers.
    """

    def __init__(self, encoding: Any):
        self._encoding = encoding
        self._fields = {"input_ids": encoding.ids, "offset_mapping": encoding.offsets}

    def __getitem__(self, name: str) -> Any:
        """Return ``input_ids`` or ``offset_mapping``."""
        return self._fields[name]

    def word_ids(self) -> list[int | None]:
        """Return the word of each token, ``None`` for special tokens."""
        return self._encoding.word_ids


class RuntimeTokenizer:
    """A WordPiece tokenizer read from ``tokenizer.json``, without transformers.

    Args:
        path: of the file.

    Raises:
        DependencyError: the package tokenizers is missing.
        CheckpointError: the file is damaged, or not the tokenizer of BERT.
    """

    def __init__(self, path: Path):
        try:
            from tokenizers import Tokenizer
        except ImportError:
            raise DependencyError(
                "an exported model needs the package tokenizers: run `pip install tokenizers`"
            ) from None
        try:
            self._tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:  # a bare Exception of Rust
            raise CheckpointError(f"'{path}' cannot be read: {shorten(str(error))}") from None
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self.all_special_tokens = ["[UNK]", "[SEP]", "[PAD]", "[CLS]", "[MASK]"]
        self.unk_token_id = self._tokenizer.token_to_id("[UNK]")
        ends = self._tokenizer.encode("").tokens
        if self.unk_token_id is None or ends != ["[CLS]", "[SEP]"]:
            raise CheckpointError(
                f"'{path}' is not the tokenizer of a GLIP: expected [UNK], and [CLS] and [SEP] "
                "around a caption. Export the model again"
            )

    def __call__(
        self,
        text: str,
        *,
        return_offsets_mapping: bool = False,  # noqa: ARG002
        add_special_tokens: bool = True,
        truncation: bool = False,  # noqa: ARG002
        verbose: bool = False,  # noqa: ARG002
    ) -> Encoding:
        """Tokenize a text; the options are those of transformers that :mod:`glip.text` passes."""
        return Encoding(self._tokenizer.encode(text, add_special_tokens=add_special_tokens))
