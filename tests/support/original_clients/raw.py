"""One connection on which every byte is the client's own, and answers are read strictly."""

import json
import socket
from dataclasses import dataclass
from typing import Any, Self

ANSWER_S_MAX = 30.0
LINE_BYTES_MAX = 65_536


@dataclass(frozen=True)
class RawAnswer:
    """What came back, down to the bytes of the head."""

    status: int
    head: bytes
    body: bytes

    @property
    def document(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    @property
    def data(self) -> Any:
        """What the envelope carries; the answer must be a success as these clients know it."""
        assert self.status == 200, (self.status, self.body)
        return self.document["data"]

    @property
    def items(self) -> Any:
        """A list in the envelope."""
        assert self.data["total_server_items"] == 0, self.data
        return self.data["items"]

    @property
    def error(self) -> Any:
        """What the envelope carries when something is wrong."""
        assert self.status != 200, self.body
        return self.document["error"]

    def header(self, name: str) -> str:
        """A header's value, "" when there is none."""
        for line in self.head.split(b"\r\n")[1:]:
            key, _, value = line.partition(b":")
            if key.strip().lower() == name.lower().encode():
                return value.strip().decode()
        return ""


class RawConnection:
    """A socket to a server on this machine; as a context it is closed at the end."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=ANSWER_S_MAX)
        self._received = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self._socket.sendall(data)

    def answer(self) -> RawAnswer:
        """One answer with a length, as HTTP/1.1 clients read it; the connection may go on."""
        while b"\r\n\r\n" not in self._received:
            self._more()
        head, _, self._received = self._received.partition(b"\r\n\r\n")
        found = RawAnswer(int(head.split()[1]), head, b"")
        if found.status == 100:
            return self.answer()
        assert not found.header("transfer-encoding"), "nothing here is chunked"
        length = int(found.header("content-length") or "0")
        while len(self._received) < length:
            self._more()
        body, self._received = self._received[:length], self._received[length:]
        return RawAnswer(found.status, head, body)

    def answer_until_closed(self) -> RawAnswer:
        """One answer, as HTTP/1.0 clients read it: all there is until the server hangs up."""
        parts = [self._received]
        while part := self._socket.recv(65_536):
            parts.append(part)
        head, separator, body = b"".join(parts).partition(b"\r\n\r\n")
        assert separator, head
        answer = RawAnswer(int(head.split()[1]), head, body)
        assert not answer.header("transfer-encoding"), "HTTP/1.0 does not know chunks"
        return answer

    def _more(self) -> None:
        part = self._socket.recv(65_536)
        assert part, f"the server hung up after {self._received!r}"
        self._received += part
