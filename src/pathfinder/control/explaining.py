"""`pfi explain`: why a container is where it is, nowhere, or gone."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import msgspec

from pathfinder.control import views
from pathfinder.control.controller import Controller
from pathfinder.control.objects import Container, Event
from pathfinder.control.placing import request_of
from pathfinder.control.state import State
from pathfinder.model.errors import NotFound
from pathfinder.model.phases import Phase
from pathfinder.scheduler.place import best

CHOICES_MAX: Final = 3
PLACED: Final = ("scheduled", "relocated", "adopted")


class Choice(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A node that it could be on, and what speaks for it. is_here: it is on this one."""

    node: str
    why: str
    is_here: bool


class Explanation(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Why a container is where it is, or nowhere.

    placed: what spoke for its node when it came there; "" when that was too long ago. choices: the
    nodes that would be best for it as things are now, the best first; of one that has a node.
    """

    cluster: str
    name: str
    phase: str
    ready: bool
    node: str
    why: str
    hint: str
    explanation: dict[str, Any] | None
    placed: str
    choices: tuple[Choice, ...]
    revision: int


def explanation(controller: Controller, cluster: str, name: str) -> Explanation:
    """Why a container is where it is, nowhere, or gone; NotFound when nobody remembers it."""
    state = controller.state
    container = state.get(Container, f"{cluster}/{name}")
    if container is None:
        return _of_gone(state, cluster, name)
    view = views.container_view(controller.state, controller.life, container)
    is_placed = container.wanted and bool(container.node)
    return Explanation(
        cluster=cluster,
        name=name,
        phase=view.phase,
        ready=view.ready,
        node=view.node,
        why=view.why,
        hint=view.hint,
        explanation=view.explanation,
        placed=_placed(state, container) if is_placed else "",
        choices=_choices(state, container) if is_placed else (),
        revision=view.revision,
    )


def _of_gone(state: State, cluster: str, name: str) -> Explanation:
    """Who ended it, and why, as far as the events in memory go."""
    told = [
        event
        for event in state.events
        if (event.kind, event.cluster, event.name) == (Container.KIND, cluster, name)
    ]
    if not told:
        raise NotFound(
            f"there is no container {name!r} in cluster {cluster!r}", hint="pfi get containers"
        )
    ended = next((event for event in reversed(told) if event.action == "deleting"), told[-1])
    return Explanation(
        cluster=cluster,
        name=name,
        phase=Phase.DELETED.name,
        ready=False,
        node="",
        why=_end(ended) + _last_node(told),
        hint=f"pfi events container/{name}",
        explanation=None,
        placed="",
        choices=(),
        revision=told[-1].revision,
    )


def _end(ended: Event) -> str:
    what = ended.why or ended.action
    return what if what.endswith(f"by {ended.who}") else f"{what}, by {ended.who}"


def _last_node(told: list[Event]) -> str:
    node = next((event.node for event in reversed(told) if event.node), "")
    return f"; it was on {node}" if node else ""


def _placed(state: State, container: Container) -> str:
    key = (Container.KIND, container.cluster, container.name)
    for event in reversed(state.events):
        if (event.kind, event.cluster, event.name) == key and event.action in PLACED:
            return event.why
    return ""


def _choices(state: State, container: Container) -> tuple[Choice, ...]:
    with _without(state, container):
        found = best(state.fleet, request_of(state, container), CHOICES_MAX)
    return tuple(Choice(node=node, why=why, is_here=node == container.node) for node, why in found)


@contextmanager
def _without(state: State, container: Container) -> Iterator[None]:
    """As if it were not there: what it reserves would else speak against its own node."""
    key, spec, group = container.node_key, container.spec, container.group
    stateful, ports = spec.type == "STATEFUL", spec.host_ports
    state.fleet.release(key, spec.resources, group, stateful=stateful, ports=ports)
    try:
        yield
    finally:
        state.fleet.reserve(key, spec.resources, group, stateful=stateful, ports=ports)
