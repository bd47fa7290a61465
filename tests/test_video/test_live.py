"""Live sources: frames that come too fast are dropped, oldest first, and counted."""

from __future__ import annotations

import socket
import threading
import time

import numpy as np
import pytest

from glip.apis import stream
from glip.utils.errors import VideoError
from glip.video.frame import Frame
from glip.video.frames import open_source
from glip.video.live import NewestFrames

COUNT = 40


def frames(count, gate=None):
    for index in range(count):
        if gate is not None and index:
            gate.wait(20)
        yield Frame(index, index / 25, np.zeros((2, 2, 3), np.uint8))


def wait_until(condition):
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.parametrize(("capacity", "indices"), [(1, [0, 9]), (3, [0, 7, 8, 9])])
def test_the_newest_frames_are_taken(capacity, indices):
    gate = threading.Event()
    with NewestFrames(frames(10, gate), capacity) as newest:
        taken = [next(iter(newest)).index]  # the model runs ...
        gate.set()
        wait_until(lambda: newest.num_read == 10)
        taken += [frame.index for frame in newest]
    assert taken == indices
    assert newest.num_dropped == 10 - len(indices)


def test_nothing_is_dropped_in_time():
    with NewestFrames(frames(10), 10) as newest:
        assert [frame.index for frame in newest] == list(range(10))
    assert newest.num_dropped == 0


def test_an_error_comes_after_the_frames():
    def failing():
        yield from frames(1)
        raise VideoError("lost")

    with NewestFrames(failing()) as newest:
        iterator = iter(newest)
        assert next(iterator).index == 0
        with pytest.raises(VideoError, match="lost"):
            next(iterator)


def test_the_source_is_closed_with_the_iteration():
    closed = threading.Event()

    def endless():
        try:
            while True:
                yield from frames(1)
        finally:
            closed.set()

    with NewestFrames(endless()) as newest:
        next(iter(newest))
    assert closed.wait(20)


@pytest.fixture
def server(tmp_path):
    """Serve 40 frames, a brighter one each, as MPEG-TS over TCP; return the URL."""
    av = pytest.importorskip("av")
    with av.open(str(tmp_path / "a.ts"), "w") as output:
        video = output.add_stream("libx264", rate=25)
        video.width, video.height, video.pix_fmt = 96, 64, "yuv420p"
        for number in range(COUNT):
            image = np.full((64, 96, 3), 5 * number, np.uint8)
            output.mux(video.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        output.mux(video.encode(None))
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        connection, _ = listener.accept()
        with connection:
            connection.sendall((tmp_path / "a.ts").read_bytes())

    threading.Thread(target=serve, daemon=True).start()
    yield f"tcp://127.0.0.1:{listener.getsockname()[1]}"
    listener.close()


def test_a_stream_over_the_network(server):
    source = open_source(server)
    assert source.is_live
    with NewestFrames(source.read()) as newest:
        first = next(iter(newest))
        wait_until(lambda: newest._has_ended)
        (last,) = newest
    assert newest.num_read == COUNT
    assert last.index == COUNT - 1
    assert first.index < last.index
    assert newest.num_dropped == COUNT - 2
    assert abs(int(last.image.mean()) - 5 * (COUNT - 1)) < 8


def test_stream_takes_the_newest(server, nano, monkeypatch):
    source = open_source(server)
    monkeypatch.setattr("glip.apis.streaming.open_source", lambda *args, **kwargs: source)
    found = [index for index, *_ in stream(server, "red star .", model=nano)]
    assert found == sorted(set(found))
    assert found[-1] == COUNT - 1
