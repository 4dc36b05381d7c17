"""A server for tests of the agent: the conversation's rules in a page, over real HTTP and TLS.

What it wants is set by `want`; what it has heard is in `exchanges` and `registrations`. The real
server has tests of its own with the real agent; this one can be made to refuse and to forget.
"""

import datetime as dt
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from pathfinder.wire import codec
from pathfinder.wire.messages import (
    Assignment,
    Exchange,
    Registered,
    Registration,
    Reply,
    Session,
    StreamRequest,
)
from pathfinder.wire.websocket import Closed, Codec, Message, accept_value

PATIENCE_S: Final = 10.0
BUSYBOX: Final = {"image": {"alias": "busybox"}}


class StubServer:
    """The state of one server, shared by the threads of its connections."""

    def __init__(self, *, heartbeat_ms: int = 300, parks: bool = True) -> None:
        self.epoch, self.incarnation, self.revision = 1, "life-1", 1
        self.heartbeat_ms = heartbeat_ms
        self.parks = parks
        self.registrations: list[Registration] = []
        self.secrets: set[str] = set()
        self.exchanges: list[Exchange] = []
        self.streams: dict[str, list[Message]] = {}  # stream_id -> what the node has sent
        self.refusal: tuple[int, str, str] | None = None  # of registrations
        self.connection_count = 0
        self.exchange_count = 0
        self.keeps = 10_000  # exchanges at most, so that long runs do not grow
        self._wanted: dict[str, Assignment] = {}
        self._stream_requests: list[StreamRequest] = []
        self._to_send: dict[str, list[Message]] = {}
        self._newest = 0
        self._changed = threading.Condition()

    # What a test does.

    def want(self, *slots: str, generation: int = 1, **environment: str) -> None:
        """From now on exactly these slots, each a busybox."""
        spec = {**BUSYBOX, "environment": environment}
        with self._changed:
            self._wanted = {
                slot: Assignment(slot=slot, generation=generation, digest="d", spec=spec)
                for slot in slots
            }
            self.revision += 1
            self._changed.notify_all()

    def want_kinds(self, **kinds: str) -> None:
        """From now on exactly these slots, each a busybox of its kind."""
        slots = {slot.replace("_", "-"): kind for slot, kind in kinds.items()}
        with self._changed:
            self._wanted = {
                slot: Assignment(
                    slot=slot, generation=1, digest="d", spec={**BUSYBOX, "kind": kind}
                )
                for slot, kind in slots.items()
            }
            self.revision += 1
            self._changed.notify_all()

    def want_specs(self, **specs: dict[str, Any]) -> None:
        """From now on exactly these slots, each a busybox with more to its spec."""
        with self._changed:
            self._wanted = {
                slot: Assignment(slot=slot, generation=1, digest="d", spec={**BUSYBOX, **spec})
                for slot, spec in specs.items()
            }
            self.revision += 1
            self._changed.notify_all()

    def forget_nodes(self) -> None:
        """Whatever credentials were known are not known any more."""
        with self._changed:
            self.secrets.clear()

    def restart(self) -> None:
        """Another life of the server, under a higher epoch."""
        with self._changed:
            self.epoch += 1
            self.incarnation = f"life-{self.epoch}"
            self._changed.notify_all()

    def ask_for_stream(self, request: StreamRequest, *sends: Message) -> None:
        """Have the node open a stream, on which `sends` will be said."""
        with self._changed:
            self._to_send[request.stream_id] = list(sends)
            self._stream_requests.append(request)
            self._changed.notify_all()

    def wait_until(self, holds: Callable[[], bool], patience_s: float = PATIENCE_S) -> None:
        """Return as soon as `holds`; AssertionError when it takes too long."""
        with self._changed:
            assert self._changed.wait_for(holds, patience_s), self.exchanges[-1:]

    def wait_until_phases(self, patience_s: float = PATIENCE_S, **phases: str) -> None:
        """Return when the node holds exactly these slots in these phases."""
        wanted = {slot.replace("_", "-"): phase for slot, phase in phases.items()}
        self.wait_until(lambda: self.phases() == wanted, patience_s)

    def phases(self) -> dict[str, str]:
        """What the newest exchange says that the node holds."""
        if not self.exchanges or not (
            self.exchanges[-1].complete or self.exchanges[-1].silent_kinds
        ):
            return {"nothing": "complete yet"}
        return {holding.slot: holding.phase for holding in self.exchanges[-1].holding}

    # What the connections do.

    def register(self, body: bytes) -> tuple[int, bytes]:
        """The answer to a registration."""
        registration = codec.decode(Registration, body)
        with self._changed:
            self.registrations.append(registration)
            self._changed.notify_all()
            if self.refusal is not None:
                return _refused(*self.refusal)
            self.secrets.add(registration.secret)
            known = Registered(cluster=registration.cluster, node=registration.node, revision=1)
            return 200, codec.encode(known)

    def exchange(self, authorization: str, body: bytes) -> tuple[int, bytes]:
        """The answer to an exchange, which may wait for news or a newer exchange."""
        exchange = codec.decode(Exchange, body)
        with self._changed:
            if authorization.rpartition(".")[2] not in self.secrets:
                return _refused(401, "unauthorized", "no such credential")
            self.exchange_count += 1
            self.exchanges = [*self.exchanges[-self.keeps :], exchange]
            self._changed.notify_all()
            return 200, codec.encode(self._reply(exchange))

    def _reply(self, exchange: Exchange) -> Reply:
        session = exchange.session
        if (session.epoch, session.incarnation) != (self.epoch, self.incarnation):
            mine = Session(epoch=self.epoch, incarnation=self.incarnation, sequence=0)
            return Reply(session=mine, sent_ms=exchange.sent_ms, kind="hello")
        self._newest = max(self._newest, session.sequence)
        self._changed.notify_all()
        if self.parks:
            self._changed.wait_for(lambda: self._has_news(exchange), self.heartbeat_ms / 1000)
        reply = Reply(
            session=session,
            sent_ms=exchange.sent_ms,
            kind="nothing",
            lease_ms=10_000,
            heartbeat_ms=self.heartbeat_ms,
        )
        if session.sequence < self._newest or session.epoch != self.epoch:
            return reply
        streams, self._stream_requests = tuple(self._stream_requests), []
        if exchange.seen == self.revision:
            return replace(reply, streams=streams)
        return replace(
            reply,
            kind="complete",
            revision=self.revision,
            assignments=tuple(self._wanted.values()),
            streams=streams,
        )

    def _has_news(self, exchange: Exchange) -> bool:
        return bool(
            exchange.seen != self.revision
            or exchange.session.sequence < self._newest
            or exchange.session.epoch != self.epoch
            or self._stream_requests
        )

    def serve_stream(self, stream_id: str, connection: Any, early: Callable[[], bytes]) -> None:
        """Say on a stream what the test wants said, and keep what the node says, to its end."""
        codec_ = Codec(mask_key=None)
        with self._changed:
            heard = self.streams.setdefault(stream_id, [])
            sends = self._to_send.pop(stream_id, [])
        for message in sends:
            connection.sendall(codec_.message(message.data, text=message.text))
        while data := early():
            for event in codec_.receive(data):
                if isinstance(event, Closed):
                    connection.sendall(codec_.close())
                    return
                if isinstance(event, Message):
                    with self._changed:
                        heard.append(event)
                        self._changed.notify_all()


def _refused(status: int, code: str, message: str) -> tuple[int, bytes]:
    return status, json.dumps({"error": {"code": code, "message": message, "hint": ""}}).encode()


def _handler(stub: StubServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # one packet for head and body: nobody waits for the second

        def setup(self) -> None:
            super().setup()
            stub.connection_count += 1

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.path == "/api/v3/node/register":
                self._answer(*stub.register(body))
            else:
                assert self.path == "/api/v3/node/exchange", self.path
                self._answer(*stub.exchange(self.headers["Authorization"], body))

        def do_GET(self) -> None:
            self.close_connection = True
            stream_id = self.path.rpartition("/")[2]
            accept = accept_value(self.headers["Sec-WebSocket-Key"].encode())
            self.send_response(101)
            self.send_header("Upgrade", "websocket")
            self.send_header("Connection", "Upgrade")
            self.send_header("Sec-WebSocket-Accept", accept)
            self.end_headers()
            self.wfile.flush()
            stub.serve_stream(stream_id, self.connection, lambda: self.connection.recv(1 << 16))

        def _answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Tests read exchanges, not logs."""

    return Handler


class _QuietServer(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Agents hang up when they end, or when they do not trust us."""


@contextmanager
def serving(
    stub: StubServer, certificate: "Certificate | None" = None, port: int = 0
) -> Iterator[str]:
    """Serve until the end of the block; the server's URL."""
    server = _QuietServer(("127.0.0.1", port), _handler(stub))
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate.path, certificate.key_path)
        server.socket = context.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
    thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.02), daemon=True)
    thread.start()
    try:
        scheme = "http" if certificate is None else "https"
        yield f"{scheme}://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(PATIENCE_S)


class Certificate:
    """A self-signed certificate in `directory`, and the digest by which it is pinned."""

    def __init__(self, directory: Path, name: str = "server") -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        now = dt.datetime.now(dt.UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=1))
            .not_valid_after(now + dt.timedelta(days=30))
            .sign(key, hashes.SHA256())
        )
        self.der = certificate.public_bytes(serialization.Encoding.DER)
        self.path = directory / f"{name}.crt"
        self.key_path = directory / f"{name}.key"
        self.path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        self.key_path.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        digest = hashes.Hash(hashes.SHA256())
        digest.update(
            key.public_key().public_bytes(
                serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
            )
        )
        self.pin = digest.finalize().hex()

    def join_token(self) -> str:
        """A token that pins this certificate."""
        return f"pf1.{self.pin}.t1.{'s' * 32}"
