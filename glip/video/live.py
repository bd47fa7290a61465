"""Read a live source while the model runs, and keep the newest frames."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from types import TracebackType

from glip.video.frame import Frame

#: Seconds to wait for the reading thread at the end; it may wait for a packet of the network.
_PATIENCE = 2.0


class NewestFrames:
    """Iterate over the newest frames of a live source, which a thread reads; a context manager.

    If frames come faster than they are taken, the oldest ones that wait are dropped, so that the
    delay does not grow.

    Args:
        frames: of the source.
        capacity: largest number of frames that wait; 1: always the newest one.

    Attributes:
        num_read: number of frames that came.
        num_dropped: number of frames that were dropped.
    """

    def __init__(self, frames: Iterator[Frame], capacity: int = 1) -> None:
        self.num_read = 0
        self.num_dropped = 0
        self._frames = frames
        self._waiting: deque[Frame] = deque()
        self._capacity = capacity
        self._changed = threading.Condition()
        self._has_ended = False
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._read, name="glip-live", daemon=True)

    def __enter__(self) -> NewestFrames:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._changed:
            self._has_ended = True
        self._thread.join(_PATIENCE)

    def __iter__(self) -> Iterator[Frame]:
        """Yield frames until the source ends.

        Raises:
            VideoError: the source cannot be read.
        """
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._has_ended)
                if not self._waiting:
                    break
                frame = self._waiting.popleft()
            yield frame
        if self._error is not None:
            raise self._error

    def _read(self) -> None:
        """Read until the source or the iteration ends; runs in the thread."""
        try:
            for frame in self._frames:
                with self._changed:
                    if self._has_ended:
                        break
                    self.num_read += 1
                    if len(self._waiting) == self._capacity:
                        self._waiting.popleft()
                        self.num_dropped += 1
                    self._waiting.append(frame)
                    self._changed.notify()
        except BaseException as error:
            self._error = error
        finally:
            close = getattr(self._frames, "close", None)
            if close is not None:
                close()  # release the webcam in the thread that reads it
            with self._changed:
                self._has_ended = True
                self._changed.notify()
