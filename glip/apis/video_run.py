"""Detect in a video and write the frames with their detections drawn, and JSON lines; resumable."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from itertools import chain, islice, takewhile
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from glip.apis.pipelines import find_test_pipeline
from glip.apis.streaming import FrameDetections, StreamOptions, VideoDetector, cut
from glip.engine.digests import text_digest, weights_digest
from glip.structures.export import class_lists
from glip.utils.atomic_write import make_folder
from glip.utils.errors import VideoError
from glip.utils.image_files import is_image_file
from glip.version import __version__
from glip.video.encoding import AudioSource, SegmentWriter
from glip.video.frame import Frame
from glip.video.frames import FrameFolder, FrameSource
from glip.video.live import NewestFrames
from glip.video.parts import Part, PartsFolder, VideoOutputs
from glip.video.tracking import ObjectTracker, rounded
from glip.visualization import DetLocalVisualizer, DrawStyle

#: Frames of a part, at least: what a kill can lose.
_FRAMES_PER_PART = 100
#: Frames per second of a source that does not say.
_DEFAULT_FPS = 25.0


@dataclass(frozen=True)
class VideoRun:
    """What to write of a video, and how.

    Attributes:
        source: the frames.
        detector: detects in them.
        options: how.
        outputs: the files to write.
        start: begin at this time, in seconds.
        end: stop before this time, in seconds; ``None`` for the end of the source.
        style: how frames are drawn.
        show_progress: show a progress bar with the time left.
        frames_per_part: frames of a part, at least.
    """

    source: FrameSource
    detector: VideoDetector
    options: StreamOptions
    outputs: VideoOutputs
    start: float = 0.0
    end: float | None = None
    style: DrawStyle = field(default_factory=DrawStyle)
    show_progress: bool = True
    frames_per_part: int = _FRAMES_PER_PART


@dataclass
class VideoSummary:
    """What was found.

    Attributes:
        num_frames: number of frames, also those of a run before.
        num_resumed: number of frames of a run before.
        num_broken: frames that could not be decoded, or were decoded with errors.
        num_dropped: frames of a live source that came too fast for the model.
        objects: with tracking the number of objects of each name.
        frames: number of frames that each name was found in.
    """

    num_frames: int = 0
    num_resumed: int = 0
    num_broken: int = 0
    num_dropped: int = 0
    objects: dict[str, int] | None = None
    frames: Counter[str] = field(default_factory=Counter)

    def add(self, record: dict[str, Any]) -> None:
        """Count a frame's record."""
        self.num_frames += 1
        self.frames.update(set(record["label_names"]))


def run_video(run: VideoRun) -> VideoSummary:
    """Detect in a video, and write the outputs.

    A run that was killed resumes with the same call: what it writes is equal to what an
    uninterrupted run writes. A live source is recorded until it ends or until Ctrl-C.

    Raises:
        VideoError: the source has no frames, an output exists, or the parts of another run.
        DependencyError: PyAV or trackers is not installed.
        StorageError: an output cannot be written.
    """
    source, options = run.source, run.options
    fps = source.fps or _DEFAULT_FPS
    tracker = ObjectTracker(fps / options.every, options.max_lost) if options.has_ids else None
    make_folder(run.outputs.folder().parent)
    parts = PartsFolder(run.outputs, _settings(run), is_live=source.is_live)
    summary = VideoSummary()
    for record in parts.records():
        summary.add(record)
        if tracker is not None and record["keyframe"]:
            tracker.update(record["bboxes"], record["scores"], record["labels"])
    summary.num_resumed = summary.num_frames
    first = parts.done[-1].last + 1 if parts.done else 0
    # Batches never cross parts, so that a resumed run makes the same batches.
    unit = options.every * options.batch_size
    per_part = -(-run.frames_per_part // unit) * unit
    with ExitStack() as stack:
        frames = source.read(first, run.start)
        newest = None
        if source.is_live:
            newest = stack.enter_context(NewestFrames(frames, unit))
            frames = stack.enter_context(_until_interrupt(iter(newest)))
        frames = cut(frames, run.end)
        progress = stack.enter_context(_progress(run, summary))
        results = run.detector.detect(frames, options, fps, tracker)
        for result in results:
            _write_part(
                run, parts, chain([result], islice(results, per_part - 1)), summary, progress
            )
    if not parts.done:
        parts.discard()
        raise VideoError(
            f"{source.name} has no frames from {run.start:g} seconds on"
            + ("" if run.end is None else f" to {run.end:g} seconds")
        )
    has_audio = not source.is_live and not isinstance(source, FrameFolder)
    parts.finish(AudioSource(source.name, run.start, run.end) if has_audio else None)
    summary.num_broken = source.num_broken
    summary.num_dropped = newest.num_dropped if newest is not None else 0
    if tracker is not None:
        names = run.detector.names
        summary.objects = {}
        for label, count in sorted(tracker.counts.items()):
            summary.objects[names[label]] = summary.objects.get(names[label], 0) + count
    return summary


def _write_part(
    run: VideoRun,
    parts: PartsFolder,
    results: Iterable[FrameDetections],
    summary: VideoSummary,
    progress: tqdm,
) -> None:
    """Write the frames of a part, at least one."""
    lines: list[str] = []
    begin = 0.0
    size = parts.done[0].size if parts.done else None
    last = 0
    visualizer = DetLocalVisualizer(**asdict(run.style))
    with ExitStack() as stack:
        writer = None
        for result in results:
            frame = result.frame
            if size is None:
                size = frame.image.shape[1], frame.image.shape[0]
            record = to_record(result)
            summary.add(record)
            if not lines:
                begin = frame.seconds - run.start
            if run.outputs.video is not None:
                if writer is None:
                    fps = run.source.fps or _DEFAULT_FPS
                    writer = stack.enter_context(SegmentWriter(parts.video_file, size, fps))
                writer.write(draw(visualizer, result), frame.seconds)
            lines.append(json.dumps(record, ensure_ascii=False))
            last = frame.index
            progress.update()
    assert size is not None
    parts.add(Part(len(lines), last, begin, size), lines)


def to_record(result: FrameDetections) -> dict[str, Any]:
    """Return a frame's detections as JSON-ready values.

    Returns:
        ``frame``, ``seconds``, ``keyframe``, and the lists ``labels``, ``label_names``, ``scores``
        (rounded to 4 decimals), ``bboxes`` (xyxy, rounded to hundredths of a pixel), with tracking
        ``ids`` (``None`` for a detection without one), and those of
        :func:`glip.structures.export.class_lists`.
    """
    found = result.sample.pred_instances
    boxes, scores, labels = rounded(found)
    record: dict[str, Any] = {
        "frame": result.frame.index,
        "seconds": result.frame.seconds,
        "keyframe": result.is_keyframe,
        "labels": labels,
        "label_names": list(found.label_names),
        "scores": scores,
        "bboxes": boxes,
    }
    if "track_ids" in found:
        record["ids"] = [each if each >= 0 else None for each in found.track_ids.tolist()]
    return {**record, **class_lists(result.sample)}


def draw(visualizer: DetLocalVisualizer, result: FrameDetections) -> np.ndarray:
    """Return a frame with its detections drawn, RGB (H, W, 3); ids follow the names."""
    sample = result.sample.new()
    found = sample.pred_instances = sample.pred_instances.new()
    if "track_ids" in found:
        ids = found.track_ids.tolist()
        found.label_names = [
            f"{name} #{each}" if each >= 0 else name
            for name, each in zip(found.label_names, ids, strict=True)
        ]
    image = np.ascontiguousarray(result.frame.image[..., ::-1])
    return visualizer.draw_datasample(image, sample, draw_gt=False, pred_score_thr=0.0)


def _settings(run: VideoRun) -> dict[str, Any]:
    """Return what the output depends on."""
    detector, options = run.detector, run.options
    cfg = detector.model.cfg
    return {
        "version": __version__,
        "source": _identity(run.source),
        "fps": run.source.fps,
        "start": run.start,
        "end": run.end,
        "prompt": text_digest(repr(detector.prompt)),
        "names": detector.names,
        "classes": detector.classes_digest,
        "weights": weights_digest(detector.model),
        "config": text_digest(f"{cfg.model}\n{find_test_pipeline(cfg)}"),
        "score-thr": detector.score_thr,
        "every": options.every,
        "batch-size": options.batch_size,
        "track": options.track,
        "max-lost": options.max_lost,
        "style": asdict(run.style),
        "frames per part": run.frames_per_part,
        "outputs": [run.outputs.video is not None, run.outputs.json is not None],
    }


def _identity(source: FrameSource) -> list[Any]:
    """Return the name of a source, and sizes and times of its files."""
    path = Path(source.name)
    if "://" in source.name or source.is_live:
        return [source.name]
    # An output in the folder of the images is none of them.
    files = sorted(filter(is_image_file, path.iterdir())) if path.is_dir() else [path]
    states = [(each.name, each.stat().st_size, each.stat().st_mtime_ns) for each in files]
    return [os.path.realpath(path), text_digest(repr(states))]


def _progress(run: VideoRun, summary: VideoSummary) -> tqdm:
    total = run.source.count
    if total is not None and run.source.fps:
        end = total if run.end is None else min(total, round(run.end * run.source.fps))
        total = max(end - round(run.start * run.source.fps), summary.num_frames)
    return tqdm(
        total=total,
        initial=summary.num_frames,
        desc="Detecting",
        unit="frame",
        disable=not run.show_progress,
    )


@contextmanager
def _until_interrupt(frames: Iterator[Frame]) -> Iterator[Iterator[Frame]]:
    """Give frames that end at the first Ctrl-C, so that what was recorded is written."""
    if threading.current_thread() is not threading.main_thread():
        yield frames
        return
    stopped = threading.Event()
    before = signal.signal(signal.SIGINT, lambda *_: stopped.set())
    try:
        yield takewhile(lambda _: not stopped.is_set(), frames)
    finally:
        signal.signal(signal.SIGINT, before)
