"""The parts of a run over a video, so that a killed run loses at most one of them.

Beside the output ``out.mp4`` the folder ``out.mp4.parts`` holds, for each part of the frames, a
video, its JSON lines, and a file that describes both, in this order: a part with its description is
complete. Each file is written atomically. When all parts are there they are joined, and the folder
is removed.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from glip.engine.digests import file_digest, text_digest
from glip.utils.atomic_write import atomic_open, atomic_write, make_folder
from glip.utils.errors import VideoError
from glip.utils.regular_files import file_problem
from glip.video.encoding import AudioSource, Segment, join_segments

_logger = logging.getLogger("glip")

_SETTINGS = "settings.json"


@dataclass(frozen=True)
class VideoOutputs:
    """The files to write, at least one.

    Attributes:
        video: an MP4 file with the detections drawn.
        json: a file of JSON lines, one for each frame.
        overwrite: replace existing files, and the parts of another run.
    """

    video: Path | None = None
    json: Path | None = None
    overwrite: bool = False

    def folder(self) -> Path:
        """Return the folder of the parts."""
        path = self.video or self.json
        assert path is not None
        return path.with_name(f"{path.name}.parts")


@dataclass(frozen=True)
class Part:
    """A part.

    Attributes:
        frames: number of its frames.
        last: index of its last frame in the source.
        seconds: time of its first frame in the output.
        size: width and height of the frames in pixels.
        digests: of its values and its files; set by :meth:`PartsFolder.add`.
    """

    frames: int
    last: int
    seconds: float
    size: tuple[int, int]
    digests: Mapping[str, str] = field(default_factory=dict)


class PartsFolder:
    """The finished parts of a run, and the place for the next one.

    Args:
        outputs: the files to write.
        settings: JSON values by name, on which the output depends.
        is_live: the source cannot be read again, so that nothing is resumed.

    Attributes:
        done: the finished parts; those from a damaged one on are not among them.

    Raises:
        VideoError: there are outputs already, or parts of another run.
        StorageError: the folder cannot be written.
    """

    def __init__(
        self, outputs: VideoOutputs, settings: Mapping[str, Any], *, is_live: bool
    ) -> None:
        self.outputs = outputs
        self.path = outputs.folder()
        self.done: list[Part] = []
        settings = json.loads(json.dumps(settings))
        if outputs.overwrite and not self._belongs_to(settings, is_live):
            shutil.rmtree(self.path, ignore_errors=True)
        if self.path.exists():
            self._check(settings, is_live)
            self._read()
        else:
            for path in (outputs.video, outputs.json):
                if path is not None and path.exists() and not outputs.overwrite:
                    raise VideoError(f"{path} exists: expected another name, or --overwrite")
            make_folder(self.path)
            atomic_write(self.path / _SETTINGS, json.dumps(settings, indent=1).encode())

    def _belongs_to(self, settings: Mapping[str, Any], is_live: bool) -> bool:
        return not is_live and self._settings() == settings

    def _settings(self) -> Any:
        path = self.path / _SETTINGS
        try:
            return None if file_problem(path) else json.loads(path.read_bytes())
        except (OSError, ValueError, RecursionError):
            return None

    def _check(self, settings: Mapping[str, Any], is_live: bool) -> None:
        advice = "expected another name for the output, or --overwrite to discard them"
        if is_live:
            raise VideoError(f"{self.path} has the parts of a recording that was killed: {advice}")
        stored = self._settings()
        if not isinstance(stored, dict):
            raise VideoError(
                f"{self.path} has no {_SETTINGS} that can be read, so it is unknown which run its "
                f"parts are of: {advice}"
            )
        names = [name for name in settings if stored.get(name) != settings[name]]
        if names:
            raise VideoError(
                f"{self.path} has the parts of a run with other settings ({', '.join(names)}): "
                f"{advice}"
            )

    def _read(self) -> None:
        """Find the finished parts, up to the first that is damaged."""
        while (path := self._file("part.json")).exists():
            try:
                self.done.append(self._read_part(path))
            except (ValueError, TypeError, KeyError, AttributeError, RecursionError, OSError):
                _logger.warning("%s is damaged: this part and those after it are made again", path)
                return

    def _read_part(self, path: Path) -> Part:
        """Read the next part, and compare it with its digests.

        Raises:
            Exception: it is damaged.
        """
        if file_problem(path):
            raise ValueError("it is no file")
        values = json.loads(path.read_bytes())
        part = Part(**{**values, "size": tuple(values["size"])})
        if part != self._with_digests(part):
            raise ValueError("it was changed")
        return part

    def _with_digests(self, part: Part) -> Part:
        """Return the next part with the digests of its values and of its files."""
        values = [part.frames, part.last, part.seconds, part.size]
        digests = {"values": text_digest(json.dumps(values))}
        for kind in ("jsonl", "mp4") if self.outputs.video is not None else ("jsonl",):
            path = self._file(kind)
            if file_problem(path):
                raise ValueError(f"{path} is no file")
            digests[kind] = file_digest(path)
        return replace(part, digests=digests)

    def _file(self, kind: str, number: int | None = None) -> Path:
        """Return a file of a part, by default of the next one."""
        return self.path / f"{len(self.done) if number is None else number:06d}.{kind}"

    @property
    def video_file(self) -> Path:
        """The video of the next part."""
        return self._file("mp4")

    def add(self, part: Part, lines: Sequence[str]) -> None:
        """Finish a part, whose video is written.

        Raises:
            StorageError: a file cannot be written.
        """
        atomic_write(self._file("jsonl"), "".join(f"{line}\n" for line in lines).encode())
        part = self._with_digests(part)
        atomic_write(self._file("part.json"), json.dumps(asdict(part)).encode())
        self.done.append(part)

    def records(self) -> Iterator[dict[str, Any]]:
        """Yield the JSON records of all finished parts."""
        for number in range(len(self.done)):
            with open(self._file("jsonl", number), encoding="utf-8") as lines:
                yield from map(json.loads, lines)

    def finish(self, audio: AudioSource | None) -> None:
        """Write the outputs from all parts, and remove the parts.

        Raises:
            StorageError: an output cannot be written.
            VideoError: a part cannot be read.
        """
        if self.outputs.video is not None:
            segments = [
                Segment(self._file("mp4", number), part.seconds)
                for number, part in enumerate(self.done)
            ]
            join_segments(self.outputs.video, segments, audio)
        if self.outputs.json is not None:
            with atomic_open(self.outputs.json) as file:
                for number in range(len(self.done)):
                    with open(self._file("jsonl", number), "rb") as lines:
                        shutil.copyfileobj(lines, file)
        self.discard()

    def discard(self) -> None:
        """Remove the folder; a kill in between leaves no half of it under its name."""
        removed = self.path.with_name(f".{self.path.name}.{uuid.uuid4().hex}")
        os.replace(self.path, removed)
        shutil.rmtree(removed, ignore_errors=True)
