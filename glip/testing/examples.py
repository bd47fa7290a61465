"""A small generated data set in every format: COCO, LVIS, Flickr30k Entities, RefCOCO, ODinW."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

from glip.text.vocabulary import load_vocabulary

#: The category ids from 1 to 90 that COCO does not use.
_COCO_GAPS = (12, 26, 29, 30, 45, 66, 68, 69, 71, 83)

Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Kind:
    """A kind of object in the images.

    Attributes:
        phrase: its phrase in captions.
        coco, lvis: its class name in COCO and LVIS.
        type: its type in Flickr30k Entities.
        fill: RGB colour.
        round: whether it is an ellipse; else a rectangle.
    """

    phrase: str
    coco: str
    lvis: str
    type: str
    fill: tuple[int, int, int]
    round: bool


@dataclass(frozen=True)
class ExampleImage:
    """A generated image file.

    Attributes:
        path: path of the file.
        size: width and height in pixels.
        objects: kind and box of each object; boxes are xywh in pixels.
    """

    path: Path
    size: tuple[int, int]
    objects: tuple[tuple[Kind, Box], ...]

    def entry(self, number: int, **more: Any) -> dict[str, Any]:
        """Return the entry of the image in an annotation file.

        Args:
            number: id of the image.
            more: other keys of the entry.
        """
        width, height = self.size
        return dict(id=number, file_name=self.path.name, width=width, height=height, **more)


KINDS = (
    Kind("an orange ball", "sports ball", "ball", "other", (240, 140, 30), True),
    Kind("a red car", "car", "car_(automobile)", "vehicles", (200, 30, 40), False),
    Kind("a green tie", "tie", "necktie", "clothing", (40, 150, 60), False),
    Kind("a grey cat", "cat", "cat", "animals", (120, 120, 125), True),
    Kind("a blue umbrella", "umbrella", "umbrella", "other", (40, 70, 200), True),
)


class Painter:
    """Draws random images.

    Args:
        seed: the sequence of images is a deterministic function of it.
    """

    def __init__(self, seed: int):
        self.random = random.Random(seed)

    def draw(self, path: Path, count: int) -> ExampleImage:
        """Draw an image of ``count`` objects of different kinds."""
        size = self.random.choice([(160, 120), (120, 160), (150, 130)])
        image = Image.new("RGB", size, tuple(self.random.randint(190, 250) for _ in range(3)))
        canvas = ImageDraw.Draw(image)
        objects = []
        for kind in self.random.sample(KINDS, count):
            box = self._place(size)
            corners = (box[0], box[1], box[0] + box[2] - 1, box[1] + box[3] - 1)
            (canvas.ellipse if kind.round else canvas.rectangle)(corners, fill=kind.fill)
            objects.append((kind, box))
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(path, quality=95)
        return ExampleImage(path, size, tuple(objects))

    def _place(self, size: tuple[int, int]) -> Box:
        width, height = self.random.randint(20, 60), self.random.randint(20, 60)
        return (
            self.random.randint(0, size[0] - width),
            self.random.randint(0, size[1] - height),
            width,
            height,
        )


def write_json(path: Path, images: list, annotations: list, categories: list) -> None:
    """Write an annotation file; set the ids, areas and crowd flags that annotations lack."""
    for number, annotation in enumerate(annotations, start=1):
        annotation.setdefault("id", number)
        annotation.setdefault("iscrowd", 0)
        annotation.setdefault("area", annotation["bbox"][2] * annotation["bbox"][3])
    path.parent.mkdir(parents=True, exist_ok=True)
    content = dict(images=images, annotations=annotations, categories=categories)
    path.write_text(json.dumps(content), encoding="utf-8")


def make_coco(
    root: Path, painter: Painter, split: str, counts: Sequence[int]
) -> list[ExampleImage]:
    """Write a split of COCO, with a crowd and a box without area.

    Args:
        root: folder to write to.
        painter: draws the images.
        split: name of the split.
        counts: number of objects of each image.

    Returns:
        The images.
    """
    ids = [number for number in range(1, 91) if number not in _COCO_GAPS]
    names = load_vocabulary("coco")
    categories = [dict(id=ids[at], name=name) for at, name in enumerate(names)]
    drawn = [
        painter.draw(root / split / f"{number:012d}.jpg", count)
        for number, count in enumerate(counts, start=1)
    ]
    annotations = [
        dict(image_id=number, category_id=ids[names.index(kind.coco)], bbox=list(box))
        for number, image in enumerate(drawn, start=1)
        for kind, box in image.objects
    ]
    annotations[0]["iscrowd"] = 1
    annotations.append(dict(image_id=2, category_id=ids[0], bbox=[5, 5, 0, 10]))
    images = [image.entry(number) for number, image in enumerate(drawn, start=1)]
    write_json(root / f"annotations/instances_{split}.json", images, annotations, categories)
    return drawn


def make_lvis(root: Path, drawn: list[ExampleImage]) -> None:
    """Write val (five of the images) and minival (three), with the 1203 categories of LVIS."""
    names = load_vocabulary("lvis")
    categories = [
        dict(id=number, name=name, frequency="rcf"[number % 3], synset=f"{name}.n.01")
        for number, name in enumerate(names, start=1)
    ]
    for file, count in (
        ("lvis_od_val.json", 5),
        ("lvis_v1_minival_inserted_image_name.json", 3),
    ):
        images, annotations = [], []
        for number, image in enumerate(drawn[:count], start=1):
            shown = {names.index(kind.lvis) + 1 for kind, _ in image.objects}
            absent = [names.index(kind.lvis) + 1 for kind in KINDS]
            images.append(
                image.entry(
                    number,
                    coco_url=f"http://images.cocodataset.org/val2017/{image.path.name}",
                    neg_category_ids=[each for each in absent if each not in shown],
                    not_exhaustive_category_ids=sorted(shown)[:1],
                )
            )
            annotations += [
                dict(image_id=number, category_id=names.index(kind.lvis) + 1, bbox=list(box))
                for kind, box in image.objects
            ]
        write_json(root / "annotations" / file, images, annotations, categories)


def make_flickr30k(root: Path, painter: Painter, splits: Mapping[str, range]) -> None:
    """Write splits in MDETR's format, and the original annotations of Flickr30k Entities.

    Args:
        root: folder to write to.
        painter: draws the images.
        splits: numbers of the images of each split; an image has two captions.
    """
    for split, numbers in splits.items():
        images, annotations = [], []
        for number in numbers:
            image = painter.draw(root / "flickr30k_images" / f"{number}.jpg", 3)
            write_entities(root, number, image)
            for sentence in (0, 1):
                objects = image.objects[sentence:]
                caption, spans = describe(objects)
                key = 2 * number + sentence
                images.append(
                    image.entry(
                        key,
                        caption=caption,
                        dataset_name="flickr",
                        sentence_id=sentence,
                        original_img_id=number,
                        tokens_negative=[[0, len(caption)]],
                        tokens_positive_eval=[[span] for span in spans],
                    )
                )
                annotations += [
                    dict(image_id=key, category_id=1, bbox=list(box), tokens_positive=[span])
                    for (_, box), span in zip(objects, spans, strict=True)
                ]
        file = root / f"final_flickr_separateGT_{split}.json"
        write_json(file, images, annotations, [dict(id=1, name="object")])


def describe(objects: tuple[tuple[Kind, Box], ...]) -> tuple[str, list[list[int]]]:
    """Return a caption of objects, and the character span of each."""
    caption, spans = "There is ", []
    for at, (kind, _) in enumerate(objects):
        caption += " next to " if at else ""
        spans.append([len(caption), len(caption) + len(kind.phrase)])
        caption += kind.phrase
    return caption + " .", spans


def write_entities(root: Path, number: int, image: ExampleImage) -> None:
    """Write the captions and boxes of an image in the format of Flickr30k Entities."""
    lines = []
    for sentence in (0, 1):
        marked = [
            f"[/EN#{number}{at}/{kind.type} {kind.phrase}]"
            for at, (kind, _) in list(enumerate(image.objects))[sentence:]
        ]
        lines.append("There is " + " next to ".join(marked) + " .")
    boxes = "".join(
        f"<object><name>{number}{at}</name><bndbox><xmin>{x}</xmin><ymin>{y}</ymin>"
        f"<xmax>{x + width}</xmax><ymax>{y + height}</ymax></bndbox></object>"
        for at, (_, (x, y, width, height)) in enumerate(image.objects)
    )
    for folder, text in (
        (f"Sentences/{number}.txt", "\n".join(lines) + "\n"),
        (f"Annotations/{number}.xml", f"<annotation>{boxes}</annotation>\n"),
    ):
        (root / folder).parent.mkdir(parents=True, exist_ok=True)
        (root / folder).write_text(text, encoding="utf-8")


def make_refcoco(root: Path, painter: Painter) -> None:
    """Write three of the eight splits, with two expressions each."""
    for start, name in enumerate(("refcoco_val", "refcoco_testA", "refcocog_val")):
        images, annotations = [], []
        for number in (2 * start + 1, 2 * start + 2):
            file = f"COCO_train2014_{number:012d}.jpg"
            image = painter.draw(root / "train2014" / file, 2)
            kind, box = image.objects[0]
            caption = f"{kind.phrase.split(maxsplit=1)[1]} beside {image.objects[1][0].phrase}"
            full_span = [[0, len(caption)]]
            more = dict(original_id=number, caption=caption, dataset_name=name.split("_")[0])
            images.append(image.entry(number, tokens_negative=full_span, **more))
            annotations.append(
                dict(image_id=number, category_id=1, bbox=list(box), tokens_positive=full_span)
            )
        path = root / "mdetr_annotations" / f"finetune_{name}.json"
        write_json(path, images, annotations, [dict(id=1, name="object")])


def make_odinw(root: Path, painter: Painter) -> None:
    """Write Aquarium, CottontailRabbits and pistols, with two or three images each."""
    aquarium = ["fish", "jellyfish", "penguin", "puffin", "shark", "starfish", "stingray"]
    for folder, file, names, count in (
        ("Aquarium/Aquarium Combined.v2-raw-1024.coco", "valid/", aquarium, 3),
        ("CottontailRabbits", "valid/", ["Cottontail-Rabbit"], 2),
        ("pistols/export", "val_", ["pistol"], 2),
    ):
        images, annotations = [], []
        # In an "export" folder the images are beside the annotation files.
        parent = root / folder / (file if file.endswith("/") else "")
        for number in range(count):
            image = painter.draw(parent / f"{number:04d}.jpg", 2)
            images.append(image.entry(number))
            annotations += [
                dict(image_id=number, category_id=at % len(names) + 1, bbox=list(box))
                for at, (_, box) in enumerate(image.objects, start=number)
            ]
        categories = [dict(id=at, name=name) for at, name in enumerate(names, start=1)]
        path = root / folder / f"{file}annotations_without_background.json"
        write_json(path, images, annotations, categories)


def make_examples(out: Path, seed: int) -> None:
    """Generate all data sets.

    Args:
        out: folder to write to.
        seed: the files are a deterministic function of it.
    """
    painter = Painter(seed)
    coco = out / "coco"
    make_lvis(coco, make_coco(coco, painter, "val2017", (2, 3, 0, 1, 2, 3, 2, 1, 2)))
    flickr30k = out / "flickr30k_entities"
    make_flickr30k(flickr30k, painter, dict(val=range(1000, 1002), test=range(2000, 2002)))
    make_refcoco(coco, painter)
    make_odinw(out / "odinw", painter)
    make_coco(coco, painter, "train2017", (2, 3, 1, 0, 2, 3, 1, 2, 3, 1, 2, 2))
    make_flickr30k(flickr30k, painter, dict(train=range(3000, 3006)))
