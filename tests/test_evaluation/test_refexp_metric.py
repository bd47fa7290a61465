"""Precision@k equals a loop over every expression and box."""

import numpy as np
import pytest

from glip.evaluation import RefExpMetric
from glip.utils.errors import AnnotationFileNotFoundError
from tests.test_evaluation.generated import random_boxes, run, sample, write
from tests.test_evaluation.test_flickr30k_metric import iou

NAMES = ("refcoco", "refcoco+", "refcocog")


def expressions(seed=0, count=60):
    rng = np.random.default_rng(seed)
    images, annotations, samples = [], [], []
    for img_id in range(count):
        images.append(dict(id=img_id, caption="a dog", dataset_name=NAMES[rng.integers(3)]))
        box = random_boxes(rng, 1, sides=(40, 160))[0]
        annotations.append(dict(id=img_id, image_id=img_id, category_id=1, bbox=box.tolist()))
        boxes = box + rng.integers(-60, 61, (rng.integers(0, 16), 4))
        boxes[:, 2:] += boxes[:, :2]
        scores = rng.integers(1, 7, len(boxes)) / 7
        samples.append(sample(img_id, boxes, scores, [0] * len(boxes)))
    content = dict(images=images, annotations=annotations, categories=[dict(id=1, name="dog")])
    return content, samples


def test_equals_brute_force(tmp_path):
    content, samples = expressions()
    numbers = run(RefExpMetric(write(tmp_path / "refs.json", content)), samples, classes=None)
    expected = {}
    for name in NAMES:
        for k in (1, 5, 10):
            hits = []
            for image, annotation, each in zip(
                content["images"], content["annotations"], samples, strict=True
            ):
                if image["dataset_name"] != name:
                    continue
                x, y, w, h = annotation["bbox"]
                found = each["pred_instances"]
                rows = zip(found["scores"].tolist(), found["bboxes"].tolist(), strict=True)
                best = sorted(rows, key=lambda row: -row[0])[:k]
                hits.append(any(iou(box, (x, y, x + w, y + h)) >= 0.5 for _, box in best))
            expected[f"refexp/{name}_precision@{k}"] = sum(hits) / len(hits)
    mean = numbers.pop("refexp/mean_precision")
    assert numbers == expected
    assert mean == pytest.approx(sum(expected.values()) / 9)
    assert 0.02 < mean < 0.98


def test_one_data_set_and_the_data_sets_file(tmp_path):
    content, samples = expressions()
    for each in content["images"]:
        each["dataset_name"] = "refcocog"
    metric = RefExpMetric(topk=(1,))
    metric.dataset_meta = dict(ann_file=write(tmp_path / "refs.json", content))
    numbers = run(metric, samples, classes=None)
    assert set(numbers) == {"refexp/refcocog_precision@1", "refexp/mean_precision"}


def test_bad_data(tmp_path):
    content, samples = expressions()
    content["annotations"][3]["bbox"][0] = float("nan")
    path = write(tmp_path / "refs.json", content)
    assert run(RefExpMetric(path), samples, classes=None)["refexp/mean_precision"] > 0
    assert run(RefExpMetric(path), samples[3:4], classes=None) == {"refexp/mean_precision": -1.0}
    samples[0]["img_id"] = 1000
    with pytest.raises(ValueError, match="1000"):
        run(RefExpMetric(path), samples, classes=None)
    with pytest.raises(ValueError, match="ann_file"):
        run(RefExpMetric(), samples, classes=None)
    with pytest.raises(AnnotationFileNotFoundError):
        RefExpMetric(str(tmp_path / "none.json"))
