"""Containers and nodes as v1 and v2 show them.

Numbers for people who had numbers: an id is derived from what the thing is and when it was made,
so that it stays the same through restarts, rollouts and restored backups, without being stored.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

from pathfinder.api.original.definitions import bootstrappers, remote_fields, source_fields
from pathfinder.api.original.envelope import time_text
from pathfinder.control import relocating
from pathfinder.control.life import Life
from pathfinder.control.objects import Cluster, Container, Node, Remote
from pathfinder.control.replies import resolved
from pathfinder.control.state import State
from pathfinder.model.phases import Phase

ID_BITS = 52  # what every client's numbers hold, and wide enough for a million things


def identifier(kind: str, *parts: object) -> int:
    """A number for a thing, never 0."""
    text = "\n".join((kind, *map(str, parts)))
    made = hashlib.sha256(text.encode(errors="surrogatepass")).digest()
    return (int.from_bytes(made[:8]) >> (64 - ID_BITS)) or 1


def container_id(container: Container) -> int:
    """An imported container keeps the number it had."""
    kept = container.extra.get("original_id")
    return kept or identifier("container", container.key, container.created_ms)


def node_id(node: Node) -> int:
    """An imported node keeps the number it had."""
    kept = node.extra.get("original_id")
    return kept or identifier("node", node.key, node.created_ms)


def container_v1(container: Container, phase: Phase | None = None) -> dict[str, Any]:
    """What v1 shows. `phase`: what it is for the node that asks, when that differs."""
    return {
        **_head(container),
        "image": container.spec.image.alias or container.spec.image.fingerprint or None,
        **_tail(container, phase),
    }


def container_v2(
    state: State, container: Container, phase: Phase | None = None, *, for_node: bool = False
) -> dict[str, Any]:
    """What v2 shows: to a node with the image that a name stands for, and the certificate."""
    spec = resolved(state, container) if for_node else container.spec
    document = spec.document()
    remote = state.get(Remote, f"{container.cluster}/{spec.image.remote}")
    return {
        **_head(container),
        "source": _source(document, remote, for_node=for_node),
        "bootstrappers": bootstrappers(document),
        **_tail(container, phase),
    }


def _head(container: Container) -> dict[str, Any]:
    return {
        "id": container_id(container),
        "hostname": container.name,
        "ipaddress": container.addresses[0] if container.addresses else None,
    }


def _tail(container: Container, phase: Phase | None) -> dict[str, Any]:
    leaving = container.leaving[-1].node if container.leaving else ""
    on_its_way_out = phase == Phase.SCHEDULE_DELETION or not container.wanted
    # As in the original, a container is the target's as soon as it is to move there.
    target = relocating.target_of(container)
    return {
        "node_hostname": target or container.node or (leaving if on_its_way_out else ""),
        "status": (phase or relocating.phase_of(container)).name,
        "last_status_update_at": time_text(container.changed_ms),
    }


def _source(
    document: Mapping[str, Any], remote: Remote | None, *, for_node: bool
) -> dict[str, Any]:
    fields = source_fields(document)
    shown = remote_fields(remote)
    if for_node:
        shown["certificate"] = (remote.certificate or None) if remote else None
    return {
        "id": identifier("source", *fields.values(), remote.key if remote else ""),
        "source_type": fields["source_type"],
        "mode": fields["mode"],
        "remote": {
            "id": identifier("remote", remote.key, remote.created_ms) if remote else None,
            **shown,
        },
        "fingerprint": fields["fingerprint"],
        "alias": fields["alias"],
    }


def node(life: Life, found: Node) -> dict[str, Any]:
    """A node as ext_app sees it."""
    return {
        "id": node_id(found),
        "hostname": found.name,
        "ipaddress": found.address or None,
        "created_at": time_text(found.created_ms),
        **memory(life, found),
    }


def memory(life: Life, found: Node) -> dict[str, int | None]:
    """What the node has told of its memory: whole numbers, or null."""
    heard = life.nodes.get(found.key)
    told = heard.measurements if heard else None
    if told is None or told.memory_total_mib <= 0:
        return {"mem_free_mb": None, "mem_used_mb": None, "mem_total_mb": None}
    free = told.extra.get("memory_free_mib", told.memory_total_mib - told.memory_used_mib)
    return {
        "mem_free_mb": int(free),
        "mem_used_mb": int(told.memory_used_mib),
        "mem_total_mb": int(told.memory_total_mib),
    }


def registration(cluster: Cluster, cluster_name: str, found: Node, token: str, now_ms: int) -> Any:
    """What a node is answered that has registered: its credential, this once."""
    return {
        "id": node_id(found),
        "cluster_id": cluster_id(cluster),
        "cluster_name": cluster_name,
        "hostname": found.name,
        "authentication_token": token,
        "authentication_token_generated_at": time_text(now_ms),
    }


def cluster_id(cluster: Cluster) -> int:
    """An imported cluster keeps the number it had."""
    kept = cluster.extra.get("original_id")
    return kept or identifier("cluster", cluster.key, cluster.created_ms)
