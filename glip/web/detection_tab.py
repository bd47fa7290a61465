"""The tabs that detect in one image: by any prompt, and by a caption."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from glip.web.handlers import Handlers, Shown
from glip.web.prompts import CAPTION, KINDS
from glip.web.uploads import uploads_only

#: Events that run a model wait for each other.
MODEL_QUEUE = "model"
_HEADERS = ["phrase", "score", "x1", "y1", "x2", "y2"]


def add_tab(
    part: str,
    handlers: Handlers,
    visit: Any,
    *,
    kinds: Sequence[str] = KINDS,
    text: str,
    examples: Sequence[tuple[str, str]],
) -> None:
    """Add the components of a tab to gradio's current block, and connect them.

    Args:
        part: key of the answers, and name of the endpoints: ``/detect`` or ``/caption``.
        handlers: what the components do.
        visit: gradio's state of the visitor.
        kinds: ways to read the text that can be chosen.
        text: in the text box at the start.
        examples: images and their texts.
    """
    import gradio as gr

    with gr.Row(equal_height=False):
        with gr.Column(scale=2, min_width=300):
            image = add_image(part)
            kind, words = add_prompt(part, kinds, text)
            model, score_thr = add_model(part, handlers, handlers.first_model.name)
        with gr.Column(scale=3, min_width=300):
            result = gr.HTML(handlers.show(part, None, 0).result, elem_id=f"{part}-result")
            status = gr.HTML(elem_id=f"{part}-status")
            with gr.Row():
                record = gr.DownloadButton("JSON", size="sm", interactive=False)
                drawn = gr.DownloadButton("Drawn image", size="sm", interactive=False)
            with gr.Accordion("Table", open=True):
                table = gr.Dataframe(
                    headers=_HEADERS,
                    datatype=["str", *["number"] * 5],
                    interactive=False,
                    max_height=260,
                    show_label=False,
                    elem_id=f"{part}-table",
                )
            with gr.Accordion("The same as a command and as Python", open=False):
                command = gr.Code(language="shell", label="Command", interactive=False)
                python = gr.Code(language="python", label="Python", interactive=False)
    gr.Examples(
        [list(example) for example in examples],
        [image, words],
        cache_examples=False,
        api_visibility="private",
    )

    outputs = [result, status, record, drawn, table, command, python]

    def show(*values: Any) -> list[Any]:
        shown = handlers.show(part, *values)
        return [
            shown.result,
            shown.status,
            *_buttons(shown),
            list(shown.rows),
            shown.command,
            shown.python,
        ]

    connect(
        part,
        handlers,
        visit,
        inputs=[image, kind, words, model],
        score_thr=score_thr,
        show=show,
        outputs=outputs,
    )


def add_image(part: str) -> Any:
    """Add the image input, and return it."""
    import gradio as gr

    image = gr.Image(
        label="Image",
        type="filepath",
        image_mode=None,
        sources=["upload", "clipboard", "webcam"],
        height=260,
        elem_id=f"{part}-image",
    )
    return uploads_only(image)


def add_prompt(part: str, kinds: Sequence[str], text: str) -> tuple[Any, Any]:
    """Add the choice how a text is read, and the text; return both."""
    import gradio as gr

    is_caption = list(kinds) == [CAPTION]
    kind = gr.Radio(
        list(kinds), value=kinds[0], show_label=False, container=False, visible=len(kinds) > 1
    )
    words = gr.Textbox(
        text,
        label="Caption" if is_caption else "Prompt",
        info="Its noun phrases are found automatically."
        if is_caption
        else "Class names are separated by ' . '. Several prompts: one in each line.",
        lines=2,
        max_lines=8,
        elem_id=f"{part}-text",
    )
    return kind, words


def add_model(part: str, handlers: Handlers, name: str) -> tuple[Any, Any]:
    """Add the choice of the model, ``name`` at the start, and its threshold; return both."""
    import gradio as gr

    names = list(handlers.models)
    model = gr.Dropdown(names, value=name, label="Model", visible=len(names) > 1)
    score_thr = gr.Slider(
        0.05,
        1,
        value=handlers.model(name).score_thr,
        step=0.01,
        label="Score threshold",
        elem_id=f"{part}-threshold",
    )
    score_thr.preprocess = lambda value: value  # checked where it is used, also its type
    return model, score_thr


def connect(
    part: str,
    handlers: Handlers,
    visit: Any,
    *,
    inputs: list[Any],
    score_thr: Any,
    show: Any,
    outputs: list[Any],
) -> None:
    """Connect components: the inputs run the model, the threshold only filters.

    Args:
        part: name of the endpoint; the other one is ``/show_<part>``.
        handlers: what the events do.
        visit: gradio's state of the visitor.
        inputs: image, kind, text and model.
        score_thr: the slider.
        show: function of the visit and the threshold.
        outputs: of this function.
    """
    import gradio as gr

    show_options = dict(
        fn=show,
        inputs=[visit, score_thr],
        outputs=outputs,
        queue=False,
        show_progress="hidden",
    )
    gr.on(
        [each.change for each in inputs],
        partial(handlers.detect, part),
        [visit, *inputs],
        visit,
        api_name=part,
        trigger_mode="always_last",
        concurrency_id=MODEL_QUEUE,
        concurrency_limit=1,
        show_progress="minimal",
        show_progress_on=outputs[0],
    ).then(**show_options, api_visibility="private")
    score_thr.change(**show_options, api_name=f"show_{part}", trigger_mode="always_last")
    model = inputs[-1]
    model.change(
        lambda name: handlers.model(name).score_thr,
        model,
        score_thr,
        queue=False,
        show_progress="hidden",
        api_visibility="private",
    )


def _buttons(shown: Shown) -> list[Any]:
    import gradio as gr

    if not shown.files:
        return [gr.DownloadButton(value=None, interactive=False)] * 2
    return [gr.DownloadButton(value=path, interactive=True) for path in shown.files]
