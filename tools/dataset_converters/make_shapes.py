r"""Generate pictures of coloured shapes over photographs, to train and to test glip_nano_shapes.

Writes to OUT:

- ``images/``: the pictures;
- ``annotations/detection.json``: COCO's format, a class for each pair of a colour and a shape;
- ``annotations/colors.json``, ``annotations/shapes.json``: the same boxes, fewer classes;
- ``annotations/grounding.json``: MDETR's format, a caption for each picture, with the boxes of its
  phrases;
- ``annotations/pairs.jsonl``: pictures and captions without boxes, for a teacher to label;
- ``vocabulary/``: the WordPiece vocabulary of these words, the same for every OUT.

The same seed gives the same pictures. Some pairs are held out: with --without-held-out they occur
neither in pictures nor in class names. With --words only these colours and shapes occur.

Examples:
    python tools/dataset_converters/make_shapes.py data/shapes/train --seed 0 --num-images 20000 \
        --without-held-out
    python tools/dataset_converters/make_shapes.py data/shapes/val --seed 1 --num-images 500
    python tools/test.py glip_nano_shapes demo/glip_nano_shapes.safetensors \
        --cfg-options data_root=data/shapes/val/
    python tools/dataset_converters/make_shapes.py data/few --words red blue circle star --side 128
"""

from __future__ import annotations

import argparse
import json
import random
from pathlib import Path
from typing import Any

from tqdm import trange

from glip.cli.common import positive_int, run
from glip.datasets.odvg.writing import to_json_line
from glip.testing.shapes import (
    COLORS,
    HELD_OUT,
    MAX_THINGS,
    MIN_SIDE,
    PAIRS,
    SHAPES,
    SIDE,
    all_words,
    class_name,
    draw_scene,
    load_backgrounds,
    paint,
    write_caption,
)
from glip.utils.errors import ConfigError

BACKGROUNDS = Path(__file__).parents[2] / "demo" / "backgrounds"

#: Entries of the vocabulary at most: enough for every word of the captions to be whole.
_VOCABULARY_SIZE = 500


class AnnotationFile:
    """Annotations as they accumulate.

    Args:
        categories: names, by position.
    """

    def __init__(self, categories: list[str]):
        self.images: list[dict[str, Any]] = []
        self.annotations: list[dict[str, Any]] = []
        self.categories = [dict(id=at, name=name) for at, name in enumerate(categories, start=1)]

    def add(self, box: tuple[float, float, float, float], **more: Any) -> None:
        """Add a box (xyxy, pixels) of the last image."""
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
    """Return the colours and shapes that may occur.

    Raises:
        ConfigError: there are none.
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
    seed: int,
    num_images: int,
    backgrounds: Path,
    pairs: tuple[tuple[str, str], ...],
    side: int,
    max_things: int,
) -> None:
    """Generate pictures and their annotations; see the module's docstring."""
    photos = load_backgrounds(backgrounds)
    used = {word for pair in pairs for word in pair}
    color_names = [color for color in COLORS if color in used]
    shape_names = [shape for shape in SHAPES if shape in used]
    detection = AnnotationFile([class_name(pair) for pair in pairs])
    colors, shapes = AnnotationFile(color_names), AnnotationFile(shape_names)
    grounding = AnnotationFile(["object"])
    (out / "images").mkdir(parents=True, exist_ok=True)
    for number in trange(num_images, desc="Drawing", unit="picture", dynamic_ncols=True):
        rng = random.Random(f"{seed} {number}")  # a picture of its own, whatever the others are
        scene = draw_scene(rng, pairs, side=side, max_things=max_things)
        picture, boxes = paint(scene, photos, rng)
        name = f"{number:06d}.jpg"
        picture.save(out / "images" / name, quality=92)
        image = dict(id=number + 1, file_name=name, width=scene.width, height=scene.height)
        for file in (detection, colors, shapes):
            file.images.append(image)
        for thing, box in zip(scene.things, boxes, strict=True):
            detection.add(box, category_id=pairs.index(thing.pair) + 1)
            colors.add(box, category_id=color_names.index(thing.color) + 1)
            shapes.add(box, category_id=shape_names.index(thing.shape) + 1)
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
            for at in phrase.things:
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


def write_vocabulary(folder: Path) -> None:
    """Train a WordPiece vocabulary on the words of captions and class names, and write it.

    It begins with BERT's special tokens and has every printable character of ASCII, whole and as a
    continuation, so that any English word can be written with it.
    """
    from tokenizers import BertWordPieceTokenizer

    printable = [chr(code) for code in range(33, 127) if not chr(code).isupper()]
    tokenizer = BertWordPieceTokenizer(lowercase=True)
    tokenizer.train_from_iterator(
        list(all_words()),
        vocab_size=_VOCABULARY_SIZE,
        min_frequency=1,
        initial_alphabet=printable,
        show_progress=False,
    )
    known = tokenizer.get_vocab()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    pieces = ["##" + each for each in printable if each.isalnum()]
    # Which pieces of words the training met on its way changes from run to run: only words stay.
    learned = [word for word in dict.fromkeys(all_words()) if word in known]
    words = dict.fromkeys([*special, *printable, *pieces, *learned])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.txt").write_text("\n".join(words) + "\n", encoding="utf-8")
    settings = dict(tokenizer_class="BertTokenizer", do_lower_case=True, model_max_length=512)
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")


def main(argv: list[str] | None = None) -> None:
    """Generate; see the module's docstring."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path, help="folder to write to")
    parser.add_argument("--seed", type=int, default=0, help="another one gives other pictures")
    parser.add_argument("--num-images", type=positive_int, default=500, help="pictures to draw")
    parser.add_argument(
        "--without-held-out",
        action="store_true",
        help=f"leave out {', '.join(map(class_name, HELD_OUT))}",
    )
    parser.add_argument(
        "--words",
        nargs="+",
        choices=(*COLORS, *SHAPES),
        default=(*COLORS, *SHAPES),
        metavar="WORD",
        help="colours and shapes that may occur; by default all: %(default)s",
    )
    parser.add_argument(
        "--side",
        type=positive_int,
        default=SIDE,
        help="longer side of pictures, pixels; default: %(default)s",
    )
    parser.add_argument(
        "--max-things",
        type=positive_int,
        default=MAX_THINGS,
        help="shapes a picture at most; default and largest: %(default)s",
    )
    parser.add_argument(
        "--backgrounds", type=Path, default=BACKGROUNDS, help="folder of photographs"
    )
    args = parser.parse_args(argv)
    if args.max_things > MAX_THINGS:
        parser.error(f"expected --max-things up to {MAX_THINGS}, got {args.max_things}")
    if args.side < MIN_SIDE:
        parser.error(f"expected --side of {MIN_SIDE} or more, got {args.side}")
    pairs = choose_pairs(args.words, args.without_held_out)
    make_shapes(
        args.out,
        args.seed,
        args.num_images,
        args.backgrounds,
        pairs,
        args.side,
        args.max_things,
    )
    print(f"wrote {args.num_images} pictures to {args.out}")


if __name__ == "__main__":
    run(main)
