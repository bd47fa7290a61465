"""Gradients of a step that is half done when a checkpoint is saved."""

from __future__ import annotations

from mmengine.dist import all_reduce
from torch import Tensor, nn


def unfinished_gradients(model: nn.Module) -> dict[str, Tensor]:
    """Collect what ``accumulative_counts`` batches have added up so far; all processes must ask.

    Args:
        model: whose gradients are ``None`` after a step, as mmengine leaves them.

    Returns:
        the gradients by parameter, means over the processes; none after a whole step.
    """
    gradients = {
        name: parameter.grad.detach().clone()
        for name, parameter in model.named_parameters()
        if parameter.grad is not None
    }
    for gradient in gradients.values():
        all_reduce(gradient, op="mean")
    return {name: gradient.cpu() for name, gradient in gradients.items()}


def restore_gradients(model: nn.Module, gradients: dict[str, Tensor]) -> None:
    """Put back what :func:`unfinished_gradients` collected.

    Args:
        model: the same model.
        gradients: by parameter.
    """
    for name, parameter in model.named_parameters():
        if name in gradients:
            parameter.grad = gradients[name].to(parameter)
