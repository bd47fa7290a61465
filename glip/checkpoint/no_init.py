"""Build a model without initialising the weights that a checkpoint will replace."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

#: The random initialisers, of ``torch.nn.init`` and of tensors. Each takes the tensor first and
#: returns it. They are matched by name, because transformers replaces torch's functions with its
#: own. ``erfinv_`` is the second half of a truncated normal.
_RANDOM_INITIALIZERS = frozenset(
    ("erfinv_", "kaiming_normal_", "kaiming_uniform_", "normal_", "uniform_")
)


class NoInit(TorchFunctionMode):
    """A context in which random initialisation of parameters is skipped.

    The operating system gives memory to a tensor only when it is written to, so a model that is
    built in this context and then takes over a checkpoint's tensors never occupies memory twice.
    Deterministic initialisation (zeros, ones, index tables) is not skipped.

    Example:
        >>> with NoInit():
        ...     layer = nn.Linear(2, 2)
    """

    def __torch_function__(
        self,
        func: Callable,
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Skip random initialisers and call every other function."""
        kwargs = kwargs or {}
        if getattr(func, "__name__", "") in _RANDOM_INITIALIZERS:
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)


def assign_parameters(model: nn.Module, state_dict: Mapping[str, Tensor]) -> None:
    """Let a model's parameters use the memory of a checkpoint's tensors, without a copy.

    A tensor is assigned if it has the parameter's shape, dtype and device, is contiguous and shares
    its storage with no other tensor. ``load_state_dict`` copies the others. Unlike
    ``load_state_dict(assign=True)``, the parameters stay the same objects with the same
    ``requires_grad``.

    Args:
        model: the model. Afterwards it owns the assigned tensors.
        state_dict: the tensors by parameter name.
    """
    assigned: set[int] = set()
    for name, parameter in model.named_parameters():
        tensor = state_dict.get(name)
        if tensor is None or (tensor.shape, tensor.dtype) != (parameter.shape, parameter.dtype):
            continue
        storage = tensor.untyped_storage()
        unshared = storage.nbytes() == tensor.nbytes and storage.data_ptr() not in assigned
        if parameter.device == tensor.device and unshared and tensor.is_contiguous():
            assigned.add(storage.data_ptr())
            parameter.data = tensor.detach()
