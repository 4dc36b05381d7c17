"""Containers of the original's database as ours: what they are, where they are, and how far."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from msgspec.structs import replace

from pathfinder.control.objects import Container, Copy, Deployment, Node
from pathfinder.model.definitions import ContainerSpec
from pathfinder.model.names import HOSTNAME
from pathfinder.model.phases import Phase
from pathfinder.server.original.dump import Row, Tables
from pathfinder.server.original.translation import (
    Found,
    identifier,
    json_of,
    moment,
    spec_of,
    text,
)

GONE: Final = "DELETED"
LEAVING: Final = "SCHEDULE_DELETION"
MOVING: Final = ("SCHEDULE_RELOCATION", "RELOCATE_STARTED", "RELOCATE_ERROR")
ALIVE: Final = (
    "PENDING",
    "SCHEDULED",
    "PROVISIONED",
    "PROVISION_ERROR",
    "BOOTSTRAP_STARTED",
    "BOOTSTRAPPED",
    "BOOTSTRAP_ERROR",
)
WHY: Final = "imported as it was"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """The rows of one hostname that are not gone."""

    alive: Sequence[Row]
    leaving: Sequence[Row]


def containers(found: Found, tables: Tables) -> None:
    """One container for each hostname, with the copies that its nodes have still to delete."""
    of: dict[tuple[str, str], list[Row]] = {}
    for row in tables["containers"]:
        if text(row, "status") != GONE:
            key = (text(row, "cluster_id"), text(row, "hostname"))
            of.setdefault(key, []).append(row)
    deployments = {thing.key: thing for thing in found.things if isinstance(thing, Deployment)}
    for (cluster_id, hostname), rows in sorted(of.items()):
        cluster = found.cluster_of.get(cluster_id)
        if cluster is None or not HOSTNAME.fullmatch(hostname):
            found.problems.append(f"container {hostname!r}: its name or cluster cannot be used")
            continue
        sorted_out = _sorted_out(found, hostname, rows)
        if sorted_out is None:
            continue
        container = _container(found, cluster.name, hostname, sorted_out)
        if container is None:
            continue
        container = _replica(container, deployments)
        found.statuses[cluster.name, container.phase.name] += 1
        found.add(container)


def _sorted_out(found: Found, hostname: str, rows: list[Row]) -> Rows | None:
    moving = [row for row in rows if text(row, "status") in MOVING]
    if moving:
        found.problems.append(
            f"container {hostname} is {text(moving[0], 'status')}: the database does not say on "
            "which node it is; let the relocation end, or repair its row, and dump again"
        )
        return None
    unknown = [row for row in rows if text(row, "status") not in (*ALIVE, LEAVING)]
    if unknown:
        status = text(unknown[0], "status")
        found.problems.append(f"container {hostname} has the unknown status {status!r}")
        return None
    alive = [row for row in rows if text(row, "status") in ALIVE]
    if len(alive) > 1:
        found.problems.append(
            f"container {hostname} is there {len(alive)} times: "
            "delete all but one in the original, and dump again"
        )
        return None
    return Rows(alive=alive, leaving=[row for row in rows if text(row, "status") == LEAVING])


def _container(found: Found, cluster: str, name: str, rows: Rows) -> Container | None:
    """None: it has only been waiting to be deleted, and no node has it."""
    row = (rows.alive or rows.leaving)[0]
    spec = spec_of(found, f"container {name}", _definition(found, row))
    if spec is None:
        return None
    copies = tuple(
        Copy(
            node=node.name,
            generation=0,
            resources=spec.resources,
            stateful=spec.type == "STATEFUL",
            kind=spec.kind,
            revision=0,
        )
        for node in (_node(found, each) for each in rows.leaving)
        if node is not None
    )
    if not rows.alive and not copies:
        found.notes.append(f"container {name} is left out: it was to be deleted, and nobody has it")
        return None
    node = _node(found, row) if rows.alive else None
    phase = Phase[text(row, "status")]
    if node is None and phase not in (Phase.PENDING, Phase.SCHEDULE_DELETION):
        found.problems.append(f"container {name} is {phase.name}, and on no node that is known")
        return None
    address = text(row, "ipaddress") if node else ""
    made = Container(
        cluster=cluster,
        name=name,
        spec=spec,
        digest=spec.digest(),
        bootstrap_digest=spec.bootstrap_digest(),
        phase=phase,
        node=node.name if node else "",
        leaving=copies,
        wanted=bool(rows.alive),
        addresses=(address,) if address else (),
        address=address,
        created_ms=moment(row, "created_at"),
        changed_ms=moment(row, "last_status_update_at") or moment(row, "updated_at"),
        why=WHY,
        extra={"original_id": int(identifier(row))},
    )
    return replace(made, ready=_is_ready(made))


def _is_ready(container: Container) -> bool:
    """As a mark would decide it (`control.marks`)."""
    runs = container.phase in (Phase.PROVISIONED, Phase.BOOTSTRAP_STARTED, Phase.BOOTSTRAP_ERROR)
    done = container.phase == Phase.BOOTSTRAPPED or (runs and not container.spec.bootstrap)
    return done and bool(container.addresses)


def _definition(found: Found, row: Row) -> dict[str, Any]:
    """Its source, or the image that v1 knew alone; its steps; its type."""
    definition: dict[str, Any] = {
        "container_type": text(row, "container_type"),
        "bootstrappers": json_of(row, "bootstrappers", []),
    }
    source = found.source_of.get(text(row, "source_id"))
    if source is not None:
        return {**definition, "source": source}
    return {**definition, "source": {"alias": text(row, "image_alias")}}


def _node(found: Found, row: Row) -> Node | None:
    return found.node_of.get(text(row, "node_id"))


def _replica(container: Container, deployments: dict[str, Deployment]) -> Container:
    """A container that has the name of a deployment's replica is one, as the original holds it.

    What it was made from is not compared: the original has never made a replica anew because of it.
    """
    head, _, number = container.name.rpartition("-")
    deployment = deployments.get(f"{container.cluster}/{head}")
    is_replica = len(number) == 2 and number.isascii() and number.isdigit() and number != "00"
    if deployment is None or not is_replica:
        return container
    spec = _as_made(container.spec, deployment.spec)
    return replace(
        container,
        deployment=deployment.name,
        ordinal=int(number),
        spec=spec,
        digest=deployment.digest,
        labels=dict(deployment.labels),
    )


def _as_made(own: ContainerSpec, of_all: ContainerSpec) -> ContainerSpec:
    from dataclasses import replace as replace_fields

    return replace_fields(of_all, bootstrap=own.bootstrap)
