"""The detector: text -> prompt -> tokens -> features -> fused -> logits -> boxes.

Shapes: B images of H x W pixels after padding, T text tokens, K detections.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmengine.model import BaseModel
from mmengine.structures import InstanceData
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from glip.checkpoint.formats import convert_in_place
from glip.models.heads.outputs import HeadOutputs
from glip.models.language import TextCache, TextFeatures
from glip.models.precision import autocast, check_amp
from glip.models.task_modules.box_coder import to_public
from glip.models.tuning import find_tuning
from glip.registry import MODELS, build_part
from glip.structures import DetDataSample
from glip.text import (
    Prompt,
    PromptChunk,
    PromptError,
    TokenizedPrompt,
    chunk_prompt,
    parse_prompt,
    tokenize,
)

#: Captions that go through the language encoder together.
_CAPTIONS_AT_A_TIME = 16


@MODELS.register_module()
class GLIP(BaseModel):
    """Grounded Language-Image Pre-training (Li et al., CVPR 2022).

    Finding things takes two independent steps, the image's (:meth:`extract_feat`) and the text's
    (:meth:`encode_text`), which meet in the head.

    State dicts in the names of microsoft/GLIP and of MMDetection are recognised and renamed on
    loading, so every way of loading accepts them.

    Args:
        backbone: config of the image backbone.
        neck: config of the pyramid.
        bbox_head: config of the head.
        language_model: config of the language encoder.
        train_cfg: handed to the head.
        test_cfg: handed to the head; read here are ``chunked_size``, the number of names a caption
            may hold (-1: as many as fit, the paper's LVIS: 40), ``chunks_at_a_time``, how many
            captions of an image go through the head together (more take more memory, and keep a
            GPU busier), and ``amp``, ``'bf16'`` or ``'fp16'`` to detect in mixed precision.
        data_preprocessor: config of the normalisation and padding of images; by default the
            official ones.
        tuning: what learns in training: ``'full'``, ``'frozen_text'``, ``'linear_probe'`` or
            ``'prompt'``; see :mod:`glip.models.tuning`.
        init_cfg: mmengine's initialisation config.

    Raises:
        PrecisionError: ``test_cfg.amp`` is another.
        TuningError: ``tuning`` is none of these, or nothing would learn.
    """

    def __init__(
        self,
        backbone: dict,
        neck: dict,
        bbox_head: dict,
        language_model: dict,
        train_cfg: dict | None = None,
        test_cfg: dict | None = None,
        data_preprocessor: dict | None = None,
        tuning: str = "full",
        init_cfg: dict | None = None,
    ):
        preprocessor = data_preprocessor or dict(type="DetDataPreprocessor")
        super().__init__(build_part(MODELS, preprocessor), init_cfg)
        self.chunked_size = (test_cfg or {}).get("chunked_size", -1)
        self.chunks_at_a_time = (test_cfg or {}).get("chunks_at_a_time", 1)
        self.amp = (test_cfg or {}).get("amp")
        self.backbone = build_part(MODELS, backbone)
        self.neck = build_part(MODELS, neck)
        self._tuning = find_tuning(tuning)
        self.language_model = build_part(MODELS, self._tuning.complete(language_model))
        self.bbox_head = build_part(
            MODELS, self.language_model.head_arguments() | bbox_head | _cfgs(train_cfg, test_cfg)
        )
        self._texts = TextCache(self.language_model)
        check_amp(self.amp)
        self._register_load_state_dict_pre_hook(convert_in_place)
        self._tuning.freeze(self)

    def train(self, mode: bool = True) -> GLIP:
        """Set the mode; parts that do not learn stay in evaluation mode, see ``tuning``."""
        super().train(mode)
        self._tuning.keep_still(self)
        return self

    def forward(
        self, inputs: Tensor, data_samples: list[DetDataSample] | None = None, mode: str = "tensor"
    ) -> dict[str, Tensor] | list[DetDataSample] | HeadOutputs:
        """Run the model as mmengine's runner does.

        Args:
            inputs: (B, 3, H, W) normalised and padded images.
            data_samples: one per image, each with its prompt in the meta information ``text`` (see
                :func:`glip.text.parse_prompt`).
            mode: ``'loss'`` for the training losses, ``'predict'`` for data samples with
                ``pred_instances``, ``'tensor'`` for the raw outputs of the head.

        Raises:
            ValueError: another mode.
        """
        if data_samples is None:
            raise ValueError("expected a data sample with a prompt for each image, got none")
        if mode == "loss":
            return self.loss(inputs, data_samples)
        if mode == "predict":
            return self.predict(inputs, data_samples)
        if mode == "tensor":
            chunks = [self.read_prompt(sample) for sample in data_samples]
            if any(len(pieces) > 1 for pieces in chunks):
                raise PromptError(
                    "mode='tensor' runs one caption an image, and a prompt here is too long for "
                    "one: shorten it, or use mode='predict'"
                )
            text = self.encode_text([pieces[0].tokens for pieces in chunks])
            return self.bbox_head(self.extract_feat(inputs), text)
        raise ValueError(f"expected mode 'loss', 'predict' or 'tensor', got {mode!r}")

    def extract_feat(self, inputs: Tensor) -> list[Tensor]:
        """(B, 3, H, W) images -> a map (B, C, H_i, W_i) per level, finest first."""
        return self.neck(self.backbone(inputs))

    def read_prompt(self, sample: DetDataSample) -> list[PromptChunk]:
        """Tokenize the prompt of an image, in as many pieces as it takes.

        Raises:
            PromptError: there is no prompt, or it cannot be looked for.
        """
        return self.chunk_prompt(prompt_of(sample))

    def chunk_prompt(self, prompt: Prompt) -> list[PromptChunk]:
        """Tokenize a prompt, in as many pieces as it takes."""
        return chunk_prompt(
            prompt,
            self.language_model.tokenizer,
            max_tokens=self.language_model.max_tokens,
            chunked_size=self.chunked_size,
        )

    def encode_text(self, prompts: Sequence[TokenizedPrompt]) -> TextFeatures:
        """Encode B captions, padded to the longest: T tokens.

        Without gradients every caption is encoded once, and the last ones are kept.
        """
        captions = [prompt.input_ids for prompt in prompts]
        if self.training or torch.is_grad_enabled():
            return self.language_model(*self._pad(captions))
        new = [ids for ids in dict.fromkeys(captions) if self._texts.get(ids) is None]
        new.sort(key=len)  # those of a length together, so that little of a batch is padding
        known = {ids: self._texts.get(ids) for ids in captions}
        for start in range(0, len(new), _CAPTIONS_AT_A_TIME):
            group = new[start : start + _CAPTIONS_AT_A_TIME]
            for ids, hidden in zip(
                group, self.language_model(*self._pad(group)).hidden, strict=True
            ):
                known[ids] = hidden[: len(ids)].clone()
                self._texts.put(ids, known[ids])
        _, mask = self._pad(captions)
        hidden = pad_sequence([known[ids] for ids in captions], batch_first=True)
        hidden = F.pad(hidden, (0, 0, 0, mask.shape[1] - hidden.shape[1]))
        return TextFeatures(hidden, hidden, mask)

    def forget_texts(self) -> None:
        """Encode captions anew from here on.

        A caption's last digits depend on those it is encoded with. What must come out the same to
        the last bit, whatever was asked before, begins with this.
        """
        self._texts.clear()

    def _pad(self, captions: Sequence[tuple[int, ...]]) -> tuple[Tensor, Tensor]:
        """Token ids (B, T) and mask (B, T) of captions, on the encoder's device."""
        longest = max(len(ids) for ids in captions)
        if self.language_model.pad_to_max:
            longest = self.language_model.max_tokens
        input_ids = torch.zeros(len(captions), longest, dtype=torch.long)
        mask = torch.zeros(len(captions), longest, dtype=torch.bool)
        for row, ids in enumerate(captions):
            input_ids[row, : len(ids)] = torch.tensor(ids)
            mask[row, : len(ids)] = True
        device = next(self.language_model.parameters()).device
        return input_ids.to(device), mask.to(device)

    def loss(self, inputs: Tensor, data_samples: list[DetDataSample]) -> dict[str, Tensor]:
        """Compute the losses of annotated images.

        Args:
            inputs: (B, 3, H, W) normalised and padded images.
            data_samples: one per image, each with its prompt and ``gt_instances``: boxes in
                inclusive pixels of ``inputs`` (``GTBoxSubOne`` in the pipeline makes them) and
                labels that count the prompt's phrases.

        Returns:
            ``loss_cls`` (of the words), ``loss_bbox`` and ``loss_centerness``.

        Raises:
            PromptError: a prompt is longer than the language encoder reads.
            ValueError: an image has no annotations, or a label without a phrase.
        """
        prompts = [self._read_annotated(sample) for sample in data_samples]
        text = self.encode_text(prompts)
        instances = [sample.gt_instances for sample in data_samples]
        return self.bbox_head.loss(
            self.extract_feat(inputs), text, _token_maps(prompts, text), instances
        )

    def _read_annotated(self, sample: DetDataSample) -> TokenizedPrompt:
        """Tokenize the prompt of a training image, and check that its labels are phrases of it."""
        image = f"image {sample.get('img_path', sample.get('img_id', 'without img_path'))!r}"
        tokens = tokenize(prompt_of(sample), self.language_model.tokenizer)
        limit, count = self.language_model.max_tokens, len(tokens.prompt.phrases)
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

    def predict(self, inputs: Tensor, data_samples: list[DetDataSample]) -> list[DetDataSample]:
        """Detect what each image's prompt names.

        Args:
            inputs: (B, 3, H, W) normalised and padded images.
            data_samples: one per image; ``img_shape`` and ``scale_factor`` say how it was resized.

        Returns:
            the same samples with ``pred_instances``, boxes in pixels of the original image.
        """
        prompts = [[prompt_of(sample)] for sample in data_samples]
        found = self.ground(inputs, data_samples, prompts)
        for sample, (instances,) in zip(data_samples, found, strict=True):
            sample.pred_instances = instances
        return data_samples

    def ground(
        self,
        inputs: Tensor,
        data_samples: Sequence[DetDataSample],
        prompts: Sequence[Sequence[Prompt]],
    ) -> list[list[InstanceData]]:
        """Detect what any number of prompts name in each image, looking at the image once.

        Args:
            inputs: (B, 3, H, W) normalised and padded images.
            data_samples: one per image; ``img_shape`` and ``scale_factor`` say how it was resized.
            prompts: for each image one or more.

        Returns:
            for each image, for each of its prompts: ``bboxes`` (K, 4), pixels of the original
            image, ``scores`` (K,), ``labels`` (K,) and ``label_names``, best first.
        """
        # The captions first: what is wrong with one shows before the slow part.
        pieces = self._pieces(prompts)
        with autocast(self.amp, inputs.device):
            self.encode_text([piece.tokens for own in pieces for _, piece in own])
        return self._answer(self.look(inputs), data_samples, prompts, pieces)

    def look(self, inputs: Tensor) -> list[Tensor]:
        """Do for images what needs no text, for any number of :meth:`answer` after it.

        Args:
            inputs: (B, 3, H, W) normalised and padded images.

        Returns:
            a map (B, C, H_i, W_i) per level, finest first: the pyramid; in GLIP-T (A), which does
            not fuse, what the whole tower makes of it.
        """
        with autocast(self.amp, inputs.device):
            return self.bbox_head.look(self.extract_feat(inputs))

    def answer(
        self,
        levels: list[Tensor],
        data_samples: Sequence[DetDataSample],
        prompts: Sequence[Sequence[Prompt]],
    ) -> list[list[InstanceData]]:
        """Detect what prompts name in images that were looked at.

        Args:
            levels: of :meth:`look`.
            data_samples, prompts: see :meth:`ground`, which returns the same.
        """
        pieces = self._pieces(prompts)
        with autocast(self.amp, levels[0].device):
            self.encode_text([piece.tokens for own in pieces for _, piece in own])
        return self._answer(levels, data_samples, prompts, pieces)

    def _answer(
        self,
        levels: list[Tensor],
        data_samples: Sequence[DetDataSample],
        prompts: Sequence[Sequence[Prompt]],
        pieces: list[list[tuple[int, PromptChunk]]],
    ) -> list[list[InstanceData]]:
        found: list[list[list[InstanceData]]] = [[[] for _ in own] for own in prompts]
        jobs = [
            (row, *own[turn])
            for turn in range(max(len(own) for own in pieces))
            for row, own in enumerate(pieces)
            if turn < len(own)
        ]
        together = len(pieces) * self.chunks_at_a_time
        for start in range(0, len(jobs), together):
            rows, turns, parts = zip(*jobs[start : start + together], strict=True)
            every = list(rows) == list(range(len(pieces)))
            batch = levels if every else [level[list(rows)] for level in levels]
            shapes = [data_samples[row].img_shape for row in rows]
            with autocast(self.amp, batch[0].device):
                detected = self._detect(batch, parts, shapes)
            for row, turn, part, instances in zip(rows, turns, parts, detected, strict=True):
                labels = torch.as_tensor(part.labels, device=instances.labels.device)
                instances.labels = labels[instances.labels]
                found[row][turn].append(instances)
        return [
            [self._finish(*each, sample) for each in zip(own, asked, strict=True)]
            for own, asked, sample in zip(found, prompts, data_samples, strict=True)
        ]

    def _pieces(self, prompts: Sequence[Sequence[Prompt]]) -> list[list[tuple[int, PromptChunk]]]:
        """For each image the pieces of its prompts, each with the number of its prompt."""
        return [
            [(at, piece) for at, prompt in enumerate(own) for piece in self.chunk_prompt(prompt)]
            for own in prompts
        ]

    def _detect(
        self, levels: list[Tensor], pieces: Sequence[PromptChunk], shapes: list[tuple[int, int]]
    ) -> list[InstanceData]:
        text = self.encode_text([piece.tokens for piece in pieces])
        maps = _token_maps([piece.tokens for piece in pieces], text)
        return self.bbox_head.predict(levels, text, maps, shapes)

    def _finish(
        self, parts: list[InstanceData], prompt: Prompt, sample: DetDataSample
    ) -> InstanceData:
        """Join the pieces' detections, best first, and bring them to the original image."""
        instances = parts[0]
        if len(parts) > 1:
            instances = InstanceData.cat(parts)
            best = instances.scores.argsort(descending=True, stable=True)
            instances = instances[best[: self.bbox_head.postprocess.max_per_img]]
        scale = instances.bboxes.new_tensor(sample.get("scale_factor", (1.0, 1.0)))
        instances.bboxes = to_public(instances.bboxes / scale.repeat(2))
        instances.label_names = [prompt.names[label] for label in instances.labels.tolist()]
        return instances


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


def _token_maps(prompts: Sequence[TokenizedPrompt], text: TextFeatures) -> list[Tensor]:
    """(P_b, T) bool of each caption, the tokens of each phrase, as wide as the encoded text."""
    width = text.mask.shape[1]
    maps = [torch.from_numpy(prompt.token_map) for prompt in prompts]
    return [F.pad(one, (0, width - one.shape[1])).to(text.mask.device) for one in maps]


def _cfgs(train_cfg: dict | None, test_cfg: dict | None) -> dict:
    given = dict(train_cfg=train_cfg, test_cfg=test_cfg)
    return {name: cfg for name, cfg in given.items() if cfg is not None}
