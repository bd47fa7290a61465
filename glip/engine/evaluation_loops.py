"""The runner's loops without training: validation, and a test loop that resumes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from mmengine.dist import is_main_process
from mmengine.evaluator import Evaluator
from mmengine.runner import Runner, TestLoop
from mmengine.runner import ValLoop as MMEngineValLoop
from mmengine.runner.amp import autocast
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from glip.engine.digests import annotation_digests, text_digest, weights_digest
from glip.engine.prediction_store import PredictionStore, image_keys
from glip.engine.seeding import worker_options
from glip.models import GLIP, DetTTAModel, TextFeatureCache
from glip.registry import LOOPS, MODELS, build_part
from glip.utils.serialization import to_builtin
from glip.version import __version__


def _bind_step(model: nn.Module, name: str) -> Callable[[dict], list]:
    """Return a model's ``val_step`` or ``test_step`` for a run in which no weight changes.

    That of a :class:`~glip.models.GLIP` then encodes each prompt once for all batches.
    """
    detector = _detector(model)
    if not isinstance(detector, (GLIP, DetTTAModel)):
        return getattr(model, name)
    cache = TextFeatureCache(detector.module if isinstance(detector, DetTTAModel) else detector)
    return partial(getattr(detector, name), encode_prompt=cache.encode_prompt)


def _detector(model: nn.Module) -> nn.Module:
    """Return a model without the wrapper of distributed runs."""
    return model.module if isinstance(model, DistributedDataParallel) else model


@LOOPS.register_module()
class ValLoop(MMEngineValLoop):
    """mmengine's validation loop; each prompt is encoded once in a run.

    Args:
        runner: mmengine's runner.
        dataloader: a data loader or its config.
        evaluator: an evaluator or its config.
        fp16: run the model under autocast.
    """

    def run(self) -> dict:
        """Detect in every image, then score.

        Returns:
            The metrics.
        """
        self._step: Callable[[dict], list] | None = None
        return super().run()

    @torch.no_grad()
    def run_iter(self, idx: int, data_batch: dict) -> None:
        """Detect in a batch."""
        self.runner.call_hook("before_val_iter", batch_idx=idx, data_batch=data_batch)
        if self._step is None:  # only now: the hooks before an epoch may replace the weights
            self._step = _bind_step(self.runner.model, "val_step")
        with autocast(enabled=self.fp16):
            outputs = self._step(data_batch)
        self.evaluator.process(data_samples=outputs, data_batch=data_batch)
        self.runner.call_hook(
            "after_val_iter", batch_idx=idx, data_batch=data_batch, outputs=outputs
        )


@LOOPS.register_module()
class GLIPTestLoop(TestLoop):
    """Detect in a data set and evaluate; an interrupted evaluation can be resumed.

    With ``resume_dir`` the predictions of each batch are stored before the next batch starts. A
    later run with the same folder reads them instead of computing them. Images reach the metrics in
    the same order and with the same content either way, so the metrics and stored predictions are
    equal.

    Args:
        runner: the runner.
        dataloader: a data loader or its config.
        evaluator: an evaluator or its config.
        fp16: run the model under autocast.
        resume_dir: folder of stored predictions; ``None`` to store none.
        tta_model: config of the model that merges the views of a pipeline with ``TestTimeAug``.

    Raises:
        ConfigError: ``tta_model`` cannot be built.
    """

    def __init__(
        self,
        runner: Runner,
        dataloader: DataLoader | dict,
        evaluator: Evaluator | dict | list,
        fp16: bool = False,
        resume_dir: str | Path | None = None,
        tta_model: dict | None = None,
    ):
        super().__init__(runner, dataloader, evaluator, fp16)
        self.resume_dir = resume_dir
        self._tta_cfg = tta_model
        self._tta: DetTTAModel | None = None
        if tta_model is not None:
            cfg = dict(tta_model, module=_detector(runner.model))
            self._tta = build_part(MODELS, cfg, "tta_model")

    def run(self) -> dict:
        """Detect in every image and return the metrics.

        Raises:
            EvaluationMismatchError: ``resume_dir`` holds predictions of another evaluation.
            StorageError: the predictions cannot be stored.
        """
        self.runner.call_hook("before_test")
        self.runner.call_hook("before_test_epoch")
        self.runner.model.eval()
        indices, size = list(self.dataloader.sampler), self.dataloader.batch_size
        batches = [indices[start : start + size] for start in range(0, len(indices), size)]
        if self.resume_dir is None:
            for samples in self._detect(batches):
                self.evaluator.process(data_samples=samples)
        else:
            self._run_stored(batches, self.resume_dir)
        metrics = self.evaluator.evaluate(len(self.dataloader.dataset))
        self.runner.call_hook("after_test_epoch", metrics=metrics)
        self.runner.call_hook("after_test")
        return metrics

    def _run_stored(self, batches: Sequence[list[int]], folder: str | Path) -> None:
        """Process the batches in their order; read the stored ones, store the others."""
        # Only now: the weights are loaded, and the hooks may have replaced them.
        identity = self._identity() if is_main_process() else {}
        store = PredictionStore(folder, identity=identity)
        keys = image_keys(self.dataloader.dataset)
        named = [tuple(keys[index] for index in batch) for batch in batches]
        done = {images for images in named if store.has(images)}
        todo = [batch for batch, images in zip(batches, named, strict=True) if images not in done]
        self.runner.logger.info(
            f"{len(set().union(*done))} of {len(keys)} images are already finished in {folder}"
        )
        detected = self._detect(todo)
        for batch, images in zip(batches, named, strict=True):
            if images not in done:
                samples = next(detected)
                store.write(images, samples)
            else:
                stored = store.read(images)
                if stored is None:  # damaged
                    (samples,) = self._detect([batch], in_this_process=True)
                    store.write(images, samples)
                else:
                    samples = stored
            self.evaluator.process(data_samples=samples)
        next(detected, None)  # exhausted: closes the progress bar
        store.report_damaged()

    def _detect(
        self, batches: Sequence[list[int]], *, in_this_process: bool = False
    ) -> Iterator[list[dict]]:
        """Detect in batches of images; yield the data samples of each, of built-in types."""
        loader = _load_batches(self.dataloader, batches, in_this_process=in_this_process)
        bar = tqdm(
            loader,
            desc="Testing",
            unit="batch",
            disable=in_this_process or not is_main_process(),
            dynamic_ncols=True,
        )
        test_step = _bind_step(self._tta or self.runner.model, "test_step")
        for batch_idx, data_batch in enumerate(bar):
            self.runner.call_hook("before_test_iter", batch_idx=batch_idx, data_batch=data_batch)
            with torch.no_grad(), autocast(enabled=self.fp16):
                outputs = test_step(data_batch)
            yield [to_builtin(output.cpu().to_dict()) for output in outputs]
            self.runner.call_hook(
                "after_test_iter", batch_idx=batch_idx, data_batch=data_batch, outputs=outputs
            )

    def _identity(self) -> dict[str, str]:
        """Return what the predictions depend on: digests by name."""
        cfg, model = self.runner.cfg, self.runner.model
        loader = cfg.get("test_dataloader") or {}
        dataset = loader.get("dataset")
        texts = {
            "model config": cfg.get("model"),
            "data config": dataset,
            "batch size": self.dataloader.batch_size,  # images are padded to the largest in a batch
            "precision": self.fp16,
            "compiled model": cfg.get("compile"),
            "test-time augmentation": self._tta_cfg,
            "version of glip": __version__,
        }
        files = annotation_digests(dataset)
        detector = _detector(model)
        # The tokenizer is loaded on its first use; its vocabulary is part of the weights from then.
        getattr(getattr(detector, "language_model", None), "tokenizer", None)
        return {
            "weights of the checkpoint": weights_digest(detector),
            **{name: text_digest(str(value)) for name, value in texts.items()},
            **{f"content of {path}": digest for path, digest in files.items()},
            "annotations": _content_digest(self.dataloader.dataset),
        }


def _content_digest(dataset: Dataset) -> str:
    """Return the digest of the annotations that a data set has read, from whatever files."""
    parts = getattr(dataset, "datasets", [dataset])
    digest = hashlib.sha256()
    for part in parts:
        digest.update(f"{len(part)} {getattr(part, 'metainfo', None)}".encode())
        if isinstance(getattr(part, "data_bytes", None), np.ndarray):
            digest.update(memoryview(part.data_bytes))
    return digest.hexdigest()


def _load_batches(
    loader: DataLoader, batches: Sequence[list[int]], *, in_this_process: bool = False
) -> DataLoader:
    """Return a loader of some batches of a data set, which loads as ``loader`` does."""
    options = worker_options(loader)
    if in_this_process:
        options.update(
            num_workers=0,
            prefetch_factor=None,
            persistent_workers=False,
            timeout=0,
            multiprocessing_context=None,
        )
    return DataLoader(loader.dataset, batch_sampler=list(batches), **options)  # type: ignore[arg-type]
