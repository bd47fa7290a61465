"""The language encoder: a BERT with its tokenizer (GLIP, section 3.2).

Shapes: B captions, T tokens of the longest caption, D channels (768 for bert-base).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from mmengine.logging import print_log
from mmengine.model import BaseModule
from torch import Tensor, nn
from transformers import BertConfig, PreTrainedTokenizerBase
from transformers import BertModel as HFBertModel

from glip.registry import MODELS
from glip.text.tokenizer import load_tokenizer, tokenizer_from_bytes, tokenizer_to_bytes
from glip.utils.errors import CheckpointError


@dataclass(frozen=True)
class TextFeatures:
    """The language encoder's output for B captions.

    Attributes:
        hidden: (B, T, D), BERT's last hidden state.
        embedded: (B, T, D), the same with padding set to zero.
        mask: (B, T) bool, true on real tokens, [CLS] and [SEP] included.
    """

    hidden: Tensor
    embedded: Tensor
    mask: Tensor

    def __getitem__(self, rows: slice | Sequence[int] | Tensor) -> TextFeatures:
        """Return the features of some of the captions."""
        return TextFeatures(self.hidden[rows], self.embedded[rows], self.mask[rows])

    @classmethod
    def cat(cls, parts: Sequence[TextFeatures], width: int) -> TextFeatures:
        """Concatenate the captions of several features.

        Args:
            parts: features of any number of captions each, with at most ``width`` tokens.
            width: T of the result; shorter captions are padded with zeros.
        """
        hidden, embedded, mask = [], [], []
        for part in parts:
            missing = width - part.mask.shape[1]
            hidden.append(F.pad(part.hidden, (0, 0, 0, missing)))
            embedded.append(F.pad(part.embedded, (0, 0, 0, missing)))
            mask.append(F.pad(part.mask, (0, missing)))
        return cls(torch.cat(hidden), torch.cat(embedded), torch.cat(mask))


@MODELS.register_module()
class BertModel(BaseModule):
    """BERT built from its config; its weights come with the detector's checkpoint.

    The tokenizer comes from the checkpoint if that carries the vocabulary, else from ``name``, when
    it is first needed. It is stored in the state dict's extra state, so saving and loading a state
    dict keeps weights and tokenizer together.

    Args:
        name: local folder or hub name of the language model (``lang_model_name`` in configs).
            ``'bert-base-uncased'`` needs no file: its settings are :class:`BertConfig`'s defaults,
            which are also used where the config of another ``name`` cannot be found.
        max_tokens: longest caption in tokens, [CLS] and [SEP] included (official: 256).
        pad_to_max: pad every caption to ``max_tokens``; otherwise to the longest of the batch.
            Padding is masked everywhere, so the results are the same.
        config: keyword arguments of :class:`transformers.BertConfig`, for another size.
        use_checkpoint: recompute activations in the backward pass (gradient checkpointing), to
            save memory.
        learned_prompt: number of text positions that a learned vector is added to (official
            language prompt tuning: 1000); 0 for none.
        init_cfg: mmengine's initialisation config.
    """

    def __init__(
        self,
        name: str = "bert-base-uncased",
        max_tokens: int = 256,
        pad_to_max: bool = False,
        config: dict | None = None,
        use_checkpoint: bool = False,
        learned_prompt: int = 0,
        init_cfg: dict | None = None,
    ):
        super().__init__(init_cfg)
        self.name = name
        self.max_tokens = max_tokens
        self.pad_to_max = pad_to_max
        self._tokenizer: PreTrainedTokenizerBase | None = None
        self.bert = HFBertModel(_make_config(name, config), add_pooling_layer=False)
        self.prompt: nn.Embedding | None = None
        if learned_prompt:
            self.prompt = nn.Embedding(learned_prompt, self.bert.config.hidden_size)
            nn.init.zeros_(self.prompt.weight)
        if use_checkpoint:
            name = "activation_checkpointing_enable"
            if not hasattr(self.bert, name):
                name = "gradient_checkpointing_enable"  # until transformers 5
            getattr(self.bert, name)({"use_reentrant": False})

    def head_arguments(self) -> dict[str, int]:
        """Return the head's arguments that follow from the encoder: D and its layers' sizes."""
        config = self.bert.config
        return {
            "text_channels": config.hidden_size,
            "num_text_heads": config.num_attention_heads,
            "text_intermediate_dim": config.intermediate_size,
        }

    @property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """The tokenizer.

        Raises:
            TokenizerNotFoundError: the checkpoint carries none and none is found under ``name``.
        """
        if self._tokenizer is None:
            self._tokenizer = load_tokenizer(self.name)
        return self._tokenizer

    def padded_length(self, num_tokens: Sequence[int]) -> int:
        """Return T of a batch of captions with so many tokens each."""
        return self.max_tokens if self.pad_to_max else max(num_tokens)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> TextFeatures:
        """Encode captions.

        Args:
            input_ids: (B, T) token ids.
            attention_mask: (B, T), true or 1 on real tokens.
        """
        mask = attention_mask.bool()
        hidden = self.bert(input_ids=input_ids, attention_mask=mask.long()).last_hidden_state
        embedded = hidden * mask[..., None]
        if self.prompt is not None:
            learned = self.prompt.weight[: hidden.shape[1]]
            hidden, embedded = hidden + learned, embedded + learned
        return TextFeatures(hidden, embedded, mask)

    def get_extra_state(self) -> Tensor:
        """Return the tokenizer as bytes, (n,) uint8; empty if none has been loaded."""
        data = b"" if self._tokenizer is None else tokenizer_to_bytes(self._tokenizer)
        return torch.tensor(list(data), dtype=torch.uint8)

    def set_extra_state(self, state: Tensor) -> None:
        """Restore the tokenizer from a checkpoint, if that carries one.

        Raises:
            CheckpointError: the vocabulary is not bytes of shape (n,), or invalid.
        """
        content = state.to(torch.uint8)
        if state.is_floating_point() or state.dim() != 1 or not torch.equal(content, state):
            raise CheckpointError(
                f"expected the vocabulary as bytes, uint8 of shape (n,), got {state.dtype} of "
                f"shape {tuple(state.shape)}"
            )
        if state.numel():
            self._tokenizer = tokenizer_from_bytes(content.cpu().numpy().tobytes())


def _make_config(name: str, settings: dict | None) -> BertConfig:
    if settings is not None:
        return BertConfig(**settings)
    if Path(name).name == "bert-base-uncased" and not Path(name, "config.json").is_file():
        return BertConfig()
    try:
        return BertConfig.from_pretrained(name)
    except OSError:
        # A config may name a folder of the machine it was written on. A checkpoint that carries
        # its vocabulary must run without that folder. If the sizes differ, loading it fails.
        print_log(
            f"found no config.json of {name!r}, neither here nor on the hub: building BERT with "
            "the sizes of bert-base-uncased",
            logger="current",
            level=logging.WARNING,
        )
        return BertConfig()
