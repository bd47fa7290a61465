r"""Reproduce the paper's two main claims on generated images, with a model that trains on one core.

For each seed three models are trained from scratch with the same number of steps:

- detection: boxes and class names of four shapes in four colours;
- captions: half of its images are others whose captions have boxes, and also name what the
  detection data never name: hearts, moons, and pink;
- pseudo-labels: half of its images are again others, whose captions have no boxes. The boxes come
  from the model "captions"; they are all that this model is trained with for the new words.

All are tested on the same new images. Finished steps are skipped: an interrupted run resumes with
the same command. Each command is printed before it runs. To train several seeds in parallel, start
the tool once per seed after the data are generated (--seeds without a number).

Examples:
    python tools/misc/pretraining_experiment.py
    python tools/misc/pretraining_experiment.py --seeds 3 4 --work-dir work_dirs/more
"""

from __future__ import annotations

import argparse
import importlib
import json
import shlex
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from glip.cli.argument_types import positive_int
from glip.cli.common import add_cfg_options, new_parser, parse_and_run, run_main
from glip.utils.errors import ConfigError

TOOLS = Path(__file__).parents[1]
MODELS = ("detection", "captions", "pseudo-labels")
#: For each folder of images: their seed, and whether they show the new words.
FOLDERS = {
    "detection": (10, False),
    "captions": (11, True),
    "pairs": (12, True),
    "test": (13, True),
    "test_known": (14, False),
}
#: Longer side of the images in pixels, and maximum number of shapes per image.
SIDE, MAX_OBJECTS = 128, 7
#: Columns of the table: heading, and the metrics whose mean is shown.
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


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the tool."""
    parser.add_argument(
        "--data-root",
        type=Path,
        default=Path("data/experiment"),
        help="folder of the data; default: %(default)s",
    )
    parser.add_argument(
        "--work-dir",
        type=Path,
        default=Path("work_dirs/experiment"),
        help="folder of the results; default: %(default)s",
    )
    parser.add_argument(
        "--seeds",
        type=int,
        nargs="*",
        default=[0, 1, 2],
        help="seeds of the trainings; default: 0 1 2",
    )
    parser.add_argument(
        "--num-images",
        type=positive_int,
        default=4000,
        help="images per training folder; default: %(default)s",
    )
    parser.add_argument(
        "--num-test",
        type=positive_int,
        default=500,
        help="images per test folder; default: %(default)s",
    )
    parser.add_argument(
        "--score-thr",
        type=float,
        default=0.5,
        help="minimum score of the teacher's boxes; default: %(default)s",
    )
    add_cfg_options(parser)


class Experiment:
    """The steps of the experiment.

    Args:
        args: result of the parser.
    """

    def __init__(self, args: argparse.Namespace):
        self.args = args
        self.cfg_options: dict[str, object] = args.cfg_options or {}
        self.data: Path = args.data_root

    def make_data(self) -> None:
        """Generate the images and convert their annotations to ODVG."""
        from glip.apis.build import load_config

        cfg = load_config(_config("detection"))
        known = [*cfg.known_colors, *cfg.known_shapes]
        for folder, (seed, with_new) in FOLDERS.items():
            number = self.args.num_test if "test" in folder else self.args.num_images
            words = [*known, *cfg.new_words] if with_new else known
            _call(
                self.data / folder / "vocabulary/tokenizer_config.json",
                "dataset_converters/make_shapes.py",
                *(self.data / folder, "--seed", seed, "--num-images", number),
                *("--side", SIDE, "--max-objects", MAX_OBJECTS, "--words", *words),
            )
        for name in ("detection", "colors", "shapes"):
            self._convert("coco2odvg", f"detection/annotations/{name}.json", f"detection/{name}")
        self._convert("goldg2odvg", "captions/annotations/grounding.json", "captions/captions")

    def _convert(self, tool: str, source: str, target: str) -> None:
        out = self.data / f"{target}.jsonl"
        _call(out, f"dataset_converters/{tool}.py", self.data / source, out)

    def train(self, model: str, seed: int) -> Path:
        """Train a model, test it, and return its checkpoint."""
        from glip.apis.build import load_config
        from glip.engine import last_checkpoint

        work_dir = self.folder(model, seed)
        options = {"data_root": f"{self.data}/", **self.cfg_options}
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
        """Generate the boxes of the captions that have none, with a teacher."""
        pairs = self.data / "pairs"
        vocabulary = {"lang_model_name": f"{self.data}/detection/vocabulary"}
        _run(
            self.labels(seed),
            "pseudo_label.py",
            *(_config("captions"), teacher, pairs / "annotations/pairs.jsonl", self.labels(seed)),
            *("--images", pairs / "images", "--score-thr", self.args.score_thr),
            *_options({**vocabulary, **self.cfg_options}),
        )

    def labels(self, seed: int) -> Path:
        """Return the file of a teacher's labels."""
        return self.args.work_dir / f"labels_{seed}.jsonl"

    def folder(self, model: str, seed: int) -> Path:
        """Return the working folder of a training."""
        return self.args.work_dir / f"{model}_{seed}"

    def table(self) -> str:
        """Return the metrics in Markdown: a row per model, the mean of the seeds and each seed."""
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
    """Print and return the command of a tool; return nothing if its product exists."""
    if product is not None and product.exists():
        return []
    command = [str(TOOLS / tool), *map(str, args)]
    print("+", shlex.join(["python", *command]), flush=True)
    return command


def _call(product: Path, tool: str, *args: object) -> None:
    """Run a small tool in this process."""
    if command := _command(product, tool, *args):
        module = "glip.cli." + tool.removesuffix(".py").replace("/", ".")
        importlib.import_module(module).main(command[1:])


def _run(product: Path | None, tool: str, *args: object) -> None:
    """Run a tool in a new process.

    Raises:
        ConfigError: the tool failed.
    """
    if command := _command(product, tool, *args):
        code = subprocess.run([sys.executable, *command], check=False).returncode
        if code:
            raise ConfigError(f"{tool} ended with {code}: fix the error above and start again")


def _numbers(work_dir: Path) -> dict[str, float]:
    """Return the test metrics of a model; empty if it is not tested yet."""
    stored = sorted(work_dir.glob("test/*/*.json"))
    return json.loads(stored[-1].read_text()) if stored else {}


def run(args: argparse.Namespace) -> None:
    """Generate the data, train, test and print the table.

    Raises:
        ConfigError: a tool failed.
    """
    from glip.utils.atomic_write import atomic_write

    experiment = Experiment(args)
    experiment.make_data()
    for seed in args.seeds:
        experiment.train("detection", seed)
        teacher = experiment.train("captions", seed)
        experiment.label(teacher, seed)
        experiment.train("pseudo-labels", seed)
    if args.seeds:
        table = experiment.table()
        atomic_write(args.work_dir / "table.md", table.encode())
        print(table)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the tool."""
    return new_parser(__doc__, add_arguments)


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the command line and run the experiment; see :func:`run`."""
    parse_and_run(build_parser(), run, argv)


if __name__ == "__main__":
    run_main(main)
