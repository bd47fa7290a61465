"""Where frames come from: a video file or stream, a folder of images, a webcam.

Shapes: H x W pixels.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import numpy as np
from PIL import Image

from glip.datasets.images import open_image
from glip.utils.errors import ImageReadError, VideoError
from glip.utils.image_files import ImageLimits, is_image_file
from glip.utils.messages import shorten
from glip.video.decoding import VideoFile
from glip.video.frame import Frame

#: Reads of a webcam in a row that may fail.
_MAX_FAILED_READS = 10
#: OpenCV crashes with a negative index, and reads the hundreds of an index as a driver.
_MAX_WEBCAM = 99

#: A path, a URL, or the index of a webcam.
Source = str | os.PathLike[str] | int


class FrameSource(Protocol):
    """Frames in the order of their time.

    Attributes:
        name: for messages.
        is_live: whether frames that are not read in time are lost; a second run sees others.
        fps: frames per second, on average; ``None`` if unknown.
        count: about how many frames there are; ``None`` if unknown.
        num_broken: frames that could not be decoded, or were decoded with errors, so far.
    """

    name: str
    is_live: bool
    fps: float | None
    count: int | None
    num_broken: int

    def read(self, first: int = 0, start: float = 0.0) -> Iterator[Frame]:
        """Yield frames from an index and a time on.

        Args:
            first: smallest index.
            start: smallest time in seconds.

        Raises:
            VideoError: the frames cannot be read.
        """
        ...


def open_source(source: Source, *, fps: float = 25.0, max_pixels: int | None = None) -> FrameSource:
    """Open a video file, a folder of images, a webcam, or an RTSP or HTTP stream.

    Args:
        source: a path, a URL, or the index of a webcam, also as a text: ``'0'``.
        fps: frames per second of a folder of images.
        max_pixels: largest frame, height times width, checked before it is decoded; by default
            Pillow's limit of about 179 million.

    Raises:
        VideoError: there is no such source, it has no frames, or they are too large.
        ConfigError: ``max_pixels`` is not an integer of 1 or more.
        DependencyError: PyAV is not installed.
    """
    limits = ImageLimits(max_pixels)
    if isinstance(source, str) and source.isdecimal() and len(source) <= len(str(_MAX_WEBCAM)):
        source = int(source)
    if type(source) is int and 0 <= source <= _MAX_WEBCAM:
        return Webcam(source, pixel_limit(limits))
    if not isinstance(source, (str, os.PathLike)):
        raise VideoError(
            "expected a video file, a folder of images, a URL or the index of a webcam, got "
            f"{shorten(source)}"
        )
    source = os.fsdecode(source)
    if "://" in source:
        return VideoFile(source, pixel_limit(limits))
    if os.path.isdir(source):  # also for a name that is too long, unlike Path.is_dir
        return FrameFolder(Path(source), fps, limits)
    if not os.path.isfile(source):
        raise VideoError(
            f"expected a video file, a folder of images, a URL or the index of a webcam, and there "
            f"is no file {shorten(source)}"
        )
    return VideoFile(source, pixel_limit(limits))


def pixel_limit(limits: ImageLimits) -> int:
    """Return the largest number of pixels of a frame."""
    return limits.max_pixels or 2 * (Image.MAX_IMAGE_PIXELS or 1 << 30)


class FrameFolder:
    """A folder of images, in the order of their names; those that cannot be read are counted.

    Args:
        path: of the folder.
        fps: frames per second.
        limits: of each image.

    Raises:
        VideoError: the folder has no images.
    """

    is_live = False

    def __init__(self, path: Path, fps: float, limits: ImageLimits) -> None:
        self.name = str(path)
        self.fps: float | None = fps
        self._rate = fps
        self._limits = limits
        self._paths = sorted(each for each in path.iterdir() if is_image_file(each))
        if not self._paths:
            raise VideoError(f"expected a folder of images, and {shorten(self.name)} has none")
        self.count: int | None = len(self._paths)
        self.num_broken = 0

    def read(self, first: int = 0, start: float = 0.0) -> Iterator[Frame]:
        """Yield frames; the index of an image is its place in the folder.

        Images before ``first`` and ``start`` are read, too, so that the broken ones are counted.
        """
        for index, path in enumerate(self._paths):
            try:
                image = open_image(path, limits=self._limits)
            except ImageReadError:
                self.num_broken += 1
                continue
            seconds = round(index / self._rate, 6)
            if index >= first and seconds >= start:
                yield Frame(index, seconds, image)
        if self.num_broken == len(self._paths):
            raise VideoError(f"none of the {self.num_broken} images of {self.name} can be read")


class Webcam:
    """A webcam; the time of a frame is that when it is read.

    Args:
        index: 0 for the first webcam.
        max_pixels: largest frame.

    Raises:
        VideoError: it cannot be opened.
    """

    is_live = True

    def __init__(self, index: int, max_pixels: int) -> None:
        import cv2  # comes with mmengine; reads the webcams of all systems

        self.name = f"webcam {index}"
        self._capture = cv2.VideoCapture(index)
        if not self._capture.isOpened():
            raise VideoError(f"{self.name} cannot be opened: expected the index of one, 0 first")
        width, height = (
            int(self._capture.get(key))
            for key in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT)
        )
        if width * height > max_pixels:
            raise VideoError(
                f"{self.name} has {width} x {height} pixels and max_pixels is {max_pixels:,}"
            )
        self.fps: float | None = self._capture.get(cv2.CAP_PROP_FPS) or None
        self.count: int | None = None
        self.num_broken = 0

    def read(self, first: int = 0, start: float = 0.0) -> Iterator[Frame]:
        """Yield frames until the webcam stops."""
        began = time.monotonic()
        index = failed = 0
        try:
            while failed < _MAX_FAILED_READS:
                good, image = self._capture.read()
                if not good:
                    failed += 1
                    self.num_broken += 1
                    continue
                failed = 0
                seconds = time.monotonic() - began
                if index >= first and seconds >= start:
                    yield Frame(index, seconds, np.asarray(image))
                index += 1
        finally:
            self._capture.release()
