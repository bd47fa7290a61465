"""Write an exported model: graphs, tokenizer, settings; compared with torch before it appears."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from mmengine.config import Config

from glip.apis.pipelines import find_test_pipeline
from glip.apis.results import default_score_thr
from glip.export.checks import check_export
from glip.export.compress import quantize, store_in_half
from glip.export.graphs import make_graphs, write_onnx
from glip.export.openvino_graphs import write_openvino
from glip.export.verify import Report, verify
from glip.models import GLIP
from glip.models.task_modules.coders.box_coder import MAX_LOG_RATIO
from glip.runtime.manifest import FORMAT_VERSION, MANIFEST, Manifest
from glip.utils.atomic_write import describe_write_errors
from glip.utils.errors import ConfigError
from glip.utils.messages import shorten
from glip.utils.sha256 import file_sha256
from glip.version import __version__


def export_model(
    model: GLIP,
    out: str | Path,
    *,
    format: str = "onnx",
    precision: str = "fp32",
    static: tuple[int, int] | None = None,
    log: Callable[[str], None] = print,
) -> Report:
    """Write a folder that :mod:`glip.runtime` reads, and compare it with the model.

    Args:
        model: a detector of :func:`glip.apis.init_detector`, on the CPU.
        out: the folder, which must not exist; it appears complete or not at all.
        format: ``'onnx'`` or ``'openvino'``.
        precision: of the stored weights. ``'fp16'`` halves the files and is computed in float32;
            ``'int8'``, in ONNX only, quantizes the linear layers dynamically.
        static: (H, W), multiples of 32, for graphs of one input size.
        log: called with a line per step.

    Returns:
        What the comparison found.

    Raises:
        ExportError: the exported model detects something else than torch does.
        StorageError: the folder exists, or cannot be written.
        DependencyError: a package is missing or too old.
        ConfigError: an option is invalid, or the test pipeline has steps that are not exported.
    """
    check_export(out, format, precision, static)
    out = Path(out)
    model = model.eval()
    manifest = make_manifest(model, model.cfg, format, precision, static)
    folder = out.absolute().with_name(f".{out.name}.{uuid.uuid4().hex[:8]}.partial")
    try:
        with describe_write_errors(folder):
            folder.mkdir()
            write_tokenizer(model, folder / "tokenizer.json")
            for name, graph in make_graphs(model, static).items():
                log(f"writing {name}")
                if format == "openvino":
                    write_openvino(graph, folder / f"{name}.xml", precision == "fp16")
                    continue
                path = folder / f"{name}.onnx"
                write_onnx(graph, path)
                if precision == "fp16":
                    store_in_half(path)
                elif precision == "int8":
                    quantize(path)
            files = {path.name: file_sha256(path) for path in sorted(folder.iterdir())}
            manifest = replace(manifest, files=files)
            (folder / MANIFEST).write_text(manifest.to_json(), encoding="utf-8")
            log("comparing with torch")
            report = verify(model, folder, log)
            manifest = replace(manifest, verified=report.to_dict())
            (folder / MANIFEST).write_text(manifest.to_json(), encoding="utf-8")
            os.rename(folder, out)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return report


def make_manifest(
    model: GLIP, cfg: Config, format: str, precision: str, static: tuple[int, int] | None
) -> Manifest:
    """Return the settings of a model; ``files`` and ``verified`` are empty.

    Raises:
        ConfigError: the config's test pipeline has steps that are not exported.
    """
    resize = [step for step in find_test_pipeline(cfg) if "Resize" in str(step.get("type"))]
    if len(resize) != 1 or resize[0]["type"] != "FixScaleResize" or not resize[0].get("keep_ratio"):
        raise ConfigError(
            "expected a test pipeline with FixScaleResize and keep_ratio=True, as in configs/glip, "
            f"got {shorten(resize)}"
        )
    if resize[0].get("backend", "pillow") != "pillow":
        raise ConfigError("expected FixScaleResize with backend='pillow' in the test pipeline")
    scale = resize[0]["scale"]
    scale = (scale, scale) if isinstance(scale, int) else tuple(scale)
    head, preprocessor = model.bbox_head, model.data_preprocessor
    anchors, post = head.prior_generator, head.postprocess
    return Manifest(
        format_version=FORMAT_VERSION,
        format=format,
        model=Path(cfg.filename).stem if cfg.filename else "glip",
        glip_version=__version__,
        precision=precision,
        static=None if static is None else list(static),
        resize=dict(
            rule="official" if static is None else "static",
            short=min(scale),
            long=max(scale),
            interpolation="bilinear, antialiased (Pillow)",
        ),
        mean=preprocessor.mean.flatten().tolist(),
        std=preprocessor.std.flatten().tolist(),
        channels="rgb" if preprocessor._channel_conversion else "bgr",
        size_divisor=max(preprocessor.pad_size_divisor, 32),
        strides=list(anchors.strides),
        anchor_scale=anchors.octave_base_scale,
        anchor_center=anchors.center_offset,
        box_weights=list(head.bbox_coder.weights),
        max_log_ratio=MAX_LOG_RATIO,
        channel_count=head.bbox_pred.in_channels,
        text_channels=model.language_model.bert.config.hidden_size,
        max_tokens=model.language_model.max_tokens,
        chunked_size=model.chunked_size,
        score_thr=post.score_thr,
        nms_pre=post.nms_pre,
        iou_threshold=post.iou_threshold,
        max_per_img=post.max_per_img,
        min_bbox_size=post.min_bbox_size,
        default_score_thr=default_score_thr(cfg),
        files={},
        verified={},
    )


def write_tokenizer(model: GLIP, path: Path) -> None:
    """Write the tokenizer as the package tokenizers reads it."""
    tokenizer = model.language_model.tokenizer.backend_tokenizer
    tokenizer.no_truncation()
    tokenizer.no_padding()
    tokenizer.save(str(path))
