"""How command lines end."""

import argparse

import pytest

from glip.cli.common import CfgOptions, positive_int, run_main
from glip.utils.errors import (
    CheckpointError,
    ConfigError,
    ImageReadError,
    PromptError,
    TokenizerNotFoundError,
)


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
def test_what_a_user_can_mend(kind):
    with pytest.raises(SystemExit) as caught:
        run_main(raiser(kind("what to do")))
    assert caught.value.code == "error: what to do"  # Python prints it and exits with 1


@pytest.mark.parametrize("kind", [ValueError, RuntimeError, KeyError])
def test_our_mistakes_show_where_they_are(kind):
    with pytest.raises(kind):
        run_main(raiser(kind("a bug")))


def test_good_end():
    calls = []
    run_main(lambda: calls.append(1))
    assert calls == [1]


def test_positive_int():
    assert positive_int("12") == 12
    for text in ("0", "-1", "1.5", "many", ""):
        with pytest.raises(argparse.ArgumentTypeError, match="1 or more"):
            positive_int(text)


def test_cfg_options(capsys):
    parser = argparse.ArgumentParser()
    parser.add_argument("--cfg-options", nargs="+", action=CfgOptions)
    given = ["model.test_cfg.max_per_img=3", "a=[1,2]", "b=(x,y)", "c=d=e"]
    options = parser.parse_args(["--cfg-options", *given]).cfg_options
    assert options == {"model.test_cfg.max_per_img": 3, "a": [1, 2], "b": ("x", "y"), "c": "d=e"}
    with pytest.raises(SystemExit, match="2"):
        parser.parse_args(["--cfg-options", "a"])
    assert "argument --cfg-options: expected key=value ..., got ['a']" in capsys.readouterr().err
