"""ASGI by hand, for the routes that go past the framework: a body with its bound, and an answer."""

from collections.abc import Iterable
from typing import Any

from litestar.types import Receive, Send

from pathfinder.model.errors import Malformed, TooMuch
from pathfinder.wire.messages import BODY_BYTES_MAX


async def read_body(receive: Receive, what: str) -> bytes:
    """The whole body; Malformed when the connection broke, TooMuch beyond the bound."""
    parts, length = [], 0
    while True:
        message: Any = await receive()
        if message["type"] != "http.request":
            raise Malformed("the connection broke before the message was complete")
        part = message.get("body", b"")
        length += len(part)
        if length > BODY_BYTES_MAX:
            raise TooMuch(f"{what} is larger than {BODY_BYTES_MAX >> 20} MiB")
        parts.append(part)
        if not message.get("more_body", False):
            return parts[0] if len(parts) == 1 else b"".join(parts)


async def send_answer(
    send: Send, status: int, headers: Iterable[tuple[bytes, bytes]], body: bytes
) -> None:
    """A whole answer, with its length: never chunked, which HTTP/1.0 does not know."""
    length = () if status == 204 else ((b"content-length", str(len(body)).encode()),)
    await send({"type": "http.response.start", "status": status, "headers": [*headers, *length]})
    await send({"type": "http.response.body", "body": body, "more_body": False})
