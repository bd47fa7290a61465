"""The command line that converts checkpoints."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from glip.apis import init_detector
from glip.checkpoint import convert, open_checkpoint, read_checkpoint
from glip.utils.errors import CheckpointError, TokenizerNotFoundError
from tests.test_checkpoint.conftest import same_tensors

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "tools" / "model_converters" / "convert_glip.py"


@pytest.fixture(scope="session")
def converter():
    """The script as a module."""
    spec = importlib.util.spec_from_file_location("convert_glip", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(*arguments):
    """Run the script as a user does."""
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, SCRIPT, *map(str, arguments)],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": path, "HF_HUB_OFFLINE": "1"},
        check=False,
    )


def error_of(result):
    """The one sentence that a failed run ends with."""
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    return result.stderr.splitlines()[-1]


@pytest.fixture(scope="session")
def expanded(shipped, tmp_path_factory):
    """Full-size checkpoints of a few kilobytes: every parameter repeats one number."""

    def write(config, name, naming="official"):
        tensors = {
            key: torch.zeros(1).expand(value.shape)
            for key, value in shipped[config].items()
            if not key.endswith("_extra_state")
        }
        path = tmp_path_factory.mktemp("expanded") / name
        torch.save({"model": convert(tensors, naming).state_dict}, path)
        return path

    return write


# --- as a user runs it ----------------------------------------------------------------------------


def test_conversion(tiny_checkpoint, tiny_config_file, ours, tmp_path, detect, tiny_model):
    extended = torch.load(tiny_checkpoint, weights_only=True)
    extended["model"]["module.rpn.head.cls_logits.bias"] = torch.zeros(80)
    extended["optimizer"] = {"state": {0: torch.ones(1000)}}
    src, dst = tmp_path / "official.pth", tmp_path / "ours.safetensors"
    torch.save(extended, src)
    result = run(src, dst, "--config", tiny_config_file)
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[:5] == [
        f"{src} as {tiny_config_file}",
        "naming: official",
        f"converted: {len(ours)}",
        "ignored: 1",
        "  1 x 80 fixed classes, never trained",
    ]
    assert "missing: 0" in lines
    assert "unexpected: 0" in lines
    assert lines[-1] == f"wrote {dst} ({dst.stat().st_size / 1e6:.0f} MB)"
    # The file carries its vocabulary.
    nowhere = {"lang_model_name": "/nowhere"}
    model = init_detector(tiny_config_file, dst, device="cpu", cfg_options=nowhere)
    assert len(model.language_model.tokenizer) == 30522
    for found, expected in zip(detect(model), detect(tiny_model), strict=True):
        assert torch.equal(found, expected)


def test_a_mismatch(expanded, tmp_path, converter, capsys):
    src = expanded("glip_atss_swin-t_b_fpn_dyhead_pretrain_obj365", "b.pth")
    dst = tmp_path / "x.pth"
    with pytest.raises(CheckpointError) as caught:
        converter.main(
            [str(src), str(dst), "--config", "glip_atss_swin-t_a_fpn_dyhead_pretrain_obj365"]
        )
    assert "unexpected: 204" in capsys.readouterr().out
    message = str(caught.value)
    assert message.startswith(f"{src} does not match glip_atss_swin-t_a_fpn_dyhead")
    assert "nothing was written. By its shape it fits: glip_atss_swin-t_b_fpn" in message
    assert not dst.exists()


def test_a_file_that_is_not_there(tmp_path):
    result = run(tmp_path / "missing.pth", tmp_path / "x.pth")
    assert result.stdout == ""
    message = error_of(result)
    assert message.startswith(f"error: the checkpoint {tmp_path}/missing.pth does not exist")


# --- its choices ----------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [None, "fp16"])
@pytest.mark.parametrize("zipped", [True, False])
def test_there_and_back(zipped, dtype, converter, official, ours, tiny_config_file, tmp_path):
    src, mmdet, dst = (tmp_path / name for name in ("src.pth", "mmdet.pth", "dst.pth"))
    torch.save({"model": official}, src, _use_new_zipfile_serialization=zipped)
    half = ["--dtype", dtype] if dtype else []
    converter.main(
        [*map(str, (src, mmdet)), "--format", "mmdet", "--config", str(tiny_config_file), *half]
    )
    assert set(read_checkpoint(mmdet)) == {"state_dict", "meta"}
    converter.main([str(mmdet), str(dst), "--config", str(tiny_config_file)])
    state_dict = open_checkpoint(dst)["state_dict"]
    assert state_dict.pop("language_model._extra_state").numel() > 200_000
    number = torch.float16 if dtype else torch.float32
    same_tensors(state_dict, {key: value.to(number) for key, value in ours.items()})


@pytest.mark.parametrize(
    ("config", "file"),
    [
        ("glip_atss_swin-t_a_fpn_dyhead_pretrain_obj365", "any.pth"),
        ("glip_atss_swin-t_a_fpn_dyhead_pretrain_obj365", "glip_tiny_a_mmdet-b3654169.pth"),
        ("glip_atss_swin-t_b_fpn_dyhead_pretrain_obj365", "glip_tiny_b_mmdet-6dfbd102.pth"),
        ("glip_atss_swin-t_b_fpn_dyhead_pretrain_obj365", "any.pth"),
        ("glip_atss_swin-t_c_fpn_dyhead_pretrain_obj365-goldg", "glip_tiny_c_mmdet-2fc427dd.pth"),
        (
            "glip_atss_swin-t_fpn_dyhead_pretrain_obj365-goldg-cc3m-sub",
            "glip_tiny_model_o365_goldg_cc_sbu.pth",
        ),
        ("glip_atss_swin-l_fpn_dyhead_pretrain_mixeddata", "glip_large_model.pth"),
        ("glip_atss_swin-l_fpn_dyhead_pretrain_mixeddata", "any.pth"),
    ],
)
def test_the_config_is_found(config, file, converter, expanded, tmp_path, capsys):
    src, dst = expanded(config, file), tmp_path / "x.pth"
    converter.main([str(src), str(dst), "--no-vocabulary"])
    assert f"{src} as {config}" in capsys.readouterr().out
    assert read_checkpoint(dst)["meta"]["config"] == config


def test_models_that_fit_equally(converter, expanded, tmp_path, capsys):
    src = expanded("glip_atss_swin-t_c_fpn_dyhead_pretrain_obj365-goldg", "any.pth")
    converter.main([str(src), str(tmp_path / "x.pth"), "--no-vocabulary"])
    assert "obj365-goldg-cc3m-sub fit equally; using the first" in capsys.readouterr().out


def test_the_whole_text_of_a_config_is_no_name(converter, expanded, tmp_path):
    src = expanded("glip_atss_swin-t_a_fpn_dyhead_pretrain_obj365", "any.pth")
    checkpoint = torch.load(src, weights_only=True)
    torch.save(checkpoint | {"meta": {"config": "model = dict(type='GLIP')\n" * 500}}, src)
    converter.main([str(src), str(tmp_path / "x.pth"), "--no-vocabulary"])
    meta = read_checkpoint(tmp_path / "x.pth")["meta"]
    assert meta["config"] == "glip_atss_swin-t_a_fpn_dyhead_pretrain_obj365"


def test_a_model_of_no_shipped_shape_needs_its_config(converter, tiny_checkpoint, tmp_path):
    with pytest.raises(CheckpointError, match="none of the shipped models: name its config"):
        converter.main([str(tiny_checkpoint), str(tmp_path / "x.pth")])


def test_a_config_that_is_not_there(converter, tiny_checkpoint, tmp_path):
    with pytest.raises(FileNotFoundError, match="no shipped config is called 'nope'"):
        converter.main([str(tiny_checkpoint), str(tmp_path / "x.pth"), "--config", "nope"])


def test_an_unknown_key_is_an_error(converter, official, tiny_config_file, tmp_path, capsys):
    torch.save(official | {"rpn.head.unknown": torch.ones(1)}, tmp_path / "src.pth")
    arguments = [str(tmp_path / "src.pth"), str(tmp_path / "x.pth"), "--config"]
    with pytest.raises(CheckpointError, match="nothing was written"):
        converter.main([*arguments, str(tiny_config_file)])
    assert "unexpected: 1\n  rpn.head.unknown" in capsys.readouterr().out
    assert not (tmp_path / "x.pth").exists()


def test_the_vocabulary(converter, tiny_checkpoint, tiny_config_file, vocabulary, tmp_path):
    config = tmp_path / "foreign.py"
    text = tiny_config_file.read_text()
    assert vocabulary in text
    config.write_text(text.replace(vocabulary, "/home/somebody/bert"))
    dst = tmp_path / "x.safetensors"
    arguments = [str(tiny_checkpoint), str(dst), "--config", str(config)]
    with pytest.raises(TokenizerNotFoundError, match="/home/somebody/bert"):
        converter.main(arguments)
    assert not dst.exists()
    converter.main([*arguments, "--no-vocabulary"])
    assert "language_model._extra_state" not in read_checkpoint(dst)["state_dict"]
    converter.main([*arguments, "--lang-model-name", vocabulary])
    carried = read_checkpoint(dst)["state_dict"]["language_model._extra_state"]
    # A vocabulary that the source carries is handed on.
    converter.main([str(dst), *arguments[1:], "--lang-model-name", "/nowhere"])
    again = read_checkpoint(dst)["state_dict"]["language_model._extra_state"]
    assert torch.equal(again, carried)
