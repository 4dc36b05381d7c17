"""Why a container is as it is, in words, and what would help: what views and explanations show."""

from collections.abc import Mapping
from typing import Final

from pathfinder.control.life import Life
from pathfinder.control.objects import Container, Stage

NO_LEASE: Final = "polls by API v1/v2: no lease, so a silent one is only suspected"
STAGES: Final[Mapping[Stage, str]] = {
    "copying": "moves to {node}: its data is copied while it runs",
    "finishing": "moves to {node}: it is stopped while the last changes are copied",
    "starting": "moves to {node}: all of its data is there, and it is started",
}


def why_of(life: Life, container: Container) -> tuple[str, str]:
    """(why, what would help), each "" where there is nothing to say."""
    return _of_silent_node(life, container) or _of_relocation(life, container)


def _of_relocation(life: Life, container: Container) -> tuple[str, str]:
    """Why it is as it is: its own reason first, then how far its relocation is, or has come."""
    copy = container.arriving
    if container.why and not (copy is not None and container.is_halted):
        return container.why, container.hint
    if copy is not None and life.status(f"{container.cluster}/{copy.node}") == "lost":
        dead = f"pfi delete node {copy.node} --force"
        hint = f"bring {copy.node} back, or when it is dead for certain: {dead}"
        return f"was to start on {copy.node}, which is lost: it may run there", hint
    if copy is not None:
        return STAGES[copy.stage].format(node=copy.node), container.hint
    return container.relocation_error, container.relocation_hint


def _of_silent_node(life: Life, container: Container) -> tuple[str, str] | None:
    """What a node's silence means for a container, and what helps; None: nothing, it is heard."""
    if not container.node or not container.wanted:
        return None
    status, node = life.status(container.node_key), container.node
    until = (
        "it is back when its node is; when the machine is dead for certain: "
        f"pfi delete node {node} --force"
    )
    if status == "suspect" and life.node(container.node_key).polls:
        return f"its node {node} is silent; it {NO_LEASE}", until
    if status != "lost":
        return None
    if container.spec.type == "STATEFUL":
        return f"its node {node} is lost: it may still run there, and is not made twice", until
    if container.ready:
        return f"its node {node} is lost: not heard since its lease ended", container.hint
    return None
