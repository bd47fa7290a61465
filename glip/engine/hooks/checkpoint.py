"""Save checkpoints so that a kill at any moment leaves one to resume from."""

from __future__ import annotations

import hashlib
import io
import logging
import os
from pathlib import Path

import torch
from mmengine.dist import is_main_process
from mmengine.hooks import CheckpointHook as MMEngineCheckpointHook
from mmengine.logging import print_log
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from glip.checkpoint import read_checkpoint
from glip.engine.gradient_accumulation import collect_gradients
from glip.engine.hooks.monitor import check_monitored
from glip.engine.loops import VALIDATED_ITER
from glip.registry import HOOKS
from glip.utils.atomic_write import atomic_write
from glip.utils.errors import CheckpointError
from glip.utils.serialization import to_builtin

#: File in the work directory that names the checkpoint to resume from, as mmengine calls it.
_LAST_CHECKPOINT = "last_checkpoint"
#: Longest path that ``last_checkpoint`` may contain, in bytes.
_MAX_PATH = 4096
#: Key of the message hub for the steps whose checkpoints the save of this one makes obsolete.
_OUTDATED = "outdated_ckpt_ids"
#: Key of ``meta`` that passes gradients to ``before_save_checkpoint``, which runs on one rank only.
_GRADIENTS = "gradients"


def last_checkpoint(work_dir: str | Path) -> str | None:
    """Return the path of the checkpoint that was saved last, ``None`` if none was saved.

    Args:
        work_dir: of the training; it may have been moved or copied since.

    Raises:
        CheckpointError: the checkpoint does not exist any more, or the file that names it is
            damaged.
    """
    pointer = Path(work_dir) / _LAST_CHECKPOINT
    if not pointer.is_file():
        return None
    with pointer.open("rb") as file:
        name = file.read(_MAX_PATH + 1)
    text = name.decode(errors="replace").strip()
    if len(name) <= _MAX_PATH and text.isprintable() and text and "\ufffd" not in text:
        # The one beside it first: a copy of the folder must not resume from the original.
        for candidate in (Path(work_dir) / Path(text).name, Path(text)):
            if os.path.isfile(candidate):  # unlike Path.is_file, False for a name that is too long
                return str(candidate)
        problem = f"{pointer} names {text[:200]} as the last checkpoint, which does not exist"
    else:
        problem = f"{pointer} does not contain the path of a checkpoint"
    raise CheckpointError(
        f"{problem}: {_suggest(work_dir)}, or delete {pointer} to start from the beginning"
    )


def newest_readable(folder: str | Path, *, other_than: str | Path = "") -> str | None:
    """Return the newest checkpoint in a folder that a training can be resumed from.

    Args:
        folder: the folder.
        other_than: a checkpoint to leave out.
    """
    paths = [path for path in Path(folder).glob("*.pth") if path.name != Path(other_than).name]
    for path in sorted(paths, key=lambda path: path.stat().st_mtime_ns, reverse=True)[:10]:
        try:
            if {"optimizer", "message_hub", "meta"} <= read_checkpoint(path).keys():
                return str(path)
        except CheckpointError:
            continue
    return None


def log_no_checkpoint(work_dir: str | Path) -> None:
    """Log that a training that was to be resumed starts from the beginning.

    A warning if the folder has checkpoints, which the training will replace.
    """
    readable = newest_readable(work_dir)
    if readable is None:
        print_log(f"No checkpoint in {work_dir}: starting from the beginning", logger="current")
        return
    print_log(
        f"{work_dir} has no file {_LAST_CHECKPOINT}, so that the training starts from the "
        f"beginning and replaces checkpoints like {readable}: to resume from it use --resume "
        f"{readable}",
        logger="current",
        level=logging.WARNING,
    )


def _suggest(work_dir: str | Path) -> str:
    """Say which checkpoint to resume from."""
    readable = newest_readable(work_dir)
    return (
        f"resume from {readable} with --resume {readable}"
        if readable
        else ("pass another one to --resume")
    )


@HOOKS.register_module()
class CheckpointHook(MMEngineCheckpointHook):
    """mmengine's hook with its arguments, which deletes a file only after its successor is saved.

    mmengine's hook first deletes the outdated checkpoint and the previous best one, and writes
    ``last_checkpoint`` in place: a kill in between leaves nothing to resume from.
    """

    def before_train(self, runner: Runner) -> None:
        """Set up the output folder, and delete the files that a kill has left there."""
        super().before_train(runner)
        self._is_readable: bool | None = None
        if is_main_process():
            for folder in {Path(self.out_dir), Path(runner.work_dir)}:
                for name in (".*.pth.partial", f".{_LAST_CHECKPOINT}.partial"):
                    for partial in folder.glob(name):
                        partial.unlink(missing_ok=True)
            # A kill after a save has left what the save made obsolete.
            for step in runner.message_hub.runtime_info.get(_OUTDATED) or ():
                if isinstance(step, int) and step not in getattr(self, "keep_ckpt_ids", ()):
                    self._delete(self.filename_tmpl.format(step))

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float]) -> None:
        """Save the best checkpoint.

        Args:
            runner: the runner.
            metrics: values by name.

        Raises:
            TrainingError: ``save_best`` is not among the metrics.
        """
        runner.message_hub.update_info(VALIDATED_ITER, runner.iter)
        for key in self.save_best or ():
            if key != "auto" and metrics:
                check_monitored("save_best", key, metrics, "default_hooks.checkpoint.save_best")
        super().after_val_epoch(runner, metrics)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:  # noqa: ARG002
        """Complete a checkpoint; keep only what can be read without running code.

        Args:
            runner: the runner.
            checkpoint: what will be saved, changed in place.
        """
        gradients = checkpoint["meta"].pop(_GRADIENTS, None)
        if gradients:
            checkpoint["gradients"] = gradients
        checkpoint["meta"] = to_builtin(checkpoint["meta"])
        if isinstance(checkpoint.get("param_schedulers"), list):
            # A scheduler creates its functions itself, and the restricted reader refuses them.
            checkpoint["param_schedulers"] = [
                {name: value for name, value in state.items() if not callable(value)}
                for state in checkpoint["param_schedulers"]
            ]
        hub = checkpoint["message_hub"]
        hub["runtime_info"] = to_builtin(dict(hub["runtime_info"]))

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict) -> None:
        """Save, then update ``last_checkpoint``, then delete outdated checkpoints."""
        name = self.filename_tmpl.format(step)
        self.last_ckpt = self.file_backend.join_path(self.out_dir, name)
        outdated = self._update_kept(runner, step)
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        # All ranks take part, unlike in before_save_checkpoint.
        gradients = collect_gradients(model)
        runner.message_hub.update_info("last_ckpt", self.last_ckpt)
        runner.save_checkpoint(
            self.out_dir,
            name,
            self.file_client_args,
            save_optimizer=self.save_optimizer,
            save_param_scheduler=self.save_param_scheduler,
            meta={**meta, _GRADIENTS: gradients},
            by_epoch=self.by_epoch,
            backend_args=self.backend_args,
            **self.args,
        )
        if is_main_process():
            atomic_write(Path(runner.work_dir) / _LAST_CHECKPOINT, self.last_ckpt.encode())
            self._check_readable(runner)
            for each in outdated:
                self._delete(each)

    def _check_readable(self, runner: Runner) -> None:
        """Check once that a saved checkpoint can be resumed: other hooks may add any object."""
        if self._is_readable is None and self.file_backend.isfile(self.last_ckpt):
            try:
                read_checkpoint(self.last_ckpt)
                self._is_readable = True
            except CheckpointError as error:
                self._is_readable = False
                runner.logger.error(f"--resume will fail for this training: {error}")

    def _update_kept(self, runner: Runner, step: int) -> list[str]:
        """Add a step to the checkpoints to keep; return the names that are outdated by it."""
        outdated: list[int] = []
        if self.max_keep_ckpts > 0 and step not in self.keep_ckpt_ids:
            if len(self.keep_ckpt_ids) == self.max_keep_ckpts:
                outdated.append(self.keep_ckpt_ids.popleft())
            self.keep_ckpt_ids.append(step)
            runner.message_hub.update_info("keep_ckpt_ids", list(self.keep_ckpt_ids))
        runner.message_hub.update_info(_OUTDATED, outdated)
        return [self.filename_tmpl.format(each) for each in outdated]

    def _save_best_checkpoint(self, runner: Runner, metrics: dict[str, float]) -> None:
        """Save the best checkpoint, then delete the previous best."""
        if not self.save_best:
            return
        previous = self._best_paths()
        self._set_best_paths(dict.fromkeys(previous))  # mmengine deletes the ones it knows first
        super()._save_best_checkpoint(runner, metrics)
        current = self._best_paths()
        self._set_best_paths({key: current[key] or path for key, path in previous.items()})
        for key, path in previous.items():
            if path and current[key] not in (None, path) and is_main_process():
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

    def _publish_model(self, runner: Runner, ckpt_path: str | None) -> None:
        """Write the parts of a checkpoint that are to be published, as ``<name>-<digest>.pth``.

        mmengine's method reads it with ``torch.load``, which refuses or unpickles other objects.

        Args:
            runner: the runner.
            ckpt_path: the checkpoint; ``None`` if none was saved.
        """
        if not ckpt_path or not is_main_process():
            return
        parts = read_checkpoint(ckpt_path)
        content = io.BytesIO()
        torch.save({key: parts[key] for key in self.published_keys if key in parts}, content)
        digest = hashlib.sha256(content.getvalue()).hexdigest()[:8]
        path = Path(ckpt_path).with_name(f"{Path(ckpt_path).stem}-{digest}.pth")
        atomic_write(path, content.getvalue())
        runner.logger.info(f"Published {ckpt_path} as {path}")

    def _delete(self, name: str) -> None:
        """Delete a checkpoint of this training; in a copy of its folder, not the original."""
        path = self.file_backend.join_path(self.out_dir, Path(name).name)
        if self.file_backend.isfile(path):
            self.file_backend.remove(path)
