"""Packages import their names on first use, and list them for tools and type checkers."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

PACKAGES = ("glip", "glip.apis", "glip.testing", "glip.text")


@pytest.mark.parametrize("name", PACKAGES)
def test_names(name):
    package = importlib.import_module(name)
    assert set(package.__all__) <= set(dir(package))
    for each in package.__all__:
        assert getattr(package, each) is not None
        assert each in vars(package)  # the next use does not resolve it again


@pytest.mark.parametrize("name", PACKAGES)
def test_type_checkers_see_the_same_names(name):
    package = importlib.import_module(name)
    tree = ast.parse(Path(package.__file__).read_text())
    static = {
        alias.name: node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module.startswith("glip.")
        for alias in node.names
    }
    del static["lazy_names"]
    assert set(static) == set(package.__all__)
    for each, module in static.items():
        assert getattr(package, each) is getattr(importlib.import_module(module), each)


def test_unknown_name():
    import glip

    with pytest.raises(AttributeError, match="module 'glip' has no attribute 'Nothing'"):
        glip.Nothing  # noqa: B018
    with pytest.raises(ImportError, match="cannot import name 'Nothing' from 'glip'"):
        from glip import Nothing  # noqa: F401
