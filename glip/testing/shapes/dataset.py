"""A data set of generated images: detection, grounding and captions, with its vocabulary."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from tqdm import trange

from glip.datasets.odvg.writing import to_json_line
from glip.testing.shapes.captions import class_name, write_caption
from glip.testing.shapes.painting import load_backgrounds, paint
from glip.testing.shapes.scenes import COLORS, HELD_OUT, PAIRS, SHAPES, draw_scene
from glip.testing.shapes.vocabulary import write_vocabulary
from glip.utils.errors import ConfigError


class AnnotationFile:
    """An annotation file in COCO format that grows image by image.

    Args:
        categories: names of the categories 1, 2, ...
    """

    def __init__(self, categories: list[str]):
        self.images: list[dict[str, Any]] = []
        self.annotations: list[dict[str, Any]] = []
        self.categories = [dict(id=at, name=name) for at, name in enumerate(categories, start=1)]

    def add(self, box: tuple[float, float, float, float], **more: Any) -> None:
        """Add a box (xyxy in pixels) of the last image."""
        width, height = box[2] - box[0], box[3] - box[1]
        self.annotations.append(
            dict(
                id=len(self.annotations) + 1,
                image_id=self.images[-1]["id"],
                bbox=[box[0], box[1], width, height],
                area=width * height,
                iscrowd=0,
                **more,
            )
        )

    def write(self, path: Path) -> None:
        """Write the file."""
        content = dict(images=self.images, annotations=self.annotations, categories=self.categories)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content), encoding="utf-8")


def choose_pairs(words: list[str], without_held_out: bool) -> tuple[tuple[str, str], ...]:
    """Return the pairs of a colour and a shape that may occur.

    Args:
        words: colours and shapes that may occur.
        without_held_out: exclude :data:`~glip.testing.shapes.scenes.HELD_OUT`.

    Raises:
        ConfigError: there is no such pair.
    """
    pairs = tuple(
        pair
        for pair in PAIRS
        if set(pair) <= set(words) and not (without_held_out and pair in HELD_OUT)
    )
    if not pairs:
        raise ConfigError(
            "expected --words to name a colour and a shape that may occur together, got "
            f"{' '.join(words)}"
        )
    return pairs


def make_shapes(
    out: Path,
    *,
    seed: int,
    num_images: int,
    backgrounds: Path,
    pairs: tuple[tuple[str, str], ...],
    side: int,
    max_objects: int,
) -> None:
    """Generate images, their annotations and the vocabulary.

    Args:
        out: folder to write to.
        seed: the images are a deterministic function of it.
        num_images: number of images.
        backgrounds: folder of photographs.
        pairs: pairs of a colour and a shape that may occur.
        side: longer side of the images in pixels.
        max_objects: maximum number of shapes per image.

    Raises:
        FileNotFoundError: there is no photograph.
    """
    photos = load_backgrounds(backgrounds)
    used = {word for pair in pairs for word in pair}
    color_names = [color for color in COLORS if color in used]
    shape_names = [shape for shape in SHAPES if shape in used]
    detection = AnnotationFile([class_name(pair) for pair in pairs])
    colors, shapes = AnnotationFile(color_names), AnnotationFile(shape_names)
    grounding = AnnotationFile(["object"])
    (out / "images").mkdir(parents=True, exist_ok=True)
    for number in trange(num_images, desc="Drawing", unit="image", dynamic_ncols=True):
        rng = random.Random(f"{seed} {number}")  # does not depend on the other images
        scene = draw_scene(rng, pairs, side=side, max_objects=max_objects)
        painted, boxes = paint(scene, photos, rng)
        name = f"{number:06d}.jpg"
        painted.save(out / "images" / name, quality=92)
        image = dict(id=number + 1, file_name=name, width=scene.width, height=scene.height)
        for file in (detection, colors, shapes):
            file.images.append(image)
        for item, box in zip(scene.objects, boxes, strict=True):
            detection.add(box, category_id=pairs.index(item.pair) + 1)
            colors.add(box, category_id=color_names.index(item.color) + 1)
            shapes.add(box, category_id=shape_names.index(item.shape) + 1)
        caption, phrases = write_caption(scene, rng)
        spans = [[phrase.start, phrase.end] for phrase in phrases]
        grounding.images.append(
            {
                **image,
                "caption": caption,
                "dataset_name": "shapes",
                "tokens_negative": [[0, len(caption)]],
                "tokens_positive_eval": [[span] for span in spans],
            }
        )
        for phrase, span in zip(phrases, spans, strict=True):
            for at in phrase.objects:
                grounding.add(boxes[at], category_id=1, tokens_positive=[span])
    files = dict(detection=detection, colors=colors, shapes=shapes, grounding=grounding)
    for file_name, file in files.items():
        file.write(out / "annotations" / f"{file_name}.json")
    lines = [
        to_json_line(dict(filename=image["file_name"], caption=image["caption"]))
        for image in grounding.images
    ]
    (out / "annotations" / "pairs.jsonl").write_bytes(b"".join(lines))
    write_vocabulary(out / "vocabulary")
