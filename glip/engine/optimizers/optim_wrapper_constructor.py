"""Group the trainable parameters of a model for the optimizer."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from mmengine.logging import MMLogger, print_log
from mmengine.optim import DefaultOptimWrapperConstructor as MMEngineConstructor
from mmengine.optim import OptimWrapper
from torch import nn

from glip.registry import OPTIM_WRAPPER_CONSTRUCTORS
from glip.utils.errors import TrainingError


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class DefaultOptimWrapperConstructor(MMEngineConstructor):
    """mmengine's constructor, for trainable parameters only.

    ``paramwise_cfg`` has the same meaning. Parameters with equal settings form one group, which is
    faster to step than one group for each parameter. The log has a line for each group and one for
    the frozen parameters, instead of several for each parameter.

    Raises:
        TrainingError: all parameters are frozen.
    """

    paramwise_cfg: dict

    def __call__(self, model: nn.Module) -> OptimWrapper:
        """Build the optimizer and its wrapper.

        Args:
            model: the model, or its wrapper for distributed training.
        """
        model = getattr(model, "module", model)
        if not any(parameter.requires_grad for parameter in model.parameters()):
            raise TrainingError(
                "the model has no trainable parameters: change model.tuning or "
                "model.backbone.frozen_stages"
            )
        # If empty, mmengine passes all parameters of the model to the optimizer.
        self.paramwise_cfg = self.paramwise_cfg or dict(bypass_duplicate=False)
        _warn_of_unmatched_keys(self.paramwise_cfg.get("custom_keys") or {}, model)
        with _log_only_errors():
            wrapper = super().__call__(model)
        for group in wrapper.optimizer.param_groups:
            print_log(
                f"Learning rate {group['lr']:g}, weight decay {group.get('weight_decay', 0):g}: "
                + _count(group["params"]),
                logger="current",
            )
        frozen = [parameter for parameter in model.parameters() if not parameter.requires_grad]
        if frozen:
            print_log(f"Frozen: {_count(frozen)}", logger="current")
        return wrapper

    def add_params(
        self,
        params: list[dict],
        module: nn.Module,
        prefix: str = "",
        is_dcn_module: int | float | None = None,
    ) -> None:
        """Add the trainable parameters of a module, in groups of equal settings.

        Args:
            params: the groups so far; changed in place.
            module: the module.
            prefix: its name.
            is_dcn_module: see mmengine.
        """
        super().add_params(params, module, prefix, is_dcn_module)
        if prefix:  # mmengine calls it recursively for the modules of the model
            return
        groups: dict[tuple, list[nn.Parameter]] = {}
        for group in params:
            settings = tuple(sorted((key, group[key]) for key in group if key != "params"))
            trainable = [parameter for parameter in group["params"] if parameter.requires_grad]
            groups.setdefault(settings, []).extend(trainable)
        params[:] = [
            {"params": each, **dict(settings)} for settings, each in groups.items() if each
        ]


def _warn_of_unmatched_keys(custom_keys: Iterable[str], model: nn.Module) -> None:
    names = [f".{name}" for name, _ in model.named_parameters()]  # as mmengine compares them
    for key in custom_keys:
        if not any(key in name for name in names):
            print_log(
                f"optim_wrapper.paramwise_cfg.custom_keys[{key!r}] has no effect: no parameter of "
                f"the model has it in its name, such as {names[0][1:]}",
                logger="current",
                level=logging.WARNING,
            )


def _count(parameters: list[nn.Parameter]) -> str:
    elements = sum(parameter.numel() for parameter in parameters)
    return f"{len(parameters)} tensors, {elements:,} parameters"


@contextmanager
def _log_only_errors() -> Iterator[None]:
    """Suppress the lines that mmengine logs for each parameter."""
    logger = MMLogger.get_current_instance()
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
