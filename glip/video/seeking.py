"""Find the keyframe to decode from, so that a video need not be decoded from its beginning.

The packets are read, which is much faster than decoding them: their presentation times (pts) tell
how many frames come before a time, and which keyframe is the last one.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

#: Keyframes to try. Containers without an index, such as MPEG-TS, are sought inexactly: the first
#: frame may be that of a later keyframe.
_MAX_KEYS = 3


@dataclass(frozen=True)
class SeekPoint:
    """Where to begin.

    Attributes:
        keys: pts of keyframes to seek, the last one first.
        limit: frames from this pts on are wanted; between two of them.
        order: ascending pts of all frames before ``limit``, and of a few after it.
    """

    keys: list[int]
    limit: float
    order: list[int]

    def index_of(self, pts: int) -> int | None:
        """Return the index of a frame, up to the first one that is wanted; ``None`` if unknown."""
        index = bisect_left(self.order, pts)
        is_known = index < len(self.order) and self.order[index] == pts
        return index if is_known or pts > self.limit else None


def find_seek_point(container: Any, stream: Any, start: float) -> SeekPoint:
    """Return the last keyframes that are not after a time.

    Args:
        container: of PyAV, at its beginning; it is read from.
        stream: its video stream.
        start: the time in seconds from the container's start.

    Returns:
        Without keyframes if decoding must begin at the first frame: the time is before the second
        keyframe, or the packets do not tell the order of the frames.
    """
    # Half a tick less, for the rounding of seconds.
    limit = (start + (container.start_time or 0) / 1e6) / float(stream.time_base) - 0.5
    order: list[int] = []
    keys: list[int] = []
    for packet in container.demux(stream):
        if not packet.size:
            continue
        if packet.pts is None:
            return SeekPoint([], limit, [])
        # The decoding times (dts) ascend, and none is after the presentation time. In Matroska the
        # first packets have none.
        if packet.dts is not None and packet.dts > limit:
            break
        if packet.is_keyframe:
            keys.append(packet.pts)
        elif not keys:
            return SeekPoint([], limit, [])  # frames before the first keyframe may be lost
        if not packet.is_discard:
            order.append(packet.pts)
    order.sort()
    before = [pts for pts in keys if pts <= limit]
    is_clear = len(set(order)) == len(order) and bool(order) and order[0] >= keys[0]
    if not is_clear or len(before) < 2:
        return SeekPoint([], limit, [])
    return SeekPoint(sorted(before)[-_MAX_KEYS:][::-1], limit, order)


def skip_to(point: SeekPoint, key: int, frames: Iterator[Any]) -> tuple[int, Any] | None:
    """Return the first frame that is wanted, and its index.

    Args:
        point: where it is.
        key: pts of the keyframe that was sought.
        frames: decoded from there on; those before the wanted one are consumed.

    Returns:
        ``None`` if the frames begin later, or are not those that the packets tell.
    """
    previous = None
    for frame in frames:
        index = None if frame.pts is None else point.index_of(frame.pts)
        if index is None:
            return None
        if index != previous + 1 if previous is not None else frame.pts > key:
            return None
        if frame.pts > point.limit:
            return index, frame
        previous = index
    return None
