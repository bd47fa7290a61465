"""Read changed files of every kind; a program of its own, because its memory is limited.

Usage: python fuzz.py FOLDER ROUNDS. It prints the number of files that were read and refused.
"""

import json
import pickle
import random
import resource
import shutil
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import torch
from mmengine.logging import MessageHub
from safetensors.torch import save_file

from glip.checkpoint import read_checkpoint
from glip.datasets.odvg.index import open_index
from glip.engine.resuming import read_training_checkpoint
from glip.evaluation import load_predictions
from glip.utils.errors import GLIPError

#: Above what the imports need, in bytes.
MEMORY = 1 << 30
TENSORS = {f"layer{at}.weight": torch.arange(40.0).view(5, 8) + at for at in range(8)}
RECORD = {
    "filename": "a.jpg",
    "height": 10,
    "width": 20,
    "detection": {"instances": [{"bbox": [1, 2, 3, 4], "label": 1, "category": "dog"}]},
}


def write_files(folder):
    """Write a file of every kind; return the functions that read them."""
    torch.save({"state_dict": TENSORS, "meta": {"epoch": 1}}, folder / "a.pth")
    torch.save({"model": TENSORS}, folder / "legacy.pth", _use_new_zipfile_serialization=False)
    save_file(TENSORS, folder / "a.safetensors", {"config": "x"})
    hub = MessageHub("fuzz")
    hub.update_scalar("train/loss", np.float64(1), count=2)
    state = {
        "state_dict": TENSORS,
        "optimizer": {"state": {0: {"exp_avg": torch.ones(9)}}, "param_groups": [{"lr": 0.1}]},
        "message_hub": hub.state_dict(),
        "meta": {"epoch": 1, "iter": 2},
    }
    torch.save(state, folder / "epoch_1.pth")
    instances = dict(
        bboxes=np.ones((3, 4), np.float32), scores=np.ones(3, np.float32), labels=np.arange(3)
    )
    images = [dict(img_id=at, ori_shape=(3, 4), pred_instances=instances) for at in range(3)]
    (folder / "a.pkl").write_bytes(pickle.dumps(images, 2))
    (folder / "b.pkl").write_bytes(pickle.dumps(images, 5))
    (folder / "a.jsonl").write_text("\n".join([json.dumps(RECORD)] * 20))
    open_index(str(folder / "a.jsonl"))
    readers = {
        "a.pth": lambda path: read_checkpoint(path, mmap=False),
        "legacy.pth": read_checkpoint,
        "a.safetensors": read_checkpoint,
        "epoch_1.pth": lambda path: (
            read_training_checkpoint(str(path)),
            read_checkpoint(path, verify=True),
        )[1],
        "a.pkl": load_predictions,
        "b.pkl": load_predictions,
    }
    for file in folder.glob("a.jsonl.odvg_index.*"):
        readers[file.name] = lambda _: open_index(str(folder / "a.jsonl"))
    return readers


def change(content, rng):
    """Return changed bytes: flipped, overwritten, inserted, deleted, repeated or truncated."""
    data = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 5))):
        at = rng.randrange(len(data) + 1)
        kind = rng.randrange(6)
        if kind == 0 and at < len(data):
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            data[at : at + 8] = rng.choice((b"\xff" * 8, bytes(8), rng.randbytes(8)))
        elif kind == 2:
            data[at:at] = rng.randbytes(rng.choice((1, 4)))
        elif kind == 3:
            del data[at : at + rng.choice((1, 4, 100))]
        elif kind == 4:
            data[at:at] = data[at : at + 50]
        else:
            del data[at:]
    return bytes(data)


def is_right(name, value, expected):
    """Return whether a value that was read is the one that was written.

    Files of other programs have no checksums: only the form of their content is known.
    """
    if name in ("a.pth", "epoch_1.pth"):
        state = value["state_dict"]
        return state.keys() == TENSORS.keys() and all(
            map(torch.equal, state.values(), TENSORS.values())
        )
    if ".odvg_index." in name:
        return value.rows.tolist() == expected and value.categories == {1: "dog"}
    if name.endswith(".pkl"):
        return all(
            len(each["pred_instances"]["bboxes"]) == len(each["pred_instances"]["labels"])
            for each in value
        )
    return isinstance(value, dict)


def main(folder, rounds):
    """Change every file ``rounds`` times."""
    readers = write_files(folder)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY,) * 2)
    counts = Counter()
    for name, read in readers.items():
        rng = random.Random(name.partition(".odvg")[0] + name[-4:])
        content, expected = (folder / name).read_bytes(), read(folder / name)
        expected = expected.rows.tolist() if ".odvg_index." in name else None
        for at in range(rounds):
            changed = change(content, rng)
            (folder / name).write_bytes(changed)
            try:
                value = read(folder / name)
            except GLIPError as error:
                counts["refused"] += 1
                if len(str(error)) > 2000:
                    raise
                continue
            except BaseException:
                shutil.copy(folder / name, folder / "failed")
                print(f"{name}, round {at}")
                raise
            counts["read"] += 1
            assert changed == content or is_right(name, value, expected), (
                f"{name}, round {at}: wrong content"
            )
        (folder / name).write_bytes(content)
    print(json.dumps(counts))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
