"""The tokenizer of all language models here."""

from __future__ import annotations

import pytest
from transformers import PreTrainedTokenizerBase

from glip.text import load_tokenizer


@pytest.fixture(scope="session")
def tokenizer(vocabulary: str) -> PreTrainedTokenizerBase:
    return load_tokenizer(vocabulary)
