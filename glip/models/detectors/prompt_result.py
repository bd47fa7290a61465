"""What the model finds for one prompt in one image, merged from the prompt's chunks.

Shapes: P phrases of the prompt, p of a chunk, K detections.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from mmengine.structures import InstanceData
from torch import Tensor

from glip.models.detectors.encoded_prompt import EncodedPrompt
from glip.models.task_modules.coders.box_coder import inclusive_to_xyxy
from glip.structures import DetDataSample


class PromptResult(NamedTuple):
    """The detections of a prompt in an image, and the presence of its phrases.

    Attributes:
        instances: ``bboxes`` (K, 4), xyxy pixels of the original image, ``scores`` (K,), ``labels``
            (K,) and ``label_names``, best score first.
        presence: ``scores`` (P,) and ``label_names`` of all phrases, in the order of the prompt;
            see :attr:`glip.structures.DetDataSample.presence`.
    """

    instances: InstanceData
    presence: InstanceData


class ChunkResult(NamedTuple):
    """The same of one chunk, as the head returns it.

    Attributes:
        instances: ``bboxes`` (K, 4), inclusive xyxy pixels of the network's input, ``scores`` (K,)
            and ``labels`` (K,), those of the prompt.
        labels: (p,) int64, the label of each phrase of the chunk in the prompt.
        presence: (p,), the presence of these phrases.
    """

    instances: InstanceData
    labels: Tensor
    presence: Tensor


def merge_chunks(
    parts: Sequence[ChunkResult], prompt: EncodedPrompt, sample: DetDataSample, max_per_img: int
) -> PromptResult:
    """Merge the results of a prompt's chunks in an image.

    Args:
        parts: one for each chunk.
        prompt: the prompt.
        sample: the image; its ``scale_factor`` says how it was resized.
        max_per_img: keep at most so many detections, the best ones.
    """
    names = prompt.names
    instances = parts[0].instances
    if len(parts) > 1:
        instances = InstanceData.cat([part.instances for part in parts])
        best = instances.scores.argsort(descending=True, stable=True)
        instances = instances[best[:max_per_img]]
    scale = instances.bboxes.new_tensor(sample.get("scale_factor", (1.0, 1.0)))
    boxes = inclusive_to_xyxy(instances.bboxes / scale.repeat(2))
    # An inclusive box smaller than a pixel of the network's input can come out negative.
    boxes[:, 2:] = torch.maximum(boxes[:, 2:], boxes[:, :2])
    instances.bboxes = boxes
    instances.label_names = [names[label] for label in instances.labels.tolist()]
    scores = parts[0].presence.new_zeros(len(names))  # blank names are in no chunk
    for part in parts:
        scores[part.labels] = part.presence
    return PromptResult(instances, InstanceData(scores=scores, label_names=names))
