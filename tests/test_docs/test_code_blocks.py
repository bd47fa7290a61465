"""The code of the pages: Python blocks and quick commands are run, all commands are parsed."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from docs import make_api_reference, make_cli_reference
from docs.code_blocks import NOTEBOOKS, PAGES, ROOT, Block, blocks
from glip.__main__ import COMMANDS

ALL = [block for page in PAGES for block in blocks(page)]


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder like the clone of a user, which the code may write to."""
    for name in ("demo", "tools", "configs"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def module_of(script: str) -> str | None:
    """The module of ``glip.cli`` that a script runs."""
    path = ROOT / script
    return make_cli_reference.module_of(path) if path.is_file() else None


def parser_arguments(words: list[str]) -> tuple[str, list[str]] | None:
    """The module and the arguments of a command of this library."""
    while words and "=" in words[0] and not words[0].startswith("-"):
        words = words[1:]
    if words[:1] == ["torchrun"] and "-m" in words:
        words = words[words.index("-m") + 1 :]
    elif words[:1] == ["torchrun"]:
        script = next((i for i, word in enumerate(words) if word.endswith(".py")), None)
        words = [] if script is None else ["python", *words[script:]]
    if words[:1] == ["glip"] and len(words) > 1:
        assert words[1] in COMMANDS, words
        return COMMANDS[words[1]][0], words[2:]
    if words[:1] != ["python"] or len(words) < 2 or not words[1].endswith(".py"):
        return None
    module = module_of(words[1])
    return (module, words[2:]) if module else None


def is_template(words: list[str]) -> bool:
    """Whether the reader has to fill something in."""
    return "..." in words


@pytest.mark.parametrize("page", [*PAGES, *NOTEBOOKS], ids=lambda page: page.name)
def test_commands_are_parsed(page):
    """Every option in a command of a page exists."""
    for block in blocks(page):
        if block.language != "bash":
            continue
        for words in block.commands():
            command = parser_arguments(words)
            if command is None or is_template(words):
                continue
            module, arguments = command
            try:
                importlib.import_module(module).build_parser().parse_args(arguments)
            except SystemExit:
                pytest.fail(f"{block.page}:{block.line}: {' '.join(words)}")


def pages_with(language: str) -> list[str]:
    found = (b.page for b in ALL if b.language == language and not b.reason and not b.peer)
    return list(dict.fromkeys(found))


@pytest.mark.parametrize("page", pages_with("python"))
def test_python_blocks_run(page, clone):
    """The blocks of a page run one after the other, as a reader would."""
    run_python([b for b in ALL if b.page == page and b.language == "python" and not b.peer])


def run_python(page_blocks: list[Block], namespace: dict | None = None) -> None:
    namespace = {"__name__": "page"} if namespace is None else namespace
    for block in page_blocks:
        if not block.reason:
            # Empty lines, so that a traceback has the line numbers of the page.
            code = "\n" * (block.line - 1) + block.code
            exec(compile(code, str(ROOT / block.page), "exec"), namespace)


@pytest.mark.parametrize("page", pages_with("bash"))
def test_commands_run(page, clone):
    """Commands without a reason not to run them are of this library, and succeed."""
    if page == "README.md":
        pytest.skip("the quick start is run by .ci/main")
    for block in ALL:
        if block.page != page or block.language != "bash" or block.reason:
            continue
        for words in block.commands():
            command = parser_arguments(words)
            assert command, (
                f"{block.page}:{block.line}: mark it '<!-- not run: REASON -->': {words}"
            )
            importlib.import_module(command[0]).main(command[1])


def test_peers_are_known():
    """Each peer has a marker, so that its block is run in the environment of the peers."""
    text = (ROOT / "pyproject.toml").read_text()
    for peer in {block.peer for block in ALL if block.peer}:
        assert f'"{peer}: ' in text


def test_cli_reference_is_up_to_date():
    written = (ROOT / "docs" / "reference" / "cli.md").read_text(encoding="utf-8")
    assert written == make_cli_reference.page(), "run python docs/make_cli_reference.py"


def test_api_reference_is_up_to_date():
    written = (ROOT / "docs" / "reference" / "api.md").read_text(encoding="utf-8")
    assert written == make_api_reference.page(), "run python docs/make_api_reference.py"
