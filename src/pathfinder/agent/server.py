"""The server as the agent sees it: register, exchange, streams; over HTTP or pinned HTTPS.

    ServerFailure
    ├── ServerSilent    no answer: the server is down, unreachable, or not the one we trust
    └── ServerRefused   it answered with an error; `status`, `code` and `hint` say which

Each connection's certificate is compared with the pin; none that differs carries a byte of ours.
"""

import json
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from pathfinder.agent.identity import Identity
from pathfinder.model.errors import Malformed
from pathfinder.runtimes.http import Answer, HttpFailure, HttpPool, Request
from pathfinder.runtimes.websocket import WebSocket, open_websocket
from pathfinder.wire import codec
from pathfinder.wire.certificate import CertificateWrong, public_key_digest
from pathfinder.wire.messages import (
    BODY_BYTES_MAX,
    Exchange,
    Registered,
    Registration,
    Reply,
)
from pathfinder.wire.websocket import HandshakeRefused

REGISTER_PATH: Final = "/api/v3/node/register"
EXCHANGE_PATH: Final = "/api/v3/node/exchange"
STREAM_PATH: Final = "/api/v3/node/streams/"
CONNECTIONS_MAX: Final = 3  # two exchanges and a registration
CONNECT_S_MAX: Final = 5.0
REGISTER_S_MAX: Final = 20.0
ANSWER_LATE_S_MAX: Final = 4.0  # after the heartbeat at which the server answers at the latest


class ServerFailure(Exception):
    """Base of what can go wrong between us and the server: raise a subclass."""


class ServerSilent(ServerFailure):
    """No answer that can be used."""


class ServerRefused(ServerFailure):
    """The server answered with an error."""

    def __init__(self, status: int, code: str, message: str, hint: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.hint = hint


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where the server listens."""

    host: str
    port: int
    is_tls: bool


def address_of(url: str) -> Address:
    """`http://HOST[:PORT]` or `https://HOST[:PORT]`; Malformed for anything else."""
    scheme, separator, rest = url.partition("://")
    host, colon, port = rest.rstrip("/").rpartition(":")
    if not colon or port.endswith("]"):
        host, port = rest.rstrip("/"), "443" if scheme == "https" else "80"
    is_good = separator and scheme in ("http", "https") and host and "/" not in host
    if not is_good or not port.isdecimal() or not 0 < int(port) < 1 << 16:
        raise Malformed(f"--server {url}: must be http://HOST:PORT or https://HOST:PORT")
    return Address(host=host.strip("[]"), port=int(port), is_tls=scheme == "https")


class ServerEndpoint:
    """Connections to the server. `pin`: its public key's digest; "": by `ca_file` or the system."""

    def __init__(self, address: Address, *, pin: str = "", ca_file: str = "") -> None:
        self.address = address
        self.pin = pin
        self._context = _context(pin, ca_file) if address.is_tls else None
        self._latest: ssl.SSLSocket | None = None
        self._session: ssl.SSLSession | None = (
            None  # resumed: half the server's cost of a handshake
        )

    @property
    def host(self) -> str:
        """What the Host header says."""
        return f"{self.address.host}:{self.address.port}"

    def __str__(self) -> str:
        return f"{'https' if self.address.is_tls else 'http'}://{self.host}"

    def connect(self, timeout_s: float) -> socket.socket:
        """A connection to the server that we trust; OSError when there is none."""
        where = (self.address.host, self.address.port)
        connection = socket.create_connection(where, min(timeout_s, CONNECT_S_MAX))
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return connection if self._context is None else self._secured(connection)
        except BaseException:
            connection.close()
            raise

    def _secured(self, connection: socket.socket) -> socket.socket:
        assert self._context is not None
        # TLS 1.3 hands a session out after the handshake: only a used connection has one.
        self._session = (self._latest and self._latest.session) or self._session
        secured = self._context.wrap_socket(
            connection, server_hostname=self.address.host, session=self._session
        )
        try:
            self._check_pin(secured)
        except BaseException:
            secured.close()
            raise
        self._latest = secured
        return secured

    def _check_pin(self, secured: ssl.SSLSocket) -> None:
        if not self.pin:
            return
        try:
            digest = public_key_digest(secured.getpeercert(binary_form=True) or b"")
        except CertificateWrong as error:
            raise ssl.SSLError(f"the server's certificate cannot be read: {error}") from None
        if digest != self.pin:
            raise ssl.SSLError(
                "the server's key is not the one that the join token names: "
                "it is another server, or its key was replaced (join again with a new token)"
            )


def _context(pin: str, ca_file: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if pin:
        # Not "no check": the key's digest is compared on every connection, before anything is sent.
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif ca_file:
        context.load_verify_locations(cafile=ca_file)
    else:
        context.load_default_certs()
    return context


class Server:
    """One server, for any number of threads. Nothing is repeated here: the core decides."""

    def __init__(self, endpoint: ServerEndpoint) -> None:
        self._endpoint = endpoint
        self._pool = HttpPool(endpoint, connections_max=CONNECTIONS_MAX)

    def register(self, registration: Registration) -> Registered:
        """Join, or join again with the same secret; ServerFailure otherwise."""
        answer = self._post(REGISTER_PATH, registration, {}, REGISTER_S_MAX)
        return self._decoded(Registered, answer)

    def exchange(self, identity: Identity, exchange: Exchange, heartbeat_ms: int) -> Reply:
        """Send one exchange and wait for its answer, which the server may hold for a heartbeat."""
        headers = {"Authorization": identity.authorization()}
        wait_s = heartbeat_ms / 1000 + ANSWER_LATE_S_MAX
        return self._decoded(Reply, self._post(EXCHANGE_PATH, exchange, headers, wait_s))

    def open_stream(self, identity: Identity, stream_id: str) -> WebSocket:
        """The connection that the server asked for; ServerFailure when it does not want it."""
        try:
            return open_websocket(
                self._endpoint.connect(CONNECT_S_MAX),
                host=self._endpoint.host,
                path=STREAM_PATH + stream_id,
                headers={"Authorization": identity.authorization()},
            )
        except (OSError, HandshakeRefused) as error:
            raise ServerSilent(f"{self._endpoint}: {_text(error)}") from error

    def local_address(self) -> str:
        """The address of this machine on the way to the server, "" when there is no way."""
        host, port = self._endpoint.address.host, self._endpoint.address.port
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
            family, kind, protocol, _, where = found[0]
            with socket.socket(family, kind, protocol) as way:
                way.connect(where)  # a datagram socket: finds the way, and sends nothing
                return str(way.getsockname()[0])
        except OSError:
            return ""

    def close(self) -> None:
        """Let go of idle connections."""
        self._pool.close()

    def _post(
        self, path: str, message: object, headers: Mapping[str, str], timeout_s: float
    ) -> Answer:
        request = Request(
            method="POST",
            path=path,
            body=codec.encode(message),
            headers={"Content-Type": "application/json", **headers},
            timeout_s=timeout_s,
            answer_bytes_max=BODY_BYTES_MAX,
        )
        try:
            answer = self._pool.request(request)
        except HttpFailure as error:
            raise ServerSilent(str(error)) from error
        if not 200 <= answer.status < 300:
            raise _refusal(answer)
        return answer

    def _decoded(self, kind: type[codec.Message], answer: Answer) -> codec.Message:
        try:
            return codec.decode(kind, answer.body)
        except Malformed as error:
            raise ServerSilent(f"{self._endpoint}: the answer cannot be read: {error}") from None


def _refusal(answer: Answer) -> ServerRefused:
    try:
        body: Any = json.loads(answer.body)
        error = body["error"]
        told = [str(error[name]) for name in ("code", "message")]
        return ServerRefused(answer.status, told[0], told[1], str(error.get("hint", "")))
    except (ValueError, TypeError, KeyError, AttributeError):
        return ServerRefused(answer.status, "", f"the server answered {answer.status}", "")


def _text(error: BaseException) -> str:
    return str(error) or type(error).__name__
