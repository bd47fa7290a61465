"""Building a model whose weights a checkpoint is about to bring."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

#: What draws starting values, of torch.nn.init and of tensors; each gets the tensor first and
#: returns it. By name, because transformers puts functions of its own in the place of torch's.
#: erfinv_ is the second half of a truncated normal, of what was not drawn.
_DRAWING = frozenset(("erfinv_", "kaiming_normal_", "kaiming_uniform_", "normal_", "uniform_"))


class NoInit(TorchFunctionMode):
    """A context in which random starting values of parameters are not drawn.

    Memory that nothing was written to takes no room, so a model that is built here and then given a
    checkpoint's tensors never takes the room of two. What is not random (zeros, ones, tables of
    indices) is there as always.

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
        """Leave out what draws, do everything else."""
        kwargs = kwargs or {}
        if getattr(func, "__name__", "") in _DRAWING:
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)


def assign_parameters(model: nn.Module, state_dict: Mapping[str, Tensor]) -> None:
    """Let parameters use a checkpoint's memory instead of copying it.

    Done for those on the CPU that have the same shape and number type and their memory to
    themselves; the others are left to ``load_state_dict``. Afterwards the tensors of ``state_dict``
    are the model's own.

    Args:
        model: the model.
        state_dict: by the model's names.
    """
    taken: set[int] = set()
    for name, parameter in model.named_parameters():
        tensor = state_dict.get(name)
        if tensor is None or (tensor.shape, tensor.dtype) != (parameter.shape, parameter.dtype):
            continue
        storage = tensor.untyped_storage()
        alone = storage.nbytes() == tensor.nbytes and storage.data_ptr() not in taken
        if parameter.device == tensor.device and alone and tensor.is_contiguous():
            taken.add(storage.data_ptr())
            parameter.data = tensor.detach()
