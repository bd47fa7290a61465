"""The hook that saves a training, so that a kill at any moment loses none that was saved before."""

from __future__ import annotations

from pathlib import Path

from mmengine.dist import is_main_process
from mmengine.hooks import CheckpointHook as MMEngineCheckpointHook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import Tensor

from glip.checkpoint import read_checkpoint
from glip.engine.gradient_accumulation import unfinished_gradients
from glip.engine.loops import VALIDATED
from glip.registry import HOOKS
from glip.utils.atomic_write import atomic_write
from glip.utils.errors import CheckpointError, TrainingError
from glip.utils.serialization import to_builtin

#: In the working folder, the file that names the checkpoint to resume from.
LAST = "last_checkpoint"


def last_checkpoint(work_dir: str | Path) -> str | None:
    """Find the checkpoint that was saved last.

    Args:
        work_dir: of the training; it may have been moved since.

    Returns:
        its path; ``None`` if none was saved.

    Raises:
        CheckpointError: it is not there any more.
    """
    mark = Path(work_dir) / LAST
    if not mark.is_file():
        return None
    path = Path(mark.read_text().strip())
    for candidate in (path, Path(work_dir) / path.name):
        if candidate.is_file():
            return str(candidate)
    raise CheckpointError(
        f"{mark} names {path} as the last checkpoint, but there is no such file: pass one that is "
        f"there to --resume, or delete {mark} to start anew"
    )


@HOOKS.register_module()
class CheckpointHook(MMEngineCheckpointHook):
    """mmengine's hook, with its arguments; but nothing is deleted before its successor is there.

    mmengine's own deletes the outdated checkpoint and the former best one first, and writes
    ``last_checkpoint`` in place: killed in between, it leaves nothing to resume from.
    """

    _is_readable: bool | None = None
    _gradients: dict[str, Tensor] = {}  # noqa: RUF012 -- replaced, never changed

    def before_train(self, runner: Runner) -> None:
        """Find the folder, and tidy up what a kill has left there.

        Args:
            runner: mmengine's runner.
        """
        super().before_train(runner)
        if is_main_process():
            for left in Path(self.out_dir).glob(".*.pth.partial"):
                left.unlink(missing_ok=True)

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float]) -> None:
        """Save the best.

        Args:
            runner: mmengine's runner.
            metrics: the numbers by name.

        Raises:
            TrainingError: ``save_best`` is none of them.
        """
        runner.message_hub.update_info(VALIDATED, runner.iter)
        wanted = [key for key in self.save_best or () if key != "auto" and key not in metrics]
        if wanted and metrics:
            raise TrainingError(
                f"save_best={wanted[0]!r} is none of the numbers of this validation: expected one "
                f"of {', '.join(metrics)}. Set default_hooks.checkpoint.save_best, and go on with "
                "--resume"
            )
        super().after_val_epoch(runner, metrics)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:  # noqa: ARG002
        """Add what a half-done step has; leave only what can be read without running code.

        Args:
            runner: mmengine's runner.
            checkpoint: what will be saved, changed in place.
        """
        checkpoint["meta"] = to_builtin(checkpoint["meta"])
        if self._gradients:
            checkpoint["gradients"] = self._gradients
        if isinstance(checkpoint.get("param_schedulers"), list):
            # A schedule sets its functions up by itself, and a safe reader refuses them.
            checkpoint["param_schedulers"] = [
                {name: value for name, value in state.items() if not callable(value)}
                for state in checkpoint["param_schedulers"]
            ]
        hub = checkpoint["message_hub"]
        hub["runtime_info"] = to_builtin(dict(hub["runtime_info"]))

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict) -> None:
        """Save, then say that it is the last, then delete what is not to be kept."""
        name = self.filename_tmpl.format(step)
        self.last_ckpt = self.file_backend.join_path(self.out_dir, name)
        outdated = self._make_room(runner, step)
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        self._gradients = unfinished_gradients(model)
        runner.message_hub.update_info("last_ckpt", self.last_ckpt)
        runner.save_checkpoint(
            self.out_dir,
            name,
            self.file_client_args,
            save_optimizer=self.save_optimizer,
            save_param_scheduler=self.save_param_scheduler,
            meta=meta,
            by_epoch=self.by_epoch,
            backend_args=self.backend_args,
            **self.args,
        )
        if is_main_process():
            atomic_write(Path(runner.work_dir) / LAST, self.last_ckpt.encode())
            self._read_back(runner)
            for path in outdated:
                self._delete(path)
        self._gradients = {}

    def _read_back(self, runner: Runner) -> None:
        """See once whether a training can go on from what it saves: a hook may save anything."""
        if self._is_readable is None and self.file_backend.isfile(self.last_ckpt):
            try:
                read_checkpoint(self.last_ckpt)
                self._is_readable = True
            except CheckpointError as error:
                self._is_readable = False
                runner.logger.error(f"--resume will not be able to go on from here: {error}")

    def _make_room(self, runner: Runner, step: int) -> list[str]:
        """Count this checkpoint among those to keep; return what is too much then."""
        if self.max_keep_ckpts <= 0 or step in self.keep_ckpt_ids:
            return []
        outdated = []
        if len(self.keep_ckpt_ids) == self.max_keep_ckpts:
            oldest = self.filename_tmpl.format(self.keep_ckpt_ids.popleft())
            outdated.append(self.file_backend.join_path(self.out_dir, oldest))
        self.keep_ckpt_ids.append(step)
        runner.message_hub.update_info("keep_ckpt_ids", list(self.keep_ckpt_ids))
        return outdated

    def _save_best_checkpoint(self, runner: Runner, metrics: dict[str, float]) -> None:
        """Save the best, then delete the former best."""
        if not self.save_best:
            return
        former = self._best_paths()
        self._set_best_paths(dict.fromkeys(former))  # mmengine deletes those it knows first
        super()._save_best_checkpoint(runner, metrics)
        found = self._best_paths()
        self._set_best_paths({key: found[key] or path for key, path in former.items()})
        for key, path in former.items():
            if path and found[key] not in (None, path) and is_main_process():
                self._delete(path)

    def _best_paths(self) -> dict[str, str | None]:
        if len(self.key_indicators) == 1:
            return {"": self.best_ckpt_path}
        return {key: self.best_ckpt_path_dict.get(key) for key in self.key_indicators}

    def _set_best_paths(self, paths: dict[str, str | None]) -> None:
        if len(self.key_indicators) == 1:
            self.best_ckpt_path = paths[""]
        else:
            self.best_ckpt_path_dict.update(paths)

    def _delete(self, path: str) -> None:
        if self.file_backend.isfile(path):
            self.file_backend.remove(path)
