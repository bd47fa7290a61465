"""Random ground truth and predictions with the difficult cases of the metrics."""

import json

import numpy as np
import torch

CLASSES = ("cat", "dog", "traffic light", "kite", "unicorn")
#: Neither contiguous nor in the order of the classes; "unicorn" is never annotated.
CATEGORY_IDS = {"cat": 17, "dog": 3, "traffic light": 90, "kite": 41, "unicorn": 8}


def random_boxes(rng, count, *, sides=(4, 160)):
    """(count, 4) xywh, on a coarse grid so that equal IoUs happen."""
    corner = rng.integers(0, 40, (count, 2)) * 5.0
    return np.concatenate([corner, rng.integers(*sides, (count, 2)) * 1.0], axis=1)


def coco_truth(seed=0, num_images=30):
    """COCO annotations with crowds, mask areas, empty images and a class without annotations."""
    rng = np.random.default_rng(seed)
    ids = (rng.permutation(1000)[:num_images] + 1).tolist()
    images = [dict(id=i, file_name=f"{i}.jpg", height=400, width=400) for i in ids]
    annotations = []
    for image in images[: -num_images // 6]:  # the others are empty
        for box in random_boxes(rng, rng.integers(0, 8)):
            name = CLASSES[rng.integers(0, 4)]
            annotations.append(
                dict(
                    id=len(annotations) + 1,
                    image_id=image["id"],
                    category_id=CATEGORY_IDS[name],
                    bbox=box.tolist(),
                    area=float(box[2] * box[3] * rng.uniform(0.4, 1)),
                    iscrowd=int(rng.random() < 0.15),
                )
            )
    categories = [dict(id=number, name=name) for name, number in CATEGORY_IDS.items()]
    return dict(images=images, annotations=annotations, categories=categories)


def predictions_for(truth, seed=1, *, per_image=25, classes=CLASSES, category_ids=CATEGORY_IDS):
    """One data sample (as a dictionary) per image: shifted boxes, noise, ties, or no detections."""
    rng = np.random.default_rng(seed)
    labels_of = {category_ids[name]: label for label, name in enumerate(classes)}
    by_image = {image["id"]: [] for image in truth["images"]}
    for annotation in truth["annotations"]:
        by_image[annotation["image_id"]].append(annotation)
    samples = []
    for number, (img_id, annotations) in enumerate(by_image.items()):
        boxes, labels = [random_boxes(rng, per_image)], [rng.integers(0, len(classes), per_image)]
        for annotation in annotations:
            for shift in (0, 2, 6):
                if rng.random() < 0.6:
                    boxes.append(np.array([annotation["bbox"]]) + shift)
                    labels.append([labels_of[annotation["category_id"]]])
        boxes, labels = np.concatenate(boxes), np.concatenate(labels)
        order = rng.permutation(len(boxes))
        boxes, labels = boxes[order], labels[order]
        scores = rng.integers(1, 12, len(boxes)) / 12  # a few values: many ties
        if number % 7 == 3:
            boxes, labels, scores = boxes[:0], labels[:0], scores[:0]
        boxes[:, 2:] += boxes[:, :2]
        samples.append(sample(img_id, boxes, scores, labels))
    return samples


def sample(img_id, boxes, scores, labels, **others):
    """Build a data sample as the evaluator passes it to a metric."""
    boxes, scores = (torch.as_tensor(each, dtype=torch.float32) for each in (boxes, scores))
    return dict(
        img_id=img_id,
        ori_shape=(400, 400),
        pred_instances=dict(
            bboxes=boxes.reshape(-1, 4),
            scores=scores,
            labels=torch.as_tensor(labels, dtype=torch.int64),
        ),
        **others,
    )


def as_results(samples, classes=CLASSES, category_ids=CATEGORY_IDS):
    """Convert the predictions to COCO's result format, independently of the library."""
    results = []
    for each in samples:
        found = each["pred_instances"]
        for (x1, y1, x2, y2), score, label in zip(
            found["bboxes"].tolist(),
            found["scores"].tolist(),
            found["labels"].tolist(),
            strict=True,
        ):
            results.append(
                dict(
                    image_id=each["img_id"],
                    category_id=category_ids[classes[label]],
                    bbox=[x1, y1, x2 - x1, y2 - y1],
                    score=score,
                )
            )
    return results


def lvis_truth(seed=0, num_images=24, num_classes=12):
    """LVIS annotations: negative and not exhaustively annotated categories, three frequencies."""
    rng = np.random.default_rng(seed)
    names = [f"class_{number}" for number in range(num_classes)]
    ids = (rng.permutation(100)[:num_classes] + 1).tolist()
    categories = [
        dict(id=number, name=name, frequency="rcf"[at % 3])
        for at, (number, name) in enumerate(zip(ids, names, strict=True))
    ]
    images, annotations = [], []
    for img_id in (rng.permutation(1000)[:num_images] + 1).tolist():
        present = rng.permutation(ids[:-1])[: rng.integers(0, 5)].tolist()
        absent = [number for number in ids if number not in present and rng.random() < 0.3]
        for box in random_boxes(rng, 3 * len(present)):
            area = float(box[2] * box[3] * rng.uniform(0.4, 1))
            annotations.append(
                dict(
                    id=len(annotations) + 1,
                    image_id=img_id,
                    category_id=int(rng.choice(present)),
                    bbox=box.tolist(),
                    area=area if rng.random() > 0.03 else 0.0,
                )
            )
            if rng.random() < 0.05:
                annotations[-1]["ignore"] = 1
        images.append(
            dict(
                id=img_id,
                coco_url=f"http://images.cocodataset.org/val2017/{img_id:012}.jpg",
                height=400,
                width=400,
                neg_category_ids=absent,
                not_exhaustive_category_ids=[each for each in present if rng.random() < 0.3],
            )
        )
    return dict(images=images, annotations=annotations, categories=categories)


def write(path, content):
    """Write JSON and return the path as text."""
    path.write_text(json.dumps(content))
    return str(path)


def run(metric, samples, *, classes=CLASSES, batch=4):
    """Feed a metric as the loops do and return its metrics."""
    if classes is not None:
        metric.dataset_meta = dict(classes=classes)
    for start in range(0, len(samples), batch):
        metric.process(None, samples[start : start + batch])
    return metric.evaluate(len(samples))
