"""Requests to one server over a connection that is kept, and connections of their own for streams.

Only what is safe is repeated: a connection that was dropped before an answer is opened again once,
and every change carries an idempotency key, so that the server does not carry it out twice.
"""

import http.client
import socket
import ssl
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlencode, urlsplit

from pathfinder.client.errors import (
    CertificateRefused,
    NoAnswer,
    Unexpected,
    Unreachable,
    error_from_answer,
)
from pathfinder.client.trust import Trust
from pathfinder.model.errors import Malformed, PathfinderError, TooMuch

CONNECT_S_MAX: Final = 10.0
ANSWER_S_MAX: Final = 60.0
ANSWER_BYTES_MAX: Final = 256 << 20
STREAM_PART_BYTES: Final = 64 << 10
SENT_TWICE_AT_MOST: Final = 2

DROPPED: Final = (
    http.client.RemoteDisconnected,
    http.client.IncompleteRead,
    ConnectionResetError,
    ConnectionAbortedError,
    BrokenPipeError,
    ssl.SSLEOFError,
    ssl.SSLZeroReturnError,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where the server is."""

    host: str
    port: int
    is_tls: bool

    @property
    def url(self) -> str:
        """`https://host:port`."""
        return f"{'https' if self.is_tls else 'http'}://{self.authority}"

    @property
    def authority(self) -> str:
        """`host:port`, as in a Host header."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request. `query` values that are None are left out."""

    method: str
    path: str
    query: Mapping[str, object] = field(default_factory=dict)
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def target(self) -> str:
        """Path and query."""
        given = {key: _query_text(value) for key, value in self.query.items() if value is not None}
        return f"{self.path}?{urlencode(given, doseq=True)}" if given else self.path

    @property
    def is_repeatable(self) -> bool:
        """Whether sending it twice has the effect of once."""
        return self.method == "GET" or "Idempotency-Key" in self.headers


def endpoint(server: str) -> Endpoint:
    """Where `https://host[:port]` is; Malformed when it is no such URL."""
    hint = "write it as https://HOST:PORT"
    parts = urlsplit(server if "://" in server else f"https://{server}")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise Malformed(f"{server!r} is not a server's address", hint=hint)
    if parts.path.strip("/") or parts.query or parts.username:
        raise Malformed(f"{server!r} has more than a host and a port", hint=hint)
    try:
        port = parts.port
    except ValueError:
        raise Malformed(f"{server!r} has a port that is no port", hint=hint) from None
    is_tls = parts.scheme == "https"
    return Endpoint(host=parts.hostname, port=port or (443 if is_tls else 80), is_tls=is_tls)


class Transport:
    """One server. For one thread at a time; streams stand alone and may be read in others."""

    def __init__(self, server: str, *, trust: Trust, headers: Mapping[str, str]) -> None:
        self.endpoint = endpoint(server)
        self.headers = dict(headers)
        self._trust = trust
        self._tls: ssl.SSLContext | None = None
        self._kept: http.client.HTTPConnection | None = None

    def send(self, request: Request, *, answer_s_max: float = ANSWER_S_MAX) -> bytes:
        """The answer's content; the error that the server answers, or why there is no answer."""
        for attempt in range(1, SENT_TWICE_AT_MOST + 1):
            connection = self._connection(answer_s_max, is_repetition=attempt > 1)
            try:
                response = self._ask(connection, request)
                content = response.read(ANSWER_BYTES_MAX + 1)
            except DROPPED:
                self.close()
                if attempt == SENT_TWICE_AT_MOST or not request.is_repeatable:
                    raise self._dropped() from None
                continue
            except TimeoutError:
                self.close()
                raise NoAnswer(
                    f"no answer from {self.endpoint.url} within {answer_s_max:g} s",
                    hint="it may have been carried out all the same: look before you repeat it",
                ) from None
            except (http.client.HTTPException, OSError) as error:
                self.close()
                raise _not_http(self.endpoint, error) from None
            if len(content) > ANSWER_BYTES_MAX:
                self.close()
                raise TooMuch(f"the answer is larger than {ANSWER_BYTES_MAX >> 20} MiB")
            if response.will_close:
                self.close()
            if response.status >= 300:
                raise error_from_answer(response.status, content)
            return content
        raise AssertionError("every attempt returns or raises")

    def open(self, request: Request, *, silence_s_max: float | None = None) -> "Stream":
        """An answer that is read while it comes, on a connection of its own.

        `silence_s_max`: how long the server may say nothing; None: for ever.
        """
        connection = self._dialled(self._new_connection())
        dialled: socket.socket = connection.sock
        try:
            response = self._ask(connection, request)
            if response.status >= 300:
                raise error_from_answer(response.status, response.read(ANSWER_BYTES_MAX))
        except PathfinderError:
            connection.close()
            raise
        except DROPPED:
            connection.close()
            raise self._dropped() from None
        except (http.client.HTTPException, OSError) as error:
            connection.close()
            raise _not_http(self.endpoint, error) from None
        dialled.settimeout(silence_s_max)
        return Stream(connection, response, dialled)

    def dial(self) -> socket.socket:
        """A connection on which nothing has been said yet, for protocols that begin as HTTP."""
        connection = self._dialled(self._new_connection())
        dialled: socket.socket = connection.sock
        return dialled

    def close(self) -> None:
        """Let go of the kept connection; the next request opens another."""
        if self._kept is not None:
            self._kept.close()
            self._kept = None

    def _ask(
        self, connection: http.client.HTTPConnection, request: Request
    ) -> http.client.HTTPResponse:
        headers = {**self.headers, **request.headers}
        connection.request(request.method, request.target, body=request.body, headers=headers)
        return connection.getresponse()

    def _connection(
        self, answer_s_max: float, *, is_repetition: bool
    ) -> http.client.HTTPConnection:
        if self._kept is None:
            connection = self._new_connection()
            try:
                self._kept = self._dialled(connection)
            except Unreachable as error:
                if is_repetition:
                    raise NoAnswer(
                        f"the connection was dropped before an answer came; now: {error.message}",
                        hint="it may have been carried out all the same: look before you repeat it",
                    ) from None
                raise
        self._kept.sock.settimeout(answer_s_max)
        return self._kept

    def _new_connection(self) -> http.client.HTTPConnection:
        host, port = self.endpoint.host, self.endpoint.port
        if not self.endpoint.is_tls:
            return http.client.HTTPConnection(host, port, timeout=CONNECT_S_MAX)
        if self._tls is None:
            self._tls = self._trust.context()
        return http.client.HTTPSConnection(host, port, timeout=CONNECT_S_MAX, context=self._tls)

    def _dialled(self, connection: http.client.HTTPConnection) -> http.client.HTTPConnection:
        try:
            connection.connect()
            if isinstance(connection.sock, ssl.SSLSocket):
                self._trust.check(connection.sock)
        except CertificateRefused:
            connection.close()
            raise
        except OSError as error:
            connection.close()
            raise unreachable(self.endpoint, error) from None
        connection.sock.settimeout(ANSWER_S_MAX)
        return connection

    def _dropped(self) -> PathfinderError:
        hint = "" if self.endpoint.is_tls else "if it speaks TLS, its address begins with https://"
        return NoAnswer(f"{self.endpoint.url} closed the connection without an answer", hint=hint)


class Stream:
    """An answer that is read while it comes."""

    def __init__(
        self,
        connection: http.client.HTTPConnection,
        response: http.client.HTTPResponse,
        dialled: socket.socket,
    ) -> None:
        self._connection = connection
        self._response = response
        # Handed in, because a response that ends with its connection takes it out of there.
        self._socket = dialled

    def lines(self) -> Iterator[bytes]:
        """Lines with their ends, as they come; NoAnswer when the connection breaks."""
        return self._read(self._response.readline)

    def parts(self) -> Iterator[bytes]:
        """Bytes, as they come; NoAnswer when the connection breaks."""
        return self._read(lambda: self._response.read1(STREAM_PART_BYTES))

    def interrupt(self) -> None:
        """End it, from any thread: who reads it then finds its end or NoAnswer."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # the other side was faster

    def close(self) -> None:
        """Give everything back. By the thread that reads, when it is done."""
        self._response.close()
        self._connection.close()

    def _read(self, read: Callable[[], bytes]) -> Iterator[bytes]:
        try:
            while part := read():
                yield part
        except TimeoutError:
            raise NoAnswer("the server has fallen silent") from None
        except (http.client.HTTPException, OSError, ValueError):
            # ValueError: the response was closed by `close` in another frame of this thread.
            raise NoAnswer("the connection to the server broke") from None


def unreachable(place: Endpoint, error: OSError) -> Unreachable:
    """Why no connection came about, in words."""
    start = f"cannot reach {place.url}: "
    if isinstance(error, ssl.SSLCertVerificationError):
        return CertificateRefused(
            f"{start}its certificate is not trusted ({error.verify_message})",
            hint="name the CA that signed it: --ca-file FILE",
        )
    if isinstance(error, ssl.SSLError):
        return Unreachable(
            f"{start}it does not speak TLS ({error.reason or 'handshake failed'})",
            hint=f"perhaps http://{place.authority} is meant",
        )
    if isinstance(error, ConnectionRefusedError):
        return Unreachable(f"{start}connection refused")
    if isinstance(error, socket.gaierror):
        return Unreachable(f"{start}the name {place.host} is not known")
    if isinstance(error, TimeoutError):
        return Unreachable(f"{start}no answer within {CONNECT_S_MAX:g} s")
    return Unreachable(start + (error.strerror or str(error)).lower())


def _not_http(place: Endpoint, error: Exception) -> PathfinderError:
    if isinstance(error, http.client.HTTPException):
        return Unexpected(
            f"what answers at {place.url} does not speak HTTP",
            hint="is this address the Pathfinder server's own? With TLS it begins with https://",
        )
    assert isinstance(error, OSError)
    return unreachable(place, error)


def _query_text(value: object) -> object:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value
