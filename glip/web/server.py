"""Build the page, and serve it."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from glip.config import demo_file
from glip.utils.errors import DependencyError
from glip.web.compare_tab import add_compare_tab
from glip.web.detection_tab import add_tab
from glip.web.folder_tab import add_folder_tab
from glip.web.handlers import Handlers
from glip.web.models import load_models
from glip.web.prompts import CAPTION
from glip.web.settings import WebSettings
from glip.web.uploads import BodyLimit
from glip.weights import SMALL_MODEL

#: Of an example: image, class names, a caption, names to compare. The first is for the small model.
_SHAPES = (
    "shapes.jpg",
    "red star . green triangle . purple square .",
    "A red star and a green triangle next to an orange ring.",
    "red shape . green shape . purple shape .",
)
_PHOTO = ("demo.jpg", "bench . car . person .", "A bench in front of two cars.", "seat . vehicle .")
#: Uploads that are older, in seconds, are deleted; how often this is checked.
_CLEANING = (300, 3600)
_MAX_VISIT = 3600  # seconds that a visitor's encoded image is kept


def check_gradio() -> None:
    """Check that gradio is installed, before any slow work.

    Raises:
        DependencyError: it is not.
    """
    if find_spec("gradio") is None:
        raise DependencyError('the page needs gradio: pip install "glip[web]"')


def build_page(settings: WebSettings, folder: Path) -> Any:
    """Load the models, and build the page.

    Args:
        settings: of the page.
        folder: for the files of visitors, in gradio's folder of uploads, which it serves.

    Returns:
        ``gradio.Blocks``.

    Raises:
        DependencyError: gradio is not installed.
        CheckpointError: weights cannot be read.
    """
    check_gradio()
    import gradio as gr

    handlers = Handlers(load_models(settings.weights, settings.device), settings, folder)
    with gr.Blocks(title="glip", analytics_enabled=False, delete_cache=_CLEANING) as page:
        gr.HTML(
            '<div class="glip-title"><h1>glip</h1><p>Detect anything you can name. Answers follow '
            "as you type; the image is encoded once.</p></div>"
        )
        visit = gr.State(None, time_to_live=_MAX_VISIT)
        known = list(handlers.models) == [SMALL_MODEL]
        samples = (_SHAPES,) if known else (_PHOTO, _SHAPES)
        paths = [str(demo_file(name)) for name, *_ in samples]
        with gr.Tab("Detect"):
            add_tab(
                "detect",
                handlers,
                visit,
                text=settings.classes or samples[0][1],
                examples=[(path, each[1]) for path, each in zip(paths, samples, strict=True)],
            )
        with gr.Tab("Caption"):
            add_tab(
                "caption",
                handlers,
                visit,
                kinds=(CAPTION,),
                text=samples[0][2],
                examples=[(path, each[2]) for path, each in zip(paths, samples, strict=True)],
            )
        with gr.Tab("Compare"):
            add_compare_tab(handlers, visit, (samples[0][1], samples[0][3]))
        with gr.Tab("Folder"):
            add_folder_tab(handlers, visit, settings.classes or samples[0][1])
    return page


@contextmanager
def running(settings: WebSettings) -> Iterator[str]:
    """Serve a page; it ends with the block, and deletes what visitors sent.

    Args:
        settings: of the page.

    Yields:
        The URL.

    Raises:
        DependencyError: gradio is not installed.
        CheckpointError: weights cannot be read.
        OSError: the port is in use.
    """
    check_gradio()
    folder = Path(tempfile.mkdtemp(prefix="glip-web-"))
    previous = os.environ.get("GRADIO_TEMP_DIR")
    os.environ["GRADIO_TEMP_DIR"] = str(folder)
    page = None
    try:
        page = build_page(settings, folder)
        yield _launch(page, settings)
    finally:
        if page is not None:
            page.close(verbose=False)
        if previous is None:
            del os.environ["GRADIO_TEMP_DIR"]
        else:
            os.environ["GRADIO_TEMP_DIR"] = previous
        shutil.rmtree(folder, ignore_errors=True)


def serve(settings: WebSettings) -> None:
    """Serve a page until Ctrl-C; see :func:`running`."""
    with running(settings) as url:
        print(f"glip is at {url} (Ctrl-C ends it)", flush=True)
        _wait()


def _launch(page: Any, settings: WebSettings) -> str:
    import gradio as gr
    from starlette.middleware import Middleware

    assets = files("glip.web") / "assets"
    fonts = ["system-ui", "sans-serif"]  # those of the browser: no requests to other hosts
    page.queue(max_size=settings.max_queue, default_concurrency_limit=1)
    page.launch(
        server_name=settings.host,
        server_port=settings.port,
        share=False,
        quiet=True,
        prevent_thread_lock=True,
        max_file_size=settings.max_bytes,
        state_session_capacity=settings.max_visitors,
        app_kwargs={"middleware": [Middleware(BodyLimit, max_bytes=settings.max_bytes)]},
        enable_monitoring=False,
        mcp_server=False,
        ssr_mode=False,
        pwa=False,
        footer_links=["api"],
        theme=gr.themes.Soft(font=fonts, font_mono=["ui-monospace", "monospace"]),
        css=(assets / "page.css").read_text(encoding="utf-8"),
        head=f"<script>{(assets / 'page.js').read_text(encoding='utf-8')}</script>",
    )
    return str(page.local_url)


def _wait() -> None:
    """Wait for Ctrl-C."""
    import threading

    threading.Event().wait()
