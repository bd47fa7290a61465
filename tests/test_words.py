"""The terms of the field instead of others; CONTRIBUTING.md has the table."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("glip", "tools", "demo", "docs", "configs", ".ci")
FILES = ("README.md", "CHANGELOG.md")

#: Words that are data: the vocabulary of the noun-phrase extractor, generated captions.
EXCLUDED = {"glip/text/lexicon.py", "glip/testing/shapes/captions.py"}

#: A pattern, and the term to use.
TERMS = {
    # In quotes it is a word of the labeling report's format.
    r"(?<![\"`])\bpictures?\b(?!=| unreadable)": "image",
    r"(?<!-)\bthings?\b": "object",
    r"\bnumber type\b": "dtype",
    r"\bwhole or not at all\b": "atomically, atomic write",
    r"\bnames between points\b": "period-separated class names",
    r"\b(is|are|be) no number\b": "non-finite (NaN or Inf), not a number",
    r"\blook(s|ed|ing)? at\b": "encode, read, check",
    r"\bgo(es)? on where\b": "resume",
    r"\b(is|are|was|were) asked for\b": "is prompted with, is requested",
    r"\bwhat (learns|is drawn|spoils|stands)\b": "trainable parameters, random augmentation, …",
    r"\bbad lines?\b": "invalid record",
    r"\bsees? to it\b": "ensure, check",
    r"\b(is|are) no JSON\b": "invalid JSON",
}


def _paths() -> list[Path]:
    found = [ROOT / name for name in FILES]
    for folder in FOLDERS:
        found += (p for p in (ROOT / folder).rglob("*") if p.suffix in {".py", ".md", ".sh"})
    return [path for path in found if path.relative_to(ROOT).as_posix() not in EXCLUDED]


@pytest.mark.parametrize("pattern", TERMS)
def test_the_terms_of_the_field_are_used(pattern: str) -> None:
    # Prose wraps, so a phrase may stand on two lines; comment signs may come between.
    phrase = re.compile(pattern.replace(" ", r"[\s#:]+"), re.IGNORECASE)
    found = [
        f"{path.relative_to(ROOT)}:{text.count(chr(10), 0, match.start()) + 1}: {match[0]!r}"
        for path in _paths()
        for text in [path.read_text(encoding="utf-8")]
        for match in phrase.finditer(text)
    ]
    assert not found, f"use {TERMS[pattern]!r}:\n" + "\n".join(found)
