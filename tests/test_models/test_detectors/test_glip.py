"""The detector as mmengine's runner calls it; what it detects is tested in test_apis."""

from __future__ import annotations

import pickle

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope

from glip.models import DetDataPreprocessor, TextFeatureCache
from glip.models.detectors import glip as detector
from glip.models.detectors import samples
from glip.models.detectors.samples import read_prompt
from glip.models.heads import HeadOutputs
from glip.registry import MODELS
from glip.structures import DetDataSample
from glip.testing import draw_state_dict, tiny_config
from glip.text import Prompt, chunk_prompt, load_vocabulary
from glip.utils.errors import PromptError


def sample_of(**meta: object) -> DetDataSample:
    return DetDataSample(metainfo=dict(img_shape=(60, 90), scale_factor=(0.5, 0.5)) | meta)


@pytest.fixture
def images():
    return torch.randn(2, 3, 64, 96, generator=torch.Generator().manual_seed(0))


def test_raw_outputs(tiny_model, images):
    samples = [sample_of(text="bench . car ."), sample_of(text="traffic light .")]
    with torch.no_grad():
        outputs = tiny_model(images, samples, mode="tensor")
    assert isinstance(outputs, HeadOutputs)
    assert outputs.sizes == [(8, 12), (4, 6), (2, 3), (1, 2), (1, 1)]
    # [CLS] bench . car [SEP]
    assert [tuple(level.shape) for level in outputs.token_logits][:2] == [(2, 96, 5), (2, 24, 5)]
    assert [tuple(level.shape) for level in outputs.deltas][:2] == [(2, 96, 4), (2, 24, 4)]
    assert [tuple(level.shape) for level in outputs.centerness][:2] == [(2, 96), (2, 24)]


def test_prediction(tiny_model, images):
    samples = [sample_of(text="bench . car ."), sample_of(text=["dog"])]
    with torch.no_grad():
        found = tiny_model(images, samples, mode="predict")
    assert found is samples
    for sample, names in zip(found, (["bench", "car"], ["dog"]), strict=True):
        instances = sample.pred_instances
        assert len(instances) > 0
        assert instances.label_names == [names[label] for label in instances.labels.tolist()]
        assert (instances.bboxes[:, 2] <= 90 / 0.5).all()
        assert (instances.bboxes[:, 3] <= 60 / 0.5).all()
        assert instances.bboxes[:, 2].max() > 90
        assert sample.presence.label_names == names
        for label, score in enumerate(sample.presence.scores):
            assert score == instances.scores[instances.labels == label].max()


@pytest.mark.parametrize("chunked_size", [-1, 2])
def test_presence_of_every_phrase(chunked_size, vocabulary, images):
    """Each phrase has its own value, in the order of the prompt, however the prompt is split."""
    cfg = tiny_config(lang_model_name=vocabulary)
    cfg.model.test_cfg.update(chunked_size=chunked_size, score_thr=0.0, max_per_img=10**6)
    with DefaultScope.overwrite_default_scope("glip"):
        model = MODELS.build(cfg.model).eval()
    model.load_state_dict(draw_state_dict(model.state_dict()))
    names = ("bench", "car", " ", "dog", "hair drier", "")
    with torch.no_grad():
        (sample,) = model.predict(images[:1], [sample_of(text=names)])
    presence, found = sample.presence, sample.pred_instances
    assert presence.label_names == list(names)
    assert presence.scores[[2, 5]].tolist() == [0, 0]
    for label in (0, 1, 3, 4):
        assert presence.scores[label] == found.scores[found.labels == label].max()
    assert len(set(presence.scores.tolist())) == 5
    whole = sample.to_dict()
    assert list(whole["presence"]) == ["scores"]
    assert pickle.loads(pickle.dumps(sample)).presence.label_names == list(names)


@pytest.mark.parametrize(
    ("meta", "names"),
    [
        (dict(text=("bench", "traffic light")), {"bench", "traffic light"}),
        (dict(text="bench. car", custom_entities=True), {"bench", "car"}),
        (dict(text="a dog here", tokens_positive=[[[2, 5]]]), {"dog"}),
        (
            dict(text=("dog", "cat"), caption_prompt={"cat": dict(suffix=" with stripes")}),
            {"dog", "cat"},
        ),
    ],
)
def test_prompts_of_data_sets(tiny_model, images, meta, names):
    prompt = read_prompt(sample_of(**meta))
    assert set(prompt.names) == names
    assert ("with stripes" in prompt.caption) == ("caption_prompt" in meta)
    found = tiny_model.predict(images[:1], [sample_of(**meta)])[0].pred_instances
    assert set(found.label_names) == names


def test_what_cannot_be_run(tiny_model, images):
    samples = [sample_of(text="a ."), sample_of(text="b .")]
    with pytest.raises(ValueError, match="got 'train'"):
        tiny_model(images, samples, mode="train")
    with pytest.raises(ValueError, match="got none"):
        tiny_model(images, mode="predict")
    with pytest.raises(PromptError, match="return_classes=True"):
        tiny_model(images, [sample_of(), sample_of()], mode="predict")
    long = [sample_of(text=load_vocabulary("lvis")), sample_of(text="b .")]
    with pytest.raises(PromptError, match="too long for one"):
        tiny_model(images, long, mode="tensor")


def test_official_preprocessing_by_default(tiny_cfg):
    cfg = Config(dict(model=tiny_cfg.model.to_dict())).model
    del cfg["data_preprocessor"]
    with DefaultScope.overwrite_default_scope("glip"):
        model = MODELS.build(cfg)
    assert type(model.data_preprocessor) is DetDataPreprocessor
    assert model.data_preprocessor.mean.flatten().tolist() == pytest.approx(
        [103.53, 116.28, 123.675]
    )


@pytest.mark.parametrize("early_fuse", [False, True])
@pytest.mark.parametrize("together", [2, 5, 100])
def test_captions_together(early_fuse, together, vocabulary, images):
    """How many captions go through the head at a time changes nothing but the last digits."""
    cfg = tiny_config(early_fuse=early_fuse, lang_model_name=vocabulary)
    cfg.model.test_cfg.update(chunked_size=3, score_thr=0.0)
    with DefaultScope.overwrite_default_scope("glip"):
        model = MODELS.build(cfg.model).eval()
    model.load_state_dict(draw_state_dict(model.state_dict()))
    texts = (("bench", "car", "a very long name", "dog", "cat", "kite", "tie"), ("dog", "cat"))
    results = []
    for model.chunks_at_a_time in (1, together):
        with torch.no_grad():
            found = model.predict(images, [sample_of(text=text) for text in texts])
        results.append([sample.pred_instances for sample in found])
    for one, other in zip(*results, strict=True):
        assert len(one) == len(other) > 10
        torch.testing.assert_close(one.scores, other.scores, rtol=1e-4, atol=1e-5)
        same = one.labels == other.labels  # boxes of equal scores may change places
        assert same.float().mean() > 0.9
        torch.testing.assert_close(one.bboxes[same], other.bboxes[same], rtol=1e-3, atol=0.1)


@pytest.mark.parametrize("early_fuse", [False, True])
def test_several_prompts_an_image(early_fuse, vocabulary, images):
    """Each is answered as if it were asked alone, but the images are looked at once."""
    cfg = tiny_config(early_fuse=early_fuse, lang_model_name=vocabulary)
    cfg.model.test_cfg.update(score_thr=0.0)
    with DefaultScope.overwrite_default_scope("glip"):
        model = MODELS.build(cfg.model).eval()
    model.load_state_dict(draw_state_dict(model.state_dict()))
    asked = (("a dog on a sofa", " ".join(["cars and"] * 200)), ("a very long name",))
    prompts = [[Prompt.from_caption(text) for text in texts] for texts in asked]
    assert len(model.chunk_prompt(prompts[0][1])) > 1
    seen = []
    model.backbone.register_forward_hook(lambda *_: seen.append(1))
    samples = [sample_of(), sample_of(scale_factor=(2.0, 2.0))]
    with torch.no_grad():
        encoded = [[model.encode_prompt(prompt) for prompt in own] for own in prompts]
        found = model.predict_prompts(model.encode_image(images), samples, encoded)
    assert len(seen) == 1
    assert [len(own) for own in found] == [2, 1]
    for row, own in enumerate(prompts):
        for prompt, (instances, presence) in zip(own, found[row], strict=True):
            assert presence.label_names == prompt.names
            sample = sample_of(text=prompt, scale_factor=samples[row].scale_factor)
            with torch.no_grad():
                (alone,) = model.predict(images[row : row + 1], [sample])
            expected = alone.pred_instances
            assert len(instances) == len(expected) > 5
            torch.testing.assert_close(instances.scores, expected.scores, rtol=1e-4, atol=1e-5)
            assert set(instances.label_names) <= set(prompt.names)


@pytest.fixture
def encoder_calls(tiny_model):
    """The shapes of the batches that the language encoder got."""
    calls = []
    hook = tiny_model.language_model.register_forward_hook(
        lambda _, given, out: calls.append(tuple(given[0].shape))
    )
    yield calls
    hook.remove()


def test_each_prompt_is_tokenized_once(tiny_model, images, encoder_calls, monkeypatch):
    tokenized = []

    def counted(prompt, *others, **options):
        tokenized.append(prompt)
        return chunk_prompt(prompt, *others, **options)

    monkeypatch.setattr(detector, "chunk_prompt", counted)
    monkeypatch.setattr(samples, "parse_prompt_fields", lambda _: pytest.fail("it was parsed"))
    prompts = [Prompt.from_class_names(["bench", "car"]), Prompt.from_class_names(["dog"])]
    batch = [sample_of() for _ in range(2)]
    for sample, prompt in zip(batch, prompts, strict=True):
        sample.prompt = prompt
    with torch.no_grad():
        tiny_model(images, batch, mode="predict")
    assert tokenized == prompts
    assert encoder_calls == [(1, 5), (1, 3)]
    for sample in batch:
        sample.prompt = prompts[0]
    with torch.no_grad():
        tiny_model(images, batch, mode="predict")
    assert tokenized == [*prompts, prompts[0]]
    assert len(encoder_calls) == 3


def test_text_features_do_not_depend_on_other_prompts(tiny_model):
    names = ["bench", "car", "a very long name"]
    with torch.no_grad():
        alone = tiny_model.encode_prompt(Prompt.from_class_names(names))
        tiny_model.encode_prompt(Prompt.from_caption("a dog on a sofa and a cat"))
        again = tiny_model.encode_prompt(Prompt.from_class_names(names))
    assert torch.equal(alone.features[0].hidden, again.features[0].hidden)
    assert alone.names == names


def test_several_prompts_encoded_together(tiny_model, encoder_calls):
    prompts = [Prompt.from_class_names(names) for names in (["bench", "car"], ["dog"])]
    chunks = [tiny_model.chunk_prompt(prompt) for prompt in prompts]
    with torch.no_grad():
        encoded = tiny_model.encode_chunks(chunks)
        alone = [tiny_model.encode_prompt(prompt) for prompt in prompts]
    assert encoder_calls == [(2, 5), (1, 5), (1, 3)]
    for one, other in zip(encoded, alone, strict=True):
        torch.testing.assert_close(one.features[0].hidden, other.features[0].hidden)


def test_nothing_is_kept_on_the_model(tiny_model, images, encoder_calls):
    """Weights that are changed where autograd does not see it count at once."""
    before = {name: value.clone() for name, value in tiny_model.state_dict().items()}

    def scores():
        with torch.no_grad():
            (sample,) = tiny_model.predict(images[:1], [sample_of(text=["bench", "car"])])
        return sample.pred_instances.scores

    first = scores()
    assert torch.equal(scores(), first)
    assert len(encoder_calls) == 2
    try:
        for parameter in tiny_model.language_model.parameters():
            parameter.data.mul_(1.5)
        changed = scores()
        assert changed.shape != first.shape or not torch.equal(changed, first)
    finally:
        tiny_model.load_state_dict(before)
    assert torch.equal(scores(), first)


def test_steps_reuse_what_they_are_given(tiny_model, images, encoder_calls):
    cache = TextFeatureCache(tiny_model)
    results = []
    for step in (tiny_model.test_step, tiny_model.val_step):
        for options in ({}, dict(encode_prompt=cache.encode_prompt)):
            data = dict(inputs=list(images * 50 + 100), data_samples=[sample_of(text="a dog")] * 2)
            data["data_samples"] = [sample.clone() for sample in data["data_samples"]]
            with torch.no_grad():
                results.append(step(data, **options))
    assert len(encoder_calls) == 3
    for found in results[1:]:
        for one, other in zip(found, results[0], strict=True):
            assert torch.equal(one.pred_instances.scores, other.pred_instances.scores)
