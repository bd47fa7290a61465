"""Links of the Markdown files: their files and headings exist, also on a code host."""

from __future__ import annotations

import re

import pytest

from docs.code_blocks import NOTEBOOKS, PAGES, ROOT

FILES = [
    *PAGES,
    *NOTEBOOKS,
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    *(ROOT / "docs/reference").glob("*"),
]
_FENCE = re.compile(r"^ *```.*?^ *```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")


def headings(text: str) -> set[str]:
    """The anchors that code hosts give to headings."""
    found = set()
    for title in re.findall(r"^#+ (.+)$", _FENCE.sub("", text), flags=re.MULTILINE):
        words = re.sub(r"[^\w\- ]", "", re.sub(r"\[([^]]+)\]\([^)]+\)", r"\1", title).lower())
        found.add(words.strip().replace(" ", "-"))
    return found


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_links(file):
    text = file.read_text(encoding="utf-8")
    for target in _LINK.findall(_FENCE.sub("", text)):
        path, _, anchor = target.partition("#")
        if re.match(r"\w+:", target):
            continue
        found = (file.parent / path).resolve() if path else file
        assert found.exists(), target
        if anchor:
            assert anchor in headings(found.read_text(encoding="utf-8")), target


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_images_have_a_description(file):
    """Screen readers read it, and readers without the image."""
    text = file.read_text(encoding="utf-8")
    for description, _ in re.findall(r"!\[([^]]*)\]\(([^)]+)\)", _FENCE.sub("", text)):
        assert len(description) > 10
