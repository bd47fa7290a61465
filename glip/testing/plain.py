"""The detector without its optimisations: slower, and equal up to rounding.

``tools/analysis_tools/benchmark.py --baseline`` times it beside the optimised model, and the tests
compare the two:

- the plain forms of :mod:`glip.models.ops`;
- captions padded to the maximum length of the language encoder, and encoded every time;
- the tower computed for every caption, also in GLIP-T (A), where it does not depend on the text.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

from glip.models import GLIP, TextFeatureCache
from glip.models.ops import set_fused_ops, use_fused_ops


@contextmanager
def plain_formulation(model: GLIP) -> Iterator[None]:
    """Run a model without the optimisations inside the ``with`` block.

    Args:
        model: the detector; it is restored at the end.
    """
    head = model.bbox_head
    language = model.language_model
    with ExitStack() as stack:

        def replace(owner: Any, name: str, value: Any) -> None:
            stack.enter_context(patch.object(owner, name, value))

        stack.callback(set_fused_ops, use_fused_ops())
        set_fused_ops(False)
        replace(language, "pad_to_max", True)
        replace(TextFeatureCache, "encode_prompt", lambda _, prompt: model.encode_prompt(prompt))
        if not head.tower.early_fuse:
            forward_dense, forward_visual = head._forward_dense, head.tower.forward_visual
            replace(head, "forward_visual", list)
            replace(
                head,
                "_forward_dense",
                lambda levels, text: forward_dense(forward_visual(levels), text),
            )
        yield
