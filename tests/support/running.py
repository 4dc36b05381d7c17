"""A server of this process, on a store of the test's choice, and what talks to it.

Real uvicorn on a real socket, in a thread with an event loop of its own: what the tests see is what
clients see.
"""

import asyncio
import http.client
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn

from pathfinder.api.app import Application
from pathfinder.control.access import digest
from pathfinder.control.commands import Command, CreateToken, PutCluster
from pathfinder.control.objects import Role
from pathfinder.server.backend import Server
from pathfinder.server.clock import MachineClock
from pathfinder.server.http import Protocol
from pathfinder.server.initialise import Foundation
from pathfinder.server.journal import Retention
from pathfinder.server.serving import Http, Listening, bind
from pathfinder.store.port import Store
from pathfinder.webui.pages import WebUi
from pathfinder.wire.codec import decode, encode
from pathfinder.wire.messages import (
    Assignment,
    Exchange,
    Facts,
    Holding,
    Registered,
    Registration,
    Reply,
    Session,
)

ADMIN = "pft.admin." + "a" * 40
APP = "pft.app." + "b" * 40
READER = "pft.reader." + "c" * 40
LOOPBACK = Listening(host="127.0.0.1", port=0, certificate=None, key=None)
NO_SESSION = Session(epoch=0, incarnation="", sequence=0)
WAIT_S_MAX = 20.0
ANSWER_S_MAX = 30.0


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def document(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The code of the error that it is."""
        return str(self.document["error"]["code"])


class Api:
    """One connection to a server."""

    def __init__(self, port: int, token: str = ADMIN) -> None:
        self.port = port
        self.token = token
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_S_MAX)

    def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send a request, bytes as they are and anything else as JSON; the answer."""
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        sent = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        self.connection.request(method, path, body=data, headers={**sent, **(headers or {})})
        response = self.connection.getresponse()
        return Answer(response.status, dict(response.headers.items()), response.read())

    def get(self, path: str) -> Any:
        """The document at a path, which must be there."""
        answer = self.call("GET", path)
        assert answer.status == 200, answer
        return answer.document

    def put(self, path: str, body: object) -> Any:
        """The document after a change, which must succeed."""
        answer = self.call("PUT", path, body)
        assert answer.status == 200, answer
        return answer.document


@dataclass
class DriverNode:
    """A node whose every exchange the test writes."""

    api: Api
    name: str
    secret: str = "d" * 64
    session: Session = NO_SESSION
    revision: int = 0
    wanted: dict[str, Assignment] = field(default_factory=dict)

    def register(self, **facts: Any) -> Registered:
        """Join the cluster `default` with a fresh join token."""
        token = self.api.call("POST", "/api/v3/clusters/default/join-tokens", {}).document["token"]
        answer = self.send("/api/v3/node/register", self.registration(join_token=token, **facts))
        assert answer.status == 200, answer
        return decode(Registered, answer.body)

    def registration(
        self, *, join_token: str = "", cluster_password: str = "", **facts: Any
    ) -> Registration:
        """What this node says when it joins."""
        return Registration(
            cluster="default",
            node=self.name,
            secret=self.secret,
            join_token=join_token,
            cluster_password=cluster_password,
            facts=Facts(
                **{
                    "hostname": self.name,
                    "kinds": ("system",),
                    "images": ("busybox",),
                    "cpu_millis": 8_000,
                    "memory_mib": 16_384,
                    "disk_mib": 100_000,
                    **facts,
                }
            ),
        )

    def send(self, path: str, message: object) -> Answer:
        """Send a message under this node's credential."""
        api = Api(self.api.port, f"pfn.default.{self.name}.{self.secret}")
        try:
            return api.call("POST", path, encode(message))
        finally:
            api.connection.close()

    def exchange(self, *holding: Holding, **fields: Any) -> Reply:
        """One exchange that must be answered 200; sessions and assignments are followed."""
        self.session = Session(
            epoch=self.session.epoch,
            incarnation=self.session.incarnation,
            sequence=self.session.sequence + 1,
        )
        asked = Exchange(
            session=self.session,
            sent_ms=0,
            **{"seen": self.revision, "complete": True, "holding": holding, **fields},
        )
        answer = self.send("/api/v3/node/exchange", asked)
        assert answer.status == 200, answer
        reply = decode(Reply, answer.body)
        self._follow(reply)
        return reply

    def join(self, **facts: Any) -> None:
        """Register, and exchange until the first complete answer."""
        self.register(**facts)
        self.exchange()
        while self.exchange().kind != "complete":
            pass

    def running(self) -> tuple[Holding, ...]:
        """Everything that is wanted, as running."""
        return tuple(
            Holding(
                slot=each.slot,
                generation=each.generation,
                phase="running",
                digest=each.digest,
                addresses=("10.0.0.2",),
            )
            for each in self.wanted.values()
        )

    def _follow(self, reply: Reply) -> None:
        if reply.kind == "hello":
            self.session = reply.session
            return
        if reply.kind in ("complete", "difference"):
            if reply.kind == "complete":
                self.wanted = {}
            self.wanted.update({each.slot: each for each in reply.assignments})
            for slot in reply.released:
                self.wanted.pop(slot, None)
            self.revision = reply.revision


@dataclass
class RunningServer:
    """A server that answers on `port`."""

    port: int
    failures: list[str] = field(default_factory=list)
    connections: list[Api] = field(default_factory=list)

    def api(self, token: str = ADMIN) -> Api:
        """A new connection, closed with the server."""
        api = Api(self.port, token)
        self.connections.append(api)
        return api

    def node(self, name: str = "n1") -> DriverNode:
        """A node that has not registered yet."""
        return DriverNode(self.api(), name)


def prepare(store: Store, *commands: Command) -> None:
    """Cluster `default` and the tokens ADMIN, APP, READER."""
    foundation = Foundation(store, MachineClock())
    foundation.run(PutCluster("default"))
    tokens: tuple[tuple[str, Role], ...] = ((ADMIN, "admin"), (APP, "app"), (READER, "reader"))
    for text, role in tokens:
        _, identifier, secret = text.split(".")
        foundation.run(
            CreateToken(id=identifier, role=role, secret_digest=digest(secret), name=identifier)
        )
    for command in commands:
        foundation.run(command)


@contextmanager
def running_server(
    store: Store, *, retention: Retention | None = None, is_prepared: bool = False
) -> Iterator[RunningServer]:
    """A server on `store`, stopped at the end as by SIGTERM."""
    if not is_prepared:
        prepare(store)
    bound = bind(LOOPBACK)
    running = RunningServer(port=bound.getsockname()[1])
    loop = asyncio.new_event_loop()
    stopping = asyncio.Event()
    began = threading.Event()

    async def serve() -> None:
        server = Server(
            store,
            clock=MachineClock(),
            retention=retention or Retention(),
            spki_digest="-",
            on_failure=running.failures.append,
        )
        await server.begin()
        http = Http(
            uvicorn.Config(
                WebUi(Application(server)),
                loop="none",
                http=Protocol,
                ws="websockets-sansio",
                lifespan="off",
                log_config=None,
                access_log=False,
                timeout_graceful_shutdown=3,
            )
        )
        serving = asyncio.create_task(http.serve(sockets=[bound]))
        began.set()
        await stopping.wait()
        http.should_exit = True
        server.end_conversations()
        await serving
        await server.stop()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), daemon=True)
    thread.start()
    assert began.wait(WAIT_S_MAX), "the server has not begun"
    try:
        yield running
    finally:
        for api in running.connections:
            api.connection.close()
        loop.call_soon_threadsafe(stopping.set)
        thread.join(WAIT_S_MAX)
        assert not thread.is_alive(), "the server does not stop"
        loop.close()
