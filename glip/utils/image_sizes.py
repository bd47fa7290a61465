"""The official rule for the size of the network's input."""

from __future__ import annotations


def official_size(width: int, height: int, short: int, long: int) -> tuple[int, int]:
    """Return the size to which the official GLIP resizes an image.

    The short side becomes ``short``. If the long side would then exceed ``long``, the short side
    becomes ``round(long * short side / long side)`` instead. The long side follows from the aspect
    ratio, truncated: 640 x 427 becomes 1199 x 800. Because of the rounding it can exceed ``long``
    slightly. A short side that would round to 0 becomes one pixel, and the long side ``long``.

    Args:
        width: Width of the image in pixels.
        height: Height of the image in pixels.
        short: Length of the short side.
        long: Maximum length of the long side.

    Returns:
        The new width and height.
    """
    low, high = min(width, height), max(width, height)
    target = short
    if high / low * short > long:
        target = round(long * low / high)
    if target < 1:
        return (1, long) if width < height else (long, 1)
    other = int(target * high / low)
    return (target, other) if width < height else (other, target)
