"""The file ``manifest.json`` of an exported model."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from glip.utils.errors import CheckpointError

#: Version of the folder's layout, written to and expected in the manifest.
FORMAT_VERSION = 1
MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Manifest:
    """What a program needs besides the graphs; plain values, stored as JSON.

    Attributes:
        format_version: of the layout.
        format: ``'onnx'``.
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
    return isinstance(path, (str, Path)) and Path(path, MANIFEST).is_file()


def read_manifest(folder: str | Path) -> Manifest:
    """Read and check the manifest of an exported model.

    Raises:
        CheckpointError: the folder is not one that ``glip export`` wrote, is of another version, or
            a file is missing.
    """
    path = Path(folder, MANIFEST)
    try:
        values = json.loads(path.read_bytes())
    except OSError as error:
        raise CheckpointError(
            f"expected a folder of `glip export` with {MANIFEST}, got '{folder}': "
            f"{error.strerror or error}"
        ) from None
    except ValueError:
        raise CheckpointError(f"'{path}' is damaged: export the model again") from None
    version = values.get("format_version") if isinstance(values, dict) else None
    if version != FORMAT_VERSION:
        raise CheckpointError(
            f"expected format_version {FORMAT_VERSION} in '{path}', got {version!r}: export the "
            "model again with this version of glip"
        )
    try:
        manifest = Manifest(**values)
    except TypeError:
        raise CheckpointError(
            f"'{path}' lacks values, or has unknown ones: export the model again"
        ) from None
    for name in manifest.files:
        if not Path(folder, name).is_file():
            raise CheckpointError(f"'{folder}' lacks the file {name}: copy or export it again")
    return manifest
