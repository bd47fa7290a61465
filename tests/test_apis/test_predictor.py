"""A picture is looked at once for any number of prompts."""

from __future__ import annotations

import copy
from unittest import mock

import pytest
import torch

from glip.apis import Predictor, inference_detector
from glip.datasets.images import read_image
from glip.text import Prompt
from glip.utils.errors import ConfigError, ImageReadError, PromptError

PROMPTS = [
    dict(text="bench . car .", custom_entities=True),
    dict(text=["traffic light", "person"]),
    dict(text="A temple by a pond.", tokens_positive=[[[2, 8]], [[14, 18]]]),
    dict(text=Prompt.from_class_names(["thing"])),
]


def test_as_the_detector_finds(tiny_model, photo):
    predictor = Predictor(tiny_model)
    with mock.patch.object(tiny_model, "encode_image", wraps=tiny_model.encode_image) as encode:
        predictor.set_image(photo)
        answers = [predictor.predict(**prompt) for prompt in PROMPTS]
    assert encode.call_count == 1
    for prompt, answer in zip(PROMPTS, answers, strict=True):
        prompt = {("text_prompt" if key == "text" else key): prompt[key] for key in prompt}
        expected = inference_detector(tiny_model, photo, **prompt).pred_instances
        found = answer.pred_instances
        assert len(found)
        assert found.label_names == expected.label_names
        torch.testing.assert_close(found.scores, expected.scores, rtol=0, atol=1e-6)
        torch.testing.assert_close(found.bboxes, expected.bboxes, rtol=0, atol=1e-3)


def test_another_picture(tiny_model, photo):
    predictor = Predictor(tiny_model)
    predictor.set_image(photo)
    first = predictor.predict(["bench"]).pred_instances
    predictor.set_image(read_image(photo)[:, ::-1].copy())
    second = predictor.predict(["bench"]).pred_instances
    assert not torch.equal(first.bboxes, second.bboxes)


def test_each_prompt_is_encoded_once(tiny_model, photo):
    """Also for another image; weights that change in between count."""
    model = copy.deepcopy(tiny_model)
    predictor = Predictor(model)
    with mock.patch.object(
        model.language_model, "forward", wraps=model.language_model.forward
    ) as forward:
        predictor.set_image(photo)
        first = predictor.predict(["bench"]).pred_instances
        for prompt in (["bench"], ["car"], ["bench"]):
            last = predictor.predict(prompt).pred_instances
        assert forward.call_count == 2
        assert torch.equal(last.scores, first.scores)
        predictor.set_image(read_image(photo)[:, ::-1].copy())
        predictor.predict(["car"])
        assert forward.call_count == 2
        for parameter in model.language_model.parameters():
            parameter.data.mul_(1.1)
        predictor.set_image(photo)
        changed = predictor.predict(["bench"]).pred_instances
        assert forward.call_count == 3
    expected = inference_detector(model, photo, text_prompt=["bench"]).pred_instances
    assert torch.equal(changed.scores, expected.scores)


def test_errors(tiny_model, photo, tmp_path):
    predictor = Predictor(tiny_model)
    with pytest.raises(ConfigError, match="call set_image first"):
        predictor.predict(["bench"])
    predictor.set_image(photo)
    with pytest.raises(PromptError):
        predictor.predict([])
    with pytest.raises(ImageReadError):
        predictor.set_image(tmp_path / "nothing.jpg")
    with pytest.raises(ConfigError, match="call set_image first"):  # not the picture before
        predictor.predict(["bench"])


def test_score_threshold(tiny_model, photo):
    predictor = Predictor(tiny_model)
    predictor.set_image(photo)
    found = predictor.predict(["bench"]).pred_instances
    kept = predictor.predict(["bench"], score_thr=0.5).pred_instances
    assert torch.equal(kept.scores, found.scores[found.scores >= 0.5])
    assert 0 < len(kept) < len(found)
    with pytest.raises(ConfigError, match="score_thr"):
        predictor.predict(["bench"], score_thr="0.5")
