"""The tab that compares two prompts, or two models, on one image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from glip.web.detection_tab import add_image, add_model, add_prompt, connect
from glip.web.handlers import Handlers
from glip.web.prompts import KINDS

#: The two sides: keys of the answers, and names of the endpoints.
SIDES = ("left", "right")


def add_compare_tab(handlers: Handlers, visit: Any, texts: Sequence[str]) -> None:
    """Add the components to gradio's current block, and connect them.

    Args:
        handlers: what the components do.
        visit: gradio's state of the visitor.
        texts: of the two sides at the start.
    """
    import gradio as gr

    image = add_image("compare")
    models = list(handlers.models)
    with gr.Row(equal_height=False):
        for at, (side, text) in enumerate(zip(SIDES, texts, strict=True)):
            with gr.Column(min_width=300):
                kind, words = add_prompt(side, KINDS, text)
                model, score_thr = add_model(side, handlers, models[min(at, len(models) - 1)])
                result = gr.HTML(handlers.show(side, None, 0).result, elem_id=f"{side}-result")
                status = gr.HTML(elem_id=f"{side}-status")

            def show(*values: Any, part: str = side) -> list[str]:
                shown = handlers.show(part, *values)
                return [shown.result, shown.status]

            connect(
                side,
                handlers,
                visit,
                inputs=[image, kind, words, model],
                score_thr=score_thr,
                show=show,
                outputs=[result, status],
            )
