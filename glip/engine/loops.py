"""The test loop: a progress bar, and results that survive an interruption."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from mmengine.dist import is_main_process
from mmengine.evaluator import Evaluator
from mmengine.runner import Runner, TestLoop
from mmengine.runner.amp import autocast
from torch.utils.data import DataLoader, Subset
from tqdm import tqdm

from glip.engine.prediction_store import PredictionStore
from glip.registry import LOOPS


@LOOPS.register_module()
class GLIPTestLoop(TestLoop):
    """Run the model over a data set, then score.

    With ``resume_dir`` the predictions of every batch are written there before the next begins; a
    run that is started again with the same folder reads them instead of computing them. Images
    reach the metrics in the same order either way, so the numbers are the same.

    Args:
        runner: mmengine's runner.
        dataloader: a data loader or its config.
        evaluator: an evaluator or its config.
        fp16: run the model under autocast.
        resume_dir: folder of finished predictions; ``None`` to keep none.

    Raises:
        EvaluationMismatchError: the folder of finished predictions belongs to another evaluation.
    """

    def __init__(
        self,
        runner: Runner,
        dataloader: DataLoader | dict,
        evaluator: Evaluator | dict | list,
        fp16: bool = False,
        resume_dir: str | Path | None = None,
    ):
        super().__init__(runner, dataloader, evaluator, fp16)
        self.store: PredictionStore | None = None
        if resume_dir is not None:
            self.store = PredictionStore(resume_dir, fingerprint=self._fingerprint())

    def run(self) -> dict:
        """Detect in every image, then score.

        Returns:
            the metrics.
        """
        self.runner.call_hook("before_test")
        self.runner.call_hook("before_test_epoch")
        self.runner.model.eval()
        indices = list(self.dataloader.sampler)
        ready = self._read_finished()
        batches = self._detect([i for i in dict.fromkeys(indices) if i not in ready])
        uses = Counter(indices)  # a sampler may repeat images to give every process as many
        for index in indices:
            while index not in ready:
                ready.update(next(batches))
            uses[index] -= 1
            sample = ready[index] if uses[index] else ready.pop(index)
            self.evaluator.process(data_samples=[sample])
        next(batches, None)  # there is none left: it ends the progress bar
        metrics = self.evaluator.evaluate(len(self.dataloader.dataset))
        self.runner.call_hook("after_test_epoch", metrics=metrics)
        self.runner.call_hook("after_test")
        return metrics

    def _read_finished(self) -> dict[int, dict]:
        """Read the predictions of an interrupted run, by index."""
        if self.store is None:
            return {}
        ready = self.store.read()
        self.runner.logger.info(
            f"{len(ready)} of {len(self.dataloader.dataset)} images are finished already, in "
            f"{self.store.folder}"
        )
        return ready

    def _detect(self, todo: Sequence[int]) -> Iterator[dict[int, dict]]:
        """Run the model on some images; yield each batch's predictions by index."""
        size = self.dataloader.batch_size
        batches = tqdm(
            _restrict(self.dataloader, todo),
            desc="Testing",
            unit="batch",
            disable=not is_main_process(),
            dynamic_ncols=True,
        )
        for batch_idx, data_batch in enumerate(batches):
            self.runner.call_hook("before_test_iter", batch_idx=batch_idx, data_batch=data_batch)
            with torch.no_grad(), autocast(enabled=self.fp16):
                outputs = self.runner.model.test_step(data_batch)
            rows = todo[batch_idx * size : (batch_idx + 1) * size]
            found = {
                index: output.cpu().to_dict() for index, output in zip(rows, outputs, strict=True)
            }
            if self.store is not None:
                self.store.write(found)
            self.runner.call_hook(
                "after_test_iter", batch_idx=batch_idx, data_batch=data_batch, outputs=outputs
            )
            yield found

    def _fingerprint(self) -> str:
        """What two evaluations must share to share predictions."""
        cfg = self.runner.cfg
        loader = cfg.get("test_dataloader", {})
        # Images of a batch are padded to one size, which changes the last digits.
        data = [loader.get("dataset"), loader.get("batch_size")]
        parts = [cfg.get("model"), *data, cfg.get("load_from")]
        return "\n".join(str(part) for part in parts)


def _restrict(loader: DataLoader, indices: Sequence[int]) -> DataLoader:
    """A loader like ``loader`` over some of its images, in the given order."""
    return DataLoader(
        Subset(loader.dataset, list(indices)),
        batch_size=loader.batch_size,
        num_workers=loader.num_workers,
        collate_fn=loader.collate_fn,
        pin_memory=loader.pin_memory,
        worker_init_fn=loader.worker_init_fn,
        prefetch_factor=loader.prefetch_factor,
    )
