"""Post-processing against a reference with loops, and its differences from MMDetection."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from glip.models import AnchorGenerator, InclusiveBoxCoder
from glip.models.heads import HeadOutputs, PostProcessor
from glip.models.heads.postprocess import phrase_weights
from glip.models.heads.vl_fusion_head import build_postprocessor

SIZES = [(6, 8), (3, 4), (2, 2)]
ANCHORS = AnchorGenerator(strides=(8, 16, 32)).grid_priors(SIZES)
TOKENS = 9
#: Phrases of one, two and four tokens (one of them shared), and of two ranges; [CLS] is nobody's.
TOKEN_MAP = torch.tensor(
    [
        [0, 1, 0, 0, 0, 0, 0, 0, 0],
        [0, 0, 1, 1, 0, 0, 0, 0, 0],
        [0, 0, 0, 1, 1, 1, 1, 0, 0],
        [0, 1, 0, 0, 0, 0, 0, 1, 0],
    ],
    dtype=torch.bool,
)


def outputs_of(seed: int) -> HeadOutputs:
    generator = torch.Generator().manual_seed(seed)

    def draw(count: int, *shape: int) -> torch.Tensor:
        return torch.randn(2, count, *shape, generator=generator)

    counts = [height * width for height, width in SIZES]
    return HeadOutputs(
        token_logits=[2 * draw(count, TOKENS) - 2 for count in counts],
        deltas=[draw(count, 4) for count in counts],
        centerness=[draw(count) for count in counts],
        sizes=SIZES,
    )


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    """IoU of boxes that end on their last pixel."""
    sides = [min(a[k + 2], b[k + 2]) - max(a[k], b[k]) + 1 for k in (0, 1)]
    inter = max(sides[0], 0) * max(sides[1], 0)
    areas = [(box[2] - box[0] + 1) * (box[3] - box[1] + 1) for box in (a, b)]
    return inter / (sum(areas) - inter)


def detect_slowly(
    outputs: HeadOutputs, index: int, settings: PostProcessor, shape: tuple[int, int]
) -> list[tuple[float, int, list[float]]]:
    """(score, label, box), best first, as the official code decides."""
    coder, found = InclusiveBoxCoder(), []
    for level, anchors in enumerate(ANCHORS):
        logits = outputs.token_logits[level][index].double().numpy()
        centerness = sigmoid(outputs.centerness[level][index].double().numpy())
        boxes = coder.decode(anchors.double(), outputs.deltas[level][index].double()).numpy()
        candidates = []
        for position, label in np.ndindex(len(anchors), len(TOKEN_MAP)):
            tokens = np.flatnonzero(TOKEN_MAP[label])
            probability = sigmoid(logits[position, tokens]).mean()
            if probability > settings.score_thr:
                candidates.append((probability * centerness[position], position, label))
        for product, position, label in sorted(candidates, reverse=True)[: settings.nms_pre]:
            x1, y1, x2, y2 = boxes[position]
            height, width = shape
            box = [np.clip(x1, 0, width - 1), np.clip(y1, 0, height - 1),
                   np.clip(x2, 0, width - 1), np.clip(y2, 0, height - 1)]  # fmt: skip
            found.append((product**0.5, label, box))
    kept: list = []
    for score, label, box in sorted(found, key=lambda one: -one[0]):
        rivals = [other for _, its_label, other in kept if its_label == label]
        if all(overlap(box, other) <= settings.iou_threshold for other in rivals):
            kept.append((score, label, box))
    return kept[: settings.max_per_img]


def best_scores_slowly(outputs: HeadOutputs, index: int) -> list[float]:
    """The presence of each phrase: its best score at any position."""
    best = [0.0] * len(TOKEN_MAP)
    for logits, centerness in zip(outputs.token_logits, outputs.centerness, strict=True):
        for position, label in np.ndindex(logits.shape[1], len(TOKEN_MAP)):
            tokens = sigmoid(logits[index, position].double().numpy())[TOKEN_MAP[label].numpy()]
            center = sigmoid(centerness[index, position].double().numpy())
            best[label] = max(best[label], (tokens.mean() * center) ** 0.5)
    return best


@pytest.mark.parametrize(
    "settings",
    [
        PostProcessor(),
        PostProcessor(score_thr=0.2, nms_pre=20, iou_threshold=0.3),
        PostProcessor(nms_pre=7, max_per_img=13),
        PostProcessor(score_thr=0.6, iou_threshold=0.0),
    ],
)
@pytest.mark.parametrize("seed", range(4))
def test_as_with_loops(settings, seed):
    outputs, coder = outputs_of(seed), InclusiveBoxCoder()
    for index, shape in ((0, (48, 64)), (1, (37, 50))):
        found, presence = settings(outputs, index, TOKEN_MAP, ANCHORS, coder, shape)
        expected = detect_slowly(outputs, index, settings, shape)
        assert found.labels.tolist() == [label for _, label, _ in expected]
        np.testing.assert_allclose(found.scores, [score for score, _, _ in expected], atol=1e-6)
        np.testing.assert_allclose(found.bboxes, [box for _, _, box in expected], atol=1e-4)
        assert 0 < len(found) <= settings.max_per_img
        np.testing.assert_allclose(presence, best_scores_slowly(outputs, index), atol=1e-6)
        for label in range(len(TOKEN_MAP)):
            own = found.scores[found.labels == label]
            assert not len(own) or own.max() <= presence[label]


def test_the_reference_covers_every_rule():
    """Each rule changes the result of the cases above."""
    outputs, shape = outputs_of(0), (48, 64)
    default = len(detect_slowly(outputs, 0, PostProcessor(max_per_img=1000), shape))
    for settings in (
        PostProcessor(max_per_img=1000, iou_threshold=1.0),  # NMS
        PostProcessor(max_per_img=1000, nms_pre=7),  # top-k per level
        PostProcessor(max_per_img=1000, score_thr=0.0),  # score threshold
    ):
        assert len(detect_slowly(outputs, 0, settings, shape)) != default
    assert default > 13


# One rule at a time


def one_level(
    boxes: list[list[float]], probabilities: list[list[float]], centerness: list[float]
) -> tuple[HeadOutputs, list[torch.Tensor]]:
    """Outputs whose decoded boxes are given: the anchors are the boxes, the deltas zero."""
    tokens = torch.tensor(probabilities)
    outputs = HeadOutputs(
        token_logits=[tokens.logit()[None]],
        deltas=[torch.zeros(1, len(boxes), 4)],
        centerness=[torch.tensor(centerness).logit()[None]],
        sizes=[(1, len(boxes))],
    )
    return outputs, [torch.tensor(boxes)]


def run(settings: PostProcessor, outputs: tuple, token_map: list[list[int]]):
    outputs, anchors = outputs
    token_map = torch.tensor(token_map, dtype=torch.bool)
    return settings(outputs, 0, token_map, anchors, InclusiveBoxCoder(), (100, 100))[0]


def test_suppression_counts_the_last_pixel():
    boxes = [
        [0.0, 0.0, 9.0, 9.0],
        [0.0, 0.0, 9.0, 5.2],  # overlap 0.62 (62 of 100 pixels); 0.578 without the + 1
        [50.0, 0.0, 59.0, 9.0],
        [50.0, 0.0, 59.0, 5.0],  # exactly 0.6 is not above 0.6
    ]
    found = run(PostProcessor(), one_level(boxes, [[0.9], [0.8], [0.7], [0.6]], [0.9] * 4), [[1]])
    assert found.bboxes.tolist() == [boxes[0], boxes[2], boxes[3]]


def test_suppression_is_between_boxes_of_a_phrase():
    boxes = [[0.0, 0.0, 9.0, 9.0]] * 2
    outputs = one_level(boxes, [[0.9, 0.5], [0.8, 0.6]], [0.9] * 2)
    found = run(PostProcessor(), outputs, [[1, 0], [0, 1]])
    assert found.labels.tolist() == [0, 1]
    np.testing.assert_allclose(found.scores, np.sqrt([0.81, 0.54]), atol=1e-6)


def test_ranking_by_the_product():
    """MMDetection ranks by the probability alone."""
    boxes = [[0.0, 0.0, 9.0, 9.0], [50.0, 0.0, 59.0, 9.0]]
    outputs = one_level(boxes, [[0.9], [0.5]], [0.1, 0.9])
    found = run(PostProcessor(nms_pre=1), outputs, [[1]])
    assert found.bboxes.tolist() == [boxes[1]]
    assert found.scores.item() == pytest.approx(0.45**0.5)


def test_threshold_on_the_probability():
    """The threshold applies to the probability, not to the product."""
    boxes = [[0.0, 0.0, 9.0, 9.0], [50.0, 0.0, 59.0, 9.0]]
    outputs = one_level(boxes, [[0.06], [0.04]], [0.001, 0.999])
    found = run(PostProcessor(), outputs, [[1]])
    assert found.bboxes.tolist() == [boxes[0]]


def test_cap_is_over_all_phrases():
    boxes = [[10.0 * i, 0.0, 10.0 * i + 8, 9.0] for i in range(6)]
    probabilities = [[0.9 - 0.1 * i, 0.85 - 0.1 * i] for i in range(6)]
    outputs = one_level(boxes, probabilities, [0.5] * 6)
    found = run(PostProcessor(max_per_img=3), outputs, [[1, 0], [0, 1]])
    assert found.labels.tolist() == [0, 1, 0]
    assert found.bboxes.tolist() == [boxes[0], boxes[0], boxes[1]]


def test_small_boxes():
    """With a smallest size, sides are counted with their last pixel."""
    boxes = [[0.0, 0.0, 9.0, 9.0], [50.0, 0.0, 58.0, 9.0]]
    outputs = one_level(boxes, [[0.9], [0.8]], [0.9] * 2)
    for size, count in ((0, 2), (9, 2), (10, 1), (11, 0)):
        assert len(run(PostProcessor(min_bbox_size=size), outputs, [[1]])) == count


def test_nothing_found():
    found, presence = PostProcessor(score_thr=1.0)(
        outputs_of(0), 0, TOKEN_MAP, ANCHORS, InclusiveBoxCoder(), (48, 64)
    )
    assert found.bboxes.shape == (0, 4)
    assert found.scores.shape == (0,)
    assert found.labels.dtype == torch.long
    assert (presence > 0.3).all()


def test_presence():
    """The best product, also below the threshold; NaN and a phrase without tokens count as 0."""
    boxes = [[0.0, 0.0, 9.0, 9.0], [50.0, 0.0, 59.0, 9.0], [70.0, 0.0, 79.0, 9.0]]
    probabilities = [[0.04, 0.06, 0.9], [0.02, 0.04, 0.9], [0.03, 0.01, torch.nan]]
    outputs, anchors = one_level(boxes, probabilities, [0.5, 0.999, 0.001])
    token_map = torch.tensor([[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 0]], dtype=torch.bool)
    found, presence = PostProcessor()(outputs, 0, token_map, anchors, InclusiveBoxCoder(), (99, 99))
    expected = np.sqrt([0.04 * 0.5, 0.04 * 0.999, 0.9 * 0.999, 0])
    np.testing.assert_allclose(presence, expected, atol=1e-6)
    assert sorted(set(found.labels.tolist())) == [1, 2]
    best = found.scores[found.labels == 2].max()
    assert best == presence[2]  # to the last bit
    assert found.scores[found.labels == 1].max() < presence[1]  # its best position is no candidate


def test_phrase_weights():
    weights = phrase_weights(TOKEN_MAP)
    np.testing.assert_allclose(weights.sum(1), 1)
    assert weights[2].tolist() == [0, 0, 0, 0.25, 0.25, 0.25, 0.25, 0, 0]
    assert phrase_weights(torch.zeros(1, 3, dtype=torch.bool)).tolist() == [[0, 0, 0]]


def test_settings_of_a_config():
    given = dict(score_thr=0.1, nms_pre=9, nms=dict(type="nms", iou_threshold=0.3), max_per_img=300)
    assert build_postprocessor(given) == PostProcessor(0.1, 9, 0.3, 300)
    assert build_postprocessor({}) == PostProcessor(0.05, 1000, 0.6, 100, 0)
    with pytest.raises(ValueError, match="'soft_nms'"):
        build_postprocessor(dict(nms=dict(type="soft_nms")))


@pytest.mark.parametrize("nms_pre", [3, 1000])
@pytest.mark.parametrize("score_thr", [0.05, 0.3, 0.999])
def test_candidates_on_a_gpu(nms_pre, score_thr, monkeypatch):
    """The form without synchronisation selects the same candidates."""
    settings = PostProcessor(nms_pre=nms_pre, score_thr=score_thr)
    outputs = outputs_of(3)
    args = (outputs, 1, TOKEN_MAP, ANCHORS, InclusiveBoxCoder(), (50, 60))
    expected, presence = settings(*args)
    monkeypatch.setattr(PostProcessor, "_candidates", PostProcessor._topk_candidates)
    found, same = settings(*args)
    assert torch.equal(same, presence)
    assert (len(expected) == 0) == (score_thr == 0.999)
    for key in ("bboxes", "scores", "labels"):
        assert torch.equal(found[key], expected[key])
