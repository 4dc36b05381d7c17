"""A small server that speaks the API v3 as `pfi` and the client library meet it.

It keeps things in memory, records every request, and misbehaves when told to: the real server is
tried in tests/system. Commands of `exec` run on this machine, in a pseudo-terminal or in pipes.
"""

import fcntl
import json
import os
import pty
import select
import socket
import ssl
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from pathfinder.wire import websocket
from tests.support.pseudo_terminal import ON_TERMINAL

PENDING_MAX: Final = 1 << 20
TOKEN = "pft.stub.secret"
ROOT = "/api/v3"
Item = dict[str, Any]


@dataclass(frozen=True)
class Seen:
    """One request that arrived."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: Any


@dataclass
class StubApi:
    """What the server has, has seen, and shall do wrong."""

    things: dict[str, Item] = field(default_factory=dict)  # path -> item
    events: list[Item] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)
    scripted: dict[tuple[str, str], tuple[int, Any]] = field(default_factory=dict)
    drops: int = 0  # how many requests lose their answer
    page_items_max: int = 1000
    revision: int = 1
    url: str = ""
    answered: dict[str, bytes] = field(default_factory=dict)
    changed: threading.Condition = field(default_factory=threading.Condition)
    is_stopping: bool = False

    def put(self, path: str, **item: Any) -> None:
        """Have this thing."""
        with self.changed:
            self.revision += 1
            self.things[ROOT + path] = {"revision": self.revision, **item}
            self.changed.notify_all()

    def put_container(self, name: str, **more: Any) -> None:
        """Have this container in the default cluster, running unless `more` says otherwise."""
        self.put(f"/clusters/default/containers/{name}", **{**container(name), **more})

    def remove(self, path: str) -> None:
        """Have it no longer."""
        with self.changed:
            self.revision += 1
            del self.things[ROOT + path]
            self.changed.notify_all()

    def emit(self, kind: str, name: str, action: str, **more: Any) -> None:
        """Let this happen."""
        with self.changed:
            self.revision += 1
            event = {
                "revision": self.revision, "index": 0, "time_ms": 1_700_000_000_000, "kind": kind,
                "cluster": "default", "name": name, "action": action, "why": "", "who": "stub",
            }  # fmt: skip
            self.events.append({**event, **more})
            self.changed.notify_all()

    def requests_to(self, path: str) -> list[Seen]:
        """The requests that this path has seen."""
        return [seen for seen in self.seen if seen.path == ROOT + path]


def pfi_environ(api: StubApi, directory: Path) -> dict[str, str]:
    """The environment in which `pfi` speaks to this server, and keeps its contexts there."""
    return {
        "PFI_SERVER": api.url,
        "PFI_TOKEN": TOKEN,
        "PFI_CONFIG": str(directory / "config.json"),
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join(sys.path),
    }


def container(name: str) -> Item:
    """A running container as the API shows it."""
    return {
        "kind": "Container", "cluster": "default", "name": name, "labels": {}, "deployment": "",
        "phase": "BOOTSTRAPPED", "ready": True, "node": "n1", "ipaddress": "10.0.0.7",
        "addresses": ["10.0.0.7"], "image": "busybox", "spec": {"image": {"alias": "busybox"}},
        "generation": 1, "restarts": 0, "created_ms": 1_700_000_000_000, "why": "", "hint": "",
        "explanation": None, "leaving": [], "usage": None,
    }  # fmt: skip


def deployment(name: str, replicas: int) -> Item:
    """A deployment that has just begun, as the API shows it."""
    return {
        "kind": "Deployment", "cluster": "default", "name": name, "labels": {"app": name},
        "replicas": replicas, "min_available": max(replicas - 1, 0), "current": replicas,
        "updated": replicas, "ready": 0, "progress": f"0 of {replicas} ready", "blocked": "",
        "wanted": True, "spec": {"image": {"alias": "busybox"}}, "digest": "0123456789abcdef",
        "created_ms": 1_700_000_000_000, "changed_ms": 1_700_000_000_000,
    }  # fmt: skip


@contextmanager
def stub_api(context: ssl.SSLContext | None = None) -> Iterator[StubApi]:
    """The server on a free port of this machine; with TLS when there is a context for it."""
    api = StubApi()
    server = _Server(("127.0.0.1", 0), _Handler)
    server.api = api
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    api.url = f"{'https' if context else 'http'}://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield api
    finally:
        with api.changed:
            api.is_stopping = True
            api.changed.notify_all()
        server.shutdown()
        thread.join()
        server.hang_up()
        server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = False
    api: StubApi

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.connections: set[socket.socket] = set()

    def hang_up(self) -> None:
        for connection in list(self.connections):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is part of what is tested."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def setup(self) -> None:
        super().setup()
        self.server.connections.add(self.connection)

    def finish(self) -> None:
        self.server.connections.discard(self.connection)
        super().finish()

    def log_message(self, format: str, *arguments: Any) -> None:
        pass

    def do_GET(self) -> None:
        self._serve()

    def do_PUT(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def do_PATCH(self) -> None:
        self._serve()

    def do_DELETE(self) -> None:
        self._serve()

    def _serve(self) -> None:
        api = self.server.api
        parts = urlsplit(self.path)
        length = int(self.headers.get("Content-Length") or 0)
        content = self.rfile.read(length)
        seen = Seen(
            self.command,
            parts.path,
            parse_qs(parts.query),
            {key.lower(): value for key, value in self.headers.items()},
            json.loads(content) if content else None,
        )
        with api.changed:
            api.seen.append(seen)
        key = seen.headers.get("idempotency-key", "")
        if key not in api.answered:
            status, document = self._answer(api, seen)
            if document is None:
                return
            api.answered[key] = json.dumps([status, document]).encode()
        if api.drops > 0:
            api.drops -= 1
            self.close_connection = True
            return
        status, document = json.loads(api.answered.pop(key) if not key else api.answered[key])
        self._send(status, json.dumps(document).encode(), "application/json")

    def _answer(self, api: StubApi, seen: Seen) -> tuple[int, Any]:
        """Status and document; a document of None: it has been answered already."""
        if seen.headers.get("authorization") != f"Bearer {TOKEN}":
            return 401, _error("unauthorized", "this token is not known")
        if (seen.method, seen.path) in api.scripted:
            return api.scripted[seen.method, seen.path]
        if seen.path == f"{ROOT}/version":
            return 200, {"version": "9.9", "api": "v3", "epoch": 1, "revision": api.revision}
        if seen.path == f"{ROOT}/apply":
            return 200, _apply(api, seen)
        if seen.path == f"{ROOT}/events":
            return self._events(api, seen)
        if seen.path.endswith("/exec"):
            self._exec(seen)
            return 200, None
        if seen.path.endswith("/logs"):
            self._send(200, b"first line\nsecond line\n", "text/plain")
            return 200, None
        return _thing(api, seen)

    def _send(self, status: int, content: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _events(self, api: StubApi, seen: Seen) -> tuple[int, Any]:
        since = int(seen.query.get("since", ["0"])[0])
        if "follow" not in seen.query:
            items = [event for event in api.events if event["revision"] > since]
            for key in ("kind", "name"):
                if key in seen.query:
                    items = [event for event in items if event[key] == seen.query[key][0]]
            return 200, {"items": items, "next": "", "revision": api.revision}
        if "last-event-id" in seen.headers:
            since = int(seen.headers["last-event-id"].partition(".")[0])
        self.close_connection = True
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        self._stream_events(api, since)
        return 200, None

    def _stream_events(self, api: StubApi, since: int) -> None:
        while True:
            with api.changed:
                news = [event for event in api.events if event["revision"] > since]
                if not news and not api.is_stopping and api.drops == 0:
                    api.changed.wait(0.05)
                if api.is_stopping:
                    return
                if not news and api.drops > 0:
                    api.drops -= 1
                    return
            for event in news:
                since = event["revision"]
                name = f"{event['kind']}.{event['action']}"
                text = f"id: {since}.{event['index']}\nevent: {name}\ndata: {json.dumps(event)}\n\n"
                self.wfile.write(text.encode())
            self.wfile.write(b": heartbeat\n\n")

    def _exec(self, seen: Seen) -> None:
        self.close_connection = True
        key = seen.headers["sec-websocket-key"].encode()
        self.wfile.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + websocket.accept_value(key).encode() + b"\r\n\r\n"
        )
        command = seen.query["command"]
        if command == ["refuse"]:
            refusal = json.dumps(_error("conflict", "it does not run", "pfi describe it"))
            codec = websocket.Codec(mask_key=None)
            self.wfile.write(codec.message(refusal.encode(), text=True) + codec.close())
            return
        if "tty" in seen.query:
            size = (int(seen.query["columns"][0]), int(seen.query["rows"][0]))
            _in_pty(self.connection, command, size)
        else:
            _in_pipes(self.connection, command)


def _thing(api: StubApi, seen: Seen) -> tuple[int, Any]:
    """Collections and things, by their paths."""
    *parents, name = seen.path.split("/")
    if seen.method == "GET" and seen.path in api.things:
        return 200, api.things[seen.path]
    if seen.method == "GET" and name in _COLLECTIONS:
        return 200, _page(api, seen)
    if seen.method == "POST" and name in ("scale", "reschedule"):
        item = api.things["/".join(parents)]
        item.update(seen.body or {})
        return 200, item
    if seen.method == "POST":
        return 201, {"id": "t1", "token": "pft.t1.secret", "expires_ms": 0, **seen.body}
    if seen.method == "PUT":
        api.put(seen.path.removeprefix(ROOT), **{"name": name, **(seen.body or {})})
        return 200, api.things[seen.path]
    item_or_none = api.things.get(seen.path)
    if item_or_none is None:
        return 404, _error("not_found", f"there is no {parents[-1][:-1]} {name}")
    if seen.method == "DELETE":
        return 200, api.things.pop(seen.path)
    item_or_none.update(seen.body)
    return 200, item_or_none


_COLLECTIONS = ("clusters", "nodes", "deployments", "containers", "images", "remotes", "tokens")


def _page(api: StubApi, seen: Seen) -> Item:
    prefix = seen.path + "/"
    after = seen.query.get("after", [""])[0]
    limit = min(int(seen.query.get("limit", ["500"])[0]), api.page_items_max)
    names = sorted(
        path.removeprefix(prefix)
        for path in api.things
        if path.startswith(prefix) and path.count("/") == prefix.count("/")
    )
    rest = [name for name in names if name > after]
    items = [api.things[prefix + name] for name in rest[:limit]]
    return {
        "items": items,
        "next": rest[limit - 1] if len(rest) > limit else "",
        "revision": api.revision,
    }


def _apply(api: StubApi, seen: Seen) -> Item:
    changes = []
    is_dry = seen.query.get("dry_run") == ["true"]
    for document in seen.body["documents"]:
        kind, name = document["kind"].lower(), document["name"]
        path = f"/clusters/{document.get('cluster', 'default')}/{kind}s/{name}"
        action = "change" if ROOT + path in api.things else "create"
        change = {"kind": kind, "cluster": "default", "name": name, "action": action}
        changes.append({**change, "node": "n1", "why": "fits best", "warnings": []})
        if not is_dry and kind == "container":
            api.put_container(name, phase="SCHEDULED", ready=False)
        elif not is_dry and kind == "deployment":
            api.put(path, **deployment(name, document.get("replicas", 1)))
        elif not is_dry:
            api.put(path, **document)
    return {"dry_run": is_dry, "revision": api.revision, "changes": changes, "warnings": []}


def _error(code: str, message: str, hint: str = "") -> Item:
    described = {"code": code, "message": message, "hint": hint, "retry": False, "details": {}}
    return {"error": described}


def _in_pipes(connection: socket.socket, command: list[str]) -> None:
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        outputs = {process.stdout.fileno(): 1, process.stderr.fileno(): 2}
        _Bridge(connection, process, outputs, process.stdin.fileno()).run()


def _in_pty(connection: socket.socket, command: list[str], size: tuple[int, int]) -> None:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
    with subprocess.Popen(
        [*ON_TERMINAL, *command], stdin=theirs, stdout=theirs, stderr=theirs
    ) as process:
        os.close(theirs)
        try:
            _Bridge(connection, process, {ours: 1}, ours).run()
        finally:
            os.close(ours)


class _Bridge:
    """Between a WebSocket and a process. What the process does not take yet waits here."""

    def __init__(
        self,
        connection: socket.socket,
        process: subprocess.Popen[bytes],
        outputs: dict[int, int],
        stdin_fd: int,
    ) -> None:
        self.connection = connection
        self.process = process
        self.outputs = outputs
        self.stdin_fd = stdin_fd
        self.codec = websocket.Codec(mask_key=None)
        self.pending = bytearray()
        self.is_input_over = False
        os.set_blocking(stdin_fd, False)

    def run(self) -> None:
        """Until the process ends. A client that hangs up ends it."""
        try:
            self._pass_everything()
        except OSError:
            self.process.kill()

    def _pass_everything(self) -> None:
        while self.outputs:
            ready = self._ready()
            for fd in [fd for fd in self.outputs if fd in ready]:
                self._pass_output(fd)
            if self.connection.fileno() in ready:
                received = self.connection.recv(65536) if self.is_listening else b""
                if not received:
                    self.process.kill()
                    return
                for event in self.codec.receive(received):
                    self._obey(event)
            self._pass_input()
        code = self.process.wait()
        said = json.dumps({"exit": code if code >= 0 else 128 - code}).encode()
        self.connection.sendall(self.codec.message(said, text=True) + self.codec.close())

    @property
    def is_listening(self) -> bool:
        """While too much is pending, who writes has to wait, as with a real one."""
        return len(self.pending) < PENDING_MAX

    def _ready(self) -> set[int]:
        """What can be read or written now; the connection also when its other side has gone."""
        poll = select.poll()
        poll.register(self.connection, select.POLLIN if self.is_listening else select.POLLRDHUP)
        for fd in {*self.outputs, *([self.stdin_fd] if self.pending else [])}:
            is_waiting = bool(self.pending) and fd == self.stdin_fd
            reads = select.POLLIN if fd in self.outputs else 0
            poll.register(fd, reads | (select.POLLOUT if is_waiting else 0))
        return {fd for fd, _ in poll.poll()}

    def _pass_output(self, fd: int) -> None:
        try:
            data = os.read(fd, 65536)
        except BlockingIOError:
            return
        except OSError:  # how a pseudo-terminal says that its other side has closed
            data = b""
        if data:
            self.connection.sendall(self.codec.message(bytes((self.outputs[fd],)) + data))
        else:
            del self.outputs[fd]

    def _pass_input(self) -> None:
        try:
            while self.pending:
                del self.pending[: os.write(self.stdin_fd, self.pending)]
        except BlockingIOError:
            return
        except OSError:
            self.pending.clear()
        if self.is_input_over and self.stdin_fd not in self.outputs and self.process.stdin:
            self.process.stdin.close()

    def _obey(self, event: websocket.Event) -> None:
        match event:
            case websocket.Message(data, text=True):
                size = json.loads(data)["resize"]
                packed = struct.pack("HHHH", size["rows"], size["columns"], 0, 0)
                fcntl.ioctl(self.stdin_fd, termios.TIOCSWINSZ, packed)
            case websocket.Message(data) if len(data) > 1:
                self.pending += data[1:]
            case websocket.Message():
                self.is_input_over = True
            case websocket.Closed():
                self.process.kill()
