"""Detect in the frames of a video, one after the other.

Shapes: K detections.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import repeat, takewhile
from pathlib import Path

import torch
from mmengine.config import Config

from glip.apis.build import make_detector
from glip.apis.class_detection import Classes, ClassPrompt, with_class_limit
from glip.apis.inference import check_prompts, detect_batch, prepare
from glip.apis.pipelines import make_pipeline
from glip.apis.prompting import Texts, prompt_for_all
from glip.apis.results import default_score_thr
from glip.models import GLIP, TextFeatureCache
from glip.structures import DetDataSample
from glip.utils.errors import ConfigError, PromptError
from glip.utils.image_files import ImageLimits
from glip.utils.options import check_bool, check_int, check_number
from glip.video.frame import Frame
from glip.video.frames import Source, open_source
from glip.video.live import NewestFrames
from glip.video.tracking import ObjectTracker, Track, interpolate, rounded


def stream(
    source: Source,
    prompt: Texts | None = None,
    *,
    model: str | Path | Config | GLIP | None = None,
    weights: str | Path | None = None,
    device: str | torch.device | None = None,
    classes: Classes | None = None,
    score_thr: float | None = None,
    every: int = 1,
    track: bool = False,
    batch_size: int = 1,
    max_lost: float = 1.0,
    start: float = 0.0,
    end: float | None = None,
    fps: float = 25.0,
    max_pixels: int | None = None,
) -> Iterator[tuple[int, float, DetDataSample]]:
    """Detect in the frames of a video; the memory does not grow with its length.

    The prompt is encoded once. At most ``batch_size * every`` frames are held at once, and as many
    of a live source wait; it drops older ones, which leaves gaps in the indices. The arguments are
    checked before the first frame is read.

    Example:
        >>> for index, seconds, sample in stream(  # doctest: +SKIP
        ...     "street.mp4", "car . person .", weights="glip_tiny_a", every=5
        ... ):
        ...     print(seconds, sample.pred_instances.track_ids)

    Args:
        source: a video file, a folder of images, an RTSP or HTTP URL, or the index of a webcam.
        prompt: class names, a sentence or a :class:`glip.text.Prompt`; see
            :func:`glip.text.parse_prompt`.
        model: a detector of :func:`glip.apis.init_detector`, or a config as in
            :class:`~glip.apis.DetInferencer`.
        weights: a checkpoint: a file, a URL, or a name of published weights.
        device: where to run; by default the first CUDA device if there is one.
        classes: detect these classes instead of a prompt, as in :class:`~glip.apis.DetInferencer`.
        score_thr: yield the detections of this score or more; by default the config's
            ``default_score_thr``. With ``classes`` the threshold of those without one.
        every: detect in every so many frames, the keyframes, and in the last one, and track objects
            between them; needs the package trackers.
        track: give objects ids, also with ``every=1``; needs the package trackers.
        batch_size: keyframes that are detected at once.
        max_lost: seconds that an object keeps its id while it is not detected.
        start: begin at this time, in seconds.
        end: stop before this time, in seconds.
        fps: frames per second of a folder of images.
        max_pixels: largest frame, height times width; by default Pillow's limit of about 179
            million.

    Yields:
        The index of the frame in the source, its time in seconds, and a data sample.
        ``pred_instances`` has ``bboxes`` (K, 4), xyxy pixels of the frame, ``scores``, 0-based
        ``labels`` and ``label_names``, and with tracking ``track_ids`` (K,), from 1 on; -1 for a
        detection that no other keyframe supports. ``presence``, of a frame between keyframes, is
        that of the one before.

    Raises:
        VideoError: there is no such source, or it has no frames, or they are too large.
        PromptError: there is no prompt, or it cannot be parsed or tokenized.
        ConfigError: an option is invalid.
        DependencyError: PyAV or trackers is not installed.
        ClassFileError: the classes are invalid, or their calibration is not of this model.
    """
    check_number("start", start, low=0)
    check_number("end", end, low=0, none=True)
    if end is not None and end <= start:
        raise ConfigError(f"expected end after start={start:g}, got {end:g}")
    check_number("fps", fps, positive=True)
    options = StreamOptions(every, batch_size, track, max_lost)
    frames = open_source(source, fps=fps, max_pixels=max_pixels)
    if classes is not None:
        detector = make_detector(model, weights, device, with_class_limit(None))
    else:
        detector = make_detector(model, weights, device, None)
    video = VideoDetector(detector, prompt, classes=classes, score_thr=score_thr)
    read = frames.read(start=start)
    if frames.is_live:
        read = _newest(read, options.every * options.batch_size)
    results = video.detect(cut(read, end), options, frames.fps or fps)
    return ((each.frame.index, each.frame.seconds, each.sample) for each in results)


def _newest(frames: Iterator[Frame], capacity: int) -> Iterator[Frame]:
    """Yield the newest frames of a live source, which a thread reads from the first one on."""
    with NewestFrames(frames, capacity) as newest:
        yield from newest


def cut(frames: Iterable[Frame], end: float | None) -> Iterator[Frame]:
    """Yield the frames before a time in seconds; ``None`` for all."""
    return takewhile(lambda frame: end is None or frame.seconds < end, frames)


@dataclass(frozen=True)
class StreamOptions:
    """How frames become detections; see :func:`stream`.

    Raises:
        ConfigError: a value is invalid.
    """

    every: int = 1
    batch_size: int = 1
    track: bool = False
    max_lost: float = 1.0

    def __post_init__(self) -> None:
        check_int("every", self.every, low=1)
        check_int("batch_size", self.batch_size, low=1)
        check_bool("track", self.track)
        check_number("max_lost", self.max_lost, low=0)

    @property
    def has_ids(self) -> bool:
        """Whether objects are tracked."""
        return self.track or self.every > 1


@dataclass(frozen=True, eq=False)
class FrameDetections:
    """A frame, its detections, and whether it is a keyframe."""

    frame: Frame
    sample: DetDataSample
    is_keyframe: bool


@dataclass(eq=False)
class _Keyframe:
    frame: Frame
    sample: DetDataSample
    tracks: list[Track]


class VideoDetector:
    """A model with a prompt, for frames.

    Args:
        model: the detector.
        prompt: see :func:`stream`.
        classes: see :func:`stream`.
        score_thr: see :func:`stream`.

    Raises:
        PromptError: there is no prompt, there is one besides the classes, or it cannot be parsed.
        ClassFileError: the classes are invalid, or their calibration is not of this model.
        ConfigError: ``score_thr`` is not a finite number.
    """

    def __init__(
        self,
        model: GLIP,
        prompt: Texts | None,
        *,
        classes: Classes | None = None,
        score_thr: float | None = None,
    ) -> None:
        check_number("score_thr", score_thr, none=True)
        self.model = model
        self.classes_digest = ""
        self._classes = None if classes is None else ClassPrompt(classes, model)
        if self._classes is not None:
            if prompt is not None:
                raise PromptError("expected a prompt or classes, got both")
            self.prompt = self._classes.prompt
            self.names = list(self._classes.classes.names)
            self.classes_digest = self._classes.classes.digest()
        else:
            self.prompt = prompt_for_all(prompt)
            self.names = list(self.prompt.names)
        if score_thr is None and self._classes is None:
            score_thr = default_score_thr(model.cfg)
        self.score_thr = score_thr
        self._text_cache = TextFeatureCache(model)
        check_prompts(self._text_cache, [self.prompt])
        # The frames of a source are within its own limits.
        limits = ImageLimits(max_pixels=10**12)
        self._pipeline = make_pipeline(model.cfg, from_array=True, limits=limits)

    def detect(
        self,
        frames: Iterable[Frame],
        options: StreamOptions,
        fps: float,
        tracker: ObjectTracker | None = None,
    ) -> Iterator[FrameDetections]:
        """Yield the frames with their detections.

        Args:
            frames: in the order of their time; the first one is a keyframe.
            options: how to detect.
            fps: frames per second, about.
            tracker: continue with its objects.

        Raises:
            DependencyError: trackers is not installed, and objects are to be tracked.
        """
        if options.has_ids and tracker is None:
            tracker = ObjectTracker(fps / options.every, options.max_lost)
        return self._detect(frames, options, tracker)

    def _detect(
        self, frames: Iterable[Frame], options: StreamOptions, tracker: ObjectTracker | None
    ) -> Iterator[FrameDetections]:
        last: _Keyframe | None = None  # its ids are known once the next keyframe is detected
        groups: list[tuple[list[Frame], Frame]] = []  # keyframes, and the frames before each
        between: list[Frame] = []
        # Without groups the end does not matter: the newest frame of a live source does.
        has_groups = options.every * options.batch_size > 1
        pairs = _with_end(frames) if has_groups else zip(frames, repeat(False), strict=False)
        for number, (frame, is_end) in enumerate(pairs):
            if number % options.every and not is_end:
                between.append(frame)
                continue
            groups.append((between, frame))
            between = []
            if len(groups) < options.batch_size and not is_end:
                continue
            keyframes = self._keyframes([key for _, key in groups], tracker)
            for (others, _), key in zip(groups, keyframes, strict=True):
                if last is not None and tracker is not None:
                    yield FrameDetections(last.frame, _with_ids(last.sample, last.tracks), True)
                    for other in others:
                        yield FrameDetections(other, _between(last, key, other), False)
                last = key
                if tracker is None:
                    yield FrameDetections(key.frame, key.sample, True)
            groups = []
        if last is not None and tracker is not None:
            yield FrameDetections(last.frame, _with_ids(last.sample, last.tracks), True)

    def _keyframes(
        self, frames: Sequence[Frame], tracker: ObjectTracker | None
    ) -> Iterator[_Keyframe]:
        """Detect in keyframes as one batch."""
        items = [prepare(frame.image, self.prompt, self._pipeline) for frame in frames]
        samples = detect_batch(items, self._text_cache)
        for frame, sample in zip(frames, samples, strict=True):
            if self._classes is not None:
                sample = self._classes.to_classes(sample, self.score_thr)
            elif self.score_thr is not None:
                sample = sample.filter(self.score_thr)
            sample.pred_instances = sample.pred_instances.cpu()
            tracks = [] if tracker is None else tracker.update(*rounded(sample.pred_instances))
            yield _Keyframe(frame, sample, tracks)


def _with_end(frames: Iterable[Frame]) -> Iterator[tuple[Frame, bool]]:
    """Yield each frame, and whether it is the last one."""
    iterator = iter(frames)
    frame = next(iterator, None)
    while frame is not None:
        following = next(iterator, None)
        yield frame, following is None
        frame = following


def _between(before: _Keyframe, after: _Keyframe, frame: Frame) -> DetDataSample:
    """Return the sample of a frame between two keyframes."""
    duration = after.frame.seconds - before.frame.seconds
    if duration > 0:
        share = (frame.seconds - before.frame.seconds) / duration
    else:  # a source without times
        share = (frame.index - before.frame.index) / (after.frame.index - before.frame.index)
    tracks = before.tracks, after.tracks
    return _with_ids(*interpolate(before.sample, after.sample, tracks, share))


def _with_ids(sample: DetDataSample, tracks: Sequence[Track]) -> DetDataSample:
    """Return a sample with the ids of its detections, -1 for those without."""
    ids = [-1 if track.id is None else track.id for track in tracks]
    whole = sample.new()
    whole.pred_instances = sample.pred_instances.new()
    whole.pred_instances.track_ids = torch.tensor(ids, dtype=torch.long)
    return whole
