"""Label the images of a zip file: the code of ``glip label``, with a model that is loaded."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from glip.apis.pipelines import set_image_limits
from glip.classes import load_classes
from glip.engine.digests import weights_digest
from glip.labeling.class_labeler import ClassLabeler
from glip.labeling.files import OutputFiles
from glip.labeling.folder import FolderRun, label_folder
from glip.labeling.formats.export import FORMATS
from glip.labeling.image_list import ImageList
from glip.models import GLIP
from glip.text import Prompt
from glip.utils.errors import DataError
from glip.web.archives import extract_images, pack_files
from glip.web.models import WebModel
from glip.web.settings import WebSettings
from glip.web.visit import Upload


@dataclass(frozen=True)
class LoadedRun(FolderRun):
    """A run with a model that is loaded.

    Attributes:
        model: the detector.
    """

    model: GLIP | None = None

    def build(self, device: str | None) -> ClassLabeler:
        """Return the labeler; the model stays on its device."""
        if self.model is None:
            return super().build(device)
        return ClassLabeler(self.model, self.classes, self.thresholds)


def label_archive(
    upload: Upload,
    prompt: Prompt,
    model: WebModel,
    score_thr: float,
    format_name: str,
    folder: Path,
    settings: WebSettings,
) -> tuple[Path, str]:
    """Label the images of a zip file.

    Args:
        upload: the zip file.
        prompt: the class names.
        model: the model.
        score_thr: smallest score of a label.
        format_name: one of :data:`glip.labeling.formats.export.FORMATS`.
        folder: for the zip file of the labels.
        settings: its limits are checked.

    Returns:
        The zip file of the labels, and the report as text.

    Raises:
        DataError: the zip file is refused, see :func:`~glip.web.archives.extract_images`, or the
            format is another one or cannot hold the names.
    """
    if not isinstance(format_name, str) or format_name not in FORMATS:
        raise DataError(f"expected a format of {', '.join(FORMATS)}, got {format_name!r:.100}")
    with tempfile.TemporaryDirectory(dir=folder) as work:
        images_folder, labels = Path(work, "images"), Path(work, "labels")
        images_folder.mkdir()
        extract_images(
            Path(upload.path), images_folder, settings.max_folder_images, settings.max_folder_bytes
        )
        images = ImageList(images_folder, recursive=True)
        images.limits = settings.image_limits
        cfg = model.model.cfg.copy()
        set_image_limits(cfg, images.limits)
        run = LoadedRun(
            images,
            load_classes(list(prompt.names)).with_default_threshold(score_thr),
            OutputFiles.at(labels),
            cfg,
            model.checkpoint,
            dict(config=model.config_name, checkpoint=weights_digest(model.model)),
            formats=(format_name,),
            num_workers=0,
            num_reviewed=0,
            model=model.model,
        )
        report = label_folder(run)
        target = folder / "labels.zip"
        pack_files(labels, target)
    # What follows says where files were written here.
    return target, report.partition("\n\nwritten:")[0]
