"""The simulated reviewer of tools/misc."""

from __future__ import annotations

import importlib.util

from tests.test_tools.commands import ROOT

_PATH = ROOT / "tools" / "misc" / "simulate_review.py"
_SPEC = importlib.util.spec_from_file_location("simulate_review", _PATH)
simulate_review = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(simulate_review)

correct, main, read_page = simulate_review.correct, simulate_review.main, simulate_review.read_page
