"""Compare an exported model with the model in torch: raw outputs and detections.

Shapes: N positions of all levels, T tokens, K detections.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from glip.config import demo_file
from glip.datasets.images import open_image
from glip.models import GLIP
from glip.runtime.detector import Detector
from glip.runtime.manifest import Manifest
from glip.runtime.postprocess import decode, level_sizes, make_anchors
from glip.runtime.preprocess import normalize_and_pad, resize
from glip.structures import DetDataSample
from glip.text import Prompt, parse_prompt
from glip.utils.errors import ExportError

#: Largest differences: of scores and probabilities, and of boxes in pixels of the network's input.
#: Those of weights in half precision are bounds on their rounding (11 bits) through the layers.
TOLERANCES = {"fp32": (1e-4, 0.05), "fp16": (2e-2, 2.0)}
#: Detections closer than this to a threshold or a tie are left aside.
_NEAR = 1e-4
#: IoU this close to the threshold of NMS is a tie, too.
_NEAR_IOU = 1e-3
_WORDS = (
    "red star",
    "blue circle",
    "green triangle",
    "person",
    "bench",
    "small ring",
    "car",
    "moon",
)


@dataclass
class Report:
    """What a comparison found.

    Attributes:
        cases: batches compared.
        images: images compared.
        detections: detections of torch.
        aside: detections left aside, near a threshold or a tie.
        unmatched: detections of either without a counterpart.
        max_score: largest difference of matched scores.
        max_box: largest difference of matched boxes in pixels of the network's input.
        max_probability: largest difference of raw outputs, as probabilities.
        max_raw_box: the same of decoded boxes where a phrase is above the threshold.
    """

    cases: int = 0
    images: int = 0
    detections: int = 0
    aside: int = 0
    unmatched: int = 0
    max_score: float = 0.0
    max_box: float = 0.0
    max_probability: float = 0.0
    max_raw_box: float = 0.0

    def to_dict(self) -> dict:
        """Return plain values."""
        return asdict(self)

    def __str__(self) -> str:
        """Say what was compared, and the largest differences."""
        return (
            f"{self.images} images in {self.cases} batches, {self.detections} detections, "
            f"{self.unmatched} unmatched, {self.aside} near a threshold or a tie; largest "
            f"differences: scores {self.max_score:.2g}, boxes {self.max_box:.2g} px, raw "
            f"probabilities {self.max_probability:.2g}, raw boxes {self.max_raw_box:.2g} px"
        )


def verify(
    model: GLIP, folder: str | Path, log: Callable[[str], None] = print, seed: int = 0
) -> Report:
    """Compare detections and raw outputs on random sizes, prompts and batches.

    The differences of int8 weights are reported, not limited: their loss is a matter of the model.

    Args:
        model: the detector, on the CPU in float32.
        folder: the exported model.
        log: called with the report.
        seed: of the random sizes.

    Raises:
        ExportError: a difference is above its tolerance.
    """
    detector = Detector(folder)
    report = Report()
    for images, prompts in make_cases(seed):
        _compare(model, detector, images, prompts, report)
    log(str(report))
    tolerance = TOLERANCES.get(detector.manifest.precision)
    if tolerance is None:
        return report
    score, box = tolerance
    if (
        not report.detections
        or report.unmatched
        > (0 if detector.manifest.precision == "fp32" else report.detections * 0.1)
        or max(report.max_score, report.max_probability) > score
        or max(report.max_box, report.max_raw_box) > box
    ):
        raise ExportError(
            f"the exported model does not detect what torch does (tolerances: scores {score:g}, "
            f"boxes {box:g} px): {report}"
        )
    return report


def make_cases(seed: int = 0) -> list[tuple[list[np.ndarray], list[Prompt]]]:
    """Return batches of BGR images of random sizes with prompts of 1 to 256 tokens."""
    generator = np.random.default_rng(seed)
    source = open_image(demo_file("shapes.jpg"))
    long_names = [f"{word} {number}" for number in range(60) for word in _WORDS]
    texts: list[list[list[str]]] = [
        [["star"]],
        [list(_WORDS[:3])],
        [list(_WORDS), ["red star"]],
        [long_names[:60]],  # close to 256 tokens
        [long_names[:100], list(_WORDS), ["circle"]],  # several captions
    ]
    cases = []
    for names in texts:
        images = []
        for _ in names:
            high, wide = (int(side) for side in generator.integers(100, 320, 2))
            top = int(generator.integers(0, max(source.shape[0] - high, 1)))
            left = int(generator.integers(0, max(source.shape[1] - wide, 1)))
            images.append(np.ascontiguousarray(source[top : top + high, left : left + wide]))
        cases.append((images, [parse_prompt(own, warn=False) for own in names]))
    return cases


def _compare(
    model: GLIP,
    detector: Detector,
    images: list[np.ndarray],
    prompts: list[Prompt],
    report: Report,
) -> None:
    """Add the differences of a batch to the report."""
    manifest = detector.manifest
    resized = [shrink(image, manifest) for image in images]
    # The images have their final size, so that boxes are compared in the network's pixels.
    batch = normalize_and_pad(resized, manifest)
    samples = [
        DetDataSample(metainfo=dict(img_shape=image.shape[:2], scale_factor=(1.0, 1.0)))
        for image in resized
    ]
    with torch.inference_mode():
        levels = model.encode_image(torch.from_numpy(batch))
        encoded = [model.encode_prompt(prompt) for prompt in prompts]
        results = model.predict_prompts(levels, samples, [[each] for each in encoded])
    own_images = detector.encode_resized(resized)
    own_prompts = [detector.encode_text(prompt) for prompt in prompts]
    runs = [
        detector.detect(own_images, own_prompts, manifest.score_thr + shift)
        for shift in (0.0, -_NEAR, _NEAR)
    ]
    report.cases += 1
    for row, ((expected, _),) in enumerate(results):
        report.images += 1
        reference = _Boxes(
            expected.bboxes.numpy(), expected.scores.numpy(), expected.labels.numpy()
        )
        found = [_Boxes(run[row].bboxes, run[row].scores, run[row].labels) for run in runs]
        _match(reference, found, manifest, report)
    _compare_raw(model, detector, levels, encoded, own_images, own_prompts, report)


@dataclass(frozen=True)
class _Boxes:
    bboxes: np.ndarray
    scores: np.ndarray
    labels: np.ndarray


def _match(reference: _Boxes, found: Sequence[_Boxes], manifest: Manifest, report: Report) -> None:
    """Match the detections of an image, and add them to the report."""
    score_limit, box_limit = TOLERANCES.get(manifest.precision, TOLERANCES["fp16"])
    report.detections += len(reference.scores)
    main, lower, higher = found
    for index in range(len(reference.scores)):
        difference = _closest(reference, index, main)
        if difference[1] <= box_limit and difference[0] <= max(score_limit, 1e-3):
            report.max_score = max(report.max_score, difference[0])
            report.max_box = max(report.max_box, difference[1])
        elif any(
            _closest(reference, index, each)[1] <= box_limit for each in (lower, higher)
        ) or _is_tie(reference, index, main, manifest):
            report.aside += 1
        else:
            report.unmatched += 1
    for index in range(len(main.scores)):
        if _closest(main, index, reference)[1] <= box_limit:
            continue
        if _closest(main, index, higher)[1] > box_limit or _is_tie(
            main, index, reference, manifest
        ):
            report.aside += 1
        else:
            report.unmatched += 1


def _closest(one: _Boxes, index: int, other: _Boxes) -> tuple[float, float]:
    """Return the differences of score and box to the closest detection of the same label."""
    same = other.labels == one.labels[index]
    if not same.any():
        return np.inf, np.inf
    boxes = np.abs(other.bboxes[same] - one.bboxes[index]).max(axis=1)
    scores = np.abs(other.scores[same] - one.scores[index])
    best = np.lexsort((scores, boxes))[0]
    return float(scores[best]), float(boxes[best])


def _is_tie(one: _Boxes, index: int, other: _Boxes, manifest: Manifest) -> bool:
    """Return whether a detection is at the limit of their number, or at that of NMS."""
    score = one.scores[index]
    if len(other.scores) >= manifest.max_per_img and score <= other.scores[-1] + _NEAR:
        return True
    same = other.labels == one.labels[index]
    overlap = _iou(one.bboxes[index], other.bboxes[same])
    near_score = np.abs(other.scores[same] - score) <= _NEAR
    near_limit = np.abs(overlap - manifest.iou_threshold) <= _NEAR_IOU
    return bool((near_limit | (near_score & (overlap > manifest.iou_threshold))).any())


def _iou(box: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    low, high = np.maximum(box[:2], boxes[:, :2]), np.minimum(box[2:], boxes[:, 2:])
    overlap = np.clip(high - low, 0, None).prod(axis=1)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1) + (box[2:] - box[:2]).prod()
    return overlap / np.maximum(areas - overlap, 1e-9)


def _compare_raw(
    model: GLIP,
    detector: Detector,
    levels: list[torch.Tensor],
    encoded: Sequence,
    own_images: Sequence,
    own_prompts: Sequence,
    report: Report,
) -> None:
    """Compare the raw outputs for the first caption of each prompt."""
    manifest = detector.manifest
    own = detector.answer(own_images, [prompt.hidden[0] for prompt in own_prompts])
    text = [prompt.features[0] for prompt in encoded]
    width = max(each.mask.shape[1] for each in text)
    with torch.inference_mode():
        outputs = model.bbox_head._forward_dense(levels, type(text[0]).cat(text, width))
    logits, deltas, centerness = (
        torch.cat(list(each), dim=1).numpy()
        for each in (outputs.token_logits, outputs.deltas, outputs.centerness)
    )
    height, width = own_images[0].size
    anchors = np.concatenate(make_anchors(level_sizes(height, width, manifest), manifest))
    for row, each in enumerate(text):
        tokens = each.mask.shape[1]
        expected, found = (_sigmoid(x[row, :, :tokens]) for x in (logits, own[0]))
        centers = [_sigmoid(x[row]) for x in (centerness, own[2])]
        for one, other in ((expected, found), centers):
            report.max_probability = max(report.max_probability, float(np.abs(one - other).max()))
        kept = np.flatnonzero(expected.max(axis=1) > manifest.score_thr)
        boxes = [decode(anchors[kept], x[row, kept], manifest) for x in (deltas, own[1])]
        if len(kept):
            difference = float(np.abs(boxes[0] - boxes[1]).max())
            report.max_raw_box = max(report.max_raw_box, difference)


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x.astype(np.float64)))


def shrink(image: np.ndarray, manifest: Manifest) -> np.ndarray:
    """Return an image in a size that the network reads as it is."""
    if manifest.static is None:
        return image
    return resize(image, manifest)
