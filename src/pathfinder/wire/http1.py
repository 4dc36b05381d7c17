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
    if not (length.isdecimal() and length.isascii()):
        raise HttpWrong(f"the answer's length is {length[:20]!r}")
    count = int(length[:20])
    if count > body_bytes_max:
        raise BodyTooLarge
    return incoming.exactly(count)


def _chunked(incoming: "_Incoming", body_bytes_max: int) -> bytes:
    body = bytearray()
    while True:
        size = incoming.line().partition(";")[0].strip()
        if not size or len(size) > 8 or not all(c in "0123456789abcdefABCDEF" for c in size):
            raise HttpWrong("a chunk has no size")
        count = int(size, 16)
        if len(body) + count > body_bytes_max:
            raise BodyTooLarge
        if count == 0:
            while incoming.line():
                pass  # trailers: nobody asked for them
            return bytes(body)
        body += incoming.exactly(count)
        if incoming.exactly(2) != b"\r\n":
            raise HttpWrong("a chunk is not as long as its size")


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

    def is_more(self) -> bool:
        return bool(self._bytes)

    def _more(self) -> None:
        data = self._receive()
        if not data:
            raise HttpWrong("the connection ended before the answer did")
        self._bytes += data
