"""How command lines end."""

import argparse

import pytest

from glip.apis.cli import positive_int, run
from glip.apis.setup import SetupError
from glip.checkpoint import CheckpointError
from glip.datasets.images import ImageReadError
from glip.text import PromptError, TokenizerNotFoundError


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
        SetupError,
        TokenizerNotFoundError,
    ],
)
def test_what_a_user_can_mend(kind):
    with pytest.raises(SystemExit) as caught:
        run(raiser(kind("what to do")))
    assert caught.value.code == "error: what to do"  # Python prints it and exits with 1


@pytest.mark.parametrize("kind", [ValueError, RuntimeError, KeyError])
def test_our_mistakes_show_where_they_are(kind):
    with pytest.raises(kind):
        run(raiser(kind("a bug")))


def test_good_end():
    calls = []
    run(lambda: calls.append(1))
    assert calls == [1]


def test_positive_int():
    assert positive_int("12") == 12
    for text in ("0", "-1", "1.5", "many", ""):
        with pytest.raises(argparse.ArgumentTypeError, match="1 or more"):
            positive_int(text)
