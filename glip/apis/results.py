"""Save drawn images and predictions."""

from __future__ import annotations

import json
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config

from glip.structures import DetDataSample
from glip.structures.export import class_lists, presence_lists, slice_report
from glip.utils.atomic_write import atomic_open, describe_write_errors, make_writable_folder
from glip.utils.options import check_number
from glip.visualization.crops import CropFolder
from glip.visualization.saving import save_image

#: Longest side of an image that a JPEG file can hold, in pixels.
_MAX_JPEG = 65500


def default_score_thr(cfg: Config) -> float:
    """Return the score from which on a model's detections are shown by default.

    It is the config's ``default_score_thr``, 0.3 if it has none.

    Raises:
        ConfigError: it is not a number from 0 to 1.
    """
    return check_number("default_score_thr", cfg.get("default_score_thr", 0.3), low=0, high=1)


def to_dict(sample: DetDataSample) -> dict[str, Any]:
    """Convert the detections and the presence of a data sample to JSON-ready lists."""
    found = sample.pred_instances
    return {
        "labels": found.labels.tolist(),
        "label_names": list(found.label_names),
        "scores": found.scores.tolist(),
        "bboxes": found.bboxes.tolist(),
        **presence_lists(sample),
        **class_lists(sample),
        **slice_report(sample),
    }


class ResultFolder:
    """The folder that the results of images are saved in; threads may share it.

    Args:
        path: of the folder; drawn images go to ``vis`` below it, predictions to ``preds``, crops to
            ``crops``.
        save_vis: whether drawn images will be saved.
        save_pred: whether predictions will be saved.
        save_crops: whether crops will be saved.

    Attributes:
        crops: the folder of the crops, if they will be saved.

    Raises:
        ValueError: ``path`` is not a path.
        StorageError: the folder is not writable, or its disk is full. This is found by writing a
            small file, before the slow work.
    """

    def __init__(
        self, path: str | Path, *, save_vis: bool, save_pred: bool, save_crops: bool = False
    ) -> None:
        if not isinstance(path, (str, PathLike)) or "\0" in str(path):
            raise ValueError(f"expected out_dir as the path of a folder, got {path!r:.100}")
        self.path = Path(path)
        self.save_vis = save_vis
        self.save_pred = save_pred
        used = (("vis", save_vis), ("preds", save_pred), ("crops", save_crops))
        for name, is_used in used:
            if is_used:
                make_writable_folder(self.path / name)
        self.crops = CropFolder(self.path / "crops") if save_crops else None

    def save(self, name: str, record: dict, drawn: np.ndarray | None) -> list[Path]:
        """Save the results of an image, each file atomically.

        Args:
            name: of the files, without an extension.
            record: predictions, see :func:`glip.structures.export.to_record`.
            drawn: RGB (H, W, 3), uint8; a JPEG, or a PNG if it is too long for one.

        Returns:
            The files.

        Raises:
            StorageError: a file cannot be written.
        """
        files = []
        if self.save_pred:
            content = json.dumps(record, ensure_ascii=False).encode("utf-8", "backslashreplace")
            path = self.path / "preds" / f"{name}.json"
            with describe_write_errors(path.parent):
                path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_open(path) as file:
                file.write(content)
            files.append(path)
        if self.save_vis and drawn is not None:
            extension = ".jpg" if max(drawn.shape[:2]) <= _MAX_JPEG else ".png"
            path = self.path / "vis" / f"{name}{extension}"
            save_image(path, drawn)
            files.append(path)
        return files
