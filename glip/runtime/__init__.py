"""Detect with an exported model, without torch.

It needs numpy, Pillow, tokenizers and onnxruntime or openvino; see ``docs/export.md``.
:class:`DetInferencer` has the calls of :class:`glip.apis.DetInferencer`, and :class:`Detector` its
steps one by one.
"""

from typing import TYPE_CHECKING

from glip.utils.lazy import lazy_names

if TYPE_CHECKING:
    from glip.runtime.det_inferencer import DetInferencer
    from glip.runtime.detector import Detections, Detector, EncodedImage, EncodedPrompt
else:
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "glip.runtime.det_inferencer": ("DetInferencer",),
            "glip.runtime.detector": ("Detections", "Detector", "EncodedImage", "EncodedPrompt"),
        },
    )

__all__ = ["DetInferencer", "Detections", "Detector", "EncodedImage", "EncodedPrompt"]
