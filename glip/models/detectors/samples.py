"""What the detector reads from its data samples: prompts, and the tokens of their phrases.

Shapes: T text tokens, P_b phrases of caption b.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from glip.models.language import BertModel, TextFeatures
from glip.structures import DetDataSample
from glip.text import Prompt, TokenizedPrompt, tokenize
from glip.text.parse import parse_prompt_fields
from glip.utils.errors import DataError, PromptError


def read_prompt(sample: DetDataSample) -> Prompt:
    """Return the prompt of an image.

    ``PackDetInputs`` stores it in the sample. For a sample without one, which another library
    packed, it is parsed from the meta information.

    Raises:
        PromptError: there is none, or it cannot be parsed.
    """
    prompt = sample.get("prompt")
    if not isinstance(prompt, Prompt):
        try:
            prompt = parse_prompt_fields(sample)
        except PromptError as error:
            raise PromptError(f"{_image_of(sample)}: {error}") from None
    if prompt is None:
        raise PromptError(
            "the image has no prompt: expected a data sample with 'prompt', or with 'text' in its "
            "meta information. In a config, set return_classes=True of the data set and "
            "dict(type='PackDetInputs') as the last step of its pipeline"
        )
    return prompt


def token_maps(prompts: Sequence[TokenizedPrompt], text: TextFeatures) -> list[Tensor]:
    """Return for each caption (P_b, T) bool: the tokens of each phrase, padded to the text's T."""
    width = text.mask.shape[1]
    maps = [torch.from_numpy(prompt.token_map) for prompt in prompts]
    return [F.pad(one, (0, width - one.shape[1])).to(text.mask.device) for one in maps]


def tokenize_annotated(sample: DetDataSample, language_model: BertModel) -> TokenizedPrompt:
    """Tokenize the prompt of a training image, and check that its labels are phrases of it.

    Raises:
        PromptError: it has more tokens than the language encoder takes.
        DataError: the image has no annotations, or a label without a phrase.
    """
    image, prompt = _image_of(sample), read_prompt(sample)
    try:
        tokens = tokenize(prompt, language_model.tokenizer)
    except PromptError as error:
        raise PromptError(f"{image}: {error}") from None
    limit, count = language_model.max_tokens, len(tokens.prompt.phrases)
    if tokens.num_tokens > limit:
        raise PromptError(
            f"the prompt of {image} takes {tokens.num_tokens} tokens and the language encoder "
            f"reads {limit}: in training a prompt is never cut, so give it fewer names or "
            "words (for many classes, a sample of them for each image)"
        )
    instances = sample.get("gt_instances")
    if instances is None or "bboxes" not in instances or "labels" not in instances:
        raise DataError(
            f"{image} has no annotations to train on: expected gt_instances with bboxes and "
            "labels; LoadAnnotations in the pipeline reads them"
        )
    labels = instances.labels
    if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < count:
        raise DataError(
            f"{image} has labels from {int(labels.min())} to {int(labels.max())}, and its "
            f"prompt has {count} phrases: expected labels from 0 to {count - 1}"
        )
    return tokens


def _image_of(sample: DetDataSample) -> str:
    """Return the name of an image, for messages."""
    return f"image {sample.get('img_path', sample.get('img_id', 'without img_path'))!r}"
