"""The switch between the forms of the operators."""

import runpy

import pytest

from glip.models.ops import fused_ops


def test_default_is_fused(monkeypatch):
    monkeypatch.delenv("GLIP_FUSED_OPS", raising=False)
    assert runpy.run_path(fused_ops.__file__)["use_fused_ops"]()


@pytest.mark.parametrize(("value", "expected"), [("0", False), ("1", True)])
def test_environment_variable(monkeypatch, value, expected):
    monkeypatch.setenv("GLIP_FUSED_OPS", value)
    assert runpy.run_path(fused_ops.__file__)["use_fused_ops"]() == expected


def test_set_fused_ops():
    try:
        fused_ops.set_fused_ops(False)
        assert not fused_ops.use_fused_ops()
    finally:
        fused_ops.set_fused_ops()
    assert fused_ops.use_fused_ops()
