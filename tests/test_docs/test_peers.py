"""Blocks of the pages that need another library; .ci/peers runs them in its own environment."""

from __future__ import annotations

import pytest

from docs.code_blocks import ROOT, blocks
from tests.test_docs.test_code_blocks import clone, run_python  # noqa: F401

#: A peer: its marker, the name to import, and the pages.
PEERS = [
    pytest.param("supervision", "supervision", "outputs", marks=pytest.mark.supervision),
    pytest.param("supervision", "supervision", "integrations", marks=pytest.mark.supervision),
    pytest.param("sahi", "sahi", "integrations", marks=pytest.mark.sahi),
    pytest.param(
        "label_studio", "label_studio_sdk", "integrations", marks=pytest.mark.label_studio
    ),
]


@pytest.mark.parametrize(("peer", "module", "page"), PEERS)
def test_blocks_of_a_peer_run(peer, module, page, clone):  # noqa: F811
    pytest.importorskip(module)
    if page == "outputs":
        pytest.importorskip("pandas")
    all_blocks = blocks(ROOT / "docs" / f"{page}.md")
    wanted = [b for b in all_blocks if b.language == "python" and b.peer in ("", peer)]
    assert any(block.peer for block in wanted)
    run_python(wanted)
