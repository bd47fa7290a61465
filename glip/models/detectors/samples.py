"""What the detector reads of its data samples: prompts, and which tokens their phrases have.

Shapes: T text tokens, P_b phrases of caption b.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from glip.models.language import BertModel, TextFeatures
from glip.structures import DetDataSample
from glip.text import Prompt, TokenizedPrompt, parse_prompt, tokenize
from glip.utils.errors import PromptError


def prompt_of(sample: DetDataSample) -> Prompt:
    """Read the prompt of an image from its meta information, as data sets and users write it.

    Raises:
        PromptError: there is none, or it cannot be looked for.
    """
    text = sample.get("text")
    if text is None:
        raise PromptError(
            "the image has no prompt: expected 'text' in the data sample's meta information. In a "
            "config, set return_classes=True of the data set and 'text' in PackDetInputs.meta_keys"
        )
    return parse_prompt(
        text,
        custom_entities=bool(sample.get("custom_entities", False)),
        tokens_positive=sample.get("tokens_positive"),
        descriptions=sample.get("caption_prompt"),
        allow_blank=True,
    )


def token_maps(prompts: Sequence[TokenizedPrompt], text: TextFeatures) -> list[Tensor]:
    """(P_b, T) bool of each caption, the tokens of each phrase, as wide as the encoded text."""
    width = text.mask.shape[1]
    maps = [torch.from_numpy(prompt.token_map) for prompt in prompts]
    return [F.pad(one, (0, width - one.shape[1])).to(text.mask.device) for one in maps]


def read_annotated(sample: DetDataSample, language_model: BertModel) -> TokenizedPrompt:
    """Tokenize the prompt of a training image, and check that its labels are phrases of it.

    Raises:
        PromptError: it is longer than the language encoder reads.
        ValueError: the image has no annotations, or a label without a phrase.
    """
    image = f"image {sample.get('img_path', sample.get('img_id', 'without img_path'))!r}"
    tokens = tokenize(prompt_of(sample), language_model.tokenizer)
    limit, count = language_model.max_tokens, len(tokens.prompt.phrases)
    if tokens.num_tokens > limit:
        raise PromptError(
            f"the prompt of {image} takes {tokens.num_tokens} tokens and the language encoder "
            f"reads {limit}: in training a prompt is never cut, so give it fewer names or "
            "words (for many classes, a sample of them for each image)"
        )
    instances = sample.get("gt_instances")
    if instances is None or "bboxes" not in instances or "labels" not in instances:
        raise ValueError(
            f"{image} has no annotations to learn from: expected gt_instances with bboxes and "
            "labels; LoadAnnotations in the pipeline reads them"
        )
    labels = instances.labels
    if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < count:
        raise ValueError(
            f"{image} has labels from {int(labels.min())} to {int(labels.max())}, and its "
            f"prompt has {count} phrases: expected labels from 0 to {count - 1}"
        )
    return tokens
