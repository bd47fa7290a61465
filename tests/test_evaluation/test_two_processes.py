"""Two processes give the metrics of one process and count no image twice."""

import json
import os

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from mmengine.dataset import DefaultSampler
from torch.utils.data import DataLoader

from glip.evaluation import (
    CocoMetric,
    DumpDetResults,
    Flickr30kMetric,
    LVISFixedAPMetric,
    LVISMetric,
    MultiDatasetsEvaluator,
    RefExpMetric,
    load_predictions,
)
from tests.test_evaluation.generated import CLASSES, coco_truth, lvis_truth, predictions_for, write
from tests.test_evaluation.test_flickr30k_metric import captions
from tests.test_evaluation.test_refexp_metric import expressions

SIZE = 11  # odd, so that one image goes to both processes


def store(path, content):
    """Write a file that two processes need; the test has written it before it starts them."""
    return str(path) if path.exists() else write(path, content)


def jobs(folder, dumped):
    """Name -> (metric, classes, samples)."""
    coco, lvis, (refs, found) = coco_truth(3, SIZE), lvis_truth(3, SIZE), expressions(3, SIZE)
    names = tuple(each["name"] for each in lvis["categories"])
    ids = {each["name"]: each["id"] for each in lvis["categories"]}
    federated = predictions_for(lvis, 5, per_image=80, classes=names, category_ids=ids)
    coco_path, lvis_path = (
        store(folder / f"{i}.json", each) for i, each in enumerate((coco, lvis))
    )
    return {
        "coco": (CocoMetric(coco_path), CLASSES, predictions_for(coco, 4)),
        "lvis": (LVISMetric(lvis_path, max_dets=30), names, federated),
        "fixed": (LVISFixedAPMetric(lvis_path, topk=20), names, federated),
        "flickr": (Flickr30kMetric(), None, captions(3, SIZE)),
        "refexp": (RefExpMetric(store(folder / "refs.json", refs)), None, found),
        "dump": (DumpDetResults(str(dumped)), None, predictions_for(coco, 4)),
    }


def several(folder):
    """Three data sets of odd sizes in one evaluator, and their samples."""
    truths = [coco_truth(seed, size) for seed, size in enumerate((7, 5, 9))]
    paths = [store(folder / f"multi{at}.json", truth) for at, truth in enumerate(truths)]
    evaluator = MultiDatasetsEvaluator([CocoMetric(path) for path in paths], ["a", "b", "c"])
    evaluator.dataset_meta = dict(datasets=[dict(classes=CLASSES)] * 3, sizes=[7, 5, 9])
    samples = [
        {**each, "dataset_index": at}
        for at, truth in enumerate(truths)
        for each in predictions_for(truth, at)
    ]
    return evaluator, samples


def loader(samples, batch_size):
    sampler = DefaultSampler(samples, shuffle=False)
    return DataLoader(samples, batch_size, sampler=sampler, collate_fn=list)


def score(folder, dumped):
    """Evaluate everything in the current number of processes."""
    numbers = {}
    for name, (metric, classes, samples) in jobs(folder, dumped).items():
        if classes is not None:
            metric.dataset_meta = dict(classes=classes)
        for batch in loader(samples, batch_size=2):
            metric.process(None, batch)
        numbers[name] = metric.evaluate(len(samples))
    evaluator, samples = several(folder)
    for batch in loader(samples, batch_size=3):
        evaluator.process(batch)
    numbers["multi"] = evaluator.evaluate(len(samples))
    return numbers


def work(rank, folder):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    os.chdir(folder)  # mmengine gathers in a folder below this one
    numbers = score(folder, folder / "two.pkl")
    (folder / f"numbers_{rank}.json").write_text(json.dumps(numbers))
    dist.destroy_process_group()


@pytest.mark.skipif(not dist.is_available(), reason="torch is built without distributed")
def test_two_processes_equal_one(tmp_path):
    expected = json.loads(json.dumps(score(tmp_path, tmp_path / "one.pkl")))
    mp.spawn(work, args=(tmp_path,), nprocs=2)
    for rank in (0, 1):
        assert json.loads((tmp_path / f"numbers_{rank}.json").read_text()) == expected
    alone, shared = (load_predictions(tmp_path / f"{name}.pkl") for name in ("one", "two"))
    assert [each["img_id"] for each in shared] == [each["img_id"] for each in alone]
    assert len(shared) == SIZE
    assert 0 < expected["coco"]["coco/bbox_mAP"] < 1
    assert 0 < expected["fixed"]["lvis_fixed_ap/AP"] < 1
