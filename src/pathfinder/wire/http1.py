"""A client's HTTP/1.1 (RFC 9112) as bytes: a request out, an answer in. No socket, no clock.

What a node's agent needs of it and no more. Not `http.client`: that brings the whole of `email`
with it, 2.1 MB of the 22 that an agent may take.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

HEAD_BYTES_MAX: Final = 64 << 10
LINE_BYTES_MAX: Final = 8 << 10
NO_BODY: Final = frozenset({204, 304})
SWITCHING: Final = 101
TOKEN: Final = frozenset(
    "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
)
Receive = Callable[[], bytes]


class HttpWrong(Exception):
    """The answer breaks the rules, or ends too early."""


class BodyTooLarge(Exception):
    """The answer's body is above its bound."""


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """A whole answer. Names of headers are in lower case; `keep`: the connection can go on."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    keep: bool


def request_bytes(
    method: str, path: str, host: str, headers: Mapping[str, str], body: bytes | None
) -> bytes:
    """The request as it goes on the wire. Control characters anywhere in it are a bug."""
    fields = {"Host": host, **headers}
    if body is not None or method in ("POST", "PUT", "PATCH"):
        fields["Content-Length"] = str(len(body or b""))
    assert TOKEN.issuperset(method), method
    assert path.isascii(), path
    assert path.isprintable(), path
    assert " " not in path, path
    lines = [f"{method} {path} HTTP/1.1"]
    for name, value in fields.items():
        assert TOKEN.issuperset(name), name
        assert value.isprintable(), name
        lines.append(f"{name}: {value}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + (body or b"")


def read_answer(receive: Receive, method: str, body_bytes_max: int) -> HttpAnswer:
    """The answer to a `method` request, from as many `receive` as it takes; b"" is the end.

    HttpWrong when it is none, BodyTooLarge when its body is above the bound.
    """
    incoming = _Incoming(receive)
    status, version, headers = _head(incoming)
    while 100 <= status < 200:  # Continue and its like: the answer is still to come
        status, version, headers = _head(incoming)
    coding = headers.get("transfer-encoding", "").lower()
    length = headers.get("content-length")
    is_bounded = True
    if method == "HEAD" or status in NO_BODY:
        body = b""
    elif coding == "chunked":
        body = _chunked(incoming, body_bytes_max)
    elif coding:
        raise HttpWrong(f"transfer coding {coding!r} was not asked for")
    elif length is not None:
        body = _counted(incoming, length, body_bytes_max)
    else:
        body, is_bounded = incoming.rest(body_bytes_max), False
    says = headers.get("connection", "").lower()
    keep = is_bounded and says != "close" and (version == "1.1" or says == "keep-alive")
    return HttpAnswer(status, headers, body, keep and not incoming.is_more())


class AnswerReader:
    """An answer whose body is read as it comes, from as many `receive` as that takes.

    `receive` may raise when nothing has arrived yet: what has is kept, and reading goes on later.
    """

    def __init__(self, receive: Receive, method: str) -> None:
        self._incoming = _Incoming(receive)
        self._method = method
        self._left = 0  # of the present chunk, or of the whole body
        self._is_chunked = self._is_counted = self._is_ended = self._is_break_due = False
        self.status = 0
        self.headers: Mapping[str, str] = {}

    def read_head(self) -> None:
        """Read until `status` and `headers` are known; 101 and what follows it are the other's."""
        status, _, headers = _head(self._incoming)
        while 100 <= status < 200 and status != SWITCHING:
            status, _, headers = _head(self._incoming)
        self.status, self.headers = status, headers
        coding, length = headers.get("transfer-encoding", "").lower(), headers.get("content-length")
        if self._method == "HEAD" or status in NO_BODY:
            self._is_ended = True
        elif status == SWITCHING:
            return
        elif coding:
            if coding != "chunked":
                raise HttpWrong(f"transfer coding {coding!r} was not asked for")
            self._is_chunked = True
        elif length is not None:
            self._is_counted, self._left = True, _length(length)
            self._is_ended = not self._left

    def read(self) -> bytes:
        """The next bytes of the body, as many as have arrived; b"" is its end."""
        if self._is_ended:
            return b""
        if self._is_chunked and not self._left and not self._has_next_chunk():
            return b""
        if not (self._is_chunked or self._is_counted):
            return self._incoming.some()
        data = self._incoming.some(self._left)
        if not data:
            raise HttpWrong("the connection ended before the answer did")
        self._left -= len(data)
        self._is_break_due = self._is_chunked and not self._left
        self._is_ended = self._is_counted and not self._left
        return data

    def is_pending(self) -> bool:
        """Whether `read` has something without receiving."""
        return self._is_ended or self._incoming.is_more()

    def _has_next_chunk(self) -> bool:
        if self._is_break_due:
            if self._incoming.line():
                raise HttpWrong("a chunk is not as long as its size")
            self._is_break_due = False
        self._left = _chunk_size(self._incoming.line())
        self._is_ended = not self._left
        return not self._is_ended


def _head(incoming: "_Incoming") -> tuple[int, str, dict[str, str]]:
    protocol, _, rest = incoming.line().partition(" ")
    code = rest[:3]
    if protocol not in ("HTTP/1.0", "HTTP/1.1") or not (code.isdecimal() and code.isascii()):
        raise HttpWrong("the answer is not HTTP/1.1")
    headers: dict[str, str] = {}
    size = 0
    while line := incoming.line():
        size += len(line)
        name, colon, value = line.partition(":")
        if not colon or not name or not TOKEN.issuperset(name) or size > HEAD_BYTES_MAX:
            raise HttpWrong("the answer's head cannot be read")
        name, value = name.lower(), value.strip(" \t")
        if name == "content-length" and headers.get(name, value) != value:
            raise HttpWrong("the answer has two lengths")
        headers[name] = value
    return int(code), protocol[5:], headers


def _counted(incoming: "_Incoming", length: str, body_bytes_max: int) -> bytes:
    count = _length(length)
    if count > body_bytes_max:
        raise BodyTooLarge
    return incoming.exactly(count)


def _length(text: str) -> int:
    if not (text.isdecimal() and text.isascii()):
        raise HttpWrong(f"the answer's length is {text[:20]!r}")
    return int(text[:20])


def _chunked(incoming: "_Incoming", body_bytes_max: int) -> bytes:
    body = bytearray()
    while True:
        count = _chunk_size(incoming.line())
        if len(body) + count > body_bytes_max:
            raise BodyTooLarge
        if count == 0:
            while incoming.line():
                pass  # trailers: nobody asked for them
            return bytes(body)
        body += incoming.exactly(count)
        if incoming.exactly(2) != b"\r\n":
            raise HttpWrong("a chunk is not as long as its size")


def _chunk_size(line: str) -> int:
    size = line.partition(";")[0].strip()
    if not size or len(size) > 8 or not all(c in "0123456789abcdefABCDEF" for c in size):
        raise HttpWrong("a chunk has no size")
    return int(size, 16)


class _Incoming:
    """Bytes that have arrived and are not read yet."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._bytes = bytearray()

    def line(self) -> str:
        end = self._bytes.find(b"\n")
        while end < 0:
            if len(self._bytes) > LINE_BYTES_MAX:
                raise HttpWrong("a line of the answer is too long")
            self._more()
            end = self._bytes.find(b"\n")
        line = bytes(self._bytes[:end])
        del self._bytes[: end + 1]
        return line.removesuffix(b"\r").decode("latin-1")

    def exactly(self, count: int) -> bytes:
        while len(self._bytes) < count:
            self._more()
        found = bytes(self._bytes[:count])
        del self._bytes[:count]
        return found

    def rest(self, bytes_max: int) -> bytes:
        while len(self._bytes) <= bytes_max:
            data = self._receive()
            if not data:
                found, self._bytes = bytes(self._bytes), bytearray()
                return found
            self._bytes += data
        raise BodyTooLarge

    def some(self, most: int = 1 << 30) -> bytes:
        """What has arrived, else what arrives next; b"" is the end."""
        if not self._bytes:
            self._bytes += self._receive()
        found = bytes(self._bytes[:most])
        del self._bytes[:most]
        return found

    def is_more(self) -> bool:
        return bool(self._bytes)

    def _more(self) -> None:
        data = self._receive()
        if not data:
            raise HttpWrong("the connection ended before the answer did")
        self._bytes += data
