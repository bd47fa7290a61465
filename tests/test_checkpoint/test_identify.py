"""Which model a checkpoint is, without a config."""

from __future__ import annotations

import pytest
import torch

from glip.apis import DetInferencer, Predictor, init_detector
from glip.checkpoint import CheckpointError, convert, identify
from glip.checkpoint.stored_config import stored_options
from glip.config import get_config

A, B, C, T = (
    "glip_atss_swin-t_a_fpn_dyhead_pretrain_obj365",
    "glip_atss_swin-t_b_fpn_dyhead_pretrain_obj365",
    "glip_atss_swin-t_c_fpn_dyhead_pretrain_obj365-goldg",
    "glip_atss_swin-t_fpn_dyhead_pretrain_obj365-goldg-cc3m-sub",
)
L = "glip_atss_swin-l_fpn_dyhead_pretrain_mixeddata"
FINE_TUNED = "glip_atss_swin-t_b_fpn_dyhead_16xb2_ms-2x_funtune_coco"


def opened(state_dict: dict, meta: dict | None = None) -> dict:
    return {"state_dict": state_dict, "meta": meta or {}}


@pytest.mark.parametrize(("config", "found"), [(A, A), (B, B), (C, B), (T, B), (L, L)])
@pytest.mark.parametrize("naming", ["glip", "official", "mmdet"])
def test_by_shape_in_all_formats(shipped, config, found, naming):
    state_dict = {key: value for key, value in shipped[config].items() if "_extra" not in key}
    converted = convert(convert(state_dict, naming).state_dict)
    assert converted.source == naming
    match = identify("any.pth", opened(converted.state_dict))
    assert match.config == found
    assert match.options == {}
    assert match.is_ambiguous == (config in (B, C, T))
    assert len(match.fits) == (3 if match.is_ambiguous else 1)


@pytest.mark.parametrize(
    ("file", "found"),
    [
        ("glip_tiny_c_mmdet-2fc427dd.pth", C),
        ("/x/glip_tiny_model_o365_goldg_cc_sbu.pth", T),
        (f"{FINE_TUNED}_20230916_163538-650323ba.pth", FINE_TUNED),
        ("glip_large_model.pth", B),  # of another shape
    ],
)
def test_by_file_name(shipped, file, found):
    assert identify(file, opened(shipped[B])).config == found


def test_named_by_the_checkpoint(shipped):
    assert identify("any.pth", opened(shipped[B], {"config": T})).config == T


def test_learned_prompt(shipped):
    prompt = {"language_model.prompt.weight": torch.empty(1000, 768)}
    match = identify("any.pth", opened(shipped[B] | prompt))
    assert match.options == {"model.language_model.learned_prompt": 1000}


def test_unknown_shape(ours):
    with pytest.raises(CheckpointError, match="shapes of none: pass the config"):
        identify("any.pth", opened(ours))


def test_settings_of_a_training():
    meta = {"cfg": get_config("glip_nano_shapes").pretty_text}
    options = stored_options(meta)
    assert options["test_pipeline.1.scale"] == (256, 256)
    assert options["model.bbox_head.anchor_generator"]["octave_base_scale"] == 4
    assert options["model.test_cfg.chunked_size"] == 16
    assert options["default_score_thr"] == 0.6
    for text in (None, 3, "model = dict(", "model = __import__('os').system('x')", "(" * 500):
        assert stored_options({"cfg": text}) == {}
    hostile = "model = dict(data_preprocessor=dict(mean=['a'], std=open('x')))"
    assert stored_options({"cfg": hostile}) == {}


def test_every_way_to_build_a_detector():
    name = "glip_nano_shapes"
    detectors = [
        init_detector(weights=name, device="cpu"),
        init_detector(checkpoint=name, device="cpu"),
        init_detector(name, name, device="cpu"),
        DetInferencer(weights=name, device="cpu").model,
        DetInferencer(name, device="cpu").model,
        Predictor(weights=name, device="cpu").model,
    ]
    first = detectors[0].state_dict()
    for detector in detectors[1:]:
        assert detector.cfg.model == detectors[0].cfg.model
        assert all(torch.equal(first[key], value) for key, value in detector.state_dict().items())
    with pytest.raises(ValueError, match="got both"):
        init_detector(name, name, weights=name)
    with pytest.raises(ValueError, match="got neither"):
        init_detector()
