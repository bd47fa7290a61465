"""What visitors may send: uploads only, and requests of bounded size."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from glip.utils.errors import ImageReadError
from glip.web.visit import Upload

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

#: Of a multipart body beside its file.
_OVERHEAD = 64 * 1024


def uploads_only(component: Any) -> Any:
    """Let an input of gradio take uploads only, and leave decoding to us; return it.

    Gradio also downloads from a URL that a client names in place of an upload, decodes ``data:``
    URLs, and opens images without a limit. The input gives an :class:`~glip.web.visit.Upload`.

    Args:
        component: a ``gradio.Image`` or ``gradio.File``. It is changed rather than derived from,
            because gradio writes a file of types beside the module of each derived class.
    """
    store = component.async_move_resource_to_block_cache

    async def store_upload(url_or_file_path: Any) -> str | None:
        check_local(url_or_file_path)
        return await store(url_or_file_path)

    component.async_move_resource_to_block_cache = store_upload
    component.preprocess = upload_or_refuse
    return component


def check_local(source: Any) -> None:
    """Check that a file that a client names is not a URL; gradio checks that it is an upload.

    Raises:
        gradio.Error: it is a URL.
    """
    if source is not None and "://" in str(source):
        import gradio

        raise gradio.Error("URLs are not read: upload the file", print_exception=False)


def upload_or_refuse(payload: Any) -> Upload | None:
    """Return the upload of gradio's ``FileData``, see :func:`to_upload`.

    Raises:
        gradio.Error: it is none; the server's log has no traceback of it.
    """
    try:
        return to_upload(payload)
    except ImageReadError as error:
        import gradio

        raise gradio.Error(str(error), print_exception=False) from None


def to_upload(payload: Any) -> Upload | None:
    """Return the upload of gradio's ``FileData``.

    Raises:
        ImageReadError: it is the content of a file, as a ``data:`` URL.
    """
    if payload is None:
        return None
    if payload.path is None or (payload.url or "").startswith("data:"):
        raise ImageReadError("expected an uploaded file, got its content: upload it")
    name = payload.orig_name or payload.path
    return Upload(payload.path, name.replace("\\", "/").rpartition("/")[2])


class BodyLimit:
    """ASGI middleware that ends requests with a body of more than ``max_bytes``, with code 413.

    Args:
        app: the application.
        max_bytes: largest file that is uploaded.
    """

    def __init__(self, app: Callable[..., Awaitable[None]], max_bytes: int) -> None:
        self.app = app
        self.max_bytes = max_bytes + _OVERHEAD

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        length = dict(scope["headers"]).get(b"content-length", b"")
        if length.isdigit() and int(length) > self.max_bytes:
            await _refuse(send)
            return
        received, started, refused = 0, False, False

        async def counted() -> Message:
            nonlocal received, refused
            message = await receive()
            received += len(message.get("body", b""))
            if received > self.max_bytes:  # of chunks, which come without a length
                refused = True
                return {"type": "http.disconnect"}
            return message

        async def noted(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self.app(scope, counted, noted)
        except Exception:
            if not refused or started:
                raise
        if refused and not started:
            await _refuse(send)


async def _refuse(send: Send) -> None:
    headers = [(b"content-type", b"text/plain"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": 413, "headers": headers})
    await send({"type": "http.response.body", "body": b"the request is too large"})
