"""Compare checkpoints with a model, key by key."""

import pytest
import torch

from glip.checkpoint import KeyReport, compare, convert, fitting_configs


def test_a_checkpoint_that_fits(official, ours):
    report = compare(convert(official), ours)
    assert report == KeyReport(source="official", converted=len(ours))
    assert report.ok


def test_the_vocabulary_is_optional(ours):
    vocabulary = {"language_model._extra_state": torch.zeros(3, dtype=torch.uint8)}
    assert compare(convert(ours), ours | vocabulary).ok
    assert compare(convert(ours | vocabulary), ours).ok
    longer = {"language_model._extra_state": torch.zeros(9, dtype=torch.uint8)}
    assert compare(convert(ours | vocabulary), ours | longer).ok


def test_a_learned_prompt_may_be_missing_but_not_unexpected(ours):
    prompt = {"language_model.prompt.weight": torch.ones(10, 48)}
    assert compare(convert(ours), ours | prompt).ok
    assert compare(convert(ours | prompt), ours).unexpected == ["language_model.prompt.weight"]
    shorter = {"language_model.prompt.weight": torch.ones(9, 48)}
    assert compare(convert(ours | prompt), ours | shorter).mismatched == {
        "language_model.prompt.weight": ((9, 48), (10, 48))
    }


def test_what_does_not_fit(official, ours):
    given = dict(official)
    del given["rpn.head.bbox_pred.bias"]
    given["rpn.head.centerness.weight"] = torch.ones(2, 2)
    given["rpn.head.unknown"] = torch.ones(1)
    given["rpn.head.bbox_pred.unknown"] = torch.ones(1)  # known prefix, unknown suffix
    given["rpn.head.cls_logits.bias"] = torch.ones(80)
    report = compare(convert(given), ours)
    assert not report.ok
    assert report.missing == ["bbox_head.bbox_pred.bias"]
    assert report.unexpected == ["rpn.head.unknown", "bbox_head.bbox_pred.unknown"]
    assert report.mismatched == {"bbox_head.centerness.weight": ((1, 32, 1, 1), (2, 2))}
    assert list(report.ignored) == ["rpn.head.cls_logits.bias"]
    assert str(report).splitlines() == [
        "naming: official",
        f"converted: {len(ours) - 1}",
        "ignored: 1",
        "  1 x 80 fixed classes, never trained",
        "missing: 1",
        "  bbox_head.bbox_pred.bias",
        "unexpected: 2",
        "  rpn.head.unknown",
        "  bbox_head.bbox_pred.unknown",
        "shape mismatch: 1",
        "  bbox_head.centerness.weight: expected (1, 32, 1, 1), got (2, 2)",
    ]


def test_long_lists_are_truncated():
    report = KeyReport(source="glip", converted=0, missing=[f"key{index}" for index in range(20)])
    lines = str(report).splitlines()
    assert "  key7" in lines
    assert "  key8" not in lines
    assert "  ... and 12 more" in lines


@pytest.mark.parametrize(
    "change", [{"missing": ["a"]}, {"unexpected": ["a"]}, {"mismatched": {"a": ((1,), (2,))}}]
)
def test_any_difference_is_not_ok(change):
    assert KeyReport(source="glip", converted=1, ignored={"a": "b"}).ok
    assert not KeyReport(source="glip", converted=1, **change).ok


def test_published_models_fit_by_their_shapes(shipped):
    for name, state_dict in shipped.items():
        assert name in fitting_configs(state_dict)
    assert len({fitting_configs(state_dict) for state_dict in shipped.values()}) == 3


def test_other_models_fit_no_config(ours):
    assert fitting_configs(ours) == ()
    assert fitting_configs({}) == ()
