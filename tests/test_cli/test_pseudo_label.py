"""Arguments of the labeling command."""

import argparse

import pytest

from glip.cli.pseudo_label import parse_score, parse_shard
from glip.labeling import Shard


def test_shard():
    assert parse_shard("3/4") == Shard(3, 4)
    for text in ("4/4", "1", "-1/4", "a/b"):
        with pytest.raises(argparse.ArgumentTypeError, match="expected a shard such as 0/4"):
            parse_shard(text)


def test_score():
    assert parse_score("0") == 0
    assert parse_score("0.99") == 0.99
    for text in ("1", "-0.1", "nan", "many"):
        with pytest.raises(argparse.ArgumentTypeError, match="from 0 to below 1"):
            parse_score(text)
