"""Export a model to ONNX or OpenVINO, compared with torch; :mod:`glip.runtime` detects with it.

The graphs are the model's own layers in forms that exporters take: ``text`` (the language encoder),
``image`` (backbone and feature pyramid; in GLIP-T (A) also the tower) and ``answer`` (the tower and
the dense predictions).
"""

from typing import TYPE_CHECKING

from glip.utils.lazy import lazy_names

if TYPE_CHECKING:
    from glip.export.verify import Report, verify
    from glip.export.writer import export_model
else:
    __getattr__, __dir__ = lazy_names(
        __name__,
        {"glip.export.verify": ("Report", "verify"), "glip.export.writer": ("export_model",)},
    )

__all__ = ["Report", "export_model", "verify"]
