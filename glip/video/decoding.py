"""Decode video files and network streams with PyAV.

Shapes: H x W pixels.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from itertools import chain
from typing import Any

import numpy as np

from glip.utils.errors import DependencyError, VideoError, summarize
from glip.utils.messages import shorten
from glip.video.frame import Frame
from glip.video.seeking import SeekPoint, find_seek_point, skip_to

_logger = logging.getLogger("glip")

#: Seconds to wait for a network stream: to open it, and for its next packet.
_TIMEOUTS = (20.0, 30.0)


def import_av() -> Any:
    """Return PyAV.

    Raises:
        DependencyError: it is not installed.
    """
    try:
        import av
        import av.error
    except ImportError as error:
        raise DependencyError(
            f'videos need PyAV: pip install av, or pip install "glip[video]" ({error})'
        ) from None
    return av


def open_container(path: str) -> Any:
    """Open a file or a stream for reading.

    Raises:
        VideoError: it cannot be opened.
        DependencyError: PyAV is not installed.
    """
    av = import_av()
    is_url = "://" in path
    options = {"rtsp_transport": "tcp"} if path.startswith("rtsp") else {}
    try:
        # "file:" keeps a colon in a file name from being read as a protocol.
        return av.open(
            path if is_url else f"file:{path}",
            options=options,
            timeout=_TIMEOUTS if is_url else None,
            metadata_errors="replace",
        )
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise VideoError(
            f"{shorten(path)} cannot be opened as a video ({summarize(error)}): expected a file or "
            "stream that FFmpeg reads"
        ) from None


class VideoFile:
    """The frames of a video file or a network stream.

    Frames are turned upright by the rotation that the file states; their times are those of the
    file, so a variable frame rate is kept. A frame that cannot be decoded is counted and has no
    index.

    Args:
        path: a path or a URL.
        max_pixels: largest frame.

    Raises:
        VideoError: it cannot be opened, has no video stream, or its frames are too large.
        DependencyError: PyAV is not installed.
    """

    def __init__(self, path: str, max_pixels: int) -> None:
        self._av = import_av()
        self.name = path
        self._max_pixels = max_pixels
        container = open_container(path)
        try:
            if not container.streams.video:
                raise VideoError(f"{shorten(path)} has no video stream: expected one")
            stream = container.streams.video[0]
            if stream.codec_context is None:
                raise VideoError(f"{shorten(path)}: FFmpeg has no decoder for its video stream")
            self._check_size(stream.codec_context.width, stream.codec_context.height)
            rate = stream.average_rate or stream.guessed_rate
            self.fps: float | None = float(rate) if rate else None
            duration = container.duration  # in microseconds
            self.is_live = "://" in path and not duration
            self.count: int | None = stream.frames or None
            if self.count is None and duration and self.fps:
                self.count = round(duration / 1e6 * self.fps)
        except BaseException:
            container.close()
            raise
        self._container = container
        if not self.is_live:
            container.close()  # each read opens it anew
        self.num_broken = 0

    def read(self, first: int = 0, start: float = 0.0) -> Iterator[Frame]:
        """Yield frames from an index and a time on.

        A file is decoded from the last keyframe before ``start`` on if it can be sought; the frames
        before are counted by their packets, so that a broken one has an index, too. From there on
        they are decoded to be counted.
        """
        if start > 0 and not self.is_live:
            with open_container(self.name) as packets:
                point = find_seek_point(packets, packets.streams.video[0], start)
            for key in point.keys:
                with open_container(self.name) as container:
                    sought = self._seek(container, point, key)
                    if sought is not None:
                        yield from self._frames(container, *sought, first, start)
                        return
        container = self._container if self.is_live else open_container(self.name)
        with container:
            frames = self._decode(container)
            yield from self._frames(container, 0, frames, first, start)

    def _seek(self, container: Any, point: SeekPoint, key: int) -> tuple[int, Iterator[Any]] | None:
        """Return the decoded frames from the first one that is wanted on, and its index.

        Returns:
            ``None`` if the frames that come after seeking are not those that the packets tell.
        """
        num_broken = self.num_broken
        try:
            container.seek(key, stream=container.streams.video[0])
        except self._av.error.FFmpegError:
            return None
        frames = self._decode(container)
        found = skip_to(point, key, frames)
        self.num_broken = num_broken  # without those that refer to frames before the keyframe
        if found is None:
            return None
        index, frame = found
        return index, chain([frame], frames)

    def _frames(
        self, container: Any, index: int, decoded: Iterator[Any], first: int, start: float
    ) -> Iterator[Frame]:
        """Yield the frames from an index and a time on; ``index`` is that of the first one."""
        begin = (container.start_time or 0) / 1e6
        for frame in decoded:
            self._check_size(frame.width, frame.height)
            has_time = frame.time is not None  # a raw stream without a container has none
            seconds = frame.time - begin if has_time else index / (self.fps or 25.0)
            if index >= first and seconds >= start:
                yield Frame(index, round(seconds, 6), _upright(frame))
            index += 1
        if not index:
            broken = f"; {self.num_broken} could not be decoded" if self.num_broken else ""
            raise VideoError(f"{shorten(self.name)} has no frames{broken}: expected a video")

    def _decode(self, container: Any) -> Iterator[Any]:
        """Yield the decoded frames, and count the broken ones."""
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        stream.codec_context.options = {"max_pixels": str(self._max_pixels)}
        packets = container.demux(stream)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except (self._av.error.FFmpegError, OSError) as error:
                # The rest of a truncated file, or a connection that was lost.
                self.num_broken += 1
                _logger.warning("%s ends early: %s", shorten(self.name), summarize(error))
                return
            try:
                frames = packet.decode()
            except self._av.error.EOFError:
                continue
            except self._av.error.FFmpegError:
                self.num_broken += 1
                continue
            for frame in frames:
                self.num_broken += bool(frame.is_corrupt)
                yield frame

    def _check_size(self, width: int, height: int) -> None:
        if width * height > self._max_pixels:
            raise VideoError(
                f"{shorten(self.name)} has frames of {width} x {height} pixels and max_pixels is "
                f"{self._max_pixels:,}: scale it down, or raise max_pixels if you trust its source"
            )


def _upright(frame: Any) -> np.ndarray:
    """Return the pixels of a frame, BGR (H, W, 3), turned by the rotation that it states."""
    image = frame.to_ndarray(format="bgr24")
    quarters = round(frame.rotation / 90) % 4  # counterclockwise
    return np.ascontiguousarray(np.rot90(image, quarters)) if quarters else image
