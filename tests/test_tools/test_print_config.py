"""A complete config, printed and stored."""

from __future__ import annotations

import pytest

from glip.apis import load_config
from glip.utils.errors import USER_ERRORS
from tests.test_tools.commands import tool

TOOL = "misc/print_config.py"


def test_whole_config(small_configs, tmp_path, capsys):
    path, saved = small_configs["coco"], tmp_path / "new" / "whole.py"
    options = ("--cfg-options", "model.test_cfg.max_per_img=7")
    tool(TOOL).main([str(path), "--save", str(saved), *options])
    printed = capsys.readouterr().out
    assert "max_per_img=7" in printed
    assert "_base_" not in printed
    expected = load_config(path, {"model.test_cfg.max_per_img": 7})
    assert load_config(saved).to_dict() == expected.to_dict()


def test_goes_to_python(small_configs):
    with pytest.raises(USER_ERRORS, match=r"expected --save to end in \.py"):
        tool(TOOL).main([str(small_configs["coco"]), "--save", "whole.json"])
