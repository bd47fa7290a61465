"""The tab that labels the images of a zip file."""

from __future__ import annotations

from typing import Any

from glip.web.detection_tab import MODEL_QUEUE, add_model
from glip.web.handlers import Handlers
from glip.web.uploads import uploads_only


def add_folder_tab(handlers: Handlers, visit: Any, text: str) -> None:
    """Add the components to gradio's current block, and connect them.

    Args:
        handlers: what the components do.
        visit: gradio's state of the visitor.
        text: class names at the start.
    """
    import gradio as gr

    from glip.labeling.formats.export import FORMATS

    settings = handlers.settings
    with gr.Row(equal_height=False):
        with gr.Column(min_width=300):
            archive = uploads_only(
                gr.File(
                    label=f"Zip file of at most {settings.max_folder_images} images",
                    type="filepath",
                    file_types=[".zip"],
                    elem_id="folder-archive",
                )
            )
            names = gr.Textbox(
                text,
                label="Class names",
                info="Separated by ' . '",
                lines=2,
                elem_id="folder-text",
            )
            model, score_thr = add_model("folder", handlers, handlers.first_model.name)
            kind = gr.Dropdown(list(FORMATS), value="coco", label="Format")
            start = gr.Button("Label", variant="primary")
        with gr.Column(min_width=300):
            labels = gr.File(label="Labels", interactive=False, elem_id="folder-labels")
            report = gr.Textbox(
                label="Report", lines=12, interactive=False, elem_id="folder-report"
            )
    start.click(
        handlers.label,
        [visit, archive, names, model, score_thr, kind],
        [visit, labels, report],
        api_name="label",
        concurrency_id=MODEL_QUEUE,
        concurrency_limit=1,
        show_progress_on=report,
    )
    model.change(
        lambda name: handlers.model(name).score_thr,
        model,
        score_thr,
        queue=False,
        show_progress="hidden",
        api_visibility="private",
    )
