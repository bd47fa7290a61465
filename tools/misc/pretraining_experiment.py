r"""Show the paper's two claims on generated pictures, with a model that a CPU core trains.

For each seed three models are trained, each from nothing and for as many steps:

- detection: on boxes and names of four shapes in four colours;
- captions: half of its pictures are others, whose captions have boxes and also say what no box of
  the detection data is named: hearts, moons, and what is pink;
- pseudo-labels: half of its pictures are again others, whose captions have no boxes: the model of
  "captions" draws them, and these are all that it sees of the new words.

All are tested on the same new pictures. What is finished is not done again: a run that was killed
goes on with the same command. Each command is printed before it runs. Several seeds can be trained
side by side by starting the tool once for each, when the data are there (--seeds without a number).

Examples:
    python tools/misc/pretraining_experiment.py
    python tools/misc/pretraining_experiment.py --seeds 3 4 --work-dir work_dirs/more
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import shlex
import statistics
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from glip.apis import load_config
from glip.cli.common import CfgOptions, positive_int, run
from glip.engine import last_checkpoint
from glip.utils.atomic_write import atomic_write
from glip.utils.errors import ConfigError

TOOLS = Path(__file__).parents[1]
MODELS = ("detection", "captions", "pseudo-labels")
#: Of the folders that are drawn: the seed of the pictures, and whether they have the new words.
FOLDERS = {
    "detection": (10, False),
    "captions": (11, True),
    "pairs": (12, True),
    "test": (13, True),
    "test_known": (14, False),
}
#: Longer side in pixels, and most shapes of a picture.
SIDE, MAX_THINGS = 128, 7
#: Of the table: heading and names of the numbers that it is the mean of.
COLUMNS = {
    "known names": ["pairs/coco/bbox_mAP_50_known"],
    "new names": ["pairs/coco/bbox_mAP_50_new"],
    "new words alone": [
        "colors/coco/bbox_mAP_50_new",
        "shapes/coco/bbox_mAP_50_new",
        "shapes/coco/bbox_mAP_50_new",
    ],
    "known captions": ["known_captions/flickr30k/Recall@1_all"],
    "all captions": ["captions/flickr30k/Recall@1_all"],
}


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data-root", type=Path, default=Path("data/experiment"))
    parser.add_argument("--work-dir", type=Path, default=Path("work_dirs/experiment"))
    parser.add_argument(
        "--seeds", type=int, nargs="*", default=[0, 1, 2], help="of the trainings; default: 0 1 2"
    )
    parser.add_argument(
        "--num-images", type=positive_int, default=4000, help="pictures of each training folder"
    )
    parser.add_argument(
        "--num-test", type=positive_int, default=500, help="pictures of each test folder"
    )
    parser.add_argument(
        "--score-thr", type=float, default=0.5, help="keep the teacher's boxes above this score"
    )
    parser.add_argument(
        "--cfg-options",
        nargs="+",
        action=CfgOptions,
        default={},
        help="override all configs: key=value ...",
    )
    return parser.parse_args(argv)


class Experiment:
    """What was asked for, and where it lies."""

    def __init__(self, args: argparse.Namespace):
        self.args = args
        self.data: Path = args.data_root

    def draw(self) -> None:
        """Draw the pictures and turn their annotations into lines."""
        cfg = load_config(_config("detection"))
        known = [*cfg.known_colors, *cfg.known_shapes]
        for folder, (seed, with_new) in FOLDERS.items():
            number = self.args.num_test if "test" in folder else self.args.num_images
            words = [*known, *cfg.new_words] if with_new else known
            _call(
                self.data / folder / "vocabulary/tokenizer_config.json",
                "dataset_converters/make_shapes.py",
                *(self.data / folder, "--seed", seed, "--num-images", number),
                *("--side", SIDE, "--max-things", MAX_THINGS, "--words", *words),
            )
        for name in ("detection", "colors", "shapes"):
            self._convert("coco2odvg", f"detection/annotations/{name}.json", f"detection/{name}")
        self._convert("goldg2odvg", "captions/annotations/grounding.json", "captions/captions")

    def _convert(self, tool: str, source: str, target: str) -> None:
        out = self.data / f"{target}.jsonl"
        _call(out, f"dataset_converters/{tool}.py", self.data / source, out)

    def train(self, model: str, seed: int) -> Path:
        """Train a model, test it, and return its checkpoint."""
        work_dir = self.folder(model, seed)
        options = {"data_root": f"{self.data}/", **self.args.cfg_options}
        labels = {"train_dataloader.dataset.datasets.3.ann_file": self.labels(seed).resolve()}
        steps = load_config(_config(model), options).train_cfg.max_iters
        checkpoint = work_dir / f"iter_{steps}.pth"
        _run(
            checkpoint,
            "train.py",
            *(_config(model), "--work-dir", work_dir, "--seed", seed),
            *(["--resume"] if last_checkpoint(work_dir) else []),
            *_options({**options, **(labels if model == "pseudo-labels" else {})}),
        )
        if not _numbers(work_dir):
            _run(
                None,
                "test.py",
                *(_config(model), checkpoint, "--work-dir", work_dir / "test"),
                *_options(options),
            )
        return checkpoint

    def label(self, teacher: Path, seed: int) -> None:
        """Let a teacher draw boxes for the captions that have none."""
        pairs = self.data / "pairs"
        vocabulary = {"lang_model_name": f"{self.data}/detection/vocabulary"}
        _run(
            self.labels(seed),
            "pseudo_label.py",
            *(_config("captions"), teacher, pairs / "annotations/pairs.jsonl", self.labels(seed)),
            *("--images", pairs / "images", "--score-thr", self.args.score_thr),
            *_options({**vocabulary, **self.args.cfg_options}),
        )

    def labels(self, seed: int) -> Path:
        """The lines that a seed's teacher writes."""
        return self.args.work_dir / f"labels_{seed}.jsonl"

    def folder(self, model: str, seed: int) -> Path:
        """The working folder of a training."""
        return self.args.work_dir / f"{model}_{seed}"

    def table(self) -> str:
        """The numbers in Markdown: a row a model, the mean of the seeds and each seed's."""
        rows = [["data", *COLUMNS], ["---"] * (1 + len(COLUMNS))]
        for model in MODELS:
            found = [_numbers(self.folder(model, seed)) for seed in self.args.seeds]
            cells = []
            for keys in COLUMNS.values():
                each = [statistics.mean(numbers[key] for key in keys) for numbers in found]
                seeds = ", ".join(f"{value:.3f}" for value in each)
                cells.append(f"**{statistics.mean(each):.3f}** ({seeds})")
            rows.append([model, *cells])
        return "\n".join(f"| {' | '.join(row)} |" for row in rows) + "\n"


def _config(model: str) -> str:
    return f"glip_nano_shapes_{model}"


def _options(options: Mapping[str, object]) -> list[str]:
    return ["--cfg-options", *(f"{key}={value}" for key, value in options.items())]


def _command(product: Path | None, tool: str, *args: object) -> list[str]:
    """Say what runs next: the tool and its arguments; nothing if what it makes is there."""
    if product is not None and product.exists():
        return []
    command = [str(TOOLS / tool), *map(str, args)]
    print("+", shlex.join(["python", *command]), flush=True)
    return command


def _call(product: Path, tool: str, *args: object) -> None:
    """Run a small tool, here."""
    if command := _command(product, tool, *args):
        spec = importlib.util.spec_from_file_location(Path(tool).stem, command[0])
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        module.main(command[1:])


def _run(product: Path | None, tool: str, *args: object) -> None:
    """Run a tool in a process of its own.

    Raises:
        ConfigError: it failed; what it said stands above.
    """
    if command := _command(product, tool, *args):
        code = subprocess.run([sys.executable, *command], check=False).returncode
        if code:
            raise ConfigError(f"{tool} ended with {code}: mend what it says above, and start again")


def _numbers(work_dir: Path) -> dict[str, float]:
    """What the test of a model came to; empty if it was not tested yet."""
    stored = sorted(work_dir.glob("test/*/*.json"))
    return json.loads(stored[-1].read_text()) if stored else {}


def main(argv: list[str] | None = None) -> None:
    """Draw, train, test and print the table; see the module's docstring."""
    args = parse_args(argv)
    experiment = Experiment(args)
    experiment.draw()
    for seed in args.seeds:
        experiment.train("detection", seed)
        teacher = experiment.train("captions", seed)
        experiment.label(teacher, seed)
        experiment.train("pseudo-labels", seed)
    if args.seeds:
        table = experiment.table()
        atomic_write(args.work_dir / "table.md", table.encode())
        print(table)


if __name__ == "__main__":
    run(main)
