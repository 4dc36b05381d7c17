"""Rows of the original's database as things of ours, with what is to be said about each.

What cannot be taken over as it is becomes a problem, which stops the import, or a note. Names that
ours may not have are written anew; the original's clients go on using theirs.
"""

import json
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from pathfinder.api.original import definitions
from pathfinder.control.access import SHA512, imported_id
from pathfinder.control.objects import Cluster, Deployment, Node, Remote, Thing, Token
from pathfinder.control.rendering import Script, script_of
from pathfinder.model.definitions import REPLICAS_MAX, ContainerSpec, container_spec
from pathfinder.model.errors import DefinitionWrong, PathfinderError
from pathfinder.model.names import HOSTNAME, NAME, NAME_LENGTH_MAX
from pathfinder.server.original.dump import Row, Tables
from pathfinder.wire.messages import Facts

SEEDED_SECRET: Final = "pathfinder"  # noqa: S105 - what every new original was given
DIGEST: Final = re.compile(r"[0-9a-f]{128}")
TIME: Final = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)(\.\d+)?")
MIB_MAX: Final = 1 << 40


@dataclass(slots=True)
class Found:
    """What a dump holds, in our terms. `problems` stop the import; `notes` are for the person."""

    things: list[Thing] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    statuses: Counter[tuple[str, str]] = field(default_factory=Counter)  # (cluster, status)
    cluster_of: dict[str, Cluster] = field(default_factory=dict)
    node_of: dict[str, Node] = field(default_factory=dict)
    source_of: dict[str, dict[str, Any]] = field(default_factory=dict)
    remote_names: dict[str, str] = field(default_factory=dict)  # the original's -> ours

    def add(self, thing: Thing) -> None:
        """One more thing to import."""
        self.things.append(thing)


def clusters(found: Found, tables: Tables) -> None:
    """Clusters with the hashes of their passwords."""
    taken: set[str] = set()
    for row in tables["clusters"]:
        name = _name(found, row, taken, "cluster")
        cluster = Cluster(
            name=name,
            password_hash=text(row, "hashed_password"),
            created_ms=moment(row, "created_at"),
            extra=_origin(row, name),
        )
        found.cluster_of[identifier(row)] = cluster
        found.add(cluster)


def remotes(found: Found, tables: Tables) -> None:
    """Remotes, which were for all clusters, in each cluster; and sources, which name them."""
    taken: set[str] = set()
    documents: dict[str, dict[str, str]] = {}
    for row in tables.get("remotes", ()):
        told = text(row, "name")
        server = text(row, "server")
        if not server.startswith("https://"):
            found.notes.append(f"remote {told!r} is left out: its server is {server!r}, not https")
            continue
        name = _name(found, row, taken, "remote")
        found.remote_names[told] = name
        documents[identifier(row)] = {"name": name}
        is_pinned = text(row, "auth_type") == "tls"
        for cluster in found.cluster_of.values():
            found.add(
                Remote(
                    cluster=cluster.name,
                    name=name,
                    server=server,
                    protocol="simplestreams"
                    if text(row, "protocol") == "simplestreams"
                    else "daemon",
                    certificate=text(row, "certificate") if is_pinned else "",
                    created_ms=moment(row, "created_at"),
                    extra=_origin(row, name),
                )
            )
    for row in tables.get("sources", ()):
        source: dict[str, Any] = {
            key: text(row, key) for key in ("source_type", "mode", "fingerprint", "alias")
        }
        remote_id = row.get("remote_id")
        if remote_id:
            source["remote"] = documents.get(remote_id, {"name": ""})
        found.source_of[identifier(row)] = source


def nodes(found: Found, tables: Tables) -> None:
    """Nodes with the digests of their tokens: their agents go on as they are."""
    for row in tables["nodes"]:
        cluster = found.cluster_of.get(text(row, "cluster_id"))
        name = text(row, "hostname")
        if cluster is None or not HOSTNAME.fullmatch(name):
            found.problems.append(f"node {name!r}: its name or its cluster cannot be used")
            continue
        token = text(row, "hashed_authentication_token")
        if not token:
            found.notes.append(f"node {name} has no token: its agent has to register again")
        node = Node(
            cluster=cluster.name,
            name=name,
            secret_digest=_digest(token) or f"{SHA512}{identifier(row)}",
            protocol="poll",
            cordoned=row.get("schedulable") == "f",
            address=text(row, "ipaddress"),
            facts=Facts(
                hostname=name,
                runtime="lxd",
                kinds=("system",),
                memory_mib=min(max(_whole(row, "mem_total_mb"), 0), MIB_MAX),
                cpu_millis=min(max(int(_number(row, "load_capacity") * 1_000), 0), MIB_MAX),
            ),
            created_ms=moment(row, "created_at"),
            extra=_origin(row, name),
        )
        found.node_of[identifier(row)] = node
        found.add(node)


def deployments(found: Found, tables: Tables) -> None:
    """Deployments with their definitions as templates."""
    for row in tables.get("deployments", ()):
        cluster = found.cluster_of.get(text(row, "cluster_id"))
        name = text(row, "name")
        if cluster is None or not HOSTNAME.fullmatch(name):
            found.problems.append(f"deployment {name!r}: its name or its cluster cannot be used")
            continue
        what = f"deployment {name}"
        spec = spec_of(found, what, json_of(row, "definition", {}))
        script = _script_of(found, what, spec) if spec else None
        if spec is None or script is None:
            continue
        replicas = min(max(_whole(row, "desired_num_replicas", "count", usual=1), 0), REPLICAS_MAX)
        floor = _whole(row, "min_available_replicas", "min_available_count", usual=1)
        found.add(
            Deployment(
                cluster=cluster.name,
                name=name,
                replicas=replicas,
                min_available=min(max(floor, 0), replicas),
                spec=spec,
                digest=spec.digest(),
                bootstrap_digest=spec.bootstrap_digest(),
                is_scripted=script.is_scripted,
                refers=script.deployments,
                created_ms=moment(row, "created_at"),
                changed_ms=moment(row, "updated_at"),
                extra=_origin(row, name),
            )
        )


def ext_apps(found: Found, tables: Tables) -> None:
    """Tokens of apps by their digests; they were for all clusters and never ended."""
    for row in tables.get("ext_apps", ()):
        name, digest = text(row, "name"), _digest(text(row, "hashed_access_token"))
        if not digest:
            found.notes.append(f"ext_app {name!r} is left out: it has no token")
            continue
        if digest == _sha512(SEEDED_SECRET):
            found.notes.append(
                f"ext_app {name!r} has the token that every original was installed with: "
                f"make another (pfi create token), then pfi delete token {imported_id(digest)}"
            )
        found.add(
            Token(
                id=imported_id(digest),
                role="app",
                secret_digest=digest,
                name=written(name),
                created_ms=moment(row, "created_at"),
                created_by="import",
                extra=_origin(row, written(name)),
            )
        )
    users = len(tables.get("users", ()))
    if users:
        found.notes.append(
            f"users of the web UI ({users}) are not taken over: "
            "make those that you want (pfi create user)"
        )


def spec_of(found: Found, what: str, definition: dict[str, Any]) -> ContainerSpec | None:
    """A definition of v2 as a spec; None, and a problem, when it cannot be one."""
    try:
        spec = definitions.from_v2(definition)
        remote = spec["image"].get("remote", "")
        if remote:
            spec["image"]["remote"] = found.remote_names.get(remote, remote)
        return container_spec(spec, what)
    except PathfinderError as error:
        found.problems.append(f"{what}: {error.message}")
        return None


def _script_of(found: Found, what: str, spec: ContainerSpec) -> Script | None:
    try:
        return script_of(spec)
    except DefinitionWrong as error:
        found.problems.append(f"{what}: {error.message}")
        return None


def written(name: str) -> str:
    """A name as ours may be: letters, digits, `.`, `_` and `-`."""
    if NAME.fullmatch(name):
        return name
    kept = re.sub(r"[^a-zA-Z0-9._-]+", "-", name)[:NAME_LENGTH_MAX].strip("._-")
    return kept or "unnamed"


def moment(row: Row, column: str) -> int:
    """A time of the database, which keeps UTC, in milliseconds; 0 when there is none."""
    match = TIME.match(text(row, column))
    if match is None:
        return 0
    whole = datetime.strptime(match[1], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    return int(whole.timestamp() * 1000) + int(float(match[2] or 0) * 1000)


def _name(found: Found, row: Row, taken: set[str], what: str) -> str:
    told = text(row, "name")
    name = written(told)
    while name in taken:
        name = f"{name[: NAME_LENGTH_MAX - 2]}-2"
    taken.add(name)
    if name != told:
        found.notes.append(f"{what} {told!r} is called {name!r} here; its clients need not know")
    return name


def _origin(row: Row, name: str) -> dict[str, Any]:
    """What the thing was called and numbered, where that differs or is shown to clients."""
    told = text(row, "name")
    origin: dict[str, Any] = {"original_id": int(identifier(row))}
    if told and told != name:
        origin["original_name"] = told
    return origin


def _digest(told: str) -> str:
    return SHA512 + told if DIGEST.fullmatch(told) else ""


def _sha512(secret: str) -> str:
    import hashlib

    return SHA512 + hashlib.sha512(secret.encode()).hexdigest()


def identifier(row: Row) -> str:
    """The number by which other rows name this one."""
    return text(row, "id")


def text(row: Row, column: str) -> str:
    """A column as text, "" when it is NULL or not there."""
    return row.get(column) or ""


def _number(row: Row, column: str) -> float:
    try:
        return float(text(row, column) or 0)
    except ValueError:
        return 0.0


def _whole(row: Row, *columns: str, usual: int = 0) -> int:
    """The first of some columns that is there: their names have changed over the versions."""
    for column in columns:
        if row.get(column) is not None:
            return int(_number(row, column))
    return usual


def json_of(row: Row, column: str, usual: Any) -> Any:
    """A column of JSON that is of the same type as `usual`, or else that."""
    try:
        value = json.loads(text(row, column) or "null")
    except ValueError:
        return usual
    return value if isinstance(value, type(usual)) else usual


Step = Callable[[Found, Tables], None]
