"""Parameters and operations of a model's parts."""

from __future__ import annotations

import pytest

from glip.analysis.flops import count_flops, count_parameters
from glip.utils.errors import USER_ERRORS
from tests.test_tools.commands import tool

TOOL = "analysis_tools/get_flops.py"


def test_table(tiny_config_file, capsys):
    tool(TOOL).main([str(tiny_config_file), "--shape", "64", "96", "--texts", "bench . car ."])
    printed = capsys.readouterr().out
    for part in ("backbone", "neck", "language", "fusion", "dyconv", "head outputs", "total"):
        assert f"\n{part} " in printed


def test_counts(tiny_model):
    small = count_flops(tiny_model, (64, 64), "bench . car .")
    large = count_flops(tiny_model, (128, 128), "bench . car .")
    assert sum(large.values()) == 2 * large["total"]
    assert all(number > 0 for number in large.values())
    assert large["language"] == small["language"]
    # Maps of 16, 8 and 4 pixels: 1x1 to 32 channels, 3x3, and two coarser levels by 3x3.
    lateral = 256 * 16 * 32 + 64 * 32 * 32 + 16 * 64 * 32
    assert large["neck"] == 2 * (lateral + (256 + 64 + 16 + 4 + 1) * 9 * 32 * 32)
    parameters = count_parameters(tiny_model)
    assert parameters["neck"] == (16 + 32 + 64 + 3) * 32 + 5 * (9 * 32 * 32 + 32)
    assert sum(parameters.values()) == 2 * parameters["total"]


def test_no_tokenizer(tiny_config_file, tmp_path):
    options = ("--cfg-options", f"lang_model_name={tmp_path}")
    with pytest.raises(USER_ERRORS, match="tokenizer"):
        tool(TOOL).main([str(tiny_config_file), "--shape", "64", "64", *options])
