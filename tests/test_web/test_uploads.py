"""Requests of visitors: their size, and what is no upload."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from glip.utils.errors import ImageReadError
from glip.web.uploads import BodyLimit, to_upload
from glip.web.visit import Upload


def send_request(chunks, headers=()) -> int:
    """Send a body through the limit of 1000 bytes; return the status."""
    statuses = []

    async def app(scope, receive, send):
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise RuntimeError("the client has gone")
            more = message["more_body"]
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    messages = iter(chunks)

    async def receive():
        body = next(messages)
        return {"type": "http.request", "body": body, "more_body": body != b""}

    async def send(message):
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    limit = BodyLimit(app, 1000)
    limit.max_bytes = 1000
    asyncio.run(limit({"type": "http", "headers": list(headers)}, receive, send))
    (status,) = statuses
    return status


@pytest.mark.parametrize(
    ("chunks", "headers", "status"),
    [
        ([b"a" * 1000, b""], [], 200),
        ([b"a" * 600, b"a" * 600, b""], [], 413),  # no length
        ([b""], [(b"content-length", b"1001")], 413),  # before anything is read
        ([b"a" * 600, b"a" * 600, b""], [(b"content-length", b"5")], 413),
    ],
)
def test_size_of_a_request(chunks, headers, status):
    assert send_request(chunks, headers) == status


def payload(**values):
    return SimpleNamespace(**{"path": None, "url": None, "orig_name": None, **values})


def test_names_of_uploads_have_no_folders():
    assert to_upload(None) is None
    assert to_upload(payload(path="/x/y.png")) == Upload("/x/y.png", "y.png")
    for name in ("../../a.png", "C:\\b\\a.png", "a.png"):
        assert to_upload(payload(path="/x/y.png", orig_name=name)) == Upload("/x/y.png", "a.png")


def test_content_in_place_of_an_upload_is_refused():
    with pytest.raises(ImageReadError, match="upload it"):
        to_upload(payload(url="data:image/png;base64,AAAA"))
