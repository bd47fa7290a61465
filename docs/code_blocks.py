"""The code blocks of the pages."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
#: Pages whose blocks of both languages run in their order; make_notebooks.py converts them.
NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.md"))

BLOCK = re.compile(
    r"(?:^[ ]*<!--[ ](?P<key>not[ ]run|peer):[ ](?P<value>[^\n]+?)[ ]-->\n)?"
    r"^(?P<indent>[ ]*)```(?P<language>\w+)(?P<info>[^\n]*)\n(?P<code>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)
_PAGE_REASON = re.compile(r"^<!-- commands not run: (.+?) -->$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A code block.

    Attributes:
        page: path relative to the repository.
        line: of its first line.
        language: ``python``, ``bash``, ...
        code: its lines.
        reason: why it is not run; empty if it is.
        peer: the library that it needs besides this one; empty if none.
    """

    page: str
    line: int
    language: str
    code: str
    reason: str = ""
    peer: str = ""

    def commands(self) -> list[list[str]]:
        """Return the words of each command of a bash block."""
        joined = self.code.replace("\\\n", " ")
        lines = [shlex.split(line, comments=True) for line in joined.splitlines()]
        commands: list[list[str]] = []
        for words in filter(None, lines):
            while "&&" in words:
                end = words.index("&&")
                commands.append(words[:end])
                words = words[end + 1 :]
            commands.append(words)
        return commands


def blocks(page: Path) -> list[Block]:
    """Return the code blocks of a page."""
    text = page.read_text(encoding="utf-8")
    whole_page = _PAGE_REASON.search(text)
    found = []
    for match in BLOCK.finditer(text):
        indent = match["indent"]
        code = re.sub(f"^{indent}", "", match["code"], flags=re.MULTILINE)
        key, value = match["key"], match["value"]
        reason = value if key == "not run" else ""
        if whole_page and match["language"] == "bash" and not key:
            reason = whole_page[1]
        found.append(
            Block(
                page.relative_to(ROOT).as_posix(),
                text.count("\n", 0, match.start("code")) + 1,
                match["language"],
                code,
                reason,
                value if key == "peer" else "",
            )
        )
    return found
