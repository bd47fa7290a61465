"""The complete experiment, with a few steps on a few images."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from glip.utils.errors import ConfigError
from tests.test_tools.commands import ROOT, tool
from tests.test_tools.training import nothing_left

TOOL = "misc/pretraining_experiment.py"
#: Two steps of two images.
SMALL = (
    "train_cfg.max_iters=2",
    "default_hooks.checkpoint.interval=2",
    "train_dataloader.batch_size=2",
    "train_dataloader.sampler.epoch_length=8",
    "train_dataloader.num_workers=0",
    "train_dataloader.persistent_workers=False",
    "test_dataloader.num_workers=0",
    "test_dataloader.persistent_workers=False",
    # So early all scores are low, and a teacher that finds nothing is an error.
    "model.test_cfg.score_thr=0",
)


@pytest.fixture
def experiment(monkeypatch) -> ModuleType:
    """The tool, which starts its commands in this process, as all is imported here, and lists them.

    ``started`` are their names.
    """
    spec = importlib.util.spec_from_file_location("pretraining_experiment", ROOT / "tools" / TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.started = []

    def run(command: list[str], check: bool) -> subprocess.CompletedProcess:
        python, file, *arguments = command
        assert python == sys.executable
        assert not check
        module.started.append(Path(file).name)
        code = 0
        with nothing_left():
            try:
                tool(Path(file).relative_to(ROOT / "tools").as_posix()).main(arguments)
            except ConfigError:
                code = 1
        return subprocess.CompletedProcess(command, code)

    monkeypatch.setattr(module, "subprocess", SimpleNamespace(run=run))
    return module


@pytest.mark.slow
def test_the_whole_experiment(experiment, tmp_path):
    data, work = tmp_path / "data", tmp_path / "work"
    options = [
        *("--data-root", str(data), "--work-dir", str(work), "--seeds", "0"),
        *("--num-images", "8", "--num-test", "3", "--score-thr", "0", "--cfg-options", *SMALL),
    ]
    experiment.main(options)
    both = ["train.py", "test.py"]
    assert experiment.started == [*both, *both, "pseudo_label.py", *both]
    table = (work / "table.md").read_text()
    assert [row.split(" | ")[0] for row in table.splitlines()[2:]] == [
        *("| detection", "| captions", "| pseudo-labels"),
    ]
    labels = (work / "labels_0.jsonl").read_text().splitlines()
    assert json.loads(labels[0])["grounding"]["regions"]
    with open(data / "detection/detection.jsonl") as lines:
        assert not any(word in lines.read() for word in ("pink", "heart", "moon"))

    # What is finished is not done again; what a kill left undone is.
    experiment.started.clear()
    for name in ("iter_2.pth", "last_checkpoint"):
        (work / "pseudo-labels_0" / name).unlink()
    experiment.main(options)
    assert experiment.started == ["train.py"]
    assert table == (work / "table.md").read_text()


def test_a_command_that_fails_ends_it(experiment, tmp_path):
    options = ["--data-root", f"{tmp_path}/data", "--work-dir", f"{tmp_path}/work", "--seeds", "0"]
    small = ["--num-images", "2", "--num-test", "2", "--cfg-options", "train_dataloader=None"]
    with pytest.raises(ConfigError, match=r"train.py ended with 1"):
        experiment.main([*options, *small])
    assert experiment.started == ["train.py"]


@pytest.mark.parametrize("seeds", [[0], [0, 1]])
def test_table(experiment, tmp_path, seeds):
    """A row has the mean of the seeds, and each."""
    keys = {key for keys in experiment.COLUMNS.values() for key in keys}
    for number, model in enumerate(experiment.MODELS):
        for seed in seeds:
            folder = tmp_path / f"{model}_{seed}" / "test" / "now"
            folder.mkdir(parents=True)
            numbers = dict.fromkeys(keys, 0.1 * number + 0.02 * seed)
            (folder / "now.json").write_text(json.dumps(numbers))
    args = experiment.build_parser().parse_args(
        ["--work-dir", str(tmp_path), "--seeds", *map(str, seeds)]
    )
    rows = experiment.Experiment(args).table().splitlines()
    last = "**0.200** (0.200)" if seeds == [0] else "**0.210** (0.200, 0.220)"
    cells = ["pseudo-labels", *[last] * len(experiment.COLUMNS)]
    assert rows[-1] == f"| {' | '.join(cells)} |"
