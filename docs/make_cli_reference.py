"""Write docs/reference/cli.md from the parsers of the commands.

Usage:
    python docs/make_cli_reference.py           # write the page
    python docs/make_cli_reference.py --check   # fail if the page is not up to date
"""

from __future__ import annotations

import argparse
import ast
import importlib
import re
import sys
import textwrap
from pathlib import Path

from glip.__main__ import COMMANDS

ROOT = Path(__file__).resolve().parents[1]
#: Modules of parts that commands share.
_NO_COMMANDS = ("glip.cli.common", "glip.cli.argument_types", "glip.cli.cfg_values")
PAGE = ROOT / "docs" / "reference" / "cli.md"
HEADER = """\
# Command line

This page is generated from the commands' parsers by `python docs/make_cli_reference.py`. Each
command prints the same with `--help`. `glip` is also `python -m glip`; in a clone
`python demo/image_demo.py` is `glip detect`, `python demo/web_demo.py` is `glip web`,
`python tools/test.py` is `glip test`, and `python tools/train.py` is `glip train`. A command that
fails because of its input prints one line that begins with `error:` and exits with code 1; wrong
arguments exit with code 2, Ctrl-C with 130.
"""


def commands() -> list[tuple[str, argparse.ArgumentParser]]:
    """Return how each command is called, and its parser."""
    calls = {module: f"glip {name}" for name, (module, _) in COMMANDS.items()}
    for folder in ("demo", "tools", "tools/*"):
        for script in sorted(ROOT.glob(f"{folder}/*.py")):
            module = module_of(script)
            if module and module not in calls:
                calls[module] = f"python {script.relative_to(ROOT).as_posix()}"
    return [
        (call, importlib.import_module(module).build_parser()) for module, call in calls.items()
    ]


def module_of(script: Path) -> str | None:
    """Return the module of ``glip.cli`` that a script runs."""
    for node in ast.walk(ast.parse(script.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("glip.cli"):
            for alias in node.names:
                if alias.name == "main":
                    return node.module
                if node.module not in _NO_COMMANDS:
                    return f"{node.module}.{alias.name}"
    return None


def page() -> str:
    """Return the page."""
    parts = [HEADER]
    for call, parser in commands():
        parts.append(section(call, parser))
    return "\n".join(parts)


def section(call: str, parser: argparse.ArgumentParser) -> str:
    """Return the section of one command, with those of its sub-commands."""
    summary, _, details = (parser.description or "").strip().partition("\n\n")
    text, examples = _split_examples(details)
    lines = [f"## {Path(call).name}", "", _prose(summary), ""]
    if call.endswith(".py"):
        lines[2:2] = [f"`{call}`", ""]
    if text:
        lines += ["\n".join(map(_escape, text.splitlines())), ""]
    if examples:
        lines += ["```text", examples, "```", ""]
    rows, children = [], []
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            children = [section(f"{call} {name}", child) for name, child in action.choices.items()]
        elif action.help != argparse.SUPPRESS and not isinstance(action, argparse._HelpAction):
            rows.append(f"| {_name(action)} | {_help(action)} |")
    if rows:
        lines += ["| argument | meaning |", "|---|---|", *rows, ""]
    return "\n".join([*lines, *children])


def _split_examples(details: str) -> tuple[str, str]:
    """Return the prose of a description, and its examples."""
    text, *examples = re.split(r"^Examples?:\n", details, maxsplit=1, flags=re.MULTILINE)
    return text.strip(), textwrap.dedent("".join(examples)).strip()


def _name(action: argparse.Action) -> str:
    """Return an argument as the user writes it."""
    value = action.metavar or (
        "{" + ",".join(map(str, action.choices)) + "}" if action.choices else action.dest.upper()
    )
    value = " ".join(value) if isinstance(value, tuple) else str(value)
    if not action.option_strings:
        optional = action.nargs in ("?", "*")
        return f"`[{value}]`" if optional else f"`{value}`"
    names = ", ".join(f"`{name}`" for name in action.option_strings)
    if action.nargs == 0:
        return names
    suffix = " ..." if action.nargs in ("+", "*") else ""
    shown = f"[{value}]" if action.nargs == "?" else value
    return f"{names} `{shown}{suffix}`".replace("|", "\\|")


def _help(action: argparse.Action) -> str:
    values = {key: value for key, value in vars(action).items() if key != "help"}
    return _prose((action.help or "") % values)


def _prose(text: str) -> str:
    """Return a text as one line of Markdown, without characters that Markdown interprets."""
    return _escape(re.sub(r"\s+", " ", text).strip())


def _escape(text: str) -> str:
    return re.sub(r"([<>*_|\[\]])", r"\\\1", text.replace("``", ""))


def main() -> None:
    """Write or check the page."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="fail if the page is not up to date")
    text = page()
    if parser.parse_args().check:
        if not PAGE.exists() or PAGE.read_text(encoding="utf-8") != text:
            sys.exit("docs/reference/cli.md is out of date: run python docs/make_cli_reference.py")
        return
    PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
