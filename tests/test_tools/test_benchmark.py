"""The benchmark times what it says, on a model small enough for a test."""

import json

import pytest

from glip.analysis.benchmark import SWEEPS
from glip.utils.errors import CheckpointError, ConfigError
from tests.test_tools.commands import CONFIGS, small_config, tool

TOOL = "analysis_tools/benchmark.py"
SMALL = ("--shape", "96", "128", "--repeat", "1", "--warmup", "0", "--device", "cpu")


@pytest.fixture(scope="module")
def config(vocabulary, tmp_path_factory):
    base = CONFIGS / "glip_atss_swin-t_b_fpn_dyhead_pretrain_obj365.py"
    return str(small_config(base, tmp_path_factory.mktemp("benchmark"), vocabulary))


def test_both_sides_by_stage(config, tmp_path, capsys):
    out = tmp_path / "numbers" / "times.json"
    numbers = tool(TOOL).main([config, *SMALL, "--baseline", "--json", str(out)])
    sides = numbers["inference"]
    assert set(sides) == {"glip", "plain"}
    for side in sides.values():
        stages = side["stages"]
        parts = ["pipeline", "language", "backbone", "neck", "fusion", "dyhead", "post-processing"]
        assert set(stages) == {*parts, "other"}
        assert min(stages[name] for name in parts) > 0
        assert sum(stages.values()) == pytest.approx(side["seconds"])
        assert 0 < side["memory_gib"] < 100
    assert json.loads(out.read_text())["numbers"]["inference"].keys() == sides.keys()
    printed = capsys.readouterr().out
    assert "x as fast as plain" in printed
    assert "images per second" in printed


def test_training(config):
    numbers = tool(TOOL).main([config, *SMALL, "--task", "train", "--batch-size", "2"])
    stages = numbers["train"]["glip"]["stages"]
    assert set(stages) == {"forward", "backward", "optimizer", "other"}
    assert min(stages[name] for name in ("forward", "backward", "optimizer")) > 0


def test_lvis_and_sweep(config):
    assert set(tool(TOOL).main([config, *SMALL, "--task", "lvis"])) == {"lvis"}
    numbers = tool(TOOL).main([config, *SMALL, "--sweep", "batch"])
    assert list(numbers) == ["batch 1", "batch 2", "batch 4"]


def test_checkpoint(config, tiny_checkpoint):
    numbers = tool(TOOL).main([config, str(tiny_checkpoint), *SMALL])
    assert numbers["inference"]["glip"]["seconds"] > 0


def test_no_training_data(config):
    with pytest.raises(ConfigError, match="train_dataloader"):
        tool(TOOL).main([config, "--task", "dataloader"])


def test_sweeps():
    (action,) = (each for each in tool(TOOL).build_parser()._actions if each.dest == "sweep")
    assert set(action.choices) == {*SWEEPS, "pixels"}


def test_runtimes_of_missing_weights(tmp_path):
    models = ["glip_nano_shapes", str(tmp_path / "missing.pth")]
    with pytest.raises(CheckpointError, match=r"missing\.pth"):
        tool("analysis_tools/benchmark_runtimes.py").main(models)
