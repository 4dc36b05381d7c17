"""Routes for the snapshots of a container, which its node keeps."""

import json
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal

from litestar import Response, delete, get, post
from litestar.params import JSONBody, PathParameter
from msgspec import Struct

from pathfinder.api import bodies
from pathfinder.api import parameters as given
from pathfinder.api.answers import encoded
from pathfinder.api.asking import Asking, Changing, FromAsking, FromChanging
from pathfinder.api.terminals import error_in, opened
from pathfinder.control import queries
from pathfinder.control.commands import AskSnapshot
from pathfinder.model.errors import NodeSilent

BASE: Final = "/api/v3/clusters/{cluster:str}/containers/{name:str}/snapshots"
TAGS: Final = ["containers"]
SnapshotName = Annotated[str, PathParameter(max_length=63)]


class SnapshotView(Struct, frozen=True, kw_only=True):
    """A state of a container's disk that it can be brought back to.

    size_mib: what it takes of its own; -1: the node's pool does not count it.
    """

    kind: Literal["Snapshot"] = "Snapshot"
    name: str
    made_ms: int
    size_mib: int


class SnapshotList(Struct, frozen=True, kw_only=True):
    """All snapshots of one container, oldest first."""

    items: tuple[SnapshotView, ...]


@get(BASE, tags=TAGS)
async def list_snapshots(
    cluster: given.ClusterName, name: given.ThingName, asking: FromAsking
) -> Response[SnapshotList]:
    """The snapshots of a container, as its node has them."""
    return await _asked(asking, cluster, name, "list", "")


@post(BASE, status_code=200, tags=TAGS)
async def create_snapshot(
    cluster: given.ClusterName,
    name: given.ThingName,
    changing: FromChanging,
    data: JSONBody[bodies.SnapshotBody | None] = None,
) -> Response[SnapshotList]:
    """Keep the state of its disk; without a name under the present time. It runs on."""
    snapshot = (data.name if data else "") or f"s-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    return await _done(changing, AskSnapshot(cluster, name, "create", snapshot))


@post(f"{BASE}/{{snapshot:str}}/restore", status_code=200, tags=TAGS)
async def restore_snapshot(
    cluster: given.ClusterName,
    name: given.ThingName,
    snapshot: SnapshotName,
    changing: FromChanging,
) -> Response[SnapshotList]:
    """Bring its disk back to a snapshot: it is stopped, and started again."""
    return await _done(changing, AskSnapshot(cluster, name, "restore", snapshot))


@delete(f"{BASE}/{{snapshot:str}}", status_code=200, tags=TAGS)
async def delete_snapshot(
    cluster: given.ClusterName,
    name: given.ThingName,
    snapshot: SnapshotName,
    changing: FromChanging,
) -> Response[SnapshotList]:
    """Forget a snapshot. One that is not there is success."""
    return await _done(changing, AskSnapshot(cluster, name, "delete", snapshot))


async def _done(changing: Changing, command: AskSnapshot) -> Response[SnapshotList]:
    """Once it is allowed and kept as an event; a dry run shows what there is."""
    await changing.run(command)
    do = "list" if changing.dry_run else command.do
    return await _asked(changing, command.cluster, command.name, do, command.snapshot)


async def _asked(
    asking: Asking, cluster: str, name: str, do: str, snapshot: str
) -> Response[SnapshotList]:
    node = await asking.look(lambda c, _: queries.place_of(c, cluster, name), cluster=cluster)
    arguments = {"do": do, "snapshot": snapshot}
    pipe = await opened(asking.backend, node, name, "snapshots", arguments)
    try:
        told = await pipe.receive()
    finally:
        pipe.close()
    if (error := error_in(told)) is not None:
        raise error
    if not isinstance(told, str):
        raise NodeSilent(
            "the node has hung up without an answer: it may have been done",
            hint=f"look: pfi snapshot list {name}",
        )
    found: list[dict[str, Any]] = json.loads(told).get("snapshots", [])
    views = tuple(
        SnapshotView(name=each["name"], made_ms=each["made_ms"], size_mib=each["size_mib"])
        for each in found
    )
    return encoded(SnapshotList(items=views))


ROUTES: Final[tuple[Any, ...]] = (
    list_snapshots,
    create_snapshot,
    restore_snapshot,
    delete_snapshot,
)
