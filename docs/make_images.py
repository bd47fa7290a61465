"""Make the images of the documentation, docs/assets/*, by running the commands that the pages show.

The commands run in a temporary folder with links to this repository's demo, tools and configs. They
need no download, and take about five minutes on two CPU cores. The part supervision needs that
library.

Usage:
    python docs/make_images.py              # all images
    python docs/make_images.py finetune     # those of some pages
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import av
import matplotlib as mpl
import numpy as np
from PIL import Image

mpl.use("Agg")
import matplotlib.pyplot as plt

from docs.code_blocks import ROOT, blocks
from glip.apis import inference_detector, init_detector
from glip.testing.shapes import load_backgrounds
from glip.testing.shapes.motion import moving_shapes
from glip.visualization import DetLocalVisualizer
from glip.visualization.captions import draw_text

ASSETS = ROOT / "docs" / "assets"
#: Height of the panels of an image, in pixels.
HEIGHT = 480
COLORS = {"glip": "#3f51b5", "MMDetection 3.3": "#b0b4c4"}


def run(command: str) -> None:
    """Run a command of a page in the current folder."""
    print("+", command, flush=True)
    words = shlex.split(command.replace("\\\n", " "))
    if words[0] == "python":
        words[0] = sys.executable
    elif words[0] == "glip":
        words[:1] = [sys.executable, "-m", "glip"]
    paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    env = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in paths if path)}
    subprocess.run(words, check=True, env=env, capture_output=True)


def run_page(name: str, peer: str = "") -> None:
    """Run the blocks of a page in their order, of other libraries only those of ``peer``."""
    namespace: dict = {"__name__": "page"}
    for block in blocks(ROOT / "docs" / name):
        if block.reason or block.peer not in ("", peer):
            continue
        if block.language == "python":
            exec(compile(block.code, f"{name}:{block.line}", "exec"), namespace)
        for words in block.commands() if block.language == "bash" else ():
            run(shlex.join(words))


def panels(images: list[Image.Image], titles: list[str], height: int = HEIGHT) -> Image.Image:
    """Put images of one height side by side, each with a title below it."""
    columns = []
    for image, title in zip(images, titles, strict=True):
        width = round(image.width * height / image.height)
        pixels = np.asarray(image.convert("RGB").resize((width, height), Image.Resampling.LANCZOS))
        columns.append(np.concatenate([pixels, draw_text(title, width, 17)]))
    tallest = max(column.shape[0] for column in columns)
    width = sum(column.shape[1] for column in columns) + 12 * (len(columns) - 1)
    canvas = np.full((tallest, width, 3), 255, np.uint8)
    left = 0
    for column in columns:
        canvas[: column.shape[0], left : left + column.shape[1]] = column
        left += column.shape[1] + 12
    return Image.fromarray(canvas)


def save(image: Image.Image, name: str) -> None:
    """Save an image of a page."""
    image.convert("RGB").save(ASSETS / name, quality=88, optimize=True)


def save_plot(name: str) -> None:
    """Save and close the current figure of matplotlib."""
    plt.tight_layout()
    plt.savefig(ASSETS / name, dpi=110)
    plt.close()


def detections() -> None:
    """Images of the README, of first detections, prompts and outputs."""
    prompts = [
        ("--texts", "red star . green triangle . purple square ."),
        ("--caption", "A dotted red star left of a green triangle."),
        ("--texts", "star . heart . ring ."),
    ]
    titles = [prompt for _, prompt in prompts]
    for option, prompt in prompts:
        words = ["detect", "demo/shapes.jpg", option, prompt, "--score-thr", "0.6"]
        run(shlex.join(["glip", *words, "--out-dir", prompt[:4]]))
    drawn = [Image.open(f"{title[:4]}/vis/shapes.jpg") for title in titles]
    save(drawn[0], "first_detections.jpg")
    save(panels(drawn[:2], titles[:2]), "prompts.jpg")

    model = init_detector(weights="glip_nano_shapes", device="cpu")
    # The same with larger labels: the README shows three images side by side.
    visualizer = DetLocalVisualizer(font_size=25, line_width=4)
    pixels = np.asarray(Image.open("demo/shapes.jpg"))
    large = []
    for prompt in titles:
        sample = inference_detector(model, "demo/shapes.jpg", text_prompt=prompt, score_thr=0.6)
        large.append(Image.fromarray(visualizer.draw_datasample(pixels, sample)))
    save(panels(large, titles), "hero.jpg")

    sample = inference_detector(model, "demo/shapes.jpg", text_prompt=titles[0])
    drawn = [sample.filter(threshold).plot() for threshold in (0.1, 0.3, 0.6)]
    save(panels(drawn, ["score >= 0.1", "score >= 0.3", "score >= 0.6"]), "thresholds.jpg")


def drawing() -> None:
    """Image of drawn images and crops, docs/outputs.md."""
    texts = "--texts 'red star . green triangle . purple square . ring .'"
    run(f"glip detect demo/shapes.jpg {texts} --save-crops --thickness 4 --font-size 22")
    files = sorted(Path("outputs/crops").glob("*/*.jpg"), key=lambda path: path.stem)
    crops = [Image.open(path) for path in files]
    titles = [str(path.relative_to("outputs/crops")) for path in files]
    rows = [panels(crops[at : at + 3], titles[at : at + 3], 200) for at in (0, 3)]
    right = Image.new("RGB", (max(row.width for row in rows), sum(row.height for row in rows)))
    right.paste("white", (0, 0, *right.size))
    right.paste(rows[0], (0, 0))
    right.paste(rows[1], (0, rows[0].height))
    both = [Image.open("outputs/vis/shapes.jpg"), right]
    save(panels(both, ["outputs/vis/shapes.jpg", "outputs/crops"], 460), "crops.jpg")


def curves() -> None:
    """Images of precision-recall curves and of the table of classes, docs/evaluate.md."""
    run("python tools/dataset_converters/make_shapes.py data/shapes --seed 2024 --num-images 60")
    run(
        "glip test --ann data/shapes/annotations/shapes.json --images data/shapes/images "
        "--weights glip_nano_shapes --out shapes.pkl --work-dir shapes"
    )
    run("python tools/analysis_tools/eval_metric.py shapes/config.py shapes.pkl --curves curves")
    for name in ("curves", "classes"):
        image = Image.open(f"curves/{name}.png").convert("RGB")
        image.quantize(128).save(ASSETS / f"{name}.png", optimize=True)


def labeling() -> None:
    """Images of self-training."""
    run("python tools/dataset_converters/make_shapes.py data/shapes/web --seed 7 --num-images 200")
    run(
        "python tools/pseudo_label.py glip_nano_shapes demo/glip_nano_shapes.safetensors "
        "data/shapes/web/annotations/pairs.jsonl data/shapes/web/labels.jsonl "
        "--images data/shapes/web/images --score-thr 0.6"
    )
    sheet = Image.open("data/shapes/web/labels.jsonl.samples.jpg")
    sheet.thumbnail((1100, 1100))
    save(sheet, "self_training.jpg")
    save(Image.open("data/shapes/web/labels.jsonl.scores.png"), "scores.png")


def finetune() -> None:
    """Images of fine-tuning, training and evaluation."""
    run("python tools/dataset_converters/make_examples.py data/examples")
    config = "configs/glip/_templates/finetune_on_cpu.py"
    run(f"glip train {config} --work-dir work_dirs/try --seed 0")
    sides: dict[str, list[Path]] = {}
    for folder, checkpoint in (
        ("before", "demo/glip_nano_shapes.safetensors"),
        ("after", "work_dirs/try/epoch_10.pth"),
    ):
        run(
            f"glip test {config} {checkpoint} --out {folder}.pkl --show-dir {folder} "
            "--cfg-options default_hooks.visualization.score_thr=0.5"
        )
        files = [path for path in Path(folder).rglob("*") if path.suffix in (".jpg", ".png")]
        sides[folder] = sorted(files, key=lambda path: path.stem)
    run(f"python tools/analysis_tools/confusion_matrix.py {config} after.pkl confusion.png")
    save(Image.open("confusion.png"), "confusion.png")

    # Each image has the annotations on the left and the detections on the right.
    before, after = (Image.open(sides[folder][3]) for folder in ("before", "after"))
    half = after.width // 2
    columns = [
        after.crop((0, 0, half, after.height)),
        before.crop((half, 0, before.width, before.height)),
        after.crop((half, 0, after.width, after.height)),
    ]
    save(
        panels(columns, ["annotated", "before fine-tuning", "after fine-tuning"], 260),
        "finetune.jpg",
    )

    records = [json.loads(line) for line in _newest("work_dirs/try/**/scalars.json").open()]
    steps = [r for r in records if "loss" in r]
    scores = [r for r in records if "coco/bbox_mAP_50" in r]
    _, (left, right) = plt.subplots(1, 2, figsize=(9, 3))
    left.plot([r["step"] for r in steps], [r["loss"] for r in steps], color=COLORS["glip"])
    left.set(xlabel="iteration", ylabel="loss")
    epochs = range(1, len(scores) + 1)
    right.plot(epochs, [r["coco/bbox_mAP_50"] for r in scores], "o-", color=COLORS["glip"])
    right.set(xlabel="epoch", ylabel="AP50 (validation)", ylim=(0, 1))
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.3)
    save_plot("train.png")


def _newest(pattern: str) -> Path:
    return max(Path(".").glob(pattern), key=lambda path: path.stat().st_mtime)


def speed() -> None:
    """Plot the times of the table in docs/speed.md."""
    rows = re.findall(
        r"^\| ([ABL], [^|]+?) \| ([\d.]+) s \| ([\d.]+) s \|",
        (ROOT / "docs" / "speed.md").read_text(encoding="utf-8"),
        flags=re.MULTILINE,
    )
    rows = [row for row in rows if "startup" not in row[0] and "LVIS" not in row[0]]
    names = [
        "GLIP-T (A)" * (n[0] == "A") or "GLIP-T (B)" * (n[0] == "B") or "GLIP-L" for n, *_ in rows
    ]
    labels = [
        f"{name}, {row[0][3:].replace('`', '').removesuffix(', 2 images of 480 x 640')}"
        for name, row in zip(names, rows, strict=True)
    ]
    position = np.arange(len(rows))[::-1]
    _, axes = plt.subplots(figsize=(9, 4))
    for offset, column, who in ((0.2, 1, "MMDetection 3.3"), (-0.2, 2, "glip")):
        values = [float(row[column]) for row in rows]
        bars = axes.barh(position + offset, values, 0.38, color=COLORS[who], label=who)
        axes.bar_label(bars, [f"{value:g} s" for value in values], padding=3, fontsize=9)
    axes.set_yticks(position, labels)
    axes.set_xlabel("seconds, two CPU cores, float32")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    save_plot("speed.png")


def large_images() -> None:
    """Image of large images: the mosaic's detections without and with slices."""
    run_page("large_images.md")
    texts = "--texts 'red circle . red star . blue heart . green ring .' --score-thr 0.6"
    run(f"glip detect mosaic.png {texts} --out-dir whole")
    run(f"glip detect mosaic.png {texts} --out-dir sliced --slices --slice-size 256 --overlap 0.25")
    drawn = [Image.open(f"{name}/vis/mosaic.jpg") for name in ("whole", "sliced")]
    save(panels(drawn, ["whole image", "slices of 256 pixels"], 640), "large_images.jpg")


def video() -> None:
    """The video demo/shapes.mp4, and the clip of its detections."""
    photo = load_backgrounds(ROOT / "demo" / "backgrounds")[0]
    frames = moving_shapes(75, photo, seed=57, size=(256, 192), num_objects=5, speed=1.6)
    with av.open(str(ROOT / "demo" / "shapes.mp4"), "w") as output:
        stream = output.add_stream("libx264", rate=25, options={"crf": "26", "preset": "veryslow"})
        stream.width, stream.height, stream.pix_fmt = 256, 192, "yuv420p"
        for frame in frames:
            output.mux(stream.encode(av.VideoFrame.from_ndarray(frame.image, format="rgb24")))
        output.mux(stream.encode(None))
    run_page("video.md")
    with av.open("out.mp4") as container:
        drawn = [each.to_image() for each in container.decode(video=0)][::3]
    options = dict(duration=120, loop=0, quality=50, method=6)
    drawn[0].save(ASSETS / "video.webp", save_all=True, append_images=drawn[1:], **options)


def notebooks() -> None:
    """Images of the notebooks; the others of them are those of :func:`detections`."""
    run_page("notebooks/finetune.md")
    both = Image.open("before_after.png")
    save(both.resize((both.width * 2, both.height * 2)), "notebook_finetune.jpg")
    run_page("notebooks/label.md")
    save(Image.open("sheet.png"), "notebook_label.jpg")


def supervision() -> None:
    """Image of docs/integrations.md; supervision is one of requirements/peers.txt."""
    try:
        importlib.import_module("supervision")
    except ImportError:
        sys.exit("the part supervision needs that library: pip install supervision")
    run_page("integrations.md", "supervision")
    save(Image.open("supervision.jpg"), "supervision.jpg")


PARTS: dict[str, Callable[[], None]] = {
    part.__name__: part
    for part in (
        detections,
        drawing,
        labeling,
        finetune,
        curves,
        large_images,
        video,
        speed,
        notebooks,
        supervision,
    )
}


def main() -> None:
    """Make the images."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}")
    wanted = parser.parse_args().parts or list(PARTS)
    ASSETS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        for name in ("demo", "tools", "configs"):
            Path(folder, name).symlink_to(ROOT / name)
        os.chdir(folder)
        for name in wanted:
            PARTS[name]()
        os.chdir(ROOT)


if __name__ == "__main__":
    main()
