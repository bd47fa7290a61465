"""A generated video of moving shapes, made once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from glip.apis import init_detector
from glip.models import GLIP
from glip.testing.shapes import load_backgrounds
from glip.testing.shapes.motion import MovingFrame, moving_shapes
from glip.weights import SMALL_MODEL

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Clip:
    """A video file, its painted frames, and the class names of its objects."""

    path: Path
    frames: list[MovingFrame]

    @property
    def names(self) -> list[str]:
        return sorted({name for _, name in self.frames[0].objects.values()})


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Clip:
    """41 frames of 192 x 128 pixels at 25 frames per second, with two seconds of AAC audio."""
    background = load_backgrounds(ROOT / "demo" / "backgrounds")[0]
    pairs = [("red", "star"), ("blue", "circle"), ("green", "square"), ("yellow", "heart")]
    frames = list(
        moving_shapes(
            41, background, seed=36, size=(192, 128), num_objects=3, speed=1.5, pairs=pairs
        )
    )
    path = tmp_path_factory.mktemp("video") / "clip: 1.mp4"  # a colon is no protocol
    write_clip(path, [each.image for each in frames], [at / 25 for at in range(41)], audio="aac")
    return Clip(path, frames)


@pytest.fixture(scope="session")
def nano() -> GLIP:
    """The shipped small model on the CPU; not to be changed."""
    return init_detector(weights=SMALL_MODEL, device="cpu")


def write_clip(
    path: Path,
    images: list[np.ndarray],
    seconds: list[float],
    *,
    audio: str | None = None,
    rotation: int = 0,
) -> None:
    """Write a video with PyAV alone, with B-frames, and a tone of two seconds."""
    av = pytest.importorskip("av")
    from fractions import Fraction

    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=25, options={"crf": "12"})
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        if rotation:
            stream.set_display_rotation(rotation)
        sound = None
        if audio:
            sound = output.add_stream(audio, rate=48000)
            sound.layout = "mono"
        for image, at in zip(images, seconds, strict=True):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = round(at * 1000), Fraction(1, 1000)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
        if sound is not None:
            tone = (0.3 * np.sin(np.arange(96000) * 2 * np.pi * 440 / 48000)).astype(np.float32)
            frame = av.AudioFrame.from_ndarray(tone[None], format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 48000, 0
            output.mux(sound.encode(frame))
            output.mux(sound.encode(None))
