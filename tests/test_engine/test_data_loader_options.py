"""Options of data loaders that torch refuses together."""

from __future__ import annotations

import pytest
from mmengine.registry import DefaultScope

from glip.apis import load_config
from glip.config import config_files
from glip.engine import GLIPRunner
from glip.engine.data_loader_options import complete_data_loader
from glip.engine.hooks.monitor import check_monitored
from glip.engine.options import check_options
from glip.utils.errors import TrainingError
from tests.training import draw_examples, training_config


@pytest.fixture(scope="module")
def loader(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    cfg = training_config(draw_examples(folder / "examples"), folder)
    return cfg.train_dataloader


@pytest.mark.parametrize(
    "options",
    [
        dict(persistent_workers=True),
        dict(prefetch_factor=4),
        dict(timeout=5),
        dict(multiprocessing_context="fork"),
        dict(persistent_workers=True, prefetch_factor=2, drop_last=True),
        dict(drop_last=True, batch_sampler=dict(type="AspectRatioBatchSampler")),
        dict(drop_last=False, batch_sampler=dict(type="AspectRatioBatchSampler")),
    ],
    ids=str,
)
def test_builds(loader, options):
    with DefaultScope.overwrite_default_scope("glip"):
        built = GLIPRunner.build_dataloader({**loader, "num_workers": 0, **options}, seed=0)
    images, size = len(built.dataset), loader["batch_size"]
    whole = options.get("drop_last", False)
    assert len(built) == (images // size if whole else -(-images // size))
    next(iter(built))


def test_notice(monkeypatch):
    lines = []
    monkeypatch.setattr(
        "glip.engine.data_loader_options.print_log", lambda text, **_: lines.append(text)
    )
    complete_data_loader(dict(num_workers=0, persistent_workers=True))
    assert len(lines) == 1
    assert "persistent_workers is not used" in lines[0]
    complete_data_loader(dict(num_workers=2, persistent_workers=True))
    complete_data_loader(dict(num_workers=0, persistent_workers=False))
    assert len(lines) == 1


@pytest.mark.parametrize("option", ["save_best", "monitor"])
def test_unknown_metric(option):
    check_monitored(option, "coco/bbox_mAP", ["coco/bbox_mAP"], "x")
    with pytest.raises(TrainingError, match="did you mean 'coco/bbox_mAP'") as caught:
        check_monitored(option, "coco/mAP", ["coco/bbox_mAP", "coco/bbox_mAP_50"], "x")
    assert f"{option}='coco/mAP' is not a metric of this validation" in str(caught.value)


@pytest.mark.parametrize("file", config_files(), ids=lambda file: file.stem)
def test_shipped_configs_have_known_options(file):
    check_options(load_config(file))
