"""The model. Read in the order of the paper's figure 2, from the inputs to the boxes.

Shapes: B images of H x W pixels, five levels i of size H_i x W_i with strides 8 to 128, N positions
over all levels, B captions of T tokens, C = 256 visual and D = 768 text channels.

1. :mod:`~glip.models.data_preprocessors`: normalise and pad the images, (B, 3, H, W).
2. :mod:`~glip.models.backbones`: the image encoder Swin, feature maps of strides 8, 16 and 32;
   :mod:`~glip.models.necks`: the feature pyramid of them, (B, C, H_i, W_i) per level.
3. :mod:`~glip.models.language`: the language encoder BERT, text features (B, T, D).
4. :mod:`~glip.models.fusion`: deep fusion, six to eight blocks of cross-attention between image and
   text, a BERT layer on the text and DyConv on the feature pyramid; the shapes stay. Their
   operators are in :mod:`~glip.models.ops`, each in a plain and a fused form.
5. :mod:`~glip.models.heads`: token logits (B, N, T), the alignment of every position with every
   token, box deltas (B, N, 4) and centerness (B, N); then the training losses, or post-processing
   to boxes, scores and labels. Anchors, assigner and box coder are in
   :mod:`~glip.models.task_modules`, the loss functions in :mod:`~glip.models.losses`.
6. :mod:`~glip.models.detectors`: the model of these parts, from data samples with prompts to
   losses or detections.

:mod:`~glip.models.tuning` says which parameters are trained in fine-tuning, and
:mod:`~glip.models.compile` compiles a model.
"""

from glip.models.backbones import SwinTransformer
from glip.models.data_preprocessors import DetDataPreprocessor
from glip.models.detectors import (
    GLIP,
    DetTTAModel,
    EncodedPrompt,
    PromptResult,
    TextFeatureCache,
)
from glip.models.heads import VLFusionHead
from glip.models.language import BertModel
from glip.models.losses import CrossEntropyLoss, FocalLoss, GIoULoss
from glip.models.necks import FPN, FPNDropBlock
from glip.models.task_modules import (
    AnchorGenerator,
    ATSSAssigner,
    InclusiveBoxCoder,
    InclusiveOverlaps,
)

__all__ = [
    "FPN",
    "GLIP",
    "ATSSAssigner",
    "AnchorGenerator",
    "BertModel",
    "CrossEntropyLoss",
    "DetDataPreprocessor",
    "DetTTAModel",
    "EncodedPrompt",
    "FPNDropBlock",
    "FocalLoss",
    "GIoULoss",
    "InclusiveBoxCoder",
    "InclusiveOverlaps",
    "PromptResult",
    "SwinTransformer",
    "TextFeatureCache",
    "VLFusionHead",
]
