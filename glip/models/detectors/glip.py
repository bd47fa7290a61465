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
from glip.models.heads.outputs import HeadOutputs
from glip.models.language import TextFeatures
from glip.models.task_modules.box_coder import to_public
from glip.registry import MODELS
from glip.structures import DetDataSample
from glip.text import Prompt, PromptChunk, PromptError, TokenizedPrompt, chunk_prompt, parse_prompt


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
        test_cfg: handed to the head; ``chunked_size`` is read here, the number of names a caption
            may hold (-1: as many as fit, the paper's LVIS: 40).
        data_preprocessor: config of the normalisation and padding of images.
        init_cfg: mmengine's initialisation config.
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
        init_cfg: dict | None = None,
    ):
        super().__init__(data_preprocessor, init_cfg)
        self.chunked_size = (test_cfg or {}).get("chunked_size", -1)
        self.backbone = MODELS.build(backbone)
        self.neck = MODELS.build(neck)
        self.language_model = MODELS.build(language_model)
        self.bbox_head = MODELS.build(
            self.language_model.head_arguments() | bbox_head | _cfgs(train_cfg, test_cfg)
        )
        self._register_load_state_dict_pre_hook(convert_in_place)

    def forward(
        self, inputs: Tensor, data_samples: list[DetDataSample] | None = None, mode: str = "tensor"
    ) -> list[DetDataSample] | HeadOutputs:
        """Run the model as mmengine's runner does.

        Args:
            inputs: (B, 3, H, W) normalised and padded images.
            data_samples: one per image, each with its prompt in the meta information ``text`` (see
                :func:`glip.text.parse_prompt`).
            mode: ``'predict'`` for data samples with ``pred_instances``, ``'tensor'`` for the raw
                outputs of the head.

        Raises:
            ValueError: another mode.
        """
        if data_samples is None:
            raise ValueError("expected a data sample with a prompt for each image, got none")
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
        raise ValueError(f"expected mode 'predict' or 'tensor', got {mode!r}")

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
        """Encode B captions, padded to the longest: T tokens."""
        longest = max(prompt.num_tokens for prompt in prompts)
        if self.language_model.pad_to_max:
            longest = self.language_model.max_tokens
        device = next(self.language_model.parameters()).device
        input_ids = torch.zeros(len(prompts), longest, dtype=torch.long)
        mask = torch.zeros(len(prompts), longest, dtype=torch.bool)
        for row, prompt in enumerate(prompts):
            input_ids[row, : prompt.num_tokens] = torch.tensor(prompt.input_ids)
            mask[row, : prompt.num_tokens] = True
        return self.language_model(input_ids.to(device), mask.to(device))

    def predict(self, inputs: Tensor, data_samples: list[DetDataSample]) -> list[DetDataSample]:
        """Detect what each image's prompt names.

        Args:
            inputs: (B, 3, H, W) normalised and padded images.
            data_samples: one per image; ``img_shape`` and ``scale_factor`` say how it was resized.

        Returns:
            the same samples with ``pred_instances``, boxes in pixels of the original image.
        """
        prompts = [prompt_of(sample) for sample in data_samples]
        chunks = [self.chunk_prompt(prompt) for prompt in prompts]
        levels = self.extract_feat(inputs)
        found: list[list[InstanceData]] = [[] for _ in data_samples]
        # The k-th pieces of all images that have as many go through the head together.
        for turn in range(max(len(pieces) for pieces in chunks)):
            rows = [row for row, pieces in enumerate(chunks) if turn < len(pieces)]
            batch = levels if len(rows) == len(chunks) else [level[rows] for level in levels]
            pieces = [chunks[row][turn] for row in rows]
            shapes = [data_samples[row].img_shape for row in rows]
            for row, piece, instances in zip(
                rows, pieces, self._detect(batch, pieces, shapes), strict=True
            ):
                labels = torch.as_tensor(piece.labels, device=instances.labels.device)
                instances.labels = labels[instances.labels]
                found[row].append(instances)
        for sample, prompt, parts in zip(data_samples, prompts, found, strict=True):
            sample.pred_instances = self._finish(parts, prompt, sample)
        return data_samples

    def _detect(
        self, levels: list[Tensor], pieces: list[PromptChunk], shapes: list[tuple[int, int]]
    ) -> list[InstanceData]:
        text = self.encode_text([piece.tokens for piece in pieces])
        device = levels[0].device
        width = text.mask.shape[1]
        maps = []
        for piece in pieces:
            token_map = torch.from_numpy(piece.tokens.token_map)
            maps.append(
                torch.nn.functional.pad(token_map, (0, width - token_map.shape[1])).to(device)
            )
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
    )


def _cfgs(train_cfg: dict | None, test_cfg: dict | None) -> dict:
    given = dict(train_cfg=train_cfg, test_cfg=test_cfg)
    return {name: cfg for name, cfg in given.items() if cfg is not None}
