"""Which parameters an optimizer gets, and what it is told of them."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mmengine.logging import MMLogger, print_log
from mmengine.optim import DefaultOptimWrapperConstructor as MMEngineConstructor
from mmengine.optim import OptimWrapper
from torch import nn

from glip.registry import OPTIM_WRAPPER_CONSTRUCTORS
from glip.utils.errors import TrainingError


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class DefaultOptimWrapperConstructor(MMEngineConstructor):
    """mmengine's, for the parameters that learn; the frozen ones stay out of the optimizer.

    ``paramwise_cfg`` means what it means there. Parameters with the same settings make one group,
    which is faster to step than a group for each. Instead of some lines for every parameter, the
    log gets one for every group, and one for what is frozen.

    Raises:
        TrainingError: nothing learns.
    """

    paramwise_cfg: dict

    def __call__(self, model: nn.Module) -> OptimWrapper:
        """Build the optimizer.

        Args:
            model: the model, wrapped for several processes or not.
        """
        model = getattr(model, "module", model)
        if not any(parameter.requires_grad for parameter in model.parameters()):
            raise TrainingError(
                "every parameter of the model is frozen, so that nothing can learn; see "
                "model.tuning and model.backbone.frozen_stages"
            )
        # Without an option mmengine would take the parameters of the model as they are.
        self.paramwise_cfg = self.paramwise_cfg or dict(bypass_duplicate=False)
        with _only_errors():
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
        """Collect the parameters that learn, in groups of equal settings.

        Args:
            params: the groups so far; changed in place.
            module: whose parameters to add.
            prefix: its name.
            is_dcn_module: see mmengine.
        """
        super().add_params(params, module, prefix, is_dcn_module)
        if prefix:  # mmengine comes back here for every module of the model
            return
        groups: dict[tuple, list[nn.Parameter]] = {}
        for group in params:
            settings = tuple(sorted((key, group[key]) for key in group if key != "params"))
            learns = [parameter for parameter in group["params"] if parameter.requires_grad]
            groups.setdefault(settings, []).extend(learns)
        params[:] = [
            {"params": each, **dict(settings)} for settings, each in groups.items() if each
        ]


def _count(parameters: list[nn.Parameter]) -> str:
    numbers = sum(parameter.numel() for parameter in parameters)
    return f"{len(parameters)} tensors, {numbers:,} numbers"


@contextmanager
def _only_errors() -> Iterator[Any]:
    """Keep mmengine from logging some lines for every parameter."""
    logger = MMLogger.get_current_instance()
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
