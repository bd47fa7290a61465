"""Load checkpoints of every naming into a detector and run it."""

import mmengine.runner
import pytest
import torch
from torch import nn

from glip.checkpoint import load_checkpoint, open_checkpoint, write_checkpoint
from glip.models.language import BertModel
from glip.testing import tiny_config
from glip.text import Prompt, load_tokenizer
from glip.text.tokenizer import tokenizer_to_bytes
from glip.utils.errors import CheckpointError, TokenizerNotFoundError
from tests.test_checkpoint.conftest import build, same_tensors


@pytest.fixture
def offline(monkeypatch):
    """Keep Hugging Face Hub offline."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    for module in ("huggingface_hub.constants", "transformers.utils.hub"):
        monkeypatch.setattr(f"{module}.HF_HUB_OFFLINE", True, raising=False)
        monkeypatch.setattr(f"{module}._is_offline_mode", True, raising=False)


@pytest.fixture
def save(tmp_path):
    """Write a checkpoint with torch."""

    def save(checkpoint, name="x.pth", **options):
        torch.save(checkpoint, tmp_path / name, **options)
        return tmp_path / name

    return save


def refusal(model, path):
    """Return the error message for a checkpoint; the model stays unchanged."""
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(model, path)
    same_tensors(model.state_dict(), before)
    return str(caught.value)


# --- every format ---------------------------------------------------------------------------------


def test_every_naming_gives_the_same_detections(official, mmdet, ours, save, tiny_cfg, detect):
    model = build(tiny_cfg)
    results = []
    for index, checkpoint in enumerate(
        [
            {"model": {f"module.{key}": value for key, value in official.items()}},
            official,
            {"state_dict": mmdet, "meta": {}},
            {"state_dict": ours},
        ]
    ):
        for parameter in model.parameters():
            nn.init.zeros_(parameter)
        load_checkpoint(model, save(checkpoint, f"{index}.pth"))
        results.append(detect(model))
    for result in results[1:]:
        for first, other in zip(results[0], result, strict=True):
            assert torch.equal(first, other)
    assert len(results[0][2].unique()) > 1


@pytest.mark.parametrize("zipped", [True, False])
def test_other_content_is_returned(zipped, official, ours, save, tiny_cfg):
    path = save(
        {
            "model": {f"module.{key}": value for key, value in official.items()},
            "optimizer": {"state": {0: {"exp_avg": torch.ones(3)}}, "param_groups": [{"lr": 1.0}]},
            "scheduler": {"last_epoch": 3},
            "model_ema": {"rpn.head.bias0": torch.zeros(1)},
            "iteration": torch.tensor(7),
        },
        _use_new_zipfile_serialization=zipped,
    )
    model = build(tiny_cfg)
    checkpoint = load_checkpoint(model, path)
    loaded = model.state_dict()
    loaded.pop("language_model._extra_state")
    same_tensors(dict(loaded), ours)
    assert checkpoint["scheduler"] == {"last_epoch": 3}
    assert "model" not in checkpoint


def test_a_bare_state_dict_has_no_other_content(official, save):
    checkpoint = open_checkpoint(save(official))
    assert checkpoint.keys() == {"state_dict", "conversion", "meta"}
    assert checkpoint["meta"] == {}


def test_half_precision_is_converted_back(ours, save, tiny_cfg):
    half = {key: value.half() for key, value in ours.items()}
    model = build(tiny_cfg)
    load_checkpoint(model, save(half))
    loaded = model.state_dict()
    loaded.pop("language_model._extra_state")
    same_tensors(dict(loaded), {key: value.float() for key, value in half.items()})


# --- mmengine's loader ----------------------------------------------------------------------------


@pytest.mark.parametrize("naming", ["official", "mmdet", "ours"])
@pytest.mark.parametrize("container", ["model", "state_dict", None])
def test_mmengine_loads_every_naming(naming, container, request, ours, save, tiny_cfg):
    state_dict = {f"module.{key}": value for key, value in request.getfixturevalue(naming).items()}
    path = save({container: state_dict} if container else state_dict)
    model = build(tiny_cfg)
    mmengine.runner.load_checkpoint(model, str(path), map_location="cpu", strict=True)
    loaded = model.state_dict()
    loaded.pop("language_model._extra_state")
    same_tensors(dict(loaded), ours)


# --- checkpoints that do not fit ------------------------------------------------------------------


def test_another_model(official, save, tiny_cfg):
    model = build(tiny_config(early_fuse=False, lang_model_name="nowhere"))
    path = save(official)
    message = refusal(model, path)
    assert message.startswith(f"the checkpoint {path} does not fit this config.\nnaming: official")
    assert "unexpected:" in message
    assert message.endswith(
        "It fits none of the shipped configs: use the config it was trained with."
    )


def test_another_size_names_the_configs_that_fit(shipped, save, tiny_cfg):
    name = "glip_atss_swin-l_fpn_dyhead_pretrain_mixeddata"
    large = {key: torch.zeros(1).expand(value.shape) for key, value in shipped[name].items()}
    large.pop("language_model._extra_state")
    message = refusal(build(tiny_cfg), save(large))
    assert "shape mismatch" in message
    assert message.endswith(f"Its parameter shapes fit: {name}.py")


def test_a_missing_and_an_unknown_key(official, save, tiny_cfg):
    given = dict(official)
    given["rpn.head.unknown"] = given.pop("rpn.head.bbox_pred.bias")
    message = refusal(build(tiny_cfg), save(given))
    assert "missing: 1\n  bbox_head.bbox_pred.bias\nunexpected: 1\n  rpn.head.unknown" in message


@pytest.mark.parametrize(
    ("checkpoint", "message"),
    [
        ({"backbone.norm3.weight": torch.ones(2)}, "not a GLIP checkpoint"),
        ({"epoch": 3}, "holds no parameters"),
    ],
)
def test_other_files(checkpoint, message, save, tiny_cfg):
    path = save(checkpoint)
    assert f"{path}: " in refusal(build(tiny_cfg), path)
    assert message in refusal(build(tiny_cfg), path)


# --- learned prompts ------------------------------------------------------------------------------


@pytest.fixture
def prompted_cfg(vocabulary):
    cfg = tiny_config(lang_model_name=vocabulary)
    cfg.model.language_model.learned_prompt = 40
    return cfg


@pytest.fixture
def learned(official):
    """A checkpoint of language prompt tuning."""
    torch.manual_seed(0)
    return official | {"rpn.head.tunable_linear.weight": torch.randn(40, 48)}


def test_a_learned_prompt_needs_the_option(learned, save, tiny_cfg):
    message = refusal(build(tiny_cfg), save(learned))
    assert message.endswith("set model.language_model.learned_prompt=40 in the config.")


def test_a_learned_prompt_changes_the_detections(learned, official, save, prompted_cfg, detect):
    model = build(prompted_cfg)
    load_checkpoint(model, save(learned))
    assert torch.equal(
        model.language_model.prompt.weight, learned["rpn.head.tunable_linear.weight"]
    )
    with_prompt = detect(model)
    nn.init.zeros_(model.language_model.prompt.weight)
    without = detect(model)
    assert not torch.equal(with_prompt[1], without[1])
    plain = build(prompted_cfg)
    load_checkpoint(plain, save(official))
    assert all(torch.equal(a, b) for a, b in zip(without, detect(plain), strict=True))


@pytest.mark.parametrize("extra", [{}, {"rpn.head.tunable_linear.weight": torch.zeros(40, 48)}])
def test_a_learned_prompt_is_initialised_to_zero(extra, official, save, prompted_cfg):
    model = build(prompted_cfg)
    load_checkpoint(model, save(official | extra))
    assert not model.language_model.prompt.weight.any()


def test_another_number_of_positions(learned, save, prompted_cfg):
    prompted_cfg.model.language_model.learned_prompt = 50
    message = refusal(build(prompted_cfg), save(learned))
    assert "language_model.prompt.weight: expected (50, 48), got (40, 48)" in message


# --- the vocabulary -------------------------------------------------------------------------------

WORDS = Prompt.from_class_names(["bench", "hair drier"])


@pytest.fixture
def foreign_cfg():
    """A config that names a folder of another machine."""
    return tiny_config(lang_model_name="/home/somebody/bert-base-uncased")


@pytest.mark.parametrize("name", ["x.safetensors", "x.pth"])
def test_the_checkpoint_carries_its_vocabulary(
    name, ours, vocabulary, foreign_cfg, offline, tmp_path, tiny_model, detect
):
    tokenizer = tokenizer_to_bytes(load_tokenizer(vocabulary))
    write_checkpoint(tmp_path / name, ours, tokenizer=tokenizer)
    model = build(foreign_cfg)
    load_checkpoint(model, tmp_path / name)
    assert model.chunk_prompt(WORDS)[0].tokens.input_ids == (
        *(101, 6847, 1012, 2606, 2852, 3771, 102),
    )
    assert all(torch.equal(a, b) for a, b in zip(detect(model), detect(tiny_model), strict=True))
    # Its state dict includes it, too.
    other = build(foreign_cfg)
    other.load_state_dict(model.state_dict())
    assert other.language_model.tokenizer.get_vocab() == model.language_model.tokenizer.get_vocab()


@pytest.mark.parametrize("name", ["x.safetensors", "x.pth"])
def test_file_permissions_follow_the_umask(name, ours, tmp_path):
    (tmp_path / "any").touch()
    write_checkpoint(tmp_path / name, ours)
    assert (tmp_path / name).stat().st_mode == (tmp_path / "any").stat().st_mode


def test_the_vocabulary_of_an_mmdet_file(ours, vocabulary, foreign_cfg, offline, tmp_path):
    tokenizer = tokenizer_to_bytes(load_tokenizer(vocabulary))
    write_checkpoint(tmp_path / "x.pth", ours, naming="mmdet", tokenizer=tokenizer)
    model = build(foreign_cfg)
    load_checkpoint(model, tmp_path / "x.pth")
    assert len(model.language_model.tokenizer) == 30522


def test_neither_vocabulary_nor_folder(tiny_checkpoint, foreign_cfg, offline):
    model = build(foreign_cfg)
    load_checkpoint(model, tiny_checkpoint)
    with pytest.raises(TokenizerNotFoundError) as caught:
        model.chunk_prompt(WORDS)
    message = str(caught.value)
    assert (
        "create the folder /home/somebody/bert-base-uncased with the model's vocab.txt" in message
    )
    assert "AutoTokenizer.from_pretrained('/home/somebody/bert-base-uncased')" in message


def test_a_file_without_vocabulary_keeps_the_models(tiny_checkpoint, vocabulary, foreign_cfg):
    model = build(foreign_cfg)
    tokenizer = load_tokenizer(vocabulary)
    model.language_model.set_extra_state(torch.tensor(list(tokenizer_to_bytes(tokenizer))))
    load_checkpoint(model, tiny_checkpoint)
    assert model.chunk_prompt(WORDS)[0].tokens.num_tokens == 7


def test_a_damaged_vocabulary(ours, save, tiny_cfg):
    damaged = {"language_model._extra_state": torch.tensor(list(b"{}"), dtype=torch.uint8)}
    path = save({"state_dict": ours | damaged})
    with pytest.raises(CheckpointError, match="expected the checkpoint's vocabulary as JSON"):
        load_checkpoint(build(tiny_cfg), path)


@pytest.mark.parametrize(
    "name", ["/home/somebody/bert", "nobody/no-such-model", "google-bert/bert-base-uncased"]
)
def test_a_config_with_a_foreign_path_builds(name, offline):
    with torch.device("meta"):
        model = BertModel(name)
    assert model.head_arguments() == {
        "text_channels": 768,
        "num_text_heads": 12,
        "text_intermediate_dim": 3072,
    }
