"""Write docs/notebooks/*.ipynb from the pages of the same names.

Text becomes Markdown cells, Python blocks and commands become code cells. Images are left out: the
cells show them when they are run.

Usage:
    python docs/make_notebooks.py
"""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from docs.code_blocks import BLOCK, NOTEBOOKS, ROOT

_IMAGE = re.compile(r"^!\[[^]]*\]\([^)]+\)\n+", re.MULTILINE)
_SELF = re.compile(r"^\[This page as a notebook\]\([^)]+\)\. ", re.MULTILINE)
_COMMENT = re.compile(r"^<!--.*?-->\n", re.MULTILINE)


def notebook(page: Path) -> str:
    """Return the notebook of a page, as JSON."""
    text = page.read_text(encoding="utf-8")
    cells: list[dict[str, Any]] = []
    end = 0
    for match in BLOCK.finditer(text):
        if match["key"] == "not run":
            continue  # stays in the text
        _add_text(cells, text[end : match.start()])
        code = match["code"].rstrip("\n")
        if match["language"] == "bash":
            code = "\n".join(f"!{command}" for command in _commands(code))
        cells.append(_cell("code", code, execution_count=None, outputs=[]))
        end = match.end()
    _add_text(cells, text[end:])
    for number, cell in enumerate(cells):
        cell["id"] = f"{page.stem}-{number}"
    content = dict(
        cells=cells,
        metadata=dict(
            kernelspec=dict(display_name="Python 3", language="python", name="python3"),
            language_info=dict(name="python"),
        ),
        nbformat=4,
        nbformat_minor=5,
    )
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def _commands(code: str) -> list[str]:
    """Return the commands of a block, each on one line, as IPython needs them."""
    return re.sub(r"\\\n\s*", "", code).splitlines()


def _add_text(cells: list[dict[str, Any]], text: str) -> None:
    for pattern in (_IMAGE, _SELF, _COMMENT):
        text = pattern.sub("", text)
    text = text.strip()
    if text:
        cells.append(_cell("markdown", text))


def _cell(kind: str, text: str, **more: Any) -> dict[str, Any]:
    return dict(cell_type=kind, metadata={}, source=text.splitlines(keepends=True), **more)


def main() -> None:
    """Write the notebooks."""
    for page in NOTEBOOKS:
        target = page.with_suffix(".ipynb")
        target.write_text(notebook(page), encoding="utf-8")
        print(os.path.relpath(target, ROOT))


if __name__ == "__main__":
    main()
