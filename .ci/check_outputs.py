"""Check that the README's first command drew a picture and saved predictions."""

import json
import sys
from pathlib import Path

from PIL import Image

folder = Path(sys.argv[1])
pictures = list((folder / "vis").iterdir())
predictions = list((folder / "preds").iterdir())
assert pictures, f"no picture in {folder / 'vis'}"
assert predictions, f"no predictions in {folder / 'preds'}"
for picture in pictures:
    Image.open(picture).load()
for file in predictions:
    found = json.loads(file.read_text())
    assert found["bboxes"], f"no boxes in {file}"
    assert len(found["bboxes"]) == len(found["scores"]) == len(found["label_names"])
print(f"{len(pictures)} picture(s) and {len(predictions)} prediction file(s) are in order")
