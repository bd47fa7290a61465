"""Options that commands share, and how a command ends."""

import argparse
import importlib
import math
import os
import subprocess
import sys

import pytest
import torch
from mmengine.config import Config, DictAction

from glip.cli import detect, test, train
from glip.cli.argument_types import non_negative_int, positive_int
from glip.cli.cfg_values import parse_value
from glip.cli.common import (
    AMP_CHOICES,
    CfgOptions,
    UsageError,
    apply_run_options,
    new_parser,
    parse_and_run,
    run_main,
)
from glip.labeling.shards import LAUNCHERS
from glip.utils.errors import (
    CheckpointError,
    ConfigError,
    ImageReadError,
    PromptError,
    TokenizerNotFoundError,
)
from glip.utils.precision import AMP_DTYPES
from tests.test_datasets.files import coco_content, draw, write
from tests.test_tools.commands import ROOT

IMAGE = str(ROOT / "demo" / "shapes.jpg")
WEIGHTS = str(ROOT / "demo" / "glip_nano_shapes.safetensors")
EVALUATED = ["--weights", WEIGHTS, "--ann", "{data}/val.json", "--images", "{data}"]


def raiser(error):
    def main():
        raise error

    return main


@pytest.mark.parametrize(
    "kind",
    [
        CheckpointError,
        FileNotFoundError,
        ImageReadError,
        NotADirectoryError,
        PromptError,
        ConfigError,
        TokenizerNotFoundError,
    ],
)
def test_errors_of_the_user(kind):
    with pytest.raises(SystemExit) as caught:
        run_main(raiser(kind("what to do")))
    assert caught.value.code == "error: what to do"  # Python prints it and exits with 1


@pytest.mark.parametrize("kind", [ValueError, RuntimeError, KeyError])
def test_bugs_have_a_traceback(kind):
    with pytest.raises(kind):
        run_main(raiser(kind("a bug")))


@pytest.mark.parametrize(
    "argument", ["--texts=--", "--caption=--", "--out=--", "--n=--", "a\0b", "--out=\0", "\0"]
)
def test_arguments_that_argparse_loses(argument, capsys):
    """argparse drops the value '--', and the command would go on without one."""
    parser = new_parser("", lambda parser: parser.add_argument("--out"))
    with pytest.raises(SystemExit) as ended:
        parse_and_run(parser, print, [argument])
    assert ended.value.code == 2
    assert "expected a value of" in (said := capsys.readouterr().err) or "NUL character" in said


def test_success():
    calls = []
    run_main(lambda: calls.append(1))
    assert calls == [1]


def test_reader_that_has_ended():
    """As in `glip configs | head -0`."""
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "glip", "configs"]
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True, check=False)
    os.close(write)
    assert (done.returncode, done.stderr) == (141, "")


def test_positive_int():
    assert positive_int("12") == 12
    for text in ("0", "-1", "1.5", "many", ""):
        with pytest.raises(argparse.ArgumentTypeError, match="1 or more"):
            positive_int(text)


def test_non_negative_int():
    assert non_negative_int("0") == 0
    for text in ("-1", "1.5", ""):
        with pytest.raises(argparse.ArgumentTypeError, match="0 or more"):
            non_negative_int(text)


def test_amp_choices():
    assert set(AMP_CHOICES) == set(AMP_DTYPES)


def test_usage_error(capsys):
    def run(args):
        raise UsageError(f"expected more than {args.number}")

    parser = new_parser("It counts.", lambda parser: parser.add_argument("number"))
    with pytest.raises(SystemExit, match="2"):
        parse_and_run(parser, run, ["3"])
    printed = capsys.readouterr().err
    assert printed.startswith("usage: ")
    assert printed.endswith("error: expected more than 3\n")


#: Values that mmengine's ``DictAction`` reads alike.
AS_IN_MMENGINE = [
    *("3", "-3", "1e-4", "1.0", "inf", "true", "False", "None", "none", "", "[]", "[1,2]", "(1,2)"),
    *("[(1,2),[a,b],c]", "1,2,3", "1,2,", "(a,b)", "[[[1,2]]]", "a=b=c", "[a]"),
]


@pytest.mark.parametrize("value", AS_IN_MMENGINE)
def test_cfg_options_of_mmengine(value):
    def parse(action):
        parser = argparse.ArgumentParser(exit_on_error=False)
        parser.add_argument("--cfg-options", nargs="+", action=action)
        return parser.parse_args(["--cfg-options", f"a.b={value}", "c=1"]).cfg_options

    assert repr(parse(CfgOptions)) == repr(parse(DictAction))


@pytest.mark.parametrize(
    "text",
    [
        *("blue tie", " blue", "blue ", "a, b", "a,b", ", grey", ",1", "/data/My Data/", "a b  c"),
        *("(grey)", "a(b", "[1", "[a](b),c", "[]]", "a,(b", "[1,(2]", "(1,2],[3)", "x[0],y[1]"),
        *(
            "007",
            "5#x",
            "b'x'",
            "...",
            "1j",
            "{1, 2}",
            "C:\\data\\new",
            "it's",
            "a='b'",
            "9" * 5000,
        ),
        *("[" * 10_000, "(" * 500 + "x" + ")" * 500, "1)+(2", "a\nb", " "),
        *("$: coco", "a . b .", "日本", "\udcff"),
    ],
    ids=lambda text: ascii(text)[:30],
)
def test_cfg_options_keep_text_as_it_is(text):
    assert parse_value(text) == text


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("('sports ball','traffic light')", ("sports ball", "traffic light")),
        ("(sports ball, traffic light)", ("sports ball", "traffic light")),
        ("[blue tie,[red hat]]", ["blue tie", ["red hat"]]),
        ("'3'", "3"),
        ('"a, b"', "a, b"),
        ("{'a': (1, 2)}", {"a": (1, 2)}),
        ("[1, 2.5, true, None, ' x ']", [1, 2.5, True, None, " x "]),
        ("'true'", "true"),
        ("-inf", -math.inf),
    ],
)
def test_cfg_options_literals(text, value):
    assert parse_value(text) == value


def test_cfg_options_accumulate():
    parser = argparse.ArgumentParser()
    parser.add_argument("--cfg-options", nargs="+", action=CfgOptions)
    argv = ["--cfg-options", "a=1", "b=2", "--cfg-options", "a=3"]
    assert parser.parse_args(argv).cfg_options == dict(a=3, b=2)


def test_cfg_options(capsys):
    parser = argparse.ArgumentParser()
    parser.add_argument("--cfg-options", nargs="+", action=CfgOptions)
    given = ["model.test_cfg.max_per_img=3", "a=[1,2]", "b=(x,y)", "c=d=e"]
    options = parser.parse_args(["--cfg-options", *given]).cfg_options
    assert options == {"model.test_cfg.max_per_img": 3, "a": [1, 2], "b": ("x", "y"), "c": "d=e"}
    with pytest.raises(SystemExit, match="2"):
        parser.parse_args(["--cfg-options", "a"])
    assert "argument --cfg-options: expected key=value ..., got ['a']" in capsys.readouterr().err


@pytest.mark.parametrize("launcher", ["pytorch", "slurm", "mpi"])
@pytest.mark.parametrize("command", ["test", "train"])
def test_a_launcher_that_did_not_start_the_process(launcher, command, tmp_path, monkeypatch):
    """Before anything is built: torch would wait, or say which variable it misses."""
    for names in LAUNCHERS.values():
        for name in names:
            monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LOCAL_RANK", "0")  # restored afterwards
    monkeypatch.setenv("LOCAL_RANK", "0")  # restored afterwards
    module = importlib.import_module(f"glip.cli.{command}")
    args = argparse.Namespace(
        max_pixels=None, max_bytes=None, local_rank=0, launcher=launcher, work_dir=str(tmp_path)
    )
    assert module.apply_run_options is apply_run_options
    with pytest.raises(ConfigError, match=f"launcher '{launcher}' did not start this process"):
        apply_run_options(Config(), args)


def test_torchrun_without_launcher(tmp_path, monkeypatch):
    """All processes would train alone, and write the same files."""
    for name, value in dict(RANK="1", WORLD_SIZE="2", LOCAL_RANK="1").items():
        monkeypatch.setenv(name, value)
    args = argparse.Namespace(
        max_pixels=None, max_bytes=None, local_rank=0, launcher="none", work_dir=str(tmp_path)
    )
    with pytest.raises(UsageError, match=r"started 2 processes.*--launcher pytorch"):
        apply_run_options(Config(), args)
    monkeypatch.setenv("RANK", "2")
    args.launcher = "pytorch"
    with pytest.raises(ConfigError, match="RANK from 0 to WORLD_SIZE - 1, got 2 of 2"):
        apply_run_options(Config(), args)


def test_config_after_resume(capsys):
    with pytest.raises(SystemExit, match="2"):
        run_main(lambda: train.main(["--resume", "mine.py"]))
    assert "--resume takes mine.py as its CHECKPOINT" in capsys.readouterr().err


#: Commands with a folder for results, which is ``{out}``; ``{data}`` has a data set.
FOLDERS = {
    "train": (train, ["--data", "{data}", "--weights", WEIGHTS, "--work-dir", "{out}"]),
    "test": (test, [*EVALUATED, "--work-dir", "{out}"]),
    "test --show-dir": (test, [*EVALUATED, "--work-dir", "{data}/work", "--show-dir", "{out}"]),
    "detect": (detect, [IMAGE, "--texts", "a", "--weights", WEIGHTS, "--out-dir", "{out}"]),
}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    draw(folder, coco_content())
    for name in ("train.json", "val.json"):
        write(folder, coco_content(), name)
    return folder


@pytest.mark.parametrize("out", ["/dev/null", "{data}/val.json/folder"])
@pytest.mark.parametrize("name", FOLDERS)
def test_folder_that_cannot_be_written(name, out, data, monkeypatch):
    """Before the model is built, and with the folder's name."""
    module, argv = FOLDERS[name]
    out = out.format(data=data)
    monkeypatch.setattr(torch.nn.Conv2d, "__init__", None)
    with pytest.raises(SystemExit) as caught:
        run_main(lambda: module.main([each.format(data=data, out=out) for each in argv]))
    assert f"'{out}" in caught.value.code
    assert "cannot be written" in caught.value.code
