"""``--help`` and usage errors of every script are answered without the heavy libraries."""

from __future__ import annotations

import argparse
import ast
import importlib
import json
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import glip.cli
from glip.__main__ import COMMANDS

ROOT = Path(__file__).parents[2]
HEAVY = ("torch", "torchvision", "timm", "transformers", "mmengine", "mmcv", "gradio")
SCRIPTS = sorted(
    path.relative_to(ROOT).as_posix()
    for folder in ("tools", "demo")
    for path in (ROOT / folder).rglob("*.py")
)

#: Runs a script with ``--help`` and with an unknown option; prints exit codes and heavy modules.
CODE = """
import contextlib, io, json, runpy, sys

script, heavy = sys.argv[1], json.loads(sys.argv[2])
codes = []
for option in ("--help", "--no-such-option"):
    sys.argv = [script, option]
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        try:
            runpy.run_path(script, run_name="__main__")
        except SystemExit as end:
            codes.append(end.code)
print(json.dumps([codes, [name for name in heavy if name in sys.modules]]))
"""


def run(*args: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", *args], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return done.stdout


@pytest.mark.parametrize("script", SCRIPTS)
def test_scripts(script):
    codes, imported = json.loads(run(CODE, script, json.dumps(HEAVY)))
    assert codes == [0, 2]
    assert imported == []


@pytest.mark.parametrize(
    ("script", "argv"),
    [
        ("demo/image_demo.py", ["a.jpg", "b.py", "--texts", "a"]),  # a config without a checkpoint
        ("tools/test.py", ["a.py", "b.pth", "--out", "c.txt"]),
        ("tools/test.py", ["a.py", "b.pth", "--cfg-options", "model"]),
        ("tools/pseudo_label.py", ["a.py", "b.pth", "c.jsonl", "d.jsonl", "--shard", "4/4"]),
        ("tools/dataset_converters/make_shapes.py", ["a", "--side", "3"]),
        ("tools/misc/print_config.py", ["a.py", "--save", "b.txt"]),
    ],
)
def test_errors_in_the_arguments(script, argv):
    code = CODE.replace('("--help", "--no-such-option")', '("",)').replace("option]", "*{}]")
    codes, imported = json.loads(run(code.format(argv), script, json.dumps(HEAVY)))
    assert codes[0] == 2 or codes[0].startswith("error: expected")
    assert imported == []


#: Modules of parts that commands share.
SHARED = (".common", ".argument_types", ".cfg_values", ".model_and_prompt", ".exported", ".drawing")


@pytest.mark.parametrize("command", [None, *COMMANDS])
def test_glip(command):
    """``python -m glip`` and its sub-commands; the list imports none of their modules."""
    code = CODE.replace("runpy.run_path(script", "runpy.run_module('glip'")
    argv = "[script, option]" if command is None else f"[script, {command!r}, option]"
    code = code.replace("[script, option]", argv)
    code += "print([name for name in sys.modules if name.startswith('glip.cli.')])"
    answer, modules = run(code, "glip", json.dumps(HEAVY)).splitlines()
    assert json.loads(answer) == [[0, 2], []]
    if command is None:
        parts = ["glip.cli.common", "glip.cli.argument_types", "glip.cli.cfg_values"]
        assert sorted(ast.literal_eval(modules)) == sorted(parts)


@pytest.mark.parametrize(
    "package", ["glip", "glip.apis", "glip.cli", "glip.text", "glip.export", "glip.runtime"]
)
def test_packages(package):
    code = (
        f"import json, sys, {package}; print(json.dumps([m for m in {HEAVY} if m in sys.modules]))"
    )
    assert json.loads(run(code)) == []


def test_commands_can_be_subcommands():
    """Every module adds its arguments to any parser; every script but a few is a command.

    The commands of ``glip`` that are not in ``tools/`` have no script.
    """
    names = [
        module.name
        for module in pkgutil.walk_packages(glip.cli.__path__, "glip.cli.")
        if not module.ispkg and not module.name.endswith(SHARED)
    ]
    own = ("calibrate", "check", "configs", "download", "export", "info", "label", "video")
    without_script = {f"glip.cli.{name}" for name in own}
    # Experiments and tools of the repository only; the Space is `glip web` once more; the browser
    # page is a demo of its own.
    misc = ("calibration_experiment", "label_loop_experiment", "pretraining_experiment")
    without_command = {f"tools/misc/{name}.py" for name in (*misc, "simulate_review")}
    scripts = set(SCRIPTS) - without_command - {"demo/space/app.py", "demo/browser/build.py"}
    assert len(set(names) - without_script) == len(scripts)
    assert {module for module, _ in COMMANDS.values()} <= set(names)
    subparsers = argparse.ArgumentParser().add_subparsers()
    for name in names:
        module = importlib.import_module(name)
        module.add_arguments(subparsers.add_parser(name))
        assert callable(module.run)
        assert module.build_parser().format_help()
        assert callable(module.main)
