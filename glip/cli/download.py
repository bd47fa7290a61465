"""Download published weights by name; without a name, list them.

A file is stored once, in GLIP_HOME or by default in ~/.cache/torch/hub/checkpoints, and verified by
the SHA-256 in its name. An interrupted download resumes when it is started again.

Examples:
    glip download
    glip download glip_tiny_a
    glip download glip_tiny_a glip_l --out-dir checkpoints
    glip download https://example.org/my-weights.pth
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from glip.cli.common import new_parser, parse_and_run
from glip.utils.download import download, file_name, hash_of_name, sha256
from glip.utils.errors import CheckpointError
from glip.utils.messages import suggest
from glip.weights import (
    SMALL_MODEL,
    download_url,
    find_weights_file,
    published_weights,
    weights_folder,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("names", nargs="*", metavar="NAME", help="name of weights, or a URL")
    parser.add_argument(
        "--out-dir", type=Path, help="folder to store the files in; default: the cache"
    )
    parser.add_argument("--quiet", action="store_true", help="show no progress bar")


def run(args: argparse.Namespace) -> None:
    """Download.

    Raises:
        CheckpointError: a name is unknown, or the file at hand is damaged.
        DownloadError: a file cannot be downloaded, or is not the expected one.
    """
    folder = args.out_dir or weights_folder()
    if not args.names:
        print_list(folder)
    urls = [download_url(name) for name in args.names]  # an unknown name is reported first
    for name, url in zip(args.names, urls, strict=True):
        if url is None and name != SMALL_MODEL:
            known = [SMALL_MODEL, *(each.name for each in published_weights())]
            raise CheckpointError(
                f"there are no weights {name!r} to download: {suggest(name, known)}"
            )
    for name, url in zip(args.names, urls, strict=True):
        print(find_weights_file(name) if url is None else fetch(url, folder, not args.quiet))


def fetch(url: str, folder: Path, progress: bool) -> Path:
    """Download a file; verify one that is there already.

    Raises:
        CheckpointError: the file that is there is not the one of the URL.
        DownloadError: it cannot be downloaded.
    """
    path = folder / file_name(url)
    expected = hash_of_name(path.name)
    if path.is_file() and not sha256(path).startswith(expected):
        raise CheckpointError(
            f"{path} is damaged or incomplete: its SHA-256 does not start with {expected}. Remove "
            "it and run the command again"
        )
    return download(url, path, progress=progress)


def print_list(folder: Path) -> None:
    """Print the names of all weights, and which of them are in a folder."""
    from glip.utils.tables import format_table

    rows = [[SMALL_MODEL, "small model for coloured shapes", "shipped", ""]]
    for each in published_weights():
        stored = "yes" if (folder / each.file).is_file() else "no"
        rows.append([each.name, each.title, stored, each.file])
    print(format_table(["name", "model", "downloaded", "file"], rows))
    print(f"\nfolder: {folder}")


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command."""
    return new_parser(__doc__, add_arguments)


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the command line and download; see :func:`run`."""
    parse_and_run(build_parser(), run, argv)
