"""A web page that detects: ``glip web``, ``demo/web_demo.py``, and the Hugging Face Space.

Without gradio: ``settings.py`` holds the limits, ``models.py`` the loaded models, ``prompts.py``
reads what a visitor types, ``visit.py`` keeps a visitor's image and answers, ``answers.py`` filters
them, ``markup.py`` and ``snippets.py`` show them, and ``handlers.py`` connects these.

With gradio, which is imported in functions: ``server.py`` builds and serves the page, the modules
``*_tab.py`` are its tabs, and ``uploads.py`` limits what visitors send.
"""

from typing import TYPE_CHECKING

from glip.utils.lazy import lazy_names

if TYPE_CHECKING:
    from glip.web.models import WebModel, load_models
    from glip.web.server import build_page, serve
    from glip.web.settings import WebSettings
    from glip.web.visit import Visit
else:
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "glip.web.models": ("WebModel", "load_models"),
            "glip.web.server": ("build_page", "serve"),
            "glip.web.settings": ("WebSettings",),
            "glip.web.visit": ("Visit",),
        },
    )

__all__ = ["Visit", "WebModel", "WebSettings", "build_page", "load_models", "serve"]
