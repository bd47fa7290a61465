"""The detector: text -> prompt -> tokens -> features -> fused -> logits -> boxes.

Shapes: B images of H x W pixels after padding, T text tokens, K detections.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from mmengine.model import BaseModel
from mmengine.structures import InstanceData
from torch import Tensor

from glip.checkpoint.formats import convert_in_place
from glip.models.detectors.samples import prompt_of, read_annotated, token_maps
from glip.models.heads.outputs import HeadOutputs
from glip.models.language import CaptionEncoder, TextFeatures
from glip.models.task_modules.coders.box_coder import inclusive_to_xyxy
from glip.models.tuning import find_tuning
from glip.registry import MODELS, build_part
from glip.structures import DetDataSample
from glip.text import Prompt, PromptChunk, TokenizedPrompt, chunk_prompt
from glip.utils.errors import PromptError
from glip.utils.precision import autocast, check_amp


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
        ConfigError: ``test_cfg.amp`` is another.
        ConfigError: ``tuning`` is none of these, or nothing would learn.
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
        self._captions = CaptionEncoder(self.language_model)
        check_amp(self.amp)
        self._register_load_state_dict_pre_hook(convert_in_place)
        self._tuning.freeze(self)

    def train(self, mode: bool = True) -> GLIP:
        """Set the mode; parts that do not learn stay in evaluation mode, see ``tuning``."""
        super().train(mode)
        self._tuning.set_frozen_eval(self)
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
        return self._captions.encode(captions, once=not (self.training or torch.is_grad_enabled()))

    def forget_texts(self) -> None:
        """Encode captions anew from here on.

        A caption's last digits depend on those it is encoded with. What must come out the same to
        the last bit, whatever was asked before, begins with this.
        """
        self._captions.forget()

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
        prompts = [read_annotated(sample, self.language_model) for sample in data_samples]
        text = self.encode_text(prompts)
        instances = [sample.gt_instances for sample in data_samples]
        return self.bbox_head.loss(
            self.extract_feat(inputs), text, token_maps(prompts, text), instances
        )

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
            return self.bbox_head.forward_visual(self.extract_feat(inputs))

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
        maps = token_maps([piece.tokens for piece in pieces], text)
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
        instances.bboxes = inclusive_to_xyxy(instances.bboxes / scale.repeat(2))
        instances.label_names = [prompt.names[label] for label in instances.labels.tolist()]
        return instances


def _cfgs(train_cfg: dict | None, test_cfg: dict | None) -> dict:
    given = dict(train_cfg=train_cfg, test_cfg=test_cfg)
    return {name: cfg for name, cfg in given.items() if cfg is not None}
