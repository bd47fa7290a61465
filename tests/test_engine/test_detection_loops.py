"""Validation and test loops: text features are computed once in a run, and only for that run."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.registry import DefaultScope
from mmengine.runner import Runner

from glip.checkpoint import read_checkpoint
from glip.models import GLIP, TextFeatureCache
from tests.test_datasets.files import CLASSES, coco_content, draw, write


@pytest.fixture
def model(tiny_model):
    model = copy.deepcopy(tiny_model)
    model.chunked_size = 2  # two captions for three classes
    return model


@pytest.fixture
def calls(model):
    """The number of captions in each call of the language encoder."""
    calls: list[int] = []
    model.language_model.register_forward_hook(lambda _, given, out: calls.append(len(given[0])))
    return calls


@pytest.fixture
def evaluate(tmp_path, tiny_cfg, model):
    """Evaluate in three images, and return the predictions of the dump file."""
    write(tmp_path, coco_content())
    draw(tmp_path, coco_content())

    def run(loop: dict, *hooks: Hook, split: str = "test") -> list[dict]:
        out = tmp_path / "out.pkl"
        dataset = dict(
            type="CocoDataset",
            ann_file="instances.json",
            data_root=str(tmp_path),
            metainfo=dict(classes=CLASSES),
            pipeline=tiny_cfg.test_pipeline,
            test_mode=True,
        )
        with DefaultScope.overwrite_default_scope("glip"):
            runner = Runner(
                model=model,
                work_dir=str(tmp_path / "work"),
                default_scope="glip",
                experiment_name=f"{tmp_path.name}-{len(list(tmp_path.iterdir()))}",
                **{
                    f"{split}_dataloader": dict(
                        batch_size=1,
                        num_workers=0,
                        sampler=dict(type="DefaultSampler", shuffle=False),
                        dataset=dataset,
                    ),
                    f"{split}_evaluator": dict(type="DumpDetResults", out_file_path=str(out)),
                    f"{split}_cfg": loop,
                },
            )
            for hook in hooks:
                runner.register_hook(hook)
            getattr(runner, split)()
        return pickle.loads(out.read_bytes())

    return run


def scores_of(predictions: list[dict]) -> list[torch.Tensor]:
    return [torch.as_tensor(each["pred_instances"]["scores"]) for each in predictions]


def assert_equal(one: list[dict], other: list[dict]) -> None:
    assert len(one) == len(other) == 3
    for first, second in zip(scores_of(one), scores_of(other), strict=True):
        assert torch.equal(first, second)


def test_each_prompt_is_encoded_once(evaluate, calls):
    found = evaluate(dict(type="GLIPTestLoop"))
    assert calls == [2]
    validated = evaluate(dict(type="ValLoop"), split="val")
    assert calls == [2, 2]
    # mmengine's own loop computes the same, image by image.
    plain = evaluate(dict(type="mmengine.TestLoop"))
    assert calls == [2, 2, 2, 2, 2]
    assert_equal(found, plain)
    assert_equal(found, validated)


class Scale(Hook):
    """Replaces the weights before an evaluation, where autograd does not see it."""

    def before_test_epoch(self, runner):
        for parameter in runner.model.language_model.parameters():
            parameter.data.mul_(1.2)

    before_val_epoch = before_test_epoch


@pytest.mark.parametrize(("loop", "split"), [("GLIPTestLoop", "test"), ("ValLoop", "val")])
def test_weights_that_a_hook_replaces(evaluate, model, loop, split):
    before = copy.deepcopy(model.state_dict())
    first = evaluate(dict(type=loop), split=split)
    changed = evaluate(dict(type=loop), Scale(), split=split)
    assert any(
        one.shape != other.shape or not torch.equal(one, other)
        for one, other in zip(scores_of(first), scores_of(changed), strict=True)
    )
    assert_equal(changed, evaluate(dict(type="mmengine.TestLoop")))
    model.load_state_dict(before)
    assert_equal(first, evaluate(dict(type=loop), split=split))


class StopHereError(Exception):
    pass


class Stop(Hook):
    """Stops after the first batch."""

    def after_test_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        raise StopHereError


def stored(folder: Path) -> list[dict]:
    files = sorted(folder.glob("*.pth"))
    return [image for file in files for image in read_checkpoint(file)["samples"]]


def test_resumed_bit_by_bit(evaluate, tmp_path):
    """What is stored holds plain values only."""
    loop = dict(type="GLIPTestLoop", resume_dir=str(tmp_path / "states"))
    with pytest.raises(StopHereError):
        evaluate(loop, Stop())
    assert len(stored(tmp_path / "states")) == 1
    resumed = evaluate(loop)
    assert_equal(resumed, evaluate(dict(type="GLIPTestLoop")))
    for image in (*stored(tmp_path / "states"), *resumed):
        assert "prompt" not in image
        assert "Prompt" not in repr(image)


def test_a_wrapped_model(evaluate, model, calls, monkeypatch):
    """A model in DistributedDataParallel reuses its text features, too."""
    from glip.engine import evaluation_loops as loops

    class Wrapper(torch.nn.Module):
        def __init__(self, module):
            super().__init__()
            self.module = module

    monkeypatch.setattr(loops, "DistributedDataParallel", Wrapper)
    step = loops._bind_step(Wrapper(model), "test_step")
    assert step.func == model.test_step
    assert isinstance(step.keywords["encode_prompt"].__self__, TextFeatureCache)
    assert isinstance(model, GLIP)
