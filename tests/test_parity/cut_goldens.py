"""Cut the shared reference outputs down to the copies in ``data/``.

Run once, when the references change: ``python -m tests.test_parity.cut_goldens``. The image is
stored as pixels, activations as 48 values each, so that a copy is some tens of kilobytes.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

from tests.test_parity.golden import COPIES, SHARED

_VALUES = 48
_MEAN = np.array([103.53, 116.28, 123.675])
_STD = np.array([57.375, 57.12, 58.395])


def cut(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Keep a few values of every activation, all of the detections, and the image as pixels."""
    generator = np.random.default_rng(0)
    pixels = arrays["input"][0] * _STD[:, None, None] + _MEAN[:, None, None]
    image = np.rint(pixels).astype(np.uint8).transpose(1, 2, 0)
    assert np.abs(pixels - image.transpose(2, 0, 1)).max() < 1e-3
    small = {"meta": arrays["meta"], "token_cols": arrays["token_cols"]}
    for name, array in arrays.items():
        if name.startswith("det_") or name.endswith("_hw"):
            small[name] = array
        elif name.endswith("__val"):
            base = name.removesuffix("__val")
            chosen = np.sort(generator.permutation(len(array))[:_VALUES])
            small[name] = array[chosen]
            small[f"{base}__idx"] = arrays[f"{base}__idx"][chosen]
            small[f"{base}__shape"] = arrays[f"{base}__shape"]
        elif name.endswith(("bbox_reg", "centerness")) or name.startswith("lang_"):
            chosen = np.sort(generator.permutation(array.size)[:_VALUES])
            small[f"{name}__idx"] = chosen
            small[f"{name}__val"] = array.reshape(-1)[chosen]
            small[f"{name}__shape"] = np.array(array.shape)
        elif name.endswith("_rows"):
            level = name.removesuffix("_rows")
            chosen = np.sort(generator.permutation(len(array))[:16])
            small[name] = array[chosen]
            small[f"{level}_dot_logits"] = arrays[f"{level}_dot_logits"][chosen]
    return small | {"image": image}


def main() -> None:
    """Write the copies."""
    COPIES.mkdir(exist_ok=True)
    for model in "ABL":
        with np.load(SHARED / f"{model}_small_short.npz") as stored:
            small = cut(dict(stored))
        image = small.pop("image")
        np.savez_compressed(COPIES / f"{model}_small_short.npz", **small)
    Image.fromarray(np.ascontiguousarray(image[..., ::-1])).save(COPIES / "small.png")


if __name__ == "__main__":
    main()
