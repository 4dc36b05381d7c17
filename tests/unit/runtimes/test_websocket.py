"""A client's WebSocket over a real socket: waiting, ending, and sending while others receive."""

import base64
import re
import socket
import threading
from collections.abc import Iterator

import pytest

from pathfinder.runtimes.websocket import WebSocket, open_websocket
from pathfinder.wire.websocket import Closed, Codec, HandshakeRefused, Message, Ping, accept_value


class Server:
    """The other end."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.codec = Codec(mask_key=None, message_bytes_max=1 << 24)

    def accept(self, extra: bytes = b"") -> None:
        request = self.connection.recv(4096)
        match = re.search(rb"Sec-WebSocket-Key: (\S+)", request)
        assert match is not None
        assert len(base64.b64decode(match[1])) == 16
        self.connection.sendall(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept_value(match[1]).encode() + b"\r\n\r\n" + extra
        )

    def heard(self) -> list[object]:
        return list(self.codec.receive(self.connection.recv(1 << 20)))


@pytest.fixture
def pair() -> Iterator[tuple[WebSocket, Server]]:
    ours, theirs = socket.socketpair()
    server = Server(theirs)
    greeter = threading.Thread(target=server.accept, args=(server.codec.message(b"early"),))
    greeter.start()
    websocket = open_websocket(ours, host="h", path="/")
    greeter.join()
    yield websocket, server
    websocket.close()
    theirs.close()


def end_of(websocket: WebSocket) -> Closed:
    """The end, which is all that is received."""
    heard = websocket.receive(10)
    assert heard is not None
    (closed,) = heard
    assert isinstance(closed, Closed)
    return closed


def test_what_comes_with_the_handshake_is_not_lost(pair: tuple[WebSocket, Server]) -> None:
    websocket, _ = pair

    assert websocket.receive(10) == [Message(b"early")]
    assert websocket.receive(0) is None


def test_ping_is_answered_while_receiving(pair: tuple[WebSocket, Server]) -> None:
    websocket, server = pair
    websocket.receive(10)

    server.connection.sendall(server.codec.ping(b"still there?"))

    assert websocket.receive(10) == []
    assert "still there?" in str(server.heard())


def test_our_ping_arrives_and_tells_when_nobody_is_there(pair: tuple[WebSocket, Server]) -> None:
    websocket, server = pair

    assert websocket.ping()
    assert server.heard() == [Ping(b"")]
    server.connection.close()
    assert not websocket.ping()


@pytest.mark.parametrize("is_polite", [True, False])
def test_end_is_told_as_closed(pair: tuple[WebSocket, Server], *, is_polite: bool) -> None:
    websocket, server = pair
    websocket.receive(10)

    if is_polite:
        server.connection.sendall(server.codec.close(1000, "done"))
    server.connection.close()

    assert end_of(websocket).code == (1000 if is_polite else 1001)


def test_violation_is_answered_and_told_as_closed(pair: tuple[WebSocket, Server]) -> None:
    websocket, server = pair
    websocket.receive(10)

    server.connection.sendall(b"\xff\xff")

    assert end_of(websocket).code == 1002
    assert server.heard() == [Closed(1002)]


def test_closing_wakes_who_receives(pair: tuple[WebSocket, Server]) -> None:
    websocket, server = pair
    websocket.receive(10)
    heard: list[object] = []
    receiver = threading.Thread(target=lambda: heard.append(websocket.receive()))
    receiver.start()

    websocket.close()
    receiver.join(10)
    websocket.close()

    assert not receiver.is_alive()
    assert isinstance(heard[0], list)
    assert server.heard() == [Closed(1000)]


def test_receiving_goes_on_while_sending_is_stuck(pair: tuple[WebSocket, Server]) -> None:
    # Who waits for us to read before reading itself must not wait for ever.
    websocket, server = pair
    websocket.receive(10)
    large = b"x" * (4 << 20)
    sender = threading.Thread(target=lambda: websocket.send(large))
    sender.start()

    server.connection.sendall(server.codec.message(b"read me first"))
    heard = websocket.receive(10)
    events = server.heard()
    while not events:
        events = server.heard()
    sender.join(10)

    assert heard == [Message(b"read me first")]
    assert events == [Message(large)]


@pytest.mark.parametrize(
    ("answer", "status"),
    [(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", 403), (b"", 0)],
    ids=["refused", "hung up"],
)
def test_refused_handshake_closes_the_connection(answer: bytes, status: int) -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        theirs.sendall(answer)
        theirs.shutdown(socket.SHUT_WR)

        with pytest.raises(HandshakeRefused) as caught:
            open_websocket(ours, host="h", path="/")

    assert caught.value.status == status
    assert ours.fileno() == -1
