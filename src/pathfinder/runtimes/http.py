"""HTTP/1.1 to a daemon over connections that are kept: bounded in number, time and size.

    HttpFailure
    ├── CannotConnect   the request was certainly not sent
    ├── AnswerLost      it was sent, and no complete answer came: it may have happened
    └── AnswerTooLarge  the answer is above its bound; the request has happened

A connection that the daemon closed while it was idle is noticed before it is used again. A GET
whose connection breaks is repeated once on a fresh one; nothing else is ever repeated, because a
daemon that dies after it has begun would then do it twice.
"""

import select
import socket
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

from pathfinder.wire.http1 import (
    AnswerReader,
    BodyTooLarge,
    HttpWrong,
    read_answer,
    request_bytes,
)

CONNECTIONS_MAX: Final = 16
CONNECT_S_MAX: Final = 5.0
ANSWER_BYTES_MAX: Final = 64 << 20
CHUNK_BYTES: Final = 1 << 16
SEND_S_MAX: Final = 30.0


class HttpFailure(Exception):
    """Base of what can go wrong between here and the daemon: raise a subclass."""


class CannotConnect(HttpFailure):
    """The request was certainly not sent."""


class AnswerLost(HttpFailure):
    """The request was sent and no complete answer came: it may have happened."""


class AnswerTooLarge(HttpFailure):
    """The answer is above its bound."""


class Endpoint(Protocol):
    """Where a daemon listens."""

    @property
    def host(self) -> str:
        """What the Host header says."""

    def connect(self, timeout_s: float) -> socket.socket:
        """A new connection, ready for bytes; OSError when there is none."""


@dataclass(frozen=True, slots=True)
class UnixEndpoint:
    """A daemon's UNIX socket."""

    path: str

    @property
    def host(self) -> str:
        """Any name will do on a UNIX socket."""
        return "localhost"

    def connect(self, timeout_s: float) -> socket.socket:
        """A new connection; OSError when nobody listens."""
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.settimeout(timeout_s)
            connection.connect(self.path)
        except BaseException:
            connection.close()
            raise
        return connection

    def __str__(self) -> str:
        return self.path


@dataclass(frozen=True, slots=True)
class Request:
    """One request. `body` is sent as it is; `timeout_s` bounds the time until the whole answer."""

    method: str
    path: str
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    timeout_s: float = 30.0
    answer_bytes_max: int = ANSWER_BYTES_MAX


@dataclass(frozen=True, slots=True)
class Answer:
    """The whole answer. Names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class _Connection:
    """One connection to the daemon."""

    def __init__(self, host: str, connected: socket.socket) -> None:
        self.host = host
        self.sock = connected

    def close(self) -> None:
        """Hang up."""
        self.sock.close()

    def is_stale(self) -> bool:
        """Closed by the daemon while idle, or sending something that nobody asked for."""
        poll = select.poll()
        poll.register(self.sock, select.POLLIN)
        return bool(poll.poll(0))


class HttpPool:
    """Kept connections to one endpoint, shared by threads; at most `connections_max` at once."""

    def __init__(self, endpoint: Endpoint, *, connections_max: int = CONNECTIONS_MAX) -> None:
        self.endpoint = endpoint
        self._free = threading.Semaphore(connections_max)
        self._idle: list[_Connection] = []  # the one used last is taken first
        self._lock = threading.Lock()
        self._closed = False

    def request(self, request: Request) -> Answer:
        """The answer, whatever its status; HttpFailure when there is none."""
        deadline = time.monotonic() + request.timeout_s
        if not self._free.acquire(timeout=request.timeout_s):
            raise CannotConnect(f"all connections to {self.endpoint} are busy")
        try:
            try:
                return self._once(request, deadline)
            except AnswerLost:
                if request.method != "GET" or time.monotonic() >= deadline:
                    raise
                return self._once(request, deadline)
        finally:
            self._free.release()

    def close(self) -> None:
        """Close the idle connections, and each busy one when it comes back."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _once(self, request: Request, deadline: float) -> Answer:
        connection = self._connection(deadline)
        try:
            answer, keep = _exchange(connection, request, deadline)
        except (OSError, HttpWrong) as error:
            connection.close()
            what = "no answer in time" if isinstance(error, TimeoutError) else _text(error)
            raise AnswerLost(f"{request.method} {request.path}: {what}") from error
        except BaseException:
            connection.close()
            raise
        if keep:
            self._give_back(connection)
        else:
            connection.close()
        return answer

    def _connection(self, deadline: float) -> _Connection:
        while True:
            with self._lock:
                connection = self._idle.pop() if self._idle else None
            if connection is None:
                break
            if not connection.is_stale():
                return connection
            connection.close()
        left_s = max(0.001, min(CONNECT_S_MAX, deadline - time.monotonic()))
        try:
            return _Connection(self.endpoint.host, self.endpoint.connect(left_s))
        except OSError as error:
            raise CannotConnect(f"{self.endpoint} does not answer: {_text(error)}") from error

    def _give_back(self, connection: _Connection) -> None:
        with self._lock:
            if not self._closed:
                self._idle.append(connection)
                return
        connection.close()


class HttpStream:
    """One answer that is read as it comes, on a connection of its own.

    After an upgrade it is a conversation: `send` and `end_input` are the other direction. One
    thread receives; any thread may send or close. OSError and HttpWrong: the connection is broken.
    """

    def __init__(self, connection: socket.socket, reader: AnswerReader) -> None:
        self._connection = connection
        self._reader = reader
        self._send_lock = threading.Lock()
        self._is_closed = False

    @property
    def status(self) -> int:
        """HTTP's status."""
        return self._reader.status

    def receive(self, timeout_s: float | None = None) -> bytes | None:
        """The next bytes, b"" at the end; None when nothing has come within `timeout_s`."""
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        is_due = self._reader.is_pending()
        while is_due or self._wait(deadline and max(0.0, deadline - time.monotonic())):
            try:
                return self._reader.read()
            except BlockingIOError:
                is_due = False  # a part of what frames the body; its rest is still to come
        return None

    def rest(self, bytes_max: int, timeout_s: float) -> bytes:
        """All that comes until the end; TimeoutError, and BodyTooLarge above its bound."""
        deadline = time.monotonic() + timeout_s
        body = b""
        while (data := self.receive(max(0.0, deadline - time.monotonic()))) != b"":
            if data is None and time.monotonic() >= deadline:
                raise TimeoutError("no answer in time")
            body += data or b""
            if len(body) > bytes_max:
                raise BodyTooLarge
        return body

    def send(self, data: bytes) -> None:
        """Send all of it; OSError when nobody takes it for too long."""
        deadline = time.monotonic() + SEND_S_MAX
        rest = memoryview(data)
        with self._send_lock:
            while rest:
                try:
                    rest = rest[self._connection.send(rest) :]
                except BlockingIOError:
                    if not self._wait(deadline - time.monotonic(), select.POLLOUT):
                        raise TimeoutError(f"nothing was taken for {SEND_S_MAX} s") from None

    def end_input(self) -> None:
        """Say that nothing more will be sent."""
        self._connection.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Hang up; wakes the receiving thread. Twice is once."""
        if self._is_closed:
            return
        self._is_closed = True
        try:
            self._connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._connection.close()

    def _wait(self, timeout_s: float | None, what: int = select.POLLIN) -> bool:
        descriptor = self._connection.fileno()
        if descriptor < 0:
            raise ConnectionAbortedError("closed here")
        poll = select.poll()
        poll.register(descriptor, what)
        return bool(poll.poll(None if timeout_s is None else max(0, int(timeout_s * 1000))))


def open_stream(endpoint: Endpoint, request: Request) -> HttpStream:
    """Send a request and read the answer's head within its time; HttpFailure when there is none."""
    deadline = time.monotonic() + request.timeout_s
    try:
        connection = endpoint.connect(min(CONNECT_S_MAX, request.timeout_s))
    except OSError as error:
        raise CannotConnect(f"{endpoint} does not answer: {_text(error)}") from error

    def receive() -> bytes:
        return connection.recv(CHUNK_BYTES)

    try:
        connection.settimeout(request.timeout_s)
        connection.sendall(
            request_bytes(
                request.method, request.path, endpoint.host, request.headers, request.body
            )
        )
        reader = AnswerReader(receive, request.method)
        connection.settimeout(max(0.001, deadline - time.monotonic()))
        reader.read_head()
        # Never blocking from here on: waiting is done by poll, so that time can be watched.
        connection.setblocking(False)
    except (OSError, HttpWrong) as error:
        connection.close()
        what = "no answer in time" if isinstance(error, TimeoutError) else _text(error)
        raise AnswerLost(f"{request.method} {request.path}: {what}") from error
    except BaseException:
        connection.close()
        raise
    return HttpStream(connection, reader)


def _exchange(connection: _Connection, request: Request, deadline: float) -> tuple[Answer, bool]:
    def receive() -> bytes:
        connection.sock.settimeout(left_s())
        return connection.sock.recv(CHUNK_BYTES)

    def left_s() -> float:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left

    sent = request_bytes(
        request.method, request.path, connection.host, request.headers, request.body
    )
    connection.sock.settimeout(left_s())
    connection.sock.sendall(sent)
    try:
        answer = read_answer(receive, request.method, request.answer_bytes_max)
    except BodyTooLarge:
        raise AnswerTooLarge(
            f"{request.path}: the answer is above {request.answer_bytes_max} bytes"
        ) from None
    return Answer(answer.status, answer.headers, answer.body), answer.keep


def _text(error: BaseException) -> str:
    return str(error) or type(error).__name__
