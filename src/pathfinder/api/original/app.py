"""The routes of v1 and v2, and the ASGI application that serves them.

Beside the framework: agents poll all day, and what these clients send (forms without a type, JSON
with GET) and expect (200 and nothing else, their own form of errors) is not what it is made for.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from litestar.types import Receive, Scope, Send

from pathfinder.api.answers import found_bug
from pathfinder.api.original import apps, deployments, envelope, nodes
from pathfinder.api.original.asking import AppAsk, Ask, NodeAsk, as_app, as_node
from pathfinder.api.original.envelope import Answer
from pathfinder.api.original.parameters import merged
from pathfinder.api.plain import read_body, send_answer
from pathfinder.api.port import Backend
from pathfinder.model.errors import Malformed, NotFound, PathfinderError

PREFIXES: Final = ("/api/v1/", "/api/v2/")
VERSIONS: Final = {"v1": "1.0", "v2": "2.0"}
Route = Callable[[Ask], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Pattern:
    """The segments of a path behind `/api/`; one that begins with a colon is a parameter."""

    segments: tuple[str, ...]
    route: Route

    def parameters(self, path: tuple[str, ...]) -> Mapping[str, str] | None:
        """What the path says, or None when it is another."""
        found = {}
        for mine, given in zip(self.segments, path, strict=True):
            if mine.startswith(":"):
                found[mine[1:]] = given
            elif mine != given:
                return None
        return found


def _app(route: Callable[[AppAsk], Awaitable[Answer]]) -> Route:
    async def asked(ask: Ask) -> Answer:
        return await route(await as_app(ask))

    return asked


def _node(route: Callable[[NodeAsk], Awaitable[Answer]]) -> Route:
    async def asked(ask: Ask) -> Answer:
        return await route(await as_node(ask))

    return asked


async def ping(ask: Ask) -> Answer:
    """Whether anybody is there."""
    return envelope.bare({"message": "OK", "time": str(ask.backend.wall_ms())})


async def lookup(ask: Ask) -> Answer:
    """Nothing, as ever."""
    return ask.data({})


CONTAINER: Final = "ext_app/containers/:hostname"
MARKS: Final = "node/containers/mark_"
ROUTES: Final[tuple[tuple[str, str, str, Route], ...]] = (
    ("GET", "v1", "ping", ping),
    ("GET", "v1", "lookup", lookup),
    ("POST", "v1", "node/register", nodes.register),
    ("POST", "v1", "node/nodes/store_metrics", _node(nodes.store_metrics)),
    ("GET", "v1 v2", "node/containers/scheduled", _node(nodes.scheduled)),
    ("GET", "v2", "node/containers/bootstrap_scheduled", _node(nodes.bootstrap_scheduled)),
    ("POST", "v1 v2", "node/containers/ipaddress", _node(nodes.ipaddress)),
    ("POST", "v1 v2", f"{MARKS}provisioned", _node(nodes.mark("provisioned"))),
    ("POST", "v1 v2", f"{MARKS}provision_error", _node(nodes.mark("provision_error"))),
    ("POST", "v1 v2", f"{MARKS}deleted", _node(nodes.mark("deleted"))),
    ("POST", "v2", f"{MARKS}bootstrap_started", _node(nodes.mark("bootstrap_started"))),
    ("POST", "v2", f"{MARKS}bootstrapped", _node(nodes.mark("bootstrapped"))),
    ("POST", "v2", f"{MARKS}bootstrap_error", _node(nodes.mark("bootstrap_error"))),
    ("POST", "v2", f"{MARKS}relocate_started", _node(nodes.mark("relocate_started"))),
    ("POST", "v2", f"{MARKS}relocate_error", _node(nodes.mark("relocate_error"))),
    ("GET", "v1", "ext_app/nodes", _app(apps.list_nodes)),
    ("GET", "v1", "ext_app/nodes/:hostname", _app(apps.get_node)),
    ("GET", "v1 v2", "ext_app/containers", _app(apps.list_containers)),
    ("GET", "v1 v2", CONTAINER, _app(apps.get_container)),
    ("POST", "v1 v2", "ext_app/containers", _app(apps.create_container)),
    ("POST", "v1 v2", f"{CONTAINER}/schedule_deletion", _app(apps.schedule_deletion)),
    ("POST", "v1 v2", f"{CONTAINER}/reschedule", _app(apps.reschedule)),
    ("POST", "v2", f"{CONTAINER}/rebootstrap", _app(apps.rebootstrap)),
    ("POST", "v2", f"{CONTAINER}/schedule_relocation", _app(apps.schedule_relocation)),
    ("PATCH", "v2", f"{CONTAINER}/update", _app(apps.update)),
    ("POST", "v2", "ext_app/deployments/batch", _app(deployments.batch)),
    ("GET", "v2", "ext_app/deployments/:name/containers", _app(deployments.containers)),
)


def _table() -> dict[tuple[str, int], list[Pattern]]:
    """Patterns by method and number of segments."""
    table: dict[tuple[str, int], list[Pattern]] = {}
    for method, versions, path, route in ROUTES:
        for version in versions.split():
            segments = (version, *path.split("/"))
            table.setdefault((method, len(segments)), []).append(Pattern(segments, route))
    return table


class OriginalApi:
    """API v1 and v2, as an ASGI application."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._table = _table()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; never anything but the one form, whatever happens."""
        raw: Any = scope
        try:
            answer = await self._answer(raw, receive)
        except PathfinderError as error:
            answer = envelope.error(error, self._backend.wall_ms())
        except RecursionError:
            problem = Malformed("the body is nested too deeply")
            answer = envelope.error(problem, self._backend.wall_ms())
        except Exception as bug:  # noqa: BLE001 - the outermost place: a bug has the same form
            problem_of = found_bug(bug, raw["method"], raw["path"])
            answer = envelope.error(problem_of, self._backend.wall_ms())
        headers = () if answer.status == 204 else (envelope.CONTENT_TYPE,)
        await send_answer(send, answer.status, headers, answer.body)

    async def _answer(self, raw: Any, receive: Receive) -> Answer:
        path = raw["path"].removesuffix(".json").rstrip("/")
        segments = tuple(path.split("/")[2:])
        body = await read_body(receive, "the body")
        for pattern in self._table.get((raw["method"], len(segments)), ()):
            found = pattern.parameters(segments)
            if found is not None:
                break
        else:
            raise NotFound("there is no such route in API v1 and v2")
        headers = _headers(raw)
        return await pattern.route(
            Ask(
                backend=self._backend,
                bag=merged(found, raw["query_string"], body, headers.get(b"content-type", "")),
                token=headers.get(b"x-auth-token", ""),
                peer=raw["client"][0] if raw.get("client") else "",
                version=VERSIONS[segments[0]],
            )
        )


def _headers(raw: Any) -> dict[bytes, str]:
    """The two headers that matter; their names come in lower case."""
    wanted = (b"content-type", b"x-auth-token")
    return {
        name: value.decode("latin-1").strip() for name, value in raw["headers"] if name in wanted
    }
