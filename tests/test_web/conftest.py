"""A page's handlers with the small model, and the shapes as an upload."""

from __future__ import annotations

from pathlib import Path

import pytest

from glip.config import demo_file
from glip.web.handlers import Handlers
from glip.web.models import load_models
from glip.web.settings import WebSettings
from glip.web.visit import Upload

SETTINGS = WebSettings(device="cpu")


@pytest.fixture(scope="package")
def models():
    return load_models(SETTINGS.weights, "cpu")


@pytest.fixture
def handlers(models, tmp_path) -> Handlers:
    return Handlers(models, SETTINGS, tmp_path)


@pytest.fixture
def shapes() -> Upload:
    return Upload(str(demo_file("shapes.jpg")), "shapes.jpg")


@pytest.fixture
def photo_upload(photo: Path) -> Upload:
    return Upload(str(photo), "a bench.jpg")
