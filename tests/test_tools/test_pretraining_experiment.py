"""The experiment from drawing to table: by its commands, with a few steps on a few pictures."""

from __future__ import annotations

import json

import pytest

from .commands import command, tool

TOOL = "misc/pretraining_experiment.py"
#: Two steps of two pictures.
SMALL = (
    "train_cfg.max_iters=2",
    "default_hooks.checkpoint.interval=2",
    "train_dataloader.batch_size=2",
    "train_dataloader.sampler.epoch_length=8",
    "train_dataloader.num_workers=0",
    "train_dataloader.persistent_workers=False",
)


def test_the_whole_experiment(tmp_path):
    options = [
        *("--data-root", tmp_path / "data", "--work-dir", tmp_path / "work", "--seeds", 0),
        *("--num-images", 8, "--num-test", 3, "--score-thr", 0, "--cfg-options", *SMALL),
    ]
    printed = command(f"tools/{TOOL}", *options)
    assert printed.count("+ python") == 5 + 4 + 3 * 2 + 1
    rows = (tmp_path / "work/table.md").read_text().splitlines()
    assert [row.split(" | ")[0].strip("| ") for row in rows[2:]] == [
        *("detection", "captions", "pseudo-labels"),
    ]
    labels = tmp_path / "data/pairs/labels_work_0.jsonl"
    assert json.loads(labels.read_text().splitlines()[0])["grounding"]["regions"]

    # What is finished is not done again; what a kill left undone is.
    (tmp_path / "work/pseudo-labels_0/iter_2.pth").unlink()
    (tmp_path / "work/pseudo-labels_0/last_checkpoint").unlink()
    again = command(f"tools/{TOOL}", *options)
    assert again.count("+ python") == 1
    assert "glip_nano_shapes_pseudo-labels" in again
    assert rows == (tmp_path / "work/table.md").read_text().splitlines()


def test_a_step_that_fails_ends_it(tmp_path):
    options = ("--data-root", tmp_path / "data", "--num-images", 2, "--num-test", 2, "--seeds", 0)
    (tmp_path / "data/detection").mkdir(parents=True)
    (tmp_path / "data/detection/detection.jsonl.part").mkdir()  # no file can be written there
    printed = command(f"tools/{TOOL}", *options, fails=True)
    assert printed.rstrip().splitlines()[-1].startswith("error: dataset_converters/coco2odvg.py")


@pytest.mark.parametrize("seeds", [[0], [0, 1]])
def test_table(tmp_path, seeds):
    """A row has the mean of the seeds, and each."""
    experiment = tool(TOOL)
    keys = {key for keys in experiment.COLUMNS.values() for key in keys}
    for number, model in enumerate(experiment.MODELS):
        for seed in seeds:
            folder = tmp_path / f"{model}_{seed}" / "test" / "now"
            folder.mkdir(parents=True)
            numbers = dict.fromkeys(keys, 0.1 * number + 0.02 * seed)
            (folder / "now.json").write_text(json.dumps(numbers))
    args = experiment.parse_args(["--work-dir", str(tmp_path), "--seeds", *map(str, seeds)])
    rows = experiment.Experiment(args).table().splitlines()
    last = "**0.200** (0.200)" if seeds == [0] else "**0.210** (0.200, 0.220)"
    assert (
        rows[-1] == "| " + " | ".join(["pseudo-labels", *[last] * len(experiment.COLUMNS)]) + " |"
    )
