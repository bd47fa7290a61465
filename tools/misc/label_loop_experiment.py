"""Measure the loop of docs/folder_to_detector.md: label, calibrate, review, train, label again.

For each seed, images are drawn that the small model labels with a class file. Compared with the
truth are the raw labels, the calibrated ones, and the calibrated ones after the most doubtful
images were reviewed (by tools/misc/simulate_review.py); and the labels of the detector that was
trained on these. The detectors that were trained on raw labels, on reviewed ones and on the truth
are evaluated on other images. Printed are the mean and the standard deviation over the seeds.

Examples:
    python tools/misc/label_loop_experiment.py work_dirs/loop
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from glip.cli import calibrate, label, test, train
from glip.cli.argument_types import positive_int
from glip.cli.common import new_parser, parse_and_run

#: Shape -> name of the class, a word that the small model does not know.
NAMES = dict(circle="ball", square="tile", triangle="peak", star="gem", ring="wheel")
#: The class file: the name, and the word that the model knows.
CLASSES = "".join(f"{name}: {{prompts: [{shape}]}}\n" for shape, name in NAMES.items())
#: Images, their seed and their number.
PARTS = {"photos": (1000, 100), "labelled": (2000, 50), "held_out": (3000, 60)}
DEVICE = ["--device", "cpu"]


def write_truth(folder: Path) -> None:
    """Write ``truth.json``: the annotations of the shapes that are classes, by class name."""
    content = json.loads((folder / "annotations" / "shapes.json").read_text())
    content["categories"] = [
        each | {"name": NAMES[each["name"]]}
        for each in content["categories"]
        if each["name"] in NAMES
    ]
    known = {each["id"] for each in content["categories"]}
    content["annotations"] = [
        each for each in content["annotations"] if each["category_id"] in known
    ]
    (folder / "truth.json").write_text(json.dumps(content))


def measure_labels(truth: Path, labels: Path) -> dict[str, float]:
    """Return AP, and precision and recall at an IoU of 0.5, of labels in COCO's format.

    Boxes without a score, which a person drew, count as of score 1.
    """
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    true, found = COCO(str(truth)), json.loads(labels.read_text())
    image_ids = {each["file_name"]: key for key, each in true.imgs.items()}
    names = {each["id"]: image_ids[each["file_name"]] for each in found["images"]}
    category_ids = {each["name"]: key for key, each in true.cats.items()}
    classes = {each["id"]: category_ids[each["name"]] for each in found["categories"]}
    results = [
        dict(
            image_id=names[each["image_id"]],
            category_id=classes[each["category_id"]],
            bbox=each["bbox"],
            score=each.get("score", 1.0),
        )
        for each in found["annotations"]
    ]
    evaluation = COCOeval(true, true.loadRes(results), "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    whole = evaluation.params.areaRng[0]
    images = [each for each in evaluation.evalImgs if each and each["aRng"] == whole]
    right = sum(int((each["dtMatches"][0] > 0).sum()) for each in images)
    objects = len(true.anns)
    return dict(
        AP=float(evaluation.stats[0]),
        precision=right / max(len(results), 1),
        recall=right / objects,
    )


def train_on(out: Path, labels: Path, args: argparse.Namespace) -> str:
    """Train on the labels, and return the checkpoint that is best on the labelled images."""
    data = out / "data"
    data.mkdir(parents=True)
    shutil.copy(labels, data / "train.json")
    shutil.copy(out.parent / "labelled" / "truth.json", data / "val.json")
    for name, part in (("train", "photos"), ("val", "labelled")):
        (data / name).symlink_to((out.parent / part / "images").resolve())
    options = ["--cfg-options", f"train_cfg.max_epochs={args.epochs}"]
    weights = ["--weights", "glip_nano_shapes", "--seed", "0"]
    train.main(["--data", str(data), *weights, "--out-dir", str(out / "run"), *DEVICE, *options])
    (best,) = (out / "run").glob("best_coco_bbox_mAP_epoch_*.pth")
    return str(best)


def evaluate(folder: Path, weights: str, out: Path) -> float:
    """Return the AP of a detector that is prompted with the class names."""
    held_out = ["--ann", str(folder / "truth.json"), "--images", str(folder / "images")]
    test.main([*held_out, "--weights", weights, "--out-dir", str(out), *DEVICE])
    (path,) = out.glob("*/*.json")
    return json.loads(path.read_text())["coco/bbox_mAP"]


def run_seed(folder: Path, seed: int, args: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Run the loop; return the figures of each row of the table."""
    from glip.config import demo_file
    from glip.testing.shapes.dataset import PAIRS, make_shapes

    for part, (first, count) in PARTS.items():
        make_shapes(
            folder / part,
            seed=first + seed,
            num_images=min(count, args.num_images),
            backgrounds=demo_file("backgrounds"),
            pairs=PAIRS,
            side=args.side,
            max_objects=10,
        )
        write_truth(folder / part)
    photos, labelled, held_out = (folder / part for part in PARTS)
    raw, calibrated = folder / "classes.yaml", folder / "calibrated.yaml"
    raw.write_text(CLASSES)
    truth = [str(labelled / "truth.json"), "--images", str(labelled / "images")]

    def write_labels(name: str, classes: Path | str, *more: str, images: Path = photos) -> Path:
        out = folder / name
        label.main([str(images / "images"), str(classes), "--out", str(out), *DEVICE, *more])
        return out / "annotations.json"

    labels = {"raw": write_labels("raw", raw)}
    options = ["--out", str(calibrated), "--add-negatives"]
    calibrate.main([str(raw), *truth, *options, *DEVICE])
    labels["calibrated"] = write_labels("labels", calibrated)
    corrected = folder / "corrected.json"
    page = str(folder / "labels" / "review.html")
    _simulate_review([page, str(photos / "truth.json"), "--out", str(corrected)])
    write_labels("labels", calibrated, "--apply-review", str(corrected))
    labels["reviewed"] = folder / "labels" / "reviewed" / "annotations.json"

    rows = {f"labels, {k}": measure_labels(photos / "truth.json", v) for k, v in labels.items()}
    labels["truth"] = photos / "truth.json"
    best = {
        name: train_on(folder / f"on_{name}", labels[name], args)
        for name in ("reviewed", "raw", "truth")
    }
    names = " . ".join(NAMES.values())
    weights = ["--weights", best["reviewed"]]
    again = folder / "again.yaml"
    calibrate.main([names, *truth, "--out", str(again), *weights, *DEVICE])
    path = write_labels("again", again, *weights)
    rows["labels, of the new detector"] = measure_labels(photos / "truth.json", path)

    low = write_labels("low", raw, "--score-thr", "0.05", "--review", "0", images=held_out)
    ap = measure_labels(held_out / "truth.json", low)["AP"]
    rows["detector, before, class file"] = dict(AP=ap)
    for name, checkpoint in {"before": "glip_nano_shapes", **best}.items():
        ap = evaluate(held_out, checkpoint, folder / f"test_{name}")
        rows[f"detector, {name}"] = dict(AP=ap)
    return rows


def _simulate_review(arguments: list[str]) -> None:
    path = Path(__file__).with_name("simulate_review.py")
    spec = importlib.util.spec_from_file_location("simulate_review", path)
    assert spec is not None
    assert spec.loader is not None
    module: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.main(arguments)


def run(args: argparse.Namespace) -> None:
    """Run all seeds, and print the table."""
    import numpy as np

    from glip.utils.tables import format_table

    seeds = []
    for seed in range(args.seeds):
        folder = args.out / str(seed)
        shutil.rmtree(folder, ignore_errors=True)
        seeds.append(run_seed(folder, seed, args))
        print(f"seed {seed}: {json.dumps(seeds[-1])}")
    columns = ["AP", "precision", "recall"]
    table: list[list[object]] = []
    for name in seeds[0]:
        row: list[object] = [name]
        for column in columns:
            values = [each[name][column] for each in seeds if column in each[name]]
            row.append(f"{np.mean(values):.3f} ± {np.std(values):.3f}" if values else "")
        table.append(row)
    print(format_table(["", *columns], table))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("out", type=Path, help="folder of the seeds' files, which are replaced")
    for name, default, text in (
        ("--seeds", 2, "number of seeds"),
        ("--side", 384, "longer side of the images in pixels"),
        ("--num-images", 100, "largest number of images of a part"),
        ("--epochs", 3, "epochs of the trainings"),
    ):
        parser.add_argument(
            name, type=positive_int, default=default, help=f"{text}; default: %(default)s"
        )


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the command line and run; see :func:`run`."""
    parse_and_run(new_parser(__doc__, add_arguments), run, argv)


if __name__ == "__main__":
    main()
