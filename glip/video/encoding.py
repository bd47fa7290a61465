"""Encode H.264 files that browsers play, and join them with the audio of their source.

Shapes: H x W pixels.
"""

from __future__ import annotations

import heapq
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from glip.utils.atomic_write import describe_write_errors, fsync_rename
from glip.utils.errors import VideoError, summarize
from glip.video.decoding import import_av, open_container

#: Unit of the times of an output, in seconds; 25 and 30000/1001 frames per second are exact in it.
TIME_BASE = Fraction(1, 90000)
#: Audio that an MP4 file holds and browsers play; other audio is encoded as AAC.
_COPIED_AUDIO = ("aac", "mp3", "opus")
#: Constant quality of x264: 18 is close to the source, 23 its default.
_CRF = "20"


class SegmentWriter:
    """Write frames to an MP4 file, which has its name once it is complete; use it with ``with``.

    H.264 in yuv420p. No frame refers to a later one (no B-frames), so that times only grow and
    segments can be joined without encoding them again.

    Args:
        path: of the file.
        size: width and height in pixels; odd ones grow by a pixel, as yuv420p needs. Frames of
            another size are scaled to it.
        fps: about the frames per second; the times of the frames count.

    Raises:
        StorageError: the file cannot be written.
    """

    def __init__(self, path: Path, size: tuple[int, int], fps: float) -> None:
        self._av = import_av()
        self.path = path
        self._partial = path.with_name(f".{path.name}.partial")
        self._size = size
        self._offset: int | None = None
        self._last = -1
        with describe_write_errors(path):
            self._container = self._av.open(os.fspath(self._partial), "w", format="mp4")
        rate = Fraction(min(max(fps, 1.0), 240.0)).limit_denominator(1001)
        self._stream = self._container.add_stream("libx264", rate=rate)
        self._stream.width, self._stream.height = (side + side % 2 for side in size)
        self._stream.pix_fmt = "yuv420p"
        self._stream.time_base = self._stream.codec_context.time_base = TIME_BASE
        self._stream.codec_context.max_b_frames = 0
        self._stream.codec_context.options = {"crf": _CRF, "preset": "veryfast"}

    def __enter__(self) -> SegmentWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        if kind is not None:
            self._container.close()
            self._partial.unlink(missing_ok=True)
            return
        with describe_write_errors(self.path):
            self._container.mux(self._stream.encode(None))
            self._container.close()
            fsync_rename(self._partial, self.path)

    def write(self, image: np.ndarray, seconds: float) -> None:
        """Write a frame.

        Args:
            image: RGB pixels (H, W, 3), uint8.
            seconds: its time, which grows from frame to frame.
        """
        ticks = round(seconds / TIME_BASE)
        if self._offset is None:
            self._offset = ticks
        self._last = max(ticks - self._offset, self._last + 1)
        frame = self._av.VideoFrame.from_ndarray(_fit(image, self._size), format="rgb24")
        frame.pts, frame.time_base = self._last, TIME_BASE
        with describe_write_errors(self.path):
            self._container.mux(self._stream.encode(frame))


def _fit(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Scale an image to (width, height), and repeat its last row or column to even sides."""
    width, height = size
    if image.shape[:2] != (height, width):
        from PIL import Image

        image = np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR))
    if width % 2 or height % 2:
        image = np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    return np.ascontiguousarray(image)


@dataclass(frozen=True)
class Segment:
    """A part of an output: its file, and the time of its first frame in the output in seconds."""

    path: Path
    seconds: float


@dataclass(frozen=True)
class AudioSource:
    """The audio to keep: the file it is in, and its part, in seconds; ``end=None`` for the rest."""

    path: str
    start: float = 0.0
    end: float | None = None


def join_segments(path: Path, segments: Sequence[Segment], audio: AudioSource | None) -> None:
    """Join segments to one MP4 file, atomically; their frames are copied as they are.

    Args:
        path: of the file to write.
        segments: in the order of their time, at least one.
        audio: the audio to add, if its file has any.

    Raises:
        StorageError: the file cannot be written.
        VideoError: a segment or the audio cannot be read.
    """
    av = import_av()
    partial = path.with_name(f".{path.name}.partial")
    source = None if audio is None else open_container(audio.path)
    try:
        with (
            describe_write_errors(path),
            av.open(
                os.fspath(partial), "w", format="mp4", options={"movflags": "+faststart"}
            ) as output,
            open_container(os.fspath(segments[0].path)) as first,
        ):
            video = output.add_stream_from_template(first.streams.video[0])
            streams = [_copy_segments(segments, video)]
            if source is not None and audio is not None and source.streams.audio:
                streams.append(_copy_audio(source, audio, output))
            # Packets of both in the order of their time, as players read them.
            for _, packet in heapq.merge(*streams, key=lambda item: item[0]):
                output.mux(packet)
        with describe_write_errors(path):
            fsync_rename(partial, path)
    except av.error.FFmpegError as error:
        raise VideoError(f"{path} cannot be joined from its parts: {summarize(error)}") from None
    finally:
        partial.unlink(missing_ok=True)
        if source is not None:
            source.close()


def _copy_segments(segments: Sequence[Segment], stream: Any) -> Iterator[tuple[float, Any]]:
    """Yield the packets of all segments with their times in the output, in seconds."""
    for segment in segments:
        offset = round(segment.seconds / TIME_BASE)
        with open_container(os.fspath(segment.path)) as container:
            for packet in container.demux(video=0):
                if packet.pts is None:  # the end
                    continue
                shift = round(offset * TIME_BASE / packet.time_base)
                packet.pts += shift
                packet.dts += shift
                packet.stream = stream
                yield float(packet.dts * packet.time_base), packet


def _copy_audio(source: Any, audio: AudioSource, output: Any) -> Iterator[tuple[float, Any]]:
    """Add an audio stream to the output now; the iterator yields its packets with their times."""
    stream = source.streams.audio[0]
    begin = (source.start_time or 0) / 1e6 + audio.start
    end = None if audio.end is None else audio.end - audio.start
    if stream.codec_context.name.removesuffix("float") in _COPIED_AUDIO:
        target = output.add_stream_from_template(stream)
        # From the start, also the packets before 0, with which some decoders begin.
        low = 0.0 if audio.start else float("-inf")
        return _copied_packets(source, stream, target, begin, low, end)
    target = output.add_stream("aac", rate=stream.codec_context.sample_rate)
    target.codec_context.layout = stream.codec_context.layout
    return _encoded_packets(source, stream, target, begin, end)


def _copied_packets(
    source: Any, stream: Any, target: Any, begin: float, low: float, end: float | None
) -> Iterator[tuple[float, Any]]:
    for packet in source.demux(stream):
        if packet.pts is None or packet.dts is None:
            continue
        seconds = float(packet.pts * packet.time_base) - begin
        if end is not None and seconds >= end:
            return
        if seconds < low:
            continue
        shift = round(begin / packet.time_base)
        packet.pts -= shift
        packet.dts -= shift
        packet.stream = target
        yield seconds, packet


def _encoded_packets(
    source: Any, stream: Any, target: Any, begin: float, end: float | None
) -> Iterator[tuple[float, Any]]:
    rate = stream.codec_context.sample_rate
    samples: int | None = None
    for frame in source.decode(stream):
        seconds = float(frame.time or 0) - begin
        if end is not None and seconds >= end:
            break
        if seconds < 0:
            continue
        # Counted from the first frame on: the encoder rejects times that overlap by rounding.
        samples = round(seconds * rate) if samples is None else samples
        frame.pts, frame.time_base = samples, Fraction(1, rate)
        samples += frame.samples
        for packet in target.encode(frame):
            yield float(packet.dts * packet.time_base), packet
    for packet in target.encode(None):
        yield float(packet.dts * packet.time_base), packet
