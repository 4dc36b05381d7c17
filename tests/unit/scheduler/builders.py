"""Nodes and requests with everything that a test does not care about filled in."""

from collections.abc import Mapping

from pathfinder.model.resources import Resources
from pathfinder.model.selectors import requirement
from pathfinder.scheduler.fit import Request
from pathfinder.scheduler.fleet import Fleet, NodeView

ROOMY = Resources(cpu_millis=4000, memory_mib=4096)


def node(
    name: str,
    capacity: Resources = ROOMY,
    *,
    kinds: tuple[str, ...] = ("system",),
    labels: Mapping[str, str] | None = None,
    cordoned: bool = False,
    why_unavailable: str = "",
    silent_kinds: Mapping[str, str] | None = None,
    containers_max: int = 0,
) -> NodeView:
    """A node of cluster "west"."""
    return NodeView(
        cluster="west",
        name=name,
        capacity=capacity,
        kinds=kinds,
        labels=labels or {},
        cordoned=cordoned,
        available=not why_unavailable,
        why_unavailable=why_unavailable,
        silent_kinds=silent_kinds or {},
        containers_max=containers_max,
    )


def fleet(*nodes: NodeView) -> Fleet:
    """These nodes, with nothing on them."""
    made = Fleet()
    for view in nodes:
        made.set_node(f"{view.cluster}/{view.name}", view)
    return made


def request(
    name: str = "web-01",
    *,
    cpu_millis: int = 0,
    memory_mib: int = 0,
    disk_mib: int = 0,
    processes: int = 0,
    constraints: tuple[str, ...] = (),
    group: str = "",
    kind: str = "system",
    ports: tuple[str, ...] = (),
) -> Request:
    """A container for cluster "west"."""
    return Request(
        name=name,
        cluster="west",
        kind=kind,
        need=Resources(
            cpu_millis=cpu_millis, memory_mib=memory_mib, disk_mib=disk_mib, processes=processes
        ),
        constraints=tuple(requirement(text, "constraints") for text in constraints),
        group=group,
        ports=ports,
    )
