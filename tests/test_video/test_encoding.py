"""H.264 files from segments: times, pixels, size, and the audio of the source."""

from __future__ import annotations

import numpy as np
import pytest

from glip.utils.errors import StorageError
from glip.video.encoding import AudioSource, Segment, SegmentWriter, join_segments
from glip.video.frames import open_source
from tests.test_video.conftest import write_clip

av = pytest.importorskip("av")


def write(path, images, seconds, size):
    with SegmentWriter(path, size, 25) as writer:
        for image, at in zip(images, seconds, strict=True):
            writer.write(image, at)
    return Segment(path, seconds[0])


def read_audio(path):
    with av.open(str(path)) as container:
        frames = list(container.decode(audio=0))
        name = container.streams.audio[0].codec_context.name
    return name, frames[0].time, np.concatenate([each.to_ndarray()[0] for each in frames])


def test_segments_with_variable_rate_and_audio(clip, tmp_path):
    images = [each.image for each in clip.frames]
    seconds = [0, 0.04, 0.05, 0.3, 0.5, 0.9, *(1 + at / 50 for at in range(35))]
    parts = [slice(0, 4), slice(4, 20), slice(20, 41)]
    segments = [
        write(tmp_path / f"{number}.mp4", images[part], seconds[part], (192, 128))
        for number, part in enumerate(parts)
    ]
    join_segments(tmp_path / "out.mp4", segments, AudioSource(str(clip.path)))
    frames = list(open_source(tmp_path / "out.mp4").read())
    np.testing.assert_allclose([each.seconds for each in frames], seconds, atol=1e-4)
    for frame, image in zip(frames, images, strict=True):
        assert np.abs(frame.image[..., ::-1].astype(int) - image).mean() < 8
    with av.open(str(tmp_path / "out.mp4")) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
    name, first, samples = read_audio(tmp_path / "out.mp4")
    _, first_before, before = read_audio(clip.path)
    assert name == "aac"
    assert first == pytest.approx(first_before, abs=0.03)
    np.testing.assert_array_equal(samples, before)  # copied, not encoded again
    # The index is at the front, so that browsers start before all is there.
    content = (tmp_path / "out.mp4").read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")
    assert sorted(each.name for each in tmp_path.iterdir()) == [
        "0.mp4",
        "1.mp4",
        "2.mp4",
        "out.mp4",
    ]


@pytest.mark.parametrize("codec", ["aac", "pcm_s16le"])
def test_part_of_the_audio(tmp_path, codec):
    """PCM, which MP4 does not hold in browsers, becomes AAC; a part starts at its own time."""
    image = np.zeros((48, 64, 3), np.uint8)
    write_clip(tmp_path / "in.mov", [image] * 2, [0, 1.9], audio=codec)
    segment = write(tmp_path / "0.mp4", [image] * 2, [0, 0.9], (64, 48))
    source = AudioSource(str(tmp_path / "in.mov"), 0.5, 1.5)
    join_segments(tmp_path / "out.mp4", [segment], source)
    name, first, samples = read_audio(tmp_path / "out.mp4")
    assert name == "aac"
    assert first == pytest.approx(0, abs=0.05)
    assert len(samples) / 48000 == pytest.approx(1, abs=0.1)
    middle = samples[12000:36000]
    frequency = np.abs(np.fft.rfft(middle)).argmax() * 48000 / len(middle)
    assert frequency == pytest.approx(440, abs=3)


def test_odd_and_changing_sizes(tmp_path):
    """H.264 in yuv420p has even sides: odd ones get a pixel more; other sizes are scaled."""
    images = [np.full((31, 45, 3), 200, np.uint8), np.full((62, 90, 3), 100, np.uint8)]
    segment = write(tmp_path / "0.mp4", images, [0, 0.04], (45, 31))
    join_segments(tmp_path / "out.mp4", [segment], None)
    frames = [each.image for each in open_source(tmp_path / "out.mp4").read()]
    assert [each.shape for each in frames] == [(32, 46, 3)] * 2
    assert [round(float(each.mean()), -1) for each in frames] == [200, 100]


def test_an_error_leaves_no_file(tmp_path):
    image = np.zeros((48, 64, 3), np.uint8)

    def fail():
        with SegmentWriter(tmp_path / "0.mp4", (64, 48), 25) as writer:
            writer.write(image, 0)
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(StorageError, match="does not exist"):
        write(tmp_path / "missing" / "0.mp4", [image], [0], (64, 48))
