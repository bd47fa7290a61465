"""From files on disk through the model to the metrics."""

import os

import pytest
from mmengine.dataset import DefaultSampler, pseudo_collate
from mmengine.registry import DefaultScope
from torch.utils.data import DataLoader

from glip.registry import DATASETS, EVALUATOR, METRICS
from tests.test_datasets.files import CLASSES, coco_content, draw, write


@pytest.fixture
def data(tmp_path, tiny_cfg):
    """Two data sets in one, of three images each; the second image of each cannot be read."""
    folders = [tmp_path / name for name in ("first", "second")]
    for folder in folders:
        write(folder, coco_content())
        draw(folder, coco_content())
        os.remove(folder / "b.png")
    config = dict(
        type="CocoDataset",
        ann_file="instances.json",
        metainfo=dict(classes=CLASSES),
        pipeline=tiny_cfg.test_pipeline,
        test_mode=True,
        serialize_data=False,
    )
    datasets = [dict(config, data_root=str(folder)) for folder in folders]
    return DATASETS.build(dict(type="ConcatDataset", datasets=datasets))


@pytest.mark.parametrize("batch_size", [1, 4])
def test_unreadable_images_pass_through_the_model(data, tiny_model, batch_size):
    metrics = [dict(type="CocoMetric")] * 2
    evaluator = EVALUATOR.build(
        dict(type="MultiDatasetsEvaluator", metrics=metrics, dataset_prefixes=["first", "second"])
    )
    evaluator.dataset_meta = data.metainfo
    sampler = DefaultSampler(data, shuffle=False)
    outputs = []
    for batch in DataLoader(data, batch_size, sampler=sampler, collate_fn=pseudo_collate):
        outputs += tiny_model.test_step(batch)
        evaluator.process(outputs[-len(batch["inputs"]) :], batch)
    numbers = evaluator.evaluate(len(data))
    assert [output.get("unreadable", False) for output in outputs] == [False, True, False] * 2
    assert len(outputs[1].pred_instances) > 0  # the metric drops them
    assert 0 <= numbers["average/coco/bbox_mAP"] <= 1
    alone = METRICS.build(dict(type="CocoMetric"))
    alone.dataset_meta = data.metainfo["datasets"][0]
    readable = [outputs[0], outputs[2]]
    alone.process(None, [output.to_dict() for output in readable])
    missed = dict(
        readable[0].to_dict(), img_id=7, pred_instances=dict(bboxes=[], scores=[], labels=[])
    )
    alone.process(None, [missed])
    for key, value in alone.evaluate(3).items():
        assert numbers[f"first/{key}"] == value


def test_runner(data, tiny_cfg, tiny_model, tmp_path):
    """mmengine's own loop, which builds everything from configs."""
    from mmengine.runner import Runner

    with DefaultScope.overwrite_default_scope("glip"):
        runner = Runner(
            model=tiny_model,
            work_dir=str(tmp_path / "work"),
            test_dataloader=dict(
                batch_size=2,
                num_workers=0,
                sampler=dict(type="DefaultSampler", shuffle=False),
                dataset=data.datasets[0],
            ),
            test_evaluator=[
                dict(type="CocoMetric"),
                dict(type="DumpDetResults", out_file_path=str(tmp_path / "out.json")),
            ],
            test_cfg=dict(type="TestLoop"),
            default_scope="glip",
            experiment_name=tmp_path.name,
        )
        numbers = runner.test()
    assert len(numbers) == 12
    assert (tmp_path / "out.json").is_file()
