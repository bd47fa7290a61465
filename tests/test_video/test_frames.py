"""Frames of files and folders: their times, their rotation, and what is wrong with them."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from glip.utils.errors import VideoError
from glip.video.decoding import VideoFile
from glip.video.frames import open_source
from tests.test_video.conftest import write_clip

av = pytest.importorskip("av")


def corners() -> np.ndarray:
    """An image of 64 x 48 pixels whose four quarters have different greys."""
    return (
        np.kron(np.array([[20, 90], [160, 230]]), np.ones((24, 32)))[..., None]
        .repeat(3, 2)
        .astype(np.uint8)
    )


def quarters(image: np.ndarray) -> list[int]:
    height, width = image.shape[:2]
    at = [(height // 4, width // 4), (height // 4, 3 * width // 4)]
    at += [(3 * height // 4, width // 4), (3 * height // 4, 3 * width // 4)]
    return [round(float(image[y, x].mean()), -1) for y, x in at]


def test_file(clip):
    source = open_source(clip.path)
    assert (source.fps, source.count, source.is_live) == (25.0, 41, False)
    frames = list(source.read())
    assert [each.index for each in frames] == list(range(41))
    np.testing.assert_allclose([each.seconds for each in frames], np.arange(41) / 25, atol=1e-5)
    for frame, painted in zip(frames, clip.frames, strict=True):
        assert np.abs(frame.image[..., ::-1].astype(int) - painted.image).mean() < 6
    assert source.num_broken == 0


def test_part_of_a_file(clip):
    whole = list(open_source(clip.path).read())
    part = list(open_source(clip.path).read(first=10, start=0.5))
    assert [each.index for each in part] == list(range(13, 41))  # 0.5 seconds are frame 12.5
    assert all((one.image == two.image).all() for one, two in zip(part, whole[13:], strict=True))


@pytest.mark.parametrize("extension", ["mp4", "mkv", "ts", "avi"])
@pytest.mark.parametrize("options", [{}, {"bf": "0"}, {"flags": "-cgop"}])
def test_a_start_is_sought(tmp_path, monkeypatch, extension, options):
    """The same frames as from the beginning, without decoding them all."""
    if extension == "avi" and options != {"bf": "0"}:
        pytest.skip("AVI stores no times, so that B-frames are out of order")
    path = tmp_path / f"a.{extension}"
    write_gops(path, options)
    whole = list(open_source(path).read())
    assert len(whole) == 60
    decoded = []
    original = VideoFile._decode

    def spy(self, container):
        for frame in original(self, container):
            decoded.append(frame)
            yield frame

    monkeypatch.setattr(VideoFile, "_decode", spy)
    for start in (0.2, 1.0, 1.2, 1.63, 2.36):
        expected = [each for each in whole if each.seconds >= start]
        decoded.clear()
        source = open_source(path)
        part = list(source.read(start=start))
        assert [(each.index, each.seconds) for each in part] == [
            (each.index, each.seconds) for each in expected
        ]
        assert all((a.image == b.image).all() for a, b in zip(part, expected, strict=True))
        assert source.num_broken == 0
        if extension in ("mp4", "mkv"):  # the others have no index
            assert len(decoded) < len(part) + 13
    # a resumed run counts on from there
    part = list(open_source(path).read(first=50, start=1.2))
    assert [each.index for each in part] == list(range(50, 60))
    assert not list(open_source(path).read(start=100.0))


def write_gops(path, options):
    """Write 60 frames of 64 x 48 pixels that all differ, with a keyframe every 12 frames."""
    rng = np.random.default_rng(0)
    images = np.clip(corners() + np.cumsum(rng.normal(0, 9, (60, 48, 64, 3)), 0), 0, 255)
    with av.open(str(path), "w") as output:
        stream = output.add_stream("mpeg4" if path.suffix == ".avi" else "libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.gop_size = 12
        stream.options = options
        for image in images.astype(np.uint8):
            output.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        output.mux(stream.encode(None))


def test_broken_frames_before_the_start_have_an_index(tmp_path):
    path = tmp_path / "a.mp4"
    write_gops(path, {})
    content = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        packets = [(each.pos, each.size) for each in container.demux(video=0) if each.size]
    position, size = packets[14]
    content[position + 4 : position + size] = bytes(size - 4)
    path.write_bytes(content)
    part = list(open_source(path).read(start=1.6))
    assert [each.index for each in part] == list(range(40, 60))


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_rotation(tmp_path, rotation):
    """Phones store landscape frames and the rotation that turns them upright."""
    write_clip(tmp_path / "a.mp4", [corners()] * 3, [0, 0.1, 0.2], rotation=rotation)
    frame = next(open_source(tmp_path / "a.mp4").read())
    expected = np.rot90(corners(), rotation // 90)
    assert frame.image.shape == expected.shape
    assert quarters(frame.image) == quarters(expected)


def test_variable_frame_rate(tmp_path):
    seconds = [0, 0.04, 0.5, 0.51, 2.0]
    write_clip(tmp_path / "a.mp4", [corners()] * 5, seconds)
    assert [each.seconds for each in open_source(tmp_path / "a.mp4").read()] == seconds


def test_broken_frames_are_counted(clip, tmp_path):
    content = bytearray(clip.path.read_bytes())
    with av.open(str(clip.path)) as container:
        packets = [(each.pos, each.size) for each in container.demux(video=0) if each.size]
    position, size = packets[20]
    content[position + 4 : position + size] = bytes(size - 4)
    (tmp_path / "a.mp4").write_bytes(content)
    source = open_source(tmp_path / "a.mp4")
    frames = list(source.read())
    assert source.num_broken >= 1
    assert len(frames) >= 20
    assert [each.index for each in frames] == list(range(len(frames)))


def test_truncated_file(clip, tmp_path):
    with av.open(str(clip.path)) as one, av.open(str(tmp_path / "a.mkv"), "w") as two:
        stream = two.add_stream_from_template(one.streams.video[0])
        for packet in one.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                two.mux(packet)
    content = (tmp_path / "a.mkv").read_bytes()
    (tmp_path / "a.mkv").write_bytes(content[: len(content) // 2])
    assert 5 < len(list(open_source(tmp_path / "a.mkv").read())) < 41


def test_folder(tmp_path):
    for number in range(4):
        Image.new("RGB", (40, 30), (number, 0, 0)).save(tmp_path / f"{number}.png")
    (tmp_path / "2.png").write_bytes(b"no image")
    (tmp_path / "notes.txt").write_text("no frame")
    source = open_source(tmp_path, fps=10)
    frames = list(source.read())
    assert [(each.index, each.seconds) for each in frames] == [(0, 0), (1, 0.1), (3, 0.3)]
    assert frames[2].image[0, 0].tolist() == [0, 0, 3]
    assert source.num_broken == 1


def audio_only(path):
    with av.open(str(path), "w") as output:
        sound = output.add_stream("aac", rate=48000)
        sound.layout = "mono"
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 4800), np.float32), "fltp", "mono")
        frame.sample_rate = 48000
        output.mux(sound.encode(frame))
        output.mux(sound.encode(None))


def test_errors(clip, tmp_path):
    with pytest.raises(VideoError, match="there is no file"):
        open_source(tmp_path / "missing.mp4")
    with pytest.raises(VideoError, match="has none"):
        open_source(tmp_path)
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(VideoError, match="cannot be opened as a video"):
        open_source(tmp_path / "text.mp4")
    audio_only(tmp_path / "sound.mp4")
    with pytest.raises(VideoError, match="no video stream"):
        open_source(tmp_path / "sound.mp4")
    with pytest.raises(VideoError, match="192 x 128 pixels and max_pixels is 1,000"):
        open_source(clip.path, max_pixels=1000)
    with pytest.raises(VideoError, match="webcam 99 cannot be opened"):
        open_source("99")


@pytest.mark.parametrize(
    "source", [None, -1, 100, 10**10, True, 1.0, b"a.mp4", ["a.mp4"], "9" * 5000, "1" * 3, ""]
)
def test_no_source(source, monkeypatch):
    """OpenCV crashes the process for some of them."""
    monkeypatch.setattr("cv2.VideoCapture", None)
    with pytest.raises(VideoError, match="expected a video file, a folder of images, a URL or the"):
        open_source(source)


def test_no_frames(tmp_path):
    """A container with a video stream whose packets are all lost."""
    write_clip(tmp_path / "a.mkv", [corners()] * 3, [0, 0.1, 0.2])
    with av.open(str(tmp_path / "a.mkv")) as container:
        first = min(each.pos for each in container.demux(video=0) if each.pos is not None)
    content = (tmp_path / "a.mkv").read_bytes()
    (tmp_path / "b.mkv").write_bytes(content[: first - 4])
    with pytest.raises(VideoError, match=r"no frames|cannot be opened"):
        list(open_source(tmp_path / "b.mkv").read())


def test_a_huge_declared_size_is_not_decoded(tmp_path):
    """The header of an uncompressed video states 15,000 x 15,000 pixels; there are none."""
    (tmp_path / "a.y4m").write_bytes(b"YUV4MPEG2 W15000 H15000 F25:1 C420jpeg\nFRAME\n")
    with pytest.raises(VideoError, match="15000 x 15000 pixels and max_pixels is 178,956,970"):
        open_source(tmp_path / "a.y4m")
