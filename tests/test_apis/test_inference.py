"""The functions in MMDetection's call shapes, on a small real model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from torch import nn

from glip.apis import inference_detector, init_detector
from glip.apis.pipelines import find_test_pipeline, make_pipeline
from glip.datasets.images import read_image
from glip.datasets.transforms import LoadImageFromFile
from glip.structures import DetDataSample
from glip.text import Prompt, load_vocabulary
from glip.utils.errors import (
    CheckpointError,
    ConfigError,
    ImageReadError,
    PromptError,
    TokenizerNotFoundError,
)

NAMES = "bench . car ."
#: What makes the shipped GLIP-T (A) small, as a user would write it on the command line.
SMALL = {
    "model.backbone.embed_dims": 8,
    "model.backbone.depths": [1, 1, 1, 1],
    "model.backbone.num_heads": [1, 2, 4, 8],
    "model.neck.in_channels": [16, 32, 64],
    "model.neck.out_channels": 32,
    "model.bbox_head.in_channels": 32,
    "model.bbox_head.num_dyhead_blocks": 1,
    "model.language_model.config": dict(
        hidden_size=48, num_hidden_layers=1, num_attention_heads=4, intermediate_size=96
    ),
}


def detect(model: nn.Module, photo: Path, prompt: object, **options: object) -> DetDataSample:
    return inference_detector(model, photo, text_prompt=prompt, **options)


def assert_same(one: DetDataSample, other: DetDataSample, atol: float = 0.0) -> None:
    one, other = one.pred_instances, other.pred_instances
    assert one.label_names == other.label_names
    torch.testing.assert_close(one.labels, other.labels)
    torch.testing.assert_close(one.scores, other.scores, rtol=0, atol=atol)
    torch.testing.assert_close(one.bboxes, other.bboxes, rtol=0, atol=atol)


@pytest.fixture(scope="module")
def found(tiny_model: nn.Module, photo: Path) -> DetDataSample:
    return inference_detector(tiny_model, str(photo), text_prompt=NAMES, custom_entities=True)


# Building


@pytest.mark.parametrize("as_config", [str, Path, Config.fromfile])
def test_every_kind_of_config(tiny_config_file, tiny_checkpoint, photo, found, as_config):
    model = init_detector(as_config(tiny_config_file), str(tiny_checkpoint), device="cpu")
    assert not model.training
    assert model.cfg.lang_model_name
    assert_same(detect(model, photo, NAMES), found)


def test_shipped_name_and_cfg_options(vocabulary, photo):
    model = init_detector(
        "glip_atss_swin-t_a_fpn_dyhead_pretrain_obj365",
        device="cpu",
        cfg_options={"lang_model_name": vocabulary, "model.test_cfg.score_thr": 0.0, **SMALL},
    )
    assert model.language_model.name == vocabulary
    assert model.cfg.lang_model_name == vocabulary
    assert len(detect(model, photo, NAMES).pred_instances)


def test_cfg_options_reach_the_model(tiny_cfg, tiny_checkpoint, photo, found):
    before = tiny_cfg.pretty_text
    model = init_detector(
        tiny_cfg, tiny_checkpoint, device="cpu", cfg_options={"model.test_cfg.max_per_img": 7}
    )
    best = found.pred_instances[:7]
    assert detect(model, photo, NAMES).pred_instances.scores.tolist() == best.scores.tolist()
    assert tiny_cfg.pretty_text == before


def test_nothing_found(tiny_cfg, tiny_checkpoint, photo):
    model = init_detector(
        tiny_cfg, tiny_checkpoint, device="cpu", cfg_options={"model.test_cfg.score_thr": 1.0}
    )
    instances = detect(model, photo, "$: lvis").pred_instances
    assert instances.bboxes.shape == (0, 4)
    assert len(instances.scores) == len(instances.labels) == len(instances.label_names) == 0


def test_palette_is_refused(tiny_cfg):
    with pytest.raises(ValueError, match="palette 'none'"):
        init_detector(tiny_cfg, palette="random", device="cpu")


def test_checkpoint_of_another_model(tiny_cfg, tiny_checkpoint):
    options = {"model.bbox_head.early_fuse": False}
    with pytest.raises(CheckpointError, match="does not fit this config"):
        init_detector(tiny_cfg, tiny_checkpoint, device="cpu", cfg_options=options)


@pytest.mark.parametrize("scope", [None, "mmengine"])
def test_scope_is_left_untouched(tiny_cfg, photo, scope):
    with DefaultScope.overwrite_default_scope(scope):
        detect(init_detector(tiny_cfg, device="cpu"), photo, NAMES)
        current = DefaultScope.get_current_instance()
        assert (current and current.scope_name) == scope


# Pictures


def test_what_comes_back(found):
    instances = found.pred_instances
    assert isinstance(found, DetDataSample)
    assert len(instances) > 20
    assert (instances.scores.diff() <= 0).all()
    assert set(instances.labels.tolist()) == {0, 1}
    assert instances.label_names == [["bench", "car"][i] for i in instances.labels.tolist()]
    low, high = instances.bboxes[:, :2], instances.bboxes[:, 2:]
    assert (low >= 0).all()
    assert (low < high).all()
    # Boxes are in pixels of the picture, not of the network's smaller input.
    assert (high <= torch.tensor([640, 427]) + 1e-3).all()
    assert (high.amax(0) > torch.tensor([500, 400])).all()


@pytest.mark.parametrize("as_image", [str, Path, read_image])
def test_every_kind_of_picture(tiny_model, photo, found, as_image):
    sample = inference_detector(
        tiny_model, as_image(photo), text_prompt=NAMES, custom_entities=True
    )
    assert_same(sample, found)


@pytest.mark.parametrize("kind", [list, tuple])
def test_list_of_pictures(tiny_model, photo, found, kind):
    mirrored = np.ascontiguousarray(read_image(photo)[:, ::-1])
    samples = inference_detector(tiny_model, kind([photo, mirrored]), text_prompt=NAMES)
    assert isinstance(samples, list)
    assert_same(samples[0], found)
    assert samples[1].pred_instances.bboxes.tolist() != found.pred_instances.bboxes.tolist()


def test_own_pipeline(tiny_model, photo, found):
    pipeline = make_pipeline(tiny_model.cfg, from_array=False)
    assert_same(detect(tiny_model, photo, NAMES, test_pipeline=pipeline), found)
    # Twice as large: the pipeline that is given is the one that runs.
    cfg = Config(dict(tiny_model.cfg.to_dict()))
    for step in cfg.test_pipeline:
        if step["type"] == "FixScaleResize":
            step["scale"] = (256, 426)
    pipeline = make_pipeline(cfg, from_array=False)
    sample = detect(tiny_model, photo, NAMES, test_pipeline=pipeline)
    assert sample.img_shape == (256, 383)


def test_picture_that_is_not_there(tiny_model):
    with pytest.raises(ImageReadError, match="does not exist"):
        detect(tiny_model, "nowhere.jpg", NAMES)


def test_pipeline_of_a_config(tiny_cfg):
    steps = [dict(type="LoadImageFromFile"), dict(type="LoadAnnotations", with_bbox=True)]
    nested = dict(type="RepeatDataset", dataset=dict(type="CocoDataset", pipeline=steps))
    cfg = Config(dict(test_dataloader=dict(dataset=dict(datasets=[nested]))))
    assert find_test_pipeline(cfg) == steps
    assert find_test_pipeline(Config(dict(test_pipeline=steps[:1]))) == steps[:1]
    assert len(make_pipeline(cfg, from_array=False).transforms) == 1  # pictures have no annotations
    for cfg in (Config(dict(a=1)), Config(dict(test_dataloader=None))):
        with pytest.raises(ConfigError, match="no test pipeline"):
            find_test_pipeline(cfg)


@pytest.mark.parametrize("kind", ["LoadImageFromFile", "glip.LoadImageFromFile", LoadImageFromFile])
def test_pipeline_for_arrays(kind):
    cfg = Config(dict(test_pipeline=[dict(type=kind, to_float32=True)]))
    array = np.zeros((4, 5, 3), dtype=np.uint8)
    result = make_pipeline(cfg, from_array=True)(dict(img=array))
    assert result["img"].dtype == np.float32
    assert result["ori_shape"] == (4, 5)


def test_step_of_another_library():
    cfg = Config(dict(test_pipeline=[dict(type="Mosaic")]))
    with pytest.raises(ConfigError, match=r"cannot be built \(there is no transform 'Mosaic'"):
        make_pipeline(cfg, from_array=False)


# Prompts


@pytest.mark.parametrize(
    ("prompt", "options"),
    [
        (["bench", "car"], {}),
        ("bench. car", dict(custom_entities=True)),
        ("bench . car .", dict(custom_entities=True)),
        ("bench . car", {}),
        ("bench. car", dict(tokens_positive=[[[0, 5]], [[7, 10]]])),
        ("bench. car", dict(tokens_positive=[[0, 5], [7, 10]])),
        (Prompt.from_class_names(["bench", "car"]), {}),
    ],
)
def test_ways_to_say_the_same(tiny_model, photo, found, prompt, options):
    assert_same(detect(tiny_model, photo, prompt, **options), found)


def test_noun_phrases_of_a_caption(tiny_model, photo):
    caption = "A red bench stands next to a car."
    instances = detect(tiny_model, photo, caption).pred_instances
    assert set(instances.label_names) == {"red bench", "car"}
    # The same as when their characters are given.
    spans = [[[2, 11]], [[29, 32]]]
    assert [caption[a:b] for ((a, b),) in spans] == ["red bench", "car"]
    given = detect(tiny_model, photo, caption, tokens_positive=spans).pred_instances
    assert given.labels.tolist() == instances.labels.tolist()
    torch.testing.assert_close(given.bboxes, instances.bboxes)


def test_whole_caption(tiny_model, photo):
    caption = "A red bench stands next to a car."
    instances = detect(tiny_model, photo, caption, tokens_positive=-1).pred_instances
    assert set(instances.labels.tolist()) == {0}
    assert set(instances.label_names) == {caption}


def test_phrase_of_several_ranges(tiny_model, photo):
    spans = [[[0, 5], [10, 14]]]
    instances = detect(
        tiny_model, photo, "green and blue bird", tokens_positive=spans
    ).pred_instances
    assert set(instances.label_names) == {"green blue"}


def test_overlapping_phrases(tiny_model, photo):
    """Each is looked for as if it were alone in the caption."""
    caption, spans = "red bench", [[[0, 9]], [[4, 9]]]
    instances = detect(tiny_model, photo, caption, tokens_positive=spans).pred_instances
    assert set(instances.label_names) == {"red bench", "bench"}
    for label, span in enumerate(spans):
        alone = detect(tiny_model, photo, caption, tokens_positive=[span]).pred_instances
        own = instances[instances.labels == label]
        torch.testing.assert_close(own.scores, alone.scores[: len(own)])
        torch.testing.assert_close(own.bboxes, alone.bboxes[: len(own)])


def test_vocabulary_of_a_data_set(tiny_model, photo):
    instances = detect(tiny_model, photo, "$: coco").pred_instances
    names = load_vocabulary("coco")
    assert len(set(instances.label_names)) > 10
    assert instances.label_names == [names[label] for label in instances.labels.tolist()]


def test_same_name_twice(tiny_model, photo):
    instances = detect(tiny_model, photo, ["car", "bench", "car"]).pred_instances
    assert set(instances.labels.tolist()) == {0, 1, 2}
    assert instances.label_names == [["car", "bench"][label % 2] for label in instances.labels]


def test_unicode(tiny_model, photo):
    names = ["café table", "日本", "Straße"]
    instances = detect(tiny_model, photo, names).pred_instances
    assert set(instances.label_names) <= set(names)
    assert len(set(instances.label_names)) > 1


def test_a_prompt_for_each_picture(tiny_model, photo, found):
    samples = inference_detector(tiny_model, [photo, photo], text_prompt=[NAMES, "$: coco"])
    assert_same(samples[0], found)
    assert_same(samples[1], detect(tiny_model, photo, "$: coco"))


@pytest.mark.parametrize(
    ("prompt", "options", "message"),
    [
        (None, {}, "there is no prompt"),
        ("", {}, "prompt is empty"),
        (" . ", dict(custom_entities=True), "prompt is empty"),
        ([], {}, "prompt is empty"),
        (["car", ""], {}, "number 1 is empty"),
        (["(animal)"], {}, "number 0 is empty"),
        ("the of and", {}, "found no phrase to detect"),
        ("$: imagenet", {}, "vocabulary out of"),
        ("a car", dict(tokens_positive=[[[2, 6]]]), "not inside the caption"),
        ("a car", dict(tokens_positive=[[[-1, 2]]]), "not inside the caption"),
        ("a car", dict(tokens_positive=[[[3, 3]]]), "not inside the caption"),
        ("a car", dict(tokens_positive=[[[1, 2]]]), "only spaces"),
        ("a car", dict(tokens_positive=[]), "expected tokens_positive"),
        ("a car", dict(tokens_positive=3), "expected tokens_positive"),
        ("a car", dict(tokens_positive=[None]), "expected the spans"),
        ("a car", dict(tokens_positive=[7]), "expected the spans"),
        (5, {}, "expected the prompt as a text"),
    ],
)
def test_prompts_that_cannot_be_looked_for(tiny_model, photo, prompt, options, message):
    with pytest.raises(PromptError, match=message):
        detect(tiny_model, photo, prompt, **options)


def test_no_tokenizer(tiny_cfg, photo, tmp_path):
    model = init_detector(
        tiny_cfg, device="cpu", cfg_options={"lang_model_name": str(tmp_path / "nowhere")}
    )
    with pytest.raises(TokenizerNotFoundError, match=f"create the folder {tmp_path}/nowhere"):
        detect(model, photo, NAMES)


# Long prompts


def chunks_of(model: nn.Module, prompt: Prompt) -> list[list[int]]:
    return [chunk.labels.tolist() for chunk in model.chunk_prompt(prompt)]


def assert_chunks_detect_alone(
    model: nn.Module, photo: Path, names: tuple[str, ...], chunks: list[list[int]]
) -> None:
    """What is found with all names is the best of what each chunk's names find as a prompt."""
    whole = detect(model, photo, list(names)).pred_instances
    rows = []
    for chunk in chunks:
        alone = detect(model, photo, [names[label] for label in chunk]).pred_instances
        labels = [chunk[label] for label in alone.labels.tolist()]
        rows += zip(alone.scores.tolist(), labels, alone.bboxes.tolist(), strict=True)
    rows = sorted(rows, key=lambda row: -row[0])[:100]
    assert [label for _, label, _ in rows] == whole.labels.tolist()
    np.testing.assert_allclose([score for score, _, _ in rows], whole.scores, atol=1e-6)
    np.testing.assert_allclose([box for _, _, box in rows], whole.bboxes, atol=1e-3)
    assert whole.label_names == [names[label] for label in whole.labels.tolist()]


def test_long_prompt_is_cut_where_it_must(tiny_model, photo):
    names = load_vocabulary("lvis")[:300]
    chunks = chunks_of(tiny_model, Prompt.from_class_names(names))
    assert len(chunks) > 1
    assert [label for chunk in chunks for label in chunk] == list(range(300))
    assert_chunks_detect_alone(tiny_model, photo, names, chunks)


def test_all_of_lvis(tiny_model, photo):
    instances = detect(tiny_model, photo, "$: lvis").pred_instances
    names = load_vocabulary("lvis")
    labels = instances.labels.tolist()
    assert instances.label_names == [names[label] for label in labels]
    assert max(labels) > 1000  # names of the last chunks are found too
    assert min(labels) < 200


def test_chunked_size(tiny_cfg, tiny_checkpoint, photo):
    options = {"model.test_cfg.chunked_size": 40}
    model = init_detector(tiny_cfg, tiny_checkpoint, device="cpu", cfg_options=options)
    names = load_vocabulary("coco") + load_vocabulary("lvis")[:10]
    chunks = chunks_of(model, Prompt.from_class_names(names))
    assert chunks == [list(range(40)), list(range(40, 80)), list(range(80, 90))]
    assert_chunks_detect_alone(model, photo, names, chunks)


def test_one_chunk_of_everything_is_no_chunking(tiny_cfg, tiny_checkpoint, tiny_model, photo):
    options = {"model.test_cfg.chunked_size": 40}
    model = init_detector(tiny_cfg, tiny_checkpoint, device="cpu", cfg_options=options)
    names = list(load_vocabulary("coco"))[:40]
    assert_same(detect(model, photo, names), detect(tiny_model, photo, names))


def test_name_longer_than_the_encoder_reads(tiny_model, photo):
    with pytest.raises(PromptError, match="shorten it"):
        detect(tiny_model, photo, ["bench", "very " * 300 + "long bench"])
