"""A command that runs in a container, over one WebSocket, without ever blocking its caller.

Binary messages begin with a byte that names the channel: 0 standard input, 1 standard output,
2 standard error; an input message with nothing after that byte ends the input. Text messages are
JSON: `{"resize": {"columns", "rows"}}` from here, `{"exit": code}` or `{"error": {...}}` to here.
"""

import json
import os
import select
import socket
import ssl
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Self

from pathfinder.client.errors import (
    NoAnswer,
    Unexpected,
    error_from_answer,
    error_from_description,
)
from pathfinder.client.transport import ANSWER_S_MAX, Transport
from pathfinder.wire import websocket

STDIN: Final = 0
STDOUT: Final = 1
STDERR: Final = 2
READ_BYTES: Final = 64 << 10
# Beyond this much unsent input, the caller shall stop reading more of it.
BACKLOG_BYTES_MAX: Final = 256 << 10
INPUT_BYTES: Final = 32 << 10
REFUSAL_BYTES_MAX: Final = 64 << 10


@dataclass(frozen=True, slots=True)
class Output:
    """What the command wrote: to STDOUT or to STDERR. With a tty, everything is STDOUT."""

    channel: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Ended:
    """The command has ended with this code. Nothing follows."""

    exit_code: int


@dataclass(frozen=True, slots=True)
class Finished:
    """A command that was run to its end."""

    exit_code: int
    stdout: bytes
    stderr: bytes


@dataclass(slots=True)
class _Arrived:
    stdout: bytearray = field(default_factory=bytearray)
    stderr: bytearray = field(default_factory=bytearray)


class Terminal:
    """One running command.

    Wait for `fileno()` to be readable, and writable while `has_backlog`; then call `flush` and
    `receive`.
    """

    def __init__(self, connection: socket.socket, received: bytes) -> None:
        self._connection = connection
        self._connection.setblocking(False)
        self._codec = websocket.Codec(mask_key=lambda: os.urandom(4))
        self._backlog = bytearray()
        self._ended: Ended | None = None
        self._early = received

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def fileno(self) -> int:
        """For select."""
        return self._connection.fileno()

    @property
    def has_backlog(self) -> bool:
        """Whether something waits to be sent."""
        return bool(self._backlog)

    @property
    def has_room(self) -> bool:
        """Whether more input is welcome now."""
        return len(self._backlog) < BACKLOG_BYTES_MAX

    @property
    def has_early(self) -> bool:
        """Whether something arrived that select does not know of: call `receive` at once."""
        if self._early:
            return True
        return isinstance(self._connection, ssl.SSLSocket) and self._connection.pending() > 0

    def write(self, data: bytes) -> None:
        """Standard input for the command."""
        for start in range(0, len(data), INPUT_BYTES):
            self._send(bytes((STDIN,)) + data[start : start + INPUT_BYTES])

    def end_input(self) -> None:
        """Nothing more will be written."""
        self._send(bytes((STDIN,)))

    def resize(self, columns: int, rows: int) -> None:
        """The window's new size."""
        size = {"resize": {"columns": columns, "rows": rows}}
        self._backlog += self._codec.message(json.dumps(size).encode(), text=True)
        self.flush()

    def flush(self) -> None:
        """Send as much as goes without waiting."""
        while self._backlog:
            try:
                sent = self._connection.send(self._backlog)
            except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
                return
            except OSError:
                # What the other side had to say before it hung up is still to be received.
                self._backlog.clear()
                return
            del self._backlog[:sent]

    def receive(self) -> list[Output | Ended]:
        """What has arrived. The server's error, or NoAnswer when the connection broke."""
        data, self._early = self._early, b""
        is_open = True
        if not data:
            try:
                data = self._connection.recv(READ_BYTES)
                is_open = bool(data)
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return []
            except OSError:
                is_open = False
        arrived: list[Output | Ended] = []
        try:
            for event in self._codec.receive(data):
                arrived += self._taken(event)
        except websocket.ProtocolViolation as error:
            raise Unexpected(f"the server breaks the protocol of terminals: {error}") from None
        if not is_open and self._ended is None:
            raise _broken("the connection to the server broke")
        return arrived

    def close(self) -> None:
        """Hang up: what still runs in the container is ended."""
        if self._ended is None:
            self._backlog += self._codec.close(websocket.GOING_AWAY)
            self.flush()
        self._connection.close()

    def _send(self, data: bytes) -> None:
        self._backlog += self._codec.message(data)
        self.flush()

    def _taken(self, event: websocket.Event) -> list[Output | Ended]:
        match event:
            case websocket.Ping(data):
                self._backlog += self._codec.pong(data)
                self.flush()
            case websocket.Message(data, text=True):
                self._ended = _ended(data)
                return [self._ended]
            case websocket.Message(data) if data and data[0] in (STDOUT, STDERR):
                return [Output(data[0], data[1:])]
            case websocket.Closed(_, reason) if self._ended is None:
                raise _broken(reason or "the server ended the session")
        return []


def open_terminal(transport: Transport, target: str) -> Terminal:
    """A terminal at this path and query; the server's error when it refuses."""
    connection = transport.dial()
    try:
        nonce = os.urandom(16)
        connection.settimeout(ANSWER_S_MAX)
        connection.sendall(
            websocket.handshake_request(
                host=transport.endpoint.authority,
                path=target,
                nonce=nonce,
                headers=transport.headers,
            )
        )
        received = b""
        while (end := websocket.handshake_end(received)) < 0:
            if not (part := connection.recv(READ_BYTES)):
                raise _broken("the server closed the connection without an answer")
            received += part
        try:
            websocket.check_handshake(received[:end], nonce)
        except websocket.HandshakeRefused as refused:
            content = _rest(connection, received[:end], received[end:])
            raise error_from_answer(refused.status or 502, content) from None
        return Terminal(connection, received[end:])
    except OSError as error:
        connection.close()
        raise _broken(f"the connection to the server broke: {error}") from None
    except BaseException:
        connection.close()
        raise


def run_to_end(terminal: Terminal, stdin: bytes = b"") -> Finished:
    """Feed `stdin`, collect everything, until the command ends."""
    arrived, unread, is_input_over = _Arrived(), memoryview(stdin), False
    with terminal:
        while True:
            while unread and terminal.has_room:
                terminal.write(bytes(unread[:INPUT_BYTES]))
                unread = unread[INPUT_BYTES:]
            if not unread and not is_input_over:
                terminal.end_input()
                is_input_over = True
            if not terminal.has_early:
                select.select([terminal], [terminal] if terminal.has_backlog else [], [])
            terminal.flush()
            for item in terminal.receive():
                if isinstance(item, Ended):
                    return Finished(item.exit_code, bytes(arrived.stdout), bytes(arrived.stderr))
                (arrived.stdout if item.channel == STDOUT else arrived.stderr).extend(item.data)


def _ended(data: bytes) -> Ended:
    try:
        said = json.loads(data)
        if "exit" in said:
            return Ended(int(said["exit"]))
        error = said["error"]
        code, message = str(error["code"]), str(error["message"])
    except (ValueError, KeyError, TypeError):
        raise Unexpected("the server breaks the protocol of terminals") from None
    raise error_from_description(code, message, error.get("hint") or "", {}, 409)


def _rest(connection: socket.socket, head: bytes, content: bytes) -> bytes:
    """The content that belongs to a refusal's head, as far as it comes."""
    length = 0
    for line in head.decode("latin-1").lower().split("\r\n"):
        name, _, value = line.partition(":")
        if name == "content-length" and value.strip().isdecimal():
            length = min(int(value), REFUSAL_BYTES_MAX)
    while len(content) < length and (part := connection.recv(READ_BYTES)):
        content += part
    return content


def _broken(message: str) -> NoAnswer:
    return NoAnswer(message, hint="the command may still run: pfi exec CONTAINER -- ps")
