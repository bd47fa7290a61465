"""Average the weights of a training."""

from __future__ import annotations

from mmengine.hooks import EMAHook as MMEngineEMAHook
from mmengine.runner import Runner

from glip.models import GLIP
from glip.registry import HOOKS

#: End of the names of the state that is no tensor to average: the tokenizer.
_EXTRA_STATE = "_extra_state"


@HOOKS.register_module()
class EMAHook(MMEngineEMAHook):
    """mmengine's hook with its arguments, whose averaged model has the tokenizer.

    mmengine's hook copies the model before its tokenizer is loaded. The checkpoints then contain
    none, and averaging from ``begin_epoch`` on, or with ``update_buffers``, fails.
    """

    def before_run(self, runner: Runner) -> None:
        """Create the averaged model."""
        super().before_run(runner)
        averaged = self.ema_model.avg_parameters
        for name in [each for each in averaged if each.endswith(_EXTRA_STATE)]:
            del averaged[name]

    def before_train(self, runner: Runner) -> None:
        """Give the averaged model the tokenizer of the model."""
        super().before_train(runner)
        if isinstance(self.src_model, GLIP):
            text_encoder = self.src_model.language_model
            text_encoder.tokenizer  # noqa: B018 -- loads it
            averaged = self.ema_model.module.language_model
            averaged.set_extra_state(text_encoder.get_extra_state())
