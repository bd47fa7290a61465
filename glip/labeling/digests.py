"""Digests of what a labeling run must not change while it is resumed."""

from __future__ import annotations

import hashlib

from mmengine.config import Config

from glip.apis.pipelines import find_test_pipeline
from glip.utils.sha256 import file_sha256


def digest_config(cfg: Config) -> str:
    """Return the SHA-256 digest of what a config says of the model and of test images.

    Raises:
        ConfigError: the config has no pipeline.
    """
    return hashlib.sha256(f"{cfg.model}\n{find_test_pipeline(cfg)}".encode()).hexdigest()


def digest_checkpoint(checkpoint: str) -> str:
    """Return the SHA-256 digest of a file; of a URL, the URL.

    Raises:
        OSError: the file cannot be read.
    """
    if "://" in checkpoint:
        return checkpoint
    return file_sha256(checkpoint)
