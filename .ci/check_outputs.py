"""Check that the README's first command detected, drew and saved the objects in its image."""

import json
import sys
from collections import Counter
from pathlib import Path

from PIL import Image

#: The objects in demo/shapes.jpg that the command's prompt names, and its --pred-score-thr.
EXPECTED = {"red star": 1, "green triangle": 1, "purple square": 2}
THRESHOLD = 0.6

folder = Path(sys.argv[1])
drawn = folder / "vis" / "shapes.jpg"
with Image.open(drawn) as image:
    image.load()
found = json.loads((folder / "preds" / "shapes.json").read_text())
assert len(found["bboxes"]) == len(found["scores"]) == len(found["label_names"])
names = Counter(
    name
    for name, score in zip(found["label_names"], found["scores"], strict=True)
    if score >= THRESHOLD
)
assert names == EXPECTED, f"expected {EXPECTED}, got {dict(names)}"
print(f"found {dict(names)}; {drawn} is valid")
