"""Check that the README's first command found what is in the picture, drew it and saved it."""

import json
import sys
from collections import Counter
from pathlib import Path

from PIL import Image

#: What the command asks for, as it is in demo/shapes.jpg, and its --pred-score-thr.
IN_THE_PICTURE = {"red star": 1, "green triangle": 1, "purple square": 2}
THRESHOLD = 0.6

folder = Path(sys.argv[1])
drawn = folder / "vis" / "shapes.jpg"
with Image.open(drawn) as picture:
    picture.load()
found = json.loads((folder / "preds" / "shapes.json").read_text())
assert len(found["bboxes"]) == len(found["scores"]) == len(found["label_names"])
names = Counter(
    name
    for name, score in zip(found["label_names"], found["scores"], strict=True)
    if score >= THRESHOLD
)
assert names == IN_THE_PICTURE, f"expected {IN_THE_PICTURE}, found {dict(names)}"
print(f"found {dict(names)}; {drawn} is in order")
