"""Accumulated gradients in checkpoints, for a checkpoint saved between two optimizer steps."""

from __future__ import annotations

from mmengine.dist import all_reduce
from torch import Tensor, nn

from glip.utils.messages import shorten


def collect_gradients(model: nn.Module) -> dict[str, Tensor]:
    """Return the gradients accumulated since the last optimizer step, averaged over the ranks.

    All ranks must call it.

    Args:
        model: its gradients are ``None`` right after a step, as mmengine leaves them.

    Returns:
        gradients by parameter name, on the CPU; empty right after a step.
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
    """Set the gradients that :func:`collect_gradients` returned.

    Args:
        model: a model with the same parameters.
        gradients: by parameter name.

    Raises:
        ValueError: they are those of other parameters.
    """
    shapes = {name: parameter.shape for name, parameter in model.named_parameters()}
    for name, gradient in gradients.items():
        if getattr(gradient, "shape", None) != shapes.get(name):
            raise ValueError(f"the accumulated gradient of {shorten(name)} is of another parameter")
    for name, parameter in model.named_parameters():
        if name in gradients:
            parameter.grad = gradients[name].to(parameter)
