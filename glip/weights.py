"""Find checkpoints: files, URLs, and the names of the shipped and the published models."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePath

from glip.config import demo_file, list_models
from glip.utils.download import download, file_name, hash_of_name
from glip.utils.errors import CheckpointError
from glip.utils.errors import shorten as shorten_path
from glip.utils.messages import shorten, suggest
from glip.utils.regular_files import file_problem

#: The model that ships with the library, and its file in ``demo/``.
SMALL_MODEL = "glip_nano_shapes"
_SMALL_FILE = "glip_nano_shapes.safetensors"


@dataclass(frozen=True)
class PublishedWeights:
    """Weights that can be downloaded by name.

    Attributes:
        name: Short name, for example ``glip_tiny_a``; that of its config for a fine-tuned model.
        title: Name of the model, for example ``GLIP-T (A)``.
        config: Name of its config.
        url: Where the file is.
        official_file: Name of microsoft/GLIP's file of the same weights, empty if there is none.
    """

    name: str
    title: str
    config: str
    url: str
    official_file: str = ""

    @property
    def file(self) -> str:
        """Name of the file."""
        return file_name(self.url)

    @property
    def hash(self) -> str:
        """The start of the file's SHA-256."""
        return hash_of_name(self.file)


@cache
def published_weights() -> tuple[PublishedWeights, ...]:
    """Return all published weights, those of the five pre-trained models first."""
    found = []
    for config, entry in list_models().items():
        short = re.match(r"(.+)_mmdet-[0-9a-f]+\.pth$", file_name(entry["Weights"]))
        found.append(
            PublishedWeights(
                name=short[1] if short else config,
                title=entry["Alias"],
                config=config,
                url=entry["Weights"],
                official_file=entry.get("Official Weights File", ""),
            )
        )
    return tuple(found)


def find_published(name: str) -> PublishedWeights | None:
    """Return the published weights of a name, of a config's name, or of a file's name."""
    for each in published_weights():
        if name in (each.name, each.config, each.file, each.official_file):
            return each
    return None


def is_weights_name(source: object) -> bool:
    """Return whether a text is the name of shipped or published weights rather than a path."""
    if not isinstance(source, str) or PurePath(source).name != source or "." in source:
        return False
    return source == SMALL_MODEL or find_published(source) is not None


def weights_folder() -> Path:
    """Return the folder of downloaded checkpoints.

    It is the environment variable ``GLIP_HOME``, by default ``checkpoints`` in torch's hub folder
    (``~/.cache/torch/hub``), where MMDetection and torch keep theirs.
    """
    own = os.environ.get("GLIP_HOME")
    if own:
        return Path(own).expanduser()
    torch = sys.modules.get("torch")
    if torch is not None and hasattr(torch, "hub"):
        return Path(torch.hub.get_dir()) / "checkpoints"  # knows torch.hub.set_dir
    caches = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    home = os.environ.get("TORCH_HOME") or os.path.join(caches, "torch")
    return Path(home).expanduser() / "hub" / "checkpoints"


def download_url(source: str) -> str | None:
    """Return the URL of published weights or of a URL itself, ``None`` for anything else."""
    if source.startswith(("http://", "https://")):
        return source
    published = find_published(source) if is_weights_name(source) else None
    return published.url if published else None


def find_weights_file(source: str | Path) -> Path:
    """Return the local file of a checkpoint, which is downloaded if it is a URL or a name.

    Args:
        source: a path, an http(s) URL, or a name: ``glip_nano_shapes``, which ships with the
            library, or one of :func:`published_weights`. An existing file comes before a name.

    Raises:
        CheckpointError: there is no such file and no such name.
        DownloadError: the file cannot be downloaded.
    """
    text = str(source)
    path = Path(text).expanduser()
    problem = file_problem(path)
    if not problem:
        return path
    if text == SMALL_MODEL:
        return demo_file(_SMALL_FILE)
    url = download_url(text)
    if url is not None:
        return download(url, weights_folder() / file_name(url))
    if "." not in text and PurePath(text).name == text and not os.path.lexists(path):
        names = [SMALL_MODEL, *(each.name for each in published_weights())]
        raise CheckpointError(
            f"there are no weights {shorten(text)}, neither a file nor a name: "
            f"{suggest(text, names)}"
        )
    raise CheckpointError(
        f"the checkpoint {shorten_path(str(path), 1000)} {problem}: expected the path of a .pth or "
        ".safetensors file, a URL, or a name that `glip download` lists"
    )
