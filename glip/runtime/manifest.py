"""The file ``manifest.json`` of an exported model."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from glip.utils.errors import CheckpointError, ConfigError
from glip.utils.file_names import is_safe_name
from glip.utils.messages import shorten
from glip.utils.options import (
    check_choice,
    check_int,
    check_keys,
    check_mapping,
    check_number,
    check_text,
)
from glip.utils.regular_files import file_problem

#: Version of the folder's layout, written to and expected in the manifest.
FORMAT_VERSION = 1
MANIFEST = "manifest.json"
#: In bytes; one has about 2000.
_MAX_BYTES = 1 << 20
#: The level with the largest stride has cells of this size at most; also of a padded image.
_MAX_STRIDE = 4096
#: Longest side of the network's input.
_MAX_SIDE = 1 << 15
#: Largest exponent of a box: e^20 times its anchor.
_MAX_LOG_RATIO = 20
#: The files of each format.
_FILES = {
    "onnx": ("tokenizer.json", "text.onnx", "image.onnx", "answer.onnx"),
    "openvino": (
        "tokenizer.json",
        *(f"{name}.{kind}" for name in ("text", "image", "answer") for kind in ("xml", "bin")),
    ),
}


@dataclass(frozen=True)
class Manifest:
    """What a program needs besides the graphs; plain values, stored as JSON.

    Attributes:
        format_version: of the layout.
        format: ``'onnx'`` or ``'openvino'``.
        model: name of the config.
        glip_version: of the library that wrote it.
        precision: of the stored weights: ``'fp32'``, ``'fp16'`` or ``'int8'``.
        static: (height, width) of the network's input if it is fixed, else ``None``.
        resize: ``rule`` (``'official'``: the short side becomes ``short`` unless the long one would
            exceed ``long``; ``'static'``: as large as fits), ``short``, ``long``, and
            ``interpolation``.
        mean, std: of each channel, values 0 to 255, in the order ``channels``.
        channels: ``'bgr'`` or ``'rgb'``.
        size_divisor: the input is padded, right and bottom, with zeros to a multiple of this.
        strides: of the five levels, in pixels.
        anchor_scale: side of an anchor divided by the stride.
        anchor_center: centre of a cell divided by the stride.
        box_weights: the four numbers that divide the deltas.
        max_log_ratio: upper clamp of the last two deltas after that.
        channel_count: channels of the feature maps.
        text_channels: channels of the text features.
        max_tokens: longest caption.
        chunked_size: class names per caption, -1 for as many as fit.
        score_thr, nms_pre, iou_threshold, max_per_img, min_bbox_size: the post-processing, see
            :class:`glip.runtime.postprocess.PostProcessor`.
        default_score_thr: the score from which on detections are shown.
        files: sha256 of each file.
        verified: what the comparison with torch found.
    """

    format_version: int
    format: str
    model: str
    glip_version: str
    precision: str
    static: list[int] | None
    resize: dict
    mean: list[float]
    std: list[float]
    channels: str
    size_divisor: int
    strides: list[int]
    anchor_scale: float
    anchor_center: float
    box_weights: list[float]
    max_log_ratio: float
    channel_count: int
    text_channels: int
    max_tokens: int
    chunked_size: int
    score_thr: float
    nms_pre: int
    iou_threshold: float
    max_per_img: int
    min_bbox_size: float
    default_score_thr: float
    files: dict[str, str]
    verified: dict

    def to_json(self) -> str:
        """Return the text of the file."""
        return json.dumps(asdict(self), indent=2) + "\n"


def is_exported(path: object) -> bool:
    """Return whether a path is a folder of ``glip export``."""
    return isinstance(path, (str, Path)) and file_problem(Path(path, MANIFEST)) is None


def read_manifest(folder: str | Path) -> Manifest:
    """Read and check the manifest of an exported model.

    Raises:
        CheckpointError: the folder is not one that ``glip export`` wrote, is of another version, or
            a setting is invalid.
    """
    if not isinstance(folder, (str, Path)):
        raise CheckpointError(f"expected a folder of `glip export`, got {shorten(folder)}")
    path = Path(folder, MANIFEST)
    problem = file_problem(path)
    if problem:
        raise CheckpointError(
            f"expected a folder of `glip export` with {MANIFEST}, got '{folder}': it {problem}"
        )
    values = _parse(path)
    version = values.get("format_version")
    if type(version) is not int or version != FORMAT_VERSION:
        raise CheckpointError(
            f"expected format_version {FORMAT_VERSION} in '{path}', got {shorten(version)}: export "
            "the model again with this version of glip"
        )
    try:
        manifest = Manifest(**values)
        check_manifest(manifest)
    except TypeError:
        raise CheckpointError(
            f"'{path}' lacks values, or has unknown ones: export the model again"
        ) from None
    except ConfigError as error:
        raise CheckpointError(f"'{path}': {error}. Export the model again") from None
    return manifest


def _parse(path: Path) -> dict[str, Any]:
    """Return the object of a JSON file in which no key is twice.

    Raises:
        CheckpointError: it is something else.
    """
    try:
        with open(path, "rb") as file:
            content = file.read(_MAX_BYTES + 1)
        if len(content) > _MAX_BYTES:
            raise ValueError
        values = json.loads(content, object_pairs_hook=_without_repeated_keys)
        if not isinstance(values, dict):
            raise ValueError
    except OSError as error:
        raise CheckpointError(f"'{path}' cannot be read: {error.strerror or error}") from None
    except (ValueError, RecursionError):
        raise CheckpointError(f"'{path}' is damaged: export the model again") from None
    return values


def _without_repeated_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        raise ValueError
    return values


def check_manifest(manifest: Manifest) -> None:
    """Check the types and ranges of all settings.

    Raises:
        ConfigError: a setting is something else.
    """
    check_choice("format", manifest.format, tuple(_FILES))
    for name in ("model", "glip_version"):
        if len(check_text(name, getattr(manifest, name))) > 200:
            raise ConfigError(f"expected {name} of at most 200 characters")
    check_choice("precision", manifest.precision, ("fp32", "fp16", "int8"))
    check_choice("channels", manifest.channels, ("bgr", "rgb"))
    check_int("size_divisor", manifest.size_divisor, low=32, high=_MAX_STRIDE)
    if manifest.size_divisor % 32:
        raise ConfigError(f"expected size_divisor as a multiple of 32, got {manifest.size_divisor}")
    _check_sizes(manifest)
    _check_list("mean", manifest.mean, 3, low=-1e6, high=1e6)
    _check_list("std", manifest.std, 3, low=1e-6, high=1e6)
    _check_list("box_weights", manifest.box_weights, 4, low=1e-6, high=1e6)
    _check_list("strides", manifest.strides, 5)
    for stride in manifest.strides:
        check_int("strides", stride, low=1, high=_MAX_STRIDE)
    if sorted(set(manifest.strides)) != manifest.strides:
        raise ConfigError(f"expected strides that ascend, got {manifest.strides}")
    check_number("anchor_scale", manifest.anchor_scale, low=1e-3, high=1e3)
    check_number("anchor_center", manifest.anchor_center, low=0, high=1)
    check_number("max_log_ratio", manifest.max_log_ratio, low=0, high=_MAX_LOG_RATIO)
    for name in ("channel_count", "text_channels"):
        check_int(name, getattr(manifest, name), low=1, high=1 << 16)
    check_int("max_tokens", manifest.max_tokens, low=3, high=1 << 16)
    if manifest.chunked_size != -1:
        check_int("chunked_size", manifest.chunked_size, low=1)
    for name in ("score_thr", "iou_threshold", "default_score_thr"):
        check_number(name, getattr(manifest, name), low=0, high=1)
    for name in ("nms_pre", "max_per_img"):
        check_int(name, getattr(manifest, name), low=1)
    check_number("min_bbox_size", manifest.min_bbox_size, low=0)
    check_mapping("verified", manifest.verified)
    for name, digest in check_mapping("files", manifest.files).items():
        if not is_safe_name(name):
            raise ConfigError(f"expected names of files in the folder, got {shorten(name)}")
        if not isinstance(digest, str) or not re.fullmatch("[0-9a-f]{64}", digest):
            raise ConfigError(f"expected the sha256 of {shorten(name)}, got {shorten(digest)}")
    for name in _FILES[manifest.format]:
        if name not in manifest.files:
            raise ConfigError(f"expected the sha256 of {name} in files")


def _check_sizes(manifest: Manifest) -> None:
    """Check the size of the network's input, and how images are resized to it."""
    resize = check_mapping("resize", manifest.resize)
    check_keys("resize", resize, ("rule", "short", "long", "interpolation"))
    rule = "official" if manifest.static is None else "static"
    check_choice("resize.rule", resize.get("rule"), (rule,))
    for name in ("short", "long"):
        check_int(f"resize.{name}", resize.get(name), low=1, high=_MAX_SIDE)
    if manifest.static is not None:
        _check_list("static", manifest.static, 2)
        for side in manifest.static:
            check_int("static", side, low=32, high=_MAX_SIDE)
            if side % 32:
                raise ConfigError(f"expected static as multiples of 32, got {manifest.static}")


def _check_list(
    name: str, value: Any, length: int, low: float | None = None, high: float | None = None
) -> None:
    if not isinstance(value, list) or len(value) != length:
        raise ConfigError(f"expected {name} as a list of {length} numbers, got {shorten(value)}")
    for each in value:
        check_number(name, each, low=low, high=high)
