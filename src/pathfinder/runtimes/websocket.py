"""A client's WebSocket over a blocking socket: the codec of `wire` with somebody to send for it."""

import os
import select
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from typing import Final

from pathfinder.wire.websocket import (
    GOING_AWAY,
    MESSAGE_BYTES_MAX,
    NORMAL,
    Closed,
    Codec,
    Event,
    HandshakeRefused,
    Message,
    Ping,
    ProtocolViolation,
    check_handshake,
    handshake_end,
    handshake_request,
)

READ_BYTES: Final = 1 << 16
SEND_S_MAX: Final = 30.0
NOT_YET: Final = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class WebSocket:
    """One open connection. One thread receives; any thread may send or close.

    Pings are answered by the receiving thread. OSError means that the connection is gone.
    """

    def __init__(self, connection: socket.socket, codec: Codec, early: bytes = b"") -> None:
        # Never blocking: waiting is done by poll, outside the lock, so that a sender whose peer
        # does not read cannot keep the receiver from reading, which may be what the peer waits for.
        connection.setblocking(False)
        self._connection = connection
        self._codec = codec
        self._early = early  # arrived together with the answer to the handshake
        self._io_lock = threading.Lock()  # OpenSSL: one call at a time on a connection
        self._send_lock = threading.Lock()  # one frame after the other
        self._is_closed = False

    def fileno(self) -> int:
        """For select and poll. Before waiting, empty what is `pending`."""
        return self._connection.fileno()

    def pending(self) -> bool:
        """Whether `receive` has something without the descriptor becoming readable."""
        pending = getattr(self._connection, "pending", None)  # TLS keeps whole records
        return bool(self._early) or bool(pending is not None and pending())

    def receive(self, timeout_s: float | None = None) -> list[Message | Closed] | None:
        """What has arrived, waiting at most `timeout_s` (None: for ever); None: nothing did.

        The list may be empty (part of a message, a ping) and ends with `Closed` at the end, also
        when the connection just broke.
        """
        try:
            data = self._read(timeout_s)
        except OSError:
            return [Closed(GOING_AWAY, "the connection broke")]
        if data is None:
            return None
        if not data:
            return [Closed(GOING_AWAY, "the connection ended without a word")]
        try:
            return self._without_pings(self._codec.receive(data))
        except ProtocolViolation as violation:
            self._send_quietly(self._codec.close(violation.code))
            return [Closed(violation.code, str(violation))]

    def send(self, data: bytes, *, text: bool = False) -> None:
        """Send one message; OSError when the connection is gone or takes nothing for too long."""
        self._send(self._codec.message(data, text=text))

    def ping(self) -> bool:
        """Ask for a sign of life, an empty list from `receive`; False: the connection is gone."""
        return self._send_quietly(self._codec.ping())

    def close(self, code: int = NORMAL, reason: str = "") -> None:
        """Say goodbye and hang up; wakes the receiving thread. Twice is once."""
        if self._is_closed:
            return
        self._is_closed = True
        self._send_quietly(self._codec.close(code, reason))
        try:
            self._connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._connection.close()

    def _without_pings(self, events: list[Event]) -> list[Message | Closed]:
        heard: list[Message | Closed] = []
        for event in events:
            if isinstance(event, Ping):
                self._send_quietly(self._codec.pong(event.data))
            elif isinstance(event, (Message, Closed)):
                heard.append(event)
        return heard

    def _read(self, timeout_s: float | None) -> bytes | None:
        if self._early:
            data, self._early = self._early, b""
            return data
        if not self.pending() and not self._wait(select.POLLIN, timeout_s):
            return None
        try:
            with self._io_lock:
                return self._connection.recv(READ_BYTES)
        except NOT_YET:
            return None

    def _send(self, frame: bytes) -> None:
        deadline = time.monotonic() + SEND_S_MAX
        rest = memoryview(frame)
        with self._send_lock:
            while rest:
                try:
                    with self._io_lock:
                        sent = self._connection.send(rest)
                except NOT_YET:
                    if not self._wait(select.POLLOUT, deadline - time.monotonic()):
                        raise TimeoutError(f"nothing was taken for {SEND_S_MAX} s") from None
                else:
                    rest = rest[sent:]

    def _wait(self, what: int, timeout_s: float | None) -> bool:
        descriptor = self._connection.fileno()
        if descriptor < 0:
            raise ConnectionAbortedError("closed here")
        poll = select.poll()
        poll.register(descriptor, what)
        return bool(poll.poll(None if timeout_s is None else max(0, int(timeout_s * 1000))))

    def _send_quietly(self, frame: bytes) -> bool:
        try:
            self._send(frame)
        except OSError:
            return False
        return True


def open_websocket(
    connection: socket.socket,
    *,
    host: str,
    path: str,
    headers: Mapping[str, str] | None = None,
    timeout_s: float = 10.0,
    message_bytes_max: int = MESSAGE_BYTES_MAX,
) -> WebSocket:
    """Make the handshake on a fresh connection, which is closed when it fails.

    HandshakeRefused when the other side says no, OSError when it goes away or is too slow.
    """
    nonce = os.urandom(16)
    try:
        deadline = time.monotonic() + timeout_s
        connection.settimeout(timeout_s)
        connection.sendall(handshake_request(host=host, path=path, nonce=nonce, headers=headers))
        received = b""
        while (end := handshake_end(received)) < 0:
            connection.settimeout(max(0.001, deadline - time.monotonic()))
            data = connection.recv(READ_BYTES)
            if not data:
                raise HandshakeRefused("the other side hung up")
            received += data
        check_handshake(received[:end], nonce)
    except BaseException:
        connection.close()
        raise
    codec = Codec(mask_key=lambda: os.urandom(4), message_bytes_max=message_bytes_max)
    return WebSocket(connection, codec, received[end:])
