"""The detector: prompt -> tokens -> text features; image -> feature pyramid; both -> boxes.

Shapes: B images of H x W pixels after padding, T text tokens, K detections.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice, zip_longest
from typing import NamedTuple

import torch
from mmengine.model import BaseModel
from torch import Tensor

from glip.checkpoint.formats import convert_in_place
from glip.models.detectors.encoded_prompt import EncodedPrompt
from glip.models.detectors.prompt_result import ChunkResult, PromptResult, merge_chunks
from glip.models.detectors.samples import read_prompt, token_maps, tokenize_annotated
from glip.models.heads.outputs import HeadOutputs
from glip.models.language import TextFeatures, encode_in_groups, pad_captions
from glip.models.options import check_test_cfg
from glip.models.tuning import find_tuning
from glip.registry import MODELS, build_part
from glip.structures import DetDataSample
from glip.text import Prompt, PromptChunk, TokenizedPrompt, chunk_prompt
from glip.utils.errors import PromptError
from glip.utils.options import check_mapping
from glip.utils.precision import autocast


@MODELS.register_module()
class GLIP(BaseModel):
    """Grounded Language-Image Pre-training (Li et al., CVPR 2022).

    Detection has two independent steps, one for the image (:meth:`encode_image`) and one for the
    text (:meth:`encode_prompt`). The head fuses them and predicts boxes (:meth:`predict_prompts`).
    The model keeps nothing between calls.

    State dicts in the key names of microsoft/GLIP and of MMDetection are recognised and converted
    on loading, so every way of loading accepts them.

    Args:
        backbone: config of the image backbone.
        neck: config of the feature pyramid.
        bbox_head: config of the head.
        language_model: config of the language encoder.
        train_cfg: passed to the head.
        test_cfg: passed to the head. The detector itself reads ``chunked_size``, the number of
            class names per caption (-1: as many as fit; the paper's LVIS: 40),
            ``chunks_at_a_time``, the number of captions of an image that go through the head
            together (more take more memory and use a GPU better), and ``amp``, ``'bf16'`` or
            ``'fp16'`` to detect in mixed precision.
        data_preprocessor: config of the normalisation and padding of images; by default the
            official ones.
        tuning: which parameters are trained: ``'full'``, ``'frozen_text'``, ``'linear_probe'`` or
            ``'prompt'``; see :mod:`glip.models.tuning`.
        init_cfg: mmengine's initialisation config.

    Raises:
        ConfigError: an option of ``test_cfg`` is unknown or invalid, ``tuning`` has another value,
            or it leaves no trainable parameter.
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
        for name, part in dict(bbox_head=bbox_head, language_model=language_model).items():
            check_mapping(f"model.{name}", part)
        check_test_cfg(test_cfg)
        preprocessor = data_preprocessor or dict(type="DetDataPreprocessor")
        super().__init__(build_part(MODELS, preprocessor, "model.data_preprocessor"), init_cfg)
        self.chunked_size = (test_cfg or {}).get("chunked_size", -1)
        self.chunks_at_a_time = (test_cfg or {}).get("chunks_at_a_time", 1)
        self.amp = (test_cfg or {}).get("amp")
        self.backbone = build_part(MODELS, backbone, "model.backbone")
        self.neck = build_part(MODELS, neck, "model.neck")
        self._tuning = find_tuning(tuning)
        self.language_model = build_part(
            MODELS, self._tuning.complete(language_model), "model.language_model"
        )
        self.bbox_head = build_part(
            MODELS,
            self.language_model.head_arguments() | bbox_head | _cfgs(train_cfg, test_cfg),
            "model.bbox_head",
        )
        self._register_load_state_dict_pre_hook(convert_in_place)
        self._tuning.freeze(self)

    def train(self, mode: bool = True) -> GLIP:
        """Set the mode; frozen parts stay in evaluation mode, see ``tuning``."""
        super().train(mode)
        self._tuning.set_frozen_eval(self)
        return self

    def forward(
        self,
        inputs: Tensor,
        data_samples: list[DetDataSample] | None = None,
        mode: str = "tensor",
        encode_prompt: Callable[[Prompt], EncodedPrompt] | None = None,
    ) -> dict[str, Tensor] | list[DetDataSample] | HeadOutputs:
        """Run the model as mmengine's runner does.

        Args:
            inputs: (B, 3, H, W) normalised and padded images.
            data_samples: one per image, each with its ``prompt``, or with a prompt in its meta
                information (see :func:`glip.text.parse_prompt`).
            mode: ``'loss'`` for the training losses, ``'predict'`` for data samples with
                ``pred_instances``, ``'tensor'`` for the raw outputs of the head.
            encode_prompt: see :meth:`predict`; for ``mode='predict'``.

        Raises:
            PromptError: a sample has no prompt, or with ``mode='tensor'`` one of several chunks.
            ValueError: another mode.
        """
        if data_samples is None:
            raise ValueError("expected a data sample with a prompt for each image, got none")
        if mode == "loss":
            return self.loss(inputs, data_samples)
        if mode == "predict":
            return self.predict(inputs, data_samples, encode_prompt)
        if mode == "tensor":
            chunks = [self.chunk_prompt(read_prompt(sample)) for sample in data_samples]
            if any(len(each) > 1 for each in chunks):
                raise PromptError(
                    "mode='tensor' runs one caption per image, and a prompt here is too long for "
                    "one: shorten it, or use mode='predict'"
                )
            text = self.encode_text([chunk.tokens for (chunk,) in chunks])
            return self.bbox_head(self.extract_feat(inputs), text)
        raise ValueError(f"expected mode 'loss', 'predict' or 'tensor', got {mode!r}")

    def val_step(
        self, data: dict, encode_prompt: Callable[[Prompt], EncodedPrompt] | None = None
    ) -> list[DetDataSample]:
        """Detect in a batch of a data loader, as :meth:`test_step` does."""
        return self.test_step(data, encode_prompt)

    def test_step(
        self, data: dict, encode_prompt: Callable[[Prompt], EncodedPrompt] | None = None
    ) -> list[DetDataSample]:
        """Detect in a batch of a data loader.

        Args:
            data: ``inputs``, B images (3, h, w) of values 0 to 255, and ``data_samples``.
            encode_prompt: see :meth:`predict`.

        Returns:
            The data samples with ``pred_instances``.
        """
        if encode_prompt is None:
            return super().test_step(data)
        data = self.data_preprocessor(data, False)
        return self(**data, mode="predict", encode_prompt=encode_prompt)

    def extract_feat(self, inputs: Tensor) -> list[Tensor]:
        """Compute the feature pyramid of images.

        Args:
            inputs: (B, 3, H, W) normalised and padded images.

        Returns:
            A feature map (B, C, H_i, W_i) per level, finest first.
        """
        return self.neck(self.backbone(inputs.to(next(self.parameters()).dtype)))

    def chunk_prompt(self, prompt: Prompt) -> list[PromptChunk]:
        """Tokenize a prompt, and split it into as many captions as it needs.

        Raises:
            PromptError: a phrase has no token, or more tokens than the language encoder reads.
        """
        return chunk_prompt(
            prompt,
            self.language_model.tokenizer,
            max_tokens=self.language_model.max_tokens,
            chunked_size=self.chunked_size,
        )

    def encode_text(self, prompts: Sequence[TokenizedPrompt]) -> TextFeatures:
        """Encode B captions as one batch, padded to the longest."""
        captions = [prompt.input_ids for prompt in prompts]
        return self.language_model(*pad_captions(captions, self.language_model))

    def encode_chunks(self, prompts: Sequence[Sequence[PromptChunk]]) -> list[EncodedPrompt]:
        """Encode several prompts together.

        A caption's last digits depend on the captions it is encoded with. Prompts that must give
        the same features whatever other prompts there are need a call each.

        Args:
            prompts: the chunks of each prompt, see :meth:`chunk_prompt`.
        """
        captions = [chunk.tokens.input_ids for chunks in prompts for chunk in chunks]
        device = next(self.language_model.parameters()).device
        with autocast(self.amp, device):
            features = iter(encode_in_groups(captions, self.language_model))
        return [EncodedPrompt(chunks, list(islice(features, len(chunks)))) for chunks in prompts]

    def encode_prompt(self, prompt: Prompt) -> EncodedPrompt:
        """Tokenize and encode a prompt, for :meth:`predict_prompts`.

        Raises:
            PromptError: a phrase has no token, or more tokens than the language encoder reads.
        """
        return self.encode_chunks([self.chunk_prompt(prompt)])[0]

    def encode_image(self, inputs: Tensor) -> list[Tensor]:
        """Compute the image features that do not depend on the text, for :meth:`predict_prompts`.

        Args:
            inputs: (B, 3, H, W) normalised and padded images.

        Returns:
            A feature map (B, C, H_i, W_i) per level, finest first: the feature pyramid; in
            GLIP-T (A), which has no deep fusion, the output of the tower.
        """
        with autocast(self.amp, inputs.device):
            return self.bbox_head.forward_visual(self.extract_feat(inputs))

    def loss(self, inputs: Tensor, data_samples: list[DetDataSample]) -> dict[str, Tensor]:
        """Compute the losses of annotated images.

        Args:
            inputs: (B, 3, H, W) normalised and padded images.
            data_samples: one per image, each with its prompt and ``gt_instances``: boxes in
                inclusive pixels of ``inputs`` (``GTBoxSubOne`` in the pipeline makes them) and
                labels, 0-based indices of the prompt's phrases.

        Returns:
            ``loss_cls`` (of the tokens), ``loss_bbox`` and ``loss_centerness``.

        Raises:
            PromptError: a prompt has more tokens than the language encoder reads.
            ValueError: an image has no annotations, or a label without a phrase.
        """
        prompts = [tokenize_annotated(sample, self.language_model) for sample in data_samples]
        text = self.encode_text(prompts)
        instances = [sample.gt_instances for sample in data_samples]
        return self.bbox_head.loss(
            self.extract_feat(inputs), text, token_maps(prompts, text), instances
        )

    def predict(
        self,
        inputs: Tensor,
        data_samples: list[DetDataSample],
        encode_prompt: Callable[[Prompt], EncodedPrompt] | None = None,
    ) -> list[DetDataSample]:
        """Detect in each image the objects that its prompt names.

        Args:
            inputs: (B, 3, H, W) normalised and padded images.
            data_samples: one per image; ``img_shape`` and ``scale_factor`` say how it was resized.
            encode_prompt: called once for each distinct prompt; by default :meth:`encode_prompt`.
                :meth:`TextFeatureCache.encode_prompt` reuses what earlier batches computed.

        Returns:
            The same samples with ``pred_instances``, boxes in pixels of the original image, and
            ``presence``.

        Raises:
            PromptError: a sample has no prompt, or one that cannot be tokenized.
        """
        encode_prompt = encode_prompt or self.encode_prompt
        prompts = [read_prompt(sample) for sample in data_samples]
        # Text before images: an invalid prompt is reported before the slow part.
        encoded = {prompt: encode_prompt(prompt) for prompt in dict.fromkeys(prompts)}
        found = self.predict_prompts(
            self.encode_image(inputs), data_samples, [[encoded[prompt]] for prompt in prompts]
        )
        for sample, (result,) in zip(data_samples, found, strict=True):
            sample.pred_instances, sample.presence = result
        return data_samples

    def predict_prompts(
        self,
        levels: list[Tensor],
        data_samples: Sequence[DetDataSample],
        prompts: Sequence[Sequence[EncodedPrompt]],
    ) -> list[list[PromptResult]]:
        """Detect with any number of prompts per image, from encoded images and prompts.

        Args:
            levels: image features of :meth:`encode_image`.
            data_samples: one per image; ``img_shape`` and ``scale_factor`` say how it was resized.
            prompts: for each image one or more prompts of :meth:`encode_prompt` or
                :meth:`encode_chunks`.

        Returns:
            For each image and each of its prompts the detections and the presence of its phrases.
        """
        queues = [
            [
                _Job(row, number, chunk, features)
                for number, prompt in enumerate(own)
                for chunk, features in zip(prompt.chunks, prompt.features, strict=True)
            ]
            for row, own in enumerate(prompts)
        ]
        jobs = [job for turn in zip_longest(*queues) for job in turn if job is not None]
        found: list[list[list[ChunkResult]]] = [[[] for _ in own] for own in prompts]
        batch_size = len(prompts) * self.chunks_at_a_time
        for start in range(0, len(jobs), batch_size):
            batch = jobs[start : start + batch_size]
            for job, part in zip(batch, self._detect(levels, batch, data_samples), strict=True):
                found[job.row][job.number].append(part)
        limit = self.bbox_head.postprocess.max_per_img
        return [
            [merge_chunks(*each, sample, limit) for each in zip(parts, own, strict=True)]
            for parts, own, sample in zip(found, prompts, data_samples, strict=True)
        ]

    def _detect(
        self,
        levels: list[Tensor],
        jobs: Sequence[_Job],
        data_samples: Sequence[DetDataSample],
    ) -> list[ChunkResult]:
        """Run the head on one caption per row of a batch; labels are those of the prompts."""
        rows = [job.row for job in jobs]
        if rows != list(range(len(data_samples))):
            levels = [level[rows] for level in levels]
        tokens = [job.chunk.tokens for job in jobs]
        width = self.language_model.padded_length([each.num_tokens for each in tokens])
        text = TextFeatures.cat([job.features for job in jobs], width)
        shapes = [data_samples[row].img_shape for row in rows]
        with autocast(self.amp, levels[0].device):
            found = self.bbox_head.predict(levels, text, token_maps(tokens, text), shapes)
        parts = []
        for job, (instances, presence) in zip(jobs, found, strict=True):
            labels = torch.as_tensor(job.chunk.labels, device=instances.labels.device)
            instances.labels = labels[instances.labels]
            parts.append(ChunkResult(instances, labels, presence))
        return parts


class _Job(NamedTuple):
    """One caption to detect with in one image.

    Attributes:
        row: position of the image in the batch.
        number: position of the prompt among the image's prompts.
        chunk: the caption.
        features: its text features, (1, T, D).
    """

    row: int
    number: int
    chunk: PromptChunk
    features: TextFeatures


def _cfgs(train_cfg: dict | None, test_cfg: dict | None) -> dict:
    given = dict(train_cfg=train_cfg, test_cfg=test_cfg)
    return {name: cfg for name, cfg in given.items() if cfg is not None}
