"""Small annotation files and images for the tests of the data sets."""

import json

import numpy as np
from PIL import Image

CLASSES = ("cat", "dog", "traffic light")

PIPELINE = [
    dict(type="LoadImageFromFile"),
    dict(type="FixScaleResize", scale=(64, 96)),
    dict(type="LoadAnnotations"),
    dict(type="PackDetInputs"),
]


def coco_content():
    """Three images; category ids neither contiguous nor in the order of the classes."""
    return dict(
        images=[
            dict(id=30, file_name="a.png", height=40, width=60),
            dict(id=7, file_name="b.png", height=50, width=50),
            dict(id=12, file_name="c.png", height=20, width=30),
        ],
        categories=[
            dict(id=90, name="traffic light"),
            dict(id=5, name="dog"),
            dict(id=18, name="cat"),
        ],
        annotations=[
            dict(id=1, image_id=30, category_id=5, bbox=[1, 2, 10, 20], area=200, iscrowd=0),
            dict(id=2, image_id=30, category_id=90, bbox=[5, 5, 30, 30], area=900, iscrowd=1),
            dict(id=3, image_id=7, category_id=18, bbox=[40, 40, 20, 20], area=400, iscrowd=0),
        ],
    )


def write(folder, content, name="instances.json"):
    """Write an annotation file; return its path as text."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(json.dumps(content))
    return str(folder / name)


def draw(folder, content):
    """Write an image for each entry of the file."""
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(0)
    for each in content["images"]:
        size = (int(each["height"]), int(each["width"]), 3)
        image = rng.integers(0, 256, size, dtype=np.uint8)
        Image.fromarray(image).save(folder / each["file_name"])
