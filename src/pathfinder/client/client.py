"""`Client`: everything the API v3 offers, as methods on plain JSON objects.

    with Client("https://127.0.0.1:8480", token, ca_file="ca.crt") as client:
        client.apply([{"kind": "Container", "name": "web", "spec": {"image": "busybox"}}])
        for container in client.items(CONTAINER):
            print(container["name"], container["phase"])

Errors are those of `pathfinder.model.errors` (as the server answers them) and of
`pathfinder.client.errors` (when it does not). Every change carries an idempotency key.
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import urlencode

from pathfinder.client.errors import Unexpected
from pathfinder.client.following import EventFollower, follow
from pathfinder.client.kinds import (
    CLUSTER,
    CONTAINER,
    DEPLOYMENT,
    EVENT,
    NODE,
    ROOT,
    TOKEN,
    USER,
    Kind,
)
from pathfinder.client.transport import ANSWER_S_MAX, Request, Transport
from pathfinder.client.trust import Trust

if TYPE_CHECKING:
    from pathfinder.client.terminal import Finished, Terminal

PAGE_ITEMS: Final = 1000

Object = dict[str, Any]


class Client:
    """One server, one credential, one default cluster. One thread at a time; make one for each."""

    def __init__(
        self,
        server: str,
        token: str = "",
        *,
        ca_file: str | None = None,
        pin: str | None = None,
        cluster: str = "default",
    ) -> None:
        """`ca_file`: the only CAs to trust. `pin`: hex SHA-256 of the server's public key."""
        headers = {"Accept": "application/json", "User-Agent": "pathfinder-client"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        self.cluster = cluster
        self._transport = Transport(
            server, trust=Trust(ca_file=ca_file or "", pin=pin or ""), headers=headers
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the connection; the next call opens another."""
        self._transport.close()

    @property
    def server(self) -> str:
        """The server's URL."""
        return self._transport.endpoint.url

    # Things of every kind

    def page(self, kind: Kind, *, cluster: str | None = None, **query: object) -> Object:
        """`{"items", "next", "revision"}`: one page. Query: limit, after, selector, and so on."""
        return self._ask("GET", kind.path(cluster or self.cluster), query)

    def items(self, kind: Kind, *, cluster: str | None = None, **query: object) -> Iterator[Object]:
        """All things of a kind, page after page. Query: selector; node, deployment, phase."""
        after: str | None = None
        while True:
            page = self.page(kind, cluster=cluster, limit=PAGE_ITEMS, after=after, **query)
            yield from page["items"]
            after = page.get("next") or None
            if after is None:
                return

    def get(self, kind: Kind, name: str, *, cluster: str | None = None) -> Object:
        """One thing; NotFound."""
        return self._ask("GET", kind.path(cluster or self.cluster, name))

    def put(
        self,
        kind: Kind,
        name: str,
        document: Mapping[str, Any],
        *,
        cluster: str | None = None,
        revision: int | None = None,
    ) -> Object:
        """Make it or change it. `revision`: only when it is still the one that was seen."""
        path = kind.path(cluster or self.cluster, name)
        return self._ask("PUT", path, body=document, revision=revision)

    def delete(
        self,
        kind: Kind,
        name: str,
        *,
        cluster: str | None = None,
        revision: int | None = None,
        force: bool = False,
        dry_run: bool = False,
    ) -> Object:
        """Want it no longer. `force`: for a node, "I confirm that it is dead"."""
        path = kind.path(cluster or self.cluster, name)
        query = {"force": force or None, "dry_run": dry_run or None}
        return self._ask("DELETE", path, query, revision=revision)

    # Changes

    def apply(
        self,
        documents: Sequence[Mapping[str, Any]],
        *,
        dry_run: bool = False,
        dirty: bool = False,
    ) -> Object:
        """Make it so, all or nothing; the plan. `dry_run`: the plan alone, and nothing changes.

        dirty: replicas take over new definitions as they run.
        """
        body: Object = {"documents": list(documents)}
        if dirty:
            body["dirty"] = True
        return self._ask("POST", f"{ROOT}/apply", {"dry_run": dry_run or None}, body=body)

    def what_if(
        self, question: Mapping[str, Any], *, at_ms: int = 0, cluster: str | None = None
    ) -> Object:
        """What the cluster would come to; nothing changes. Fields: `control.whatif.Question`.

        at_ms: on the state as it was then, in milliseconds since 1970; 0: as it is.
        """
        path = f"{ROOT}/clusters/{cluster or self.cluster}/what-if"
        return self._ask("POST", path, {"at_ms": at_ms or None}, body=dict(question))

    def plan_rebalance(self, moves: int = 20, *, cluster: str | None = None) -> Object:
        """What would be moved to balance the nodes, and what it comes to; nothing changes."""
        path = f"{ROOT}/clusters/{cluster or self.cluster}/rebalance"
        return self._ask("GET", path, {"moves": moves})

    def rebalance(self, moves: int, *, cluster: str | None = None) -> Object:
        """Begin to move up to so many containers, one by one; 0: begin no more."""
        path = f"{ROOT}/clusters/{cluster or self.cluster}/rebalance"
        return self._ask("POST", path, body={"moves": moves})

    def export(self) -> Iterator[bytes]:
        """The state as a file, piece by piece: what `pfi plan --state FILE` plans on."""
        request = Request(method="GET", path=f"{ROOT}/state")
        stream = self._transport.open(request, silence_s_max=ANSWER_S_MAX)
        try:
            yield from stream.parts()
        finally:
            stream.close()

    def scale(
        self,
        deployment: str,
        replicas: int,
        *,
        min_available: int | None = None,
        cluster: str | None = None,
    ) -> Object:
        """So many replicas from now on."""
        body = {"replicas": replicas}
        if min_available is not None:
            body["min_available"] = min_available
        path = DEPLOYMENT.path(cluster or self.cluster, deployment, "scale")
        return self._ask("POST", path, body=body)

    def reschedule(self, container: str, *, reason: str = "", cluster: str | None = None) -> Object:
        """Make it anew, where it fits best."""
        path = CONTAINER.path(cluster or self.cluster, container, "reschedule")
        return self._ask("POST", path, body={"reason": reason} if reason else {})

    def rebootstrap(
        self, container: str, *, reason: str = "", cluster: str | None = None
    ) -> Object:
        """Bootstrap it again where it runs, by its own steps."""
        path = CONTAINER.path(cluster or self.cluster, container, "rebootstrap")
        return self._ask("POST", path, body={"reason": reason} if reason else {})

    def relocate(
        self, container: str, node: str = "", *, reason: str = "", cluster: str | None = None
    ) -> Object:
        """Move it with its data to a node; "": the best there is. `relocation` says how far."""
        path = CONTAINER.path(cluster or self.cluster, container, "relocate")
        return self._ask("POST", path, body={"node": node, "reason": reason})

    def cancel_relocation(self, container: str, *, cluster: str | None = None) -> Object:
        """Leave it where it is."""
        path = CONTAINER.path(cluster or self.cluster, container, "relocation")
        return self._ask("DELETE", path)

    def snapshots(self, container: str, *, cluster: str | None = None) -> list[Object]:
        """What there is to go back to, oldest first."""
        path = CONTAINER.path(cluster or self.cluster, container, "snapshots")
        return list(self._ask("GET", path)["items"])

    def create_snapshot(
        self, container: str, name: str = "", *, cluster: str | None = None
    ) -> list[Object]:
        """Keep the state of its disk, "": under the present time; the newest is the last."""
        path = CONTAINER.path(cluster or self.cluster, container, "snapshots")
        return list(self._ask("POST", path, body={"name": name})["items"])

    def restore_snapshot(self, container: str, name: str, *, cluster: str | None = None) -> None:
        """Bring its disk back: it is stopped, and started again."""
        path = CONTAINER.path(cluster or self.cluster, container, "snapshots", name, "restore")
        self._ask("POST", path)

    def delete_snapshot(self, container: str, name: str, *, cluster: str | None = None) -> None:
        """Forget it."""
        path = CONTAINER.path(cluster or self.cluster, container, "snapshots", name)
        self._ask("DELETE", path)

    def change_node(
        self,
        node: str,
        *,
        labels: Mapping[str, str | None] | None = None,
        cordoned: bool | None = None,
        draining: bool | None = None,
        reason: str = "",
        cluster: str | None = None,
    ) -> Object:
        """Labels to set (None takes one away); whether new ones may come, and those there go."""
        body: Object = {"reason": reason} if reason else {}
        if labels is not None:
            body["labels"] = dict(labels)
        if cordoned is not None:
            body["cordoned"] = cordoned
        if draining is not None:
            body["draining"] = draining
        return self._ask("PATCH", NODE.path(cluster or self.cluster, node), body=body)

    def create_token(
        self, name: str, role: str, *, clusters: Sequence[str] = (), ttl_s: int | None = None
    ) -> Object:
        """An API token; its `token` is shown this once. No clusters: all of them."""
        body: Object = {"name": name, "role": role, "clusters": list(clusters)}
        if ttl_s is not None:
            body["ttl_s"] = ttl_s
        return self._ask("POST", TOKEN.path(""), body=body)

    def create_join_token(
        self, *, node: str = "", ttl_s: int = 3600, cluster: str | None = None
    ) -> Object:
        """What one new node registers with, once: `{"token", "id", "expires_ms"}`."""
        body: Object = {"ttl_s": ttl_s}
        if node:
            body["node"] = node
        path = CLUSTER.path("", cluster or self.cluster, "join-tokens")
        return self._ask("POST", path, body=body)

    def create_user(
        self, name: str, password: str, role: str, *, clusters: Sequence[str] = ()
    ) -> Object:
        """A person who may sign in to the web UI. No clusters: all of them."""
        body = {"name": name, "password": password, "role": role, "clusters": list(clusters)}
        return self._ask("POST", USER.path(""), body=body)

    def change_user(
        self,
        name: str,
        *,
        role: str | None = None,
        clusters: Sequence[str] | None = None,
        disabled: bool | None = None,
    ) -> Object:
        """What a person may from now on; what is None stays."""
        given = {"role": role, "clusters": clusters, "disabled": disabled}
        body = {key: value for key, value in given.items() if value is not None}
        return self._ask("PATCH", USER.path("", name), body=body)

    def set_password(self, name: str, password: str) -> Object:
        """Another password for a person, whose sign-ins end."""
        return self._ask("PUT", USER.path("", name, "password"), body={"password": password})

    # Questions

    def version(self) -> Object:
        """`{"version", "api", "epoch", "revision"}` of the server."""
        return self._ask("GET", f"{ROOT}/version")

    def explanation(self, container: str, *, cluster: str | None = None) -> Object:
        """Why it is where it is, or nowhere."""
        return self._ask("GET", CONTAINER.path(cluster or self.cluster, container, "explanation"))

    def events(self, **query: object) -> list[Object]:
        """What happened, newest last. Query: since, cluster, kind, name, limit."""
        items: list[Object] = self._ask("GET", EVENT.path(""), query)["items"]
        return items

    def follow_events(self, *, last_id: str = "", **query: object) -> Iterator[Object]:
        """Events as they happen, over broken connections; after event `last_id` or `since`.

        Raises Unreachable or NoAnswer when the server stays away, and whatever error it answers.
        """
        return follow(self._transport, last_id=last_id, query=query)

    def event_follower(self, *, last_id: str = "", **query: object) -> EventFollower:
        """One connection's events, which another thread may `interrupt`."""
        return EventFollower(self._transport, last_id=last_id, query=query)

    def logs(
        self,
        container: str,
        *,
        follow: bool = False,
        tail: int | None = None,
        bootstrap: bool = False,
        cluster: str | None = None,
    ) -> Iterator[bytes]:
        """What it has written, as it comes; `bootstrap`: what its bootstraps have."""
        path = CONTAINER.path(cluster or self.cluster, container, "logs")
        query = {"follow": follow or None, "tail": tail, "bootstrap": bootstrap or None}
        request = Request(method="GET", path=path, query=query, headers={"Accept": "text/plain"})
        stream = self._transport.open(request, silence_s_max=None if follow else ANSWER_S_MAX)
        try:
            yield from stream.parts()
        finally:
            stream.close()

    # Commands in containers

    def terminal(
        self,
        container: str,
        command: Sequence[str],
        *,
        size: tuple[int, int] | None = None,
        cluster: str | None = None,
    ) -> "Terminal":
        """Run a command. `size`: (columns, rows) of its terminal; None: pipes, no terminal."""
        from pathfinder.client.terminal import open_terminal

        query: list[tuple[str, object]] = [("command", word) for word in command]
        if size is not None:
            query += [("tty", 1), ("columns", size[0]), ("rows", size[1])]
        path = CONTAINER.path(cluster or self.cluster, container, "exec")
        return open_terminal(self._transport, f"{path}?{urlencode(query)}")

    def run(
        self,
        container: str,
        command: Sequence[str],
        *,
        stdin: bytes = b"",
        cluster: str | None = None,
    ) -> "Finished":
        """Run a command to its end."""
        from pathfinder.client.terminal import run_to_end

        return run_to_end(self.terminal(container, command, cluster=cluster), stdin)

    def _ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, object] | None = None,
        *,
        body: object = None,
        revision: int | None = None,
    ) -> Object:
        headers = {}
        if method != "GET":
            headers["Idempotency-Key"] = os.urandom(16).hex()
        if body is not None:
            headers["Content-Type"] = "application/json"
        if revision is not None:
            headers["If-Match"] = f'"{revision}"'
        encoded = None if body is None else json.dumps(body).encode()
        content = self._transport.send(
            Request(method=method, path=path, query=query or {}, body=encoded, headers=headers)
        )
        if not content:
            return {}
        try:
            answer = json.loads(content)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise Unexpected(
                f"what answers at {self.server} is not the Pathfinder API",
                hint="is this address the Pathfinder server's own, and not another program's?",
            )
        return answer
