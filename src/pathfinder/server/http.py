"""HTTP as clients send it: uvicorn's protocol, patient with lengths that count characters.

The original's mruby clients speak HTTP/1.0 and say how long a body is in characters. A body with an
umlaut is longer than that in bytes; what follows the length is no further request, since the
connection serves one, but the body's end.
"""

import asyncio
import json
import re
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

LINE_BYTES_MAX: Final = 65_536
HELD_BYTES_MAX: Final = 5 << 20  # beyond the bound of a body: whoever reads it refuses it
REST_WAIT_S: Final = 1.0  # for bytes beyond the length; who counted bytes does not send any
LENGTH: Final = re.compile(rb"(?im)^(content-length:[ \t]*)(\d{1,9})[ \t]*\r?$")
CONTINUATION: Final = bytes(range(0x80, 0xC0))  # bytes of UTF-8 that begin no character


class Protocol(HttpToolsProtocol):
    """A connection. One of HTTP/1.0 is held back until its only request is whole."""

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self._held: bytearray | None = bytearray()  # None: bytes go straight to the parser
        self._giving_up: asyncio.TimerHandle | None = None

    def data_received(self, data: bytes) -> None:
        """As asyncio says."""
        if self._held is None:
            super().data_received(data)
            return
        self._held += data
        held = bytes(self._held)
        line_end = held.find(b"\r\n")
        if line_end < 0 and len(held) < LINE_BYTES_MAX:
            return
        if not held[:line_end].endswith(b"HTTP/1.0"):
            self._pass_on(held)
            return
        whole = with_real_length(held)
        if whole is not None:
            self._pass_on(whole)
        elif is_long_enough(held) and self._giving_up is None:
            self._giving_up = self.loop.call_later(REST_WAIT_S, self._give_up)

    def connection_lost(self, exc: Exception | None) -> None:
        """As asyncio says."""
        if self._giving_up is not None:
            self._giving_up.cancel()
        super().connection_lost(exc)

    def _give_up(self) -> None:
        if self._held is not None and self.parser is not None:
            self._pass_on(bytes(self._held))

    def _pass_on(self, data: bytes) -> None:
        self._held = None
        if self._giving_up is not None:
            self._giving_up.cancel()
        super().data_received(data)


def with_real_length(held: bytes) -> bytes | None:
    """A whole request, with its length in bytes; None while it may go on."""
    head, separator, body = held.partition(b"\r\n\r\n")
    if not separator:
        return held if len(held) > LINE_BYTES_MAX else None
    match = LENGTH.search(head)
    if match is None or len(held) > HELD_BYTES_MAX:
        return held
    told = int(match[2])
    if told > HELD_BYTES_MAX:
        return held
    if len(body) < told:
        return None
    if body[:told].isascii():
        return held
    character_count = len(body.translate(None, CONTINUATION))
    if len(body) > told and character_count >= told:
        length = _bytes_of(body, told)
        if length is None:
            return None
        before, after = head[: match.start(2)], head[match.end(2) :]
        return b"%s%d%s\r\n\r\n%s" % (before, length, after, body[:length])
    return held if len(body) == told and _is_json(body) else None


def is_long_enough(held: bytes) -> bool:
    """Whether a request has as many bytes as it says it has."""
    head, separator, body = held.partition(b"\r\n\r\n")
    match = LENGTH.search(head)
    return bool(separator) and match is not None and len(body) >= int(match[2])


def _bytes_of(body: bytes, character_count: int) -> int | None:
    """How many bytes so many characters take; None while the last one is not whole."""
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        if error.reason != "unexpected end of data":
            return len(body)
        return None
    return len(text[:character_count].encode())


def _is_json(body: bytes) -> bool:
    try:
        json.loads(body)
    except ValueError:
        return False
    return True
