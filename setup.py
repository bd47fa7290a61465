"""Packaging: requirements from requirements/*.txt; configs and demo files go into the package."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent
#: The small model, images, and the vocabulary of bert-base-uncased.
DEMO_FILES = (
    "*.jpg",
    "*.mp4",
    "glip_nano_shapes.safetensors",
    "backgrounds/*.jpg",
    "bert-base-uncased/*",
)


def requirements(name: str) -> list[str]:
    """Read ``requirements/<name>.txt``."""
    lines = (ROOT / "requirements" / f"{name}.txt").read_text().splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


class BuildWithFiles(build_py):
    """Copy configs and demo files into the package, where ``glip.config`` and ``mim`` find them.

    An editable install reads them from the clone instead.
    """

    def run(self) -> None:
        """Build, then copy."""
        super().run()
        if self.editable_mode:
            return
        target = Path(self.build_lib, "glip", ".mim")
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / "configs", target / "configs", ignore=ignore, dirs_exist_ok=True)
        for name in DEMO_FILES:
            for source in sorted((ROOT / "demo").glob(name)):
                copy = target / source.relative_to(ROOT)
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(source, copy)
        shutil.copy(ROOT / "model-index.yml", target)


version = re.search(r'__version__ = "(.+)"', (ROOT / "glip" / "version.py").read_text()).group(1)

setup(
    name="glip",
    version=version,
    description="GLIP: detect anything you can name, in pure Python on PyTorch",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    keywords=["computer vision", "open-vocabulary object detection", "phrase grounding", "GLIP"],
    packages=find_packages(include=["glip", "glip.*"]),
    package_data={
        "glip.text": ["vocabularies/*.txt"],
        "glip.labeling": ["review_page/*"],
        "glip.web": ["assets/*"],
    },
    python_requires=">=3.10",
    install_requires=[*requirements("runtime"), *requirements("multimodal")],
    extras_require={
        # All a user needs; a full mmcv may be installed in place of mmcv-lite, never both.
        "all": [*requirements("optional"), *requirements("calibrate"), *requirements("tiff")],
        "calibrate": requirements("calibrate"),
        # Labeling on a cluster: glip label --ray.
        "ray": requirements("ray"),
        # Windows of tiled TIFF files.
        "tiff": requirements("tiff"),
        # The web page; not in "all", because it needs transformers 5.
        "web": requirements("web"),
        "video": requirements("video"),
        "export": requirements("export"),
        "openvino": requirements("openvino"),
        "runtime": requirements("exported"),
        "tests": [*requirements("tests"), *requirements("video")],
        "dev": [*requirements("tests"), *requirements("video"), *requirements("dev")],
    },
    entry_points={"console_scripts": ["glip = glip.__main__:main"]},
    cmdclass={"build_py": BuildWithFiles},
    classifiers=[
        "Development Status :: 4 - Beta",
        "License :: OSI Approved :: Apache Software License",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3.10",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
    ],
)
