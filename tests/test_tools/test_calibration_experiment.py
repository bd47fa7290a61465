"""The experiment of docs/calibrate.md, with few images."""

from __future__ import annotations

import importlib.util

from tests.test_tools.commands import ROOT


def test_experiment(tmp_path, capsys):
    path = ROOT / "tools" / "misc" / "calibration_experiment.py"
    spec = importlib.util.spec_from_file_location("calibration_experiment", path)
    experiment = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(experiment)
    few = ["--seeds", "1", "--num-labelled", "8", "--num-test", "5", "--side", "96"]
    experiment.main([str(tmp_path), *few])
    printed = capsys.readouterr().out
    assert "of the phrases are present" in printed
    rows = [line.split("  ")[0] for line in printed.splitlines()[-4:]]
    assert rows == [
        "raw threshold 0.6",
        "raw threshold 0.3",
        "calibrated",
        "calibrated, with negatives",
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["labelled0", "test0"]
