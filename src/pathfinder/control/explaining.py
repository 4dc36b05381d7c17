"""`pfi explain`: why a container is where it is, nowhere, or gone."""

from typing import Any, Final

import msgspec

from pathfinder.control import views
from pathfinder.control.awaiting import Awaited, awaited
from pathfinder.control.controller import Controller
from pathfinder.control.objects import Container, Event
from pathfinder.control.placing import request_of
from pathfinder.control.state import State
from pathfinder.control.waiting import as_it_is_now
from pathfinder.model.errors import NotFound
from pathfinder.model.phases import Phase
from pathfinder.scheduler.place import best
from pathfinder.scheduler.wishes import counts_of

CHOICES_MAX: Final = 3
PLACED: Final = ("scheduled", "relocated", "adopted")
TAKEN_AWAY: Final = ("relocating", "preempted", "rebalancing", "replacing")  # the first one tells


class Count(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What one wish counts on a node; the smallest sum is the best."""

    wish: str
    count: int


class Choice(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A node that it could be on, and what speaks for it. is_here: it is on this one.

    counts: of each preference, and of each spread and affinity that is a wish.
    """

    node: str
    why: str
    is_here: bool
    counts: tuple[Count, ...]


class Explanation(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Why a container is where it is, or nowhere.

    placed: what spoke for its node when it came there, and which one came second; moved: who or
    what took it away from where it was before, and why; both "" when that was too long ago.
    choices: the nodes that would be best for it as things are now, the best first; of one that has
    a node. awaited: what is on its way and gives it a node when it has ended; of one that has none.
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
    moved: str
    choices: tuple[Choice, ...]
    awaited: tuple[Awaited, ...]
    revision: int


def explanation(controller: Controller, cluster: str, name: str) -> Explanation:
    """Why a container is where it is, nowhere, or gone; NotFound when nobody remembers it."""
    state = controller.state
    container = state.get(Container, f"{cluster}/{name}")
    if container is None:
        return _of_gone(state, cluster, name)
    view = views.container_view(state, controller.life, container)
    view = as_it_is_now(state, controller.life, container, view)
    is_placed = container.wanted and bool(container.node)
    is_pending = container.wanted and container.phase == Phase.PENDING
    told = _told(state, cluster, name)
    return Explanation(
        cluster=cluster,
        name=name,
        phase=view.phase,
        ready=view.ready,
        node=view.node,
        why=view.why,
        hint=view.hint,
        explanation=view.explanation,
        placed=_placed(told) if is_placed else "",
        moved=_moved(told, is_placed=is_placed),
        choices=_choices(state, container) if is_placed else (),
        awaited=awaited(state, controller.life, container) if is_pending else (),
        revision=view.revision,
    )


def _of_gone(state: State, cluster: str, name: str) -> Explanation:
    """Who ended it, and why, as far as the events in memory go."""
    told = _told(state, cluster, name)
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
        why=_said(ended) + _last_node(told),
        hint=f"pfi events container/{name}",
        explanation=None,
        placed="",
        moved=_moved(told, is_placed=True),
        choices=(),
        awaited=(),
        revision=told[-1].revision,
    )


def _last_node(told: list[Event]) -> str:
    node = next((event.node for event in reversed(told) if event.node), "")
    return f"; it was on {node}" if node else ""


def _told(state: State, cluster: str, name: str) -> list[Event]:
    """What has happened to a container, as far as the events in memory go; the oldest first."""
    key = (Container.KIND, cluster, name)
    return [event for event in state.events if (event.kind, event.cluster, event.name) == key]


def _said(event: Event) -> str:
    """Why, and who, unless the one says the other."""
    why = event.why or event.action
    return why if why.endswith(f"by {event.who}") else f"{why}, by {event.who}"


def _placed(told: list[Event]) -> str:
    return next((event.why for event in reversed(told) if event.action in PLACED), "")


def _moved(told: list[Event], *, is_placed: bool) -> str:
    """Why it left the node before the one that it is on, or that it is on no more."""
    placements = [number for number, event in enumerate(told) if event.action in PLACED]
    # What has happened since the last placement made it go, and before that one made it come.
    since, until = 0, len(told)
    if placements and is_placed:
        until, since = placements[-1], placements[-2] if len(placements) > 1 else 0
    elif placements:
        since = placements[-1]
    leaving = [event for event in told[since:until] if event.action in TAKEN_AWAY]
    return _said(leaving[0]) if leaving else ""


def _choices(state: State, container: Container) -> tuple[Choice, ...]:
    request = request_of(state, container)
    with state.without(container):  # what it reserves would else speak against its own node
        found = best(state.fleet, request, CHOICES_MAX)
        counts = counts_of(state.fleet, request, [node for node, _ in found])
    return tuple(
        Choice(
            node=node,
            why=why,
            is_here=node == container.node,
            counts=tuple(Count(wish=one.wish, count=one.count) for one in each),
        )
        for (node, why), each in zip(found, counts, strict=True)
    )
