r"""Gather the browser page, a model and onnxruntime-web in a folder for any static file host.

The model is a folder of `glip export`; onnxruntime-web comes from npm. OUT needs nothing from
elsewhere: copy it to a host, or serve it on this computer.

Examples:
    glip export --weights glip_nano_shapes --out nano_onnx
    npm install --prefix build/npm --ignore-scripts onnxruntime-web@1.30.0
    python demo/browser/build.py --model nano_onnx --out site
    python -m http.server --bind 127.0.0.1 --directory site
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from glip.cli.common import new_parser, parse_and_run, run_main
from glip.config import demo_file
from glip.runtime.checks import check_files
from glip.runtime.manifest import MANIFEST, read_manifest
from glip.utils.atomic_write import describe_write_errors
from glip.utils.errors import ConfigError, DependencyError, StorageError

PAGE = Path(__file__).parent
#: What the page loads of onnxruntime-web, and its name there: some hosts send ``.mjs`` files
#: without the type of JavaScript, which browsers refuse.
RUNTIME = {
    "ort.wasm.min.mjs": "ort.wasm.min.js",
    "ort-wasm-simd-threaded.mjs": "ort-wasm-simd-threaded.js",
    "ort-wasm-simd-threaded.wasm": "ort-wasm-simd-threaded.wasm",
}
INSTALL = "npm install --prefix build/npm --ignore-scripts onnxruntime-web@1.30.0"
#: Class names that the page offers.
TEXTS = [
    "red star . green triangle . purple square .",
    "ring . heart . circle .",
    "blue shape . pink shape .",
]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("--model", required=True, metavar="DIR", help="folder of `glip export`")
    parser.add_argument("--out", required=True, help="folder to write; it must not exist")
    parser.add_argument("--image", help="example image; default: demo/shapes.jpg")
    parser.add_argument(
        "--texts",
        action="append",
        help="class names that the page offers, several times for several; default: of the small "
        "model",
    )
    parser.add_argument(
        "--onnxruntime-web",
        metavar="DIR",
        default="build/npm/node_modules/onnxruntime-web",
        help="the installed npm package; default: %(default)s",
    )


def run(args: argparse.Namespace) -> None:
    """Write the folder.

    Raises:
        CheckpointError: the model is no folder of ``glip export``, or a file is missing or damaged.
        DependencyError: onnxruntime-web is missing.
        ConfigError: the model is of another format, or there is no such example image.
        StorageError: OUT exists, or cannot be written.
    """
    manifest = read_manifest(args.model)
    if manifest.format != "onnx":
        raise ConfigError(
            f"expected a model of `glip export --format onnx`, got the format {manifest.format}"
        )
    check_files(Path(args.model), manifest.files)
    dist = Path(args.onnxruntime_web, "dist")
    missing = [name for name in RUNTIME if not (dist / name).is_file()]
    if missing:
        raise DependencyError(f"'{dist}' lacks {missing[0]}: run `{INSTALL}`")
    image = Path(args.image or demo_file("shapes.jpg"))
    if not image.is_file():
        raise ConfigError(f"there is no image '{image}'")
    out = Path(args.out)
    if out.exists():
        raise StorageError(f"'{out}' exists: remove it, or choose another folder")
    partial = out.with_name(f".{out.name}.partial")
    with describe_write_errors(out):
        shutil.rmtree(partial, ignore_errors=True)
        for folder in ("model", "onnxruntime", "example"):
            (partial / folder).mkdir(parents=True)
        for pattern in ("*.html", "*.css", "*.js"):
            for path in PAGE.glob(pattern):
                shutil.copy(path, partial)
        for name in (MANIFEST, *manifest.files):
            shutil.copy(Path(args.model, name), partial / "model")
        for name, copy in RUNTIME.items():
            shutil.copy(dist / name, partial / "onnxruntime" / copy)
        shutil.copy(image, partial / "example")
        example = dict(image=image.name, texts=args.texts or TEXTS)
        (partial / "example" / "example.json").write_text(json.dumps(example))
        os.rename(partial, out)
    size = sum(path.stat().st_size for path in out.rglob("*")) / 1e6
    print(f"wrote {out} ({size:.0f} MB); serve it with: ", end="")
    print(f"python -m http.server --bind 127.0.0.1 --directory {out}")


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command."""
    return new_parser(__doc__, add_arguments)


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the command line and write the folder; see :func:`run`."""
    parse_and_run(build_parser(), run, argv)


if __name__ == "__main__":
    run_main(main)
