"""Text features of captions that were encoded before."""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor, nn

from glip.utils.precision import autocasts

#: Captions kept: at 256 tokens and 768 float32 channels each, 100 MB at most.
MAX_CAPTIONS = 128


class TextCache:
    """The hidden states of the last captions, as long as the encoder does not change.

    Args:
        encoder: what made the features; a change of its weights, device or number type empties the
            cache.
    """

    def __init__(self, encoder: nn.Module):
        self._encoder = encoder
        self._state: tuple = ()
        self._kept: OrderedDict[tuple[int, ...], Tensor] = OrderedDict()

    def get(self, input_ids: tuple[int, ...]) -> Tensor | None:
        """Return the hidden states (T, D) of a caption, or ``None``."""
        self._check()
        hidden = self._kept.get(input_ids)
        if hidden is not None:
            self._kept.move_to_end(input_ids)
        return hidden

    def put(self, input_ids: tuple[int, ...], hidden: Tensor) -> None:
        """Keep the hidden states (T, D) of a caption."""
        self._check()
        self._kept[input_ids] = hidden
        while len(self._kept) > MAX_CAPTIONS:
            self._kept.popitem(last=False)

    def clear(self) -> None:
        """Keep none."""
        self._kept.clear()

    def _check(self) -> None:
        parameters = list(self._encoder.parameters())
        first = parameters[0]
        # Every change in place (an optimizer's step, loading) raises a parameter's version.
        changes = sum(p._version for p in parameters)
        state = (first.device, first.dtype, changes, autocasts(first.device.type))
        if state != self._state:
            self._state = state
            self._kept.clear()
