"""The steps of detection with an exported model: encode texts, encode images, detect.

Shapes: B images, T tokens of D channels, P phrases, K detections.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from glip.runtime.checks import check_files, check_outputs
from glip.runtime.manifest import Manifest, read_manifest
from glip.runtime.postprocess import Found, level_sizes, postprocess
from glip.runtime.preprocess import normalize_and_pad, resize
from glip.runtime.sessions import open_session
from glip.runtime.tokenizer import RuntimeTokenizer
from glip.text.chunking import PromptChunk, chunk_prompt
from glip.text.prompt import Prompt
from glip.text.unknown import UnknownPhrases
from glip.utils.options import check_int


@dataclass(frozen=True)
class EncodedPrompt:
    """A prompt that went through the language encoder.

    Attributes:
        prompt: the prompt.
        chunks: the captions that it was split into.
        hidden: for each caption its text features (1, T, D).
    """

    prompt: Prompt
    chunks: list[PromptChunk]
    hidden: list[np.ndarray]


@dataclass(frozen=True)
class EncodedImage:
    """An image that went through the backbone.

    Attributes:
        levels: the five feature maps, (1, C, H_i, W_i) each.
        size: (height, width) of the network's input, padding included.
        img_shape: (height, width) of the image in it.
        ori_shape: (height, width) of the image.
    """

    levels: list[np.ndarray]
    size: tuple[int, int]
    img_shape: tuple[int, int]
    ori_shape: tuple[int, int]


@dataclass(frozen=True)
class Detections:
    """The detections of a prompt in an image, best score first.

    Attributes:
        bboxes: (K, 4), xyxy pixels of the image.
        scores: (K,).
        labels: (K,), indices of the prompt's phrases.
        label_names: K names.
        phrases: P names, those of the prompt.
        presence: (P,), the best score of each phrase.
    """

    bboxes: np.ndarray
    scores: np.ndarray
    labels: np.ndarray
    label_names: list[str]
    phrases: list[str]
    presence: np.ndarray

    def to_dict(self, score_thr: float | None = None) -> dict[str, list]:
        """Return JSON-ready lists, of the detections of ``score_thr`` or more."""
        kept = np.arange(len(self.scores))
        if score_thr is not None:
            kept = np.flatnonzero(self.scores.astype(np.float64) >= score_thr)
        return {
            "labels": self.labels[kept].tolist(),
            "label_names": [self.label_names[index] for index in kept],
            "scores": self.scores[kept].tolist(),
            "bboxes": self.bboxes[kept].tolist(),
            "phrases": list(self.phrases),
            "presence": self.presence.tolist(),
        }


class Detector:
    """An exported model. It keeps nothing between calls: what is reused is what its calls return.

    Args:
        folder: what ``glip export`` wrote.
        threads: number of threads, ``None`` for the runtime's choice.

    Raises:
        CheckpointError: the folder is no exported model, or damaged.
        DependencyError: a package is missing or too old.
        ConfigError: ``threads`` is not an integer from 1 to 1024.
    """

    def __init__(self, folder: str | Path, threads: int | None = None):
        check_int("threads", threads, low=1, high=1024, none=True)
        self.manifest: Manifest = read_manifest(folder)
        folder = Path(folder)
        check_files(folder, self.manifest.files)
        self.tokenizer = RuntimeTokenizer(folder / "tokenizer.json")
        self._text, self._image, self._answer = (
            open_session(folder, name, self.manifest.format, threads)
            for name in ("text", "image", "answer")
        )

    def chunk_prompt(self, prompt: Prompt) -> list[PromptChunk]:
        """Tokenize a prompt, and split it into as many captions as it needs.

        Raises:
            PromptError: a phrase has no token, or more tokens than the language encoder reads.
        """
        return chunk_prompt(
            prompt,
            self.tokenizer,  # type: ignore[arg-type]  # has the same call
            max_tokens=self.manifest.max_tokens,
            chunked_size=self.manifest.chunked_size,
        )

    def encode_text(self, prompt: Prompt) -> EncodedPrompt:
        """Tokenize and encode a prompt, for :meth:`detect`.

        Raises:
            PromptError: a phrase has no token, or more tokens than the language encoder reads.
        """
        chunks = self.chunk_prompt(prompt)
        hidden = []
        for chunk in chunks:
            ids = np.asarray([chunk.tokens.input_ids], dtype=np.int64)
            outputs = self._text(input_ids=ids, mask=np.ones(ids.shape, dtype=bool))
            hidden += check_outputs("text", outputs, [(*ids.shape, self.manifest.text_channels)])
        return EncodedPrompt(prompt, chunks, hidden)

    def encode_image(self, bgr: np.ndarray) -> EncodedImage:
        """Encode an image (H, W, 3), uint8, BGR, for :meth:`detect`."""
        return self.encode_images([bgr])[0]

    def encode_images(self, images: Sequence[np.ndarray]) -> list[EncodedImage]:
        """Encode images (H, W, 3), uint8, BGR, as one batch."""
        resized = [resize(image, self.manifest) for image in images]
        encoded = self.encode_resized(resized)
        return [
            replace(each, ori_shape=image.shape[:2])
            for each, image in zip(encoded, images, strict=True)
        ]

    def encode_resized(self, images: Sequence[np.ndarray]) -> list[EncodedImage]:
        """Encode images that already have the size that the network reads, as one batch."""
        batch = normalize_and_pad(images, self.manifest)
        height, width = batch.shape[2:]
        sizes = level_sizes(height, width, self.manifest)
        shapes = [(len(images), self.manifest.channel_count, *size) for size in sizes]
        levels = check_outputs("image", self._image(image=batch), shapes)
        return [
            EncodedImage(
                [level[row : row + 1] for level in levels],
                (height, width),
                image.shape[:2],
                image.shape[:2],
            )
            for row, image in enumerate(images)
        ]

    def answer(
        self, images: Sequence[EncodedImage], hidden: Sequence[np.ndarray]
    ) -> list[np.ndarray]:
        """Compute the raw outputs of images of one size, each with a caption.

        Args:
            images: B images of :meth:`encode_images`.
            hidden: for each the text features (1, T, D) of its caption.

        Returns:
            Token logits (B, N, T), box deltas (B, N, 4) and centerness logits (B, N).
        """
        tokens = max(each.shape[1] for each in hidden)
        text = np.zeros((len(hidden), tokens, self.manifest.text_channels), np.float32)
        mask = np.zeros((len(hidden), tokens), dtype=bool)
        for row, each in enumerate(hidden):
            text[row, : each.shape[1]] = each[0]
            mask[row, : each.shape[1]] = True
        levels = {
            f"level_{index}": np.concatenate([image.levels[index] for image in images])
            for index in range(len(self.manifest.strides))
        }
        outputs = self._answer(**levels, hidden=text, mask=mask)
        count = sum(level[0, 0].size for level in levels.values())
        shapes = [(len(images), count, tokens), (len(images), count, 4), (len(images), count)]
        return check_outputs("answer", outputs, shapes)

    def detect(
        self,
        images: Sequence[EncodedImage],
        prompts: Sequence[EncodedPrompt],
        score_thr: float | None = None,
    ) -> list[Detections]:
        """Detect in images of one batch, each with its prompt.

        Args:
            images: of :meth:`encode_images`, or one of :meth:`encode_image`.
            prompts: one for each image, of :meth:`encode_text`.
            score_thr: minimum phrase probability of the post-processing instead of the manifest's.
        """
        found: list[list[Found]] = [[] for _ in images]
        for turn in range(max(len(prompt.chunks) for prompt in prompts)):
            rows = [row for row, prompt in enumerate(prompts) if turn < len(prompt.chunks)]
            outputs = self.answer(
                [images[row] for row in rows], [prompts[row].hidden[turn] for row in rows]
            )
            for index, row in enumerate(rows):
                tokens, image = prompts[row].chunks[turn].tokens, images[row]
                logits, deltas, centerness = (each[index] for each in outputs)
                found[row].append(
                    postprocess(
                        logits[:, : tokens.num_tokens],
                        deltas,
                        centerness,
                        tokens.token_map,
                        image.size,
                        image.img_shape,
                        self.manifest,
                        score_thr,
                    )
                )
        return [self._merge(*each) for each in zip(found, prompts, images, strict=True)]

    def _merge(self, parts: list[Found], prompt: EncodedPrompt, image: EncodedImage) -> Detections:
        """Merge the detections of a prompt's captions; boxes in pixels of the image."""
        names = prompt.prompt.names
        presence = np.zeros(len(names), np.float32)  # blank names are in no caption
        for chunk, part in zip(prompt.chunks, parts, strict=True):
            presence[chunk.labels] = part.presence
        boxes = np.concatenate([part.boxes for part in parts])
        scores = np.concatenate([part.scores for part in parts])
        labels = np.concatenate(
            [chunk.labels[part.labels] for chunk, part in zip(prompt.chunks, parts, strict=True)]
        )
        best = np.argsort(-scores, kind="stable")[: self.manifest.max_per_img]
        boxes, scores, labels = boxes[best], scores[best], labels[best]
        scale = np.array(
            [image.img_shape[1] / image.ori_shape[1], image.img_shape[0] / image.ori_shape[0]] * 2,
            np.float32,
        )
        boxes = boxes / scale + np.array([0, 0, 1, 1], np.float32)
        boxes[:, 2:] = np.maximum(boxes[:, 2:], boxes[:, :2])
        label_names = [names[label] for label in labels]
        return Detections(boxes, scores, labels, label_names, names, presence)


class TextCache:
    """Encoded prompts of a detector, the least recently used dropped first.

    Args:
        detector: whose language encoder is used.
        max_captions: captions kept at most.
    """

    def __init__(self, detector: Detector, max_captions: int = 128):
        self.detector = detector
        self.max_captions = max_captions
        self._encoded: OrderedDict[Prompt, EncodedPrompt] = OrderedDict()
        self._unknown = UnknownPhrases()

    def encode_text(self, prompt: Prompt) -> EncodedPrompt:
        """Return the encoded prompt, see :meth:`Detector.encode_text`.

        Phrases whose every token is [UNK] are logged, each once.
        """
        found = self._encoded.pop(prompt, None)
        if found is None:
            found = self.detector.encode_text(prompt)
            self._unknown.warn(found.chunks, self.detector.tokenizer)  # type: ignore[arg-type]
        self._encoded[prompt] = found
        while sum(len(each.chunks) for each in self._encoded.values()) > self.max_captions:
            self._encoded.popitem(last=False)
        return found
