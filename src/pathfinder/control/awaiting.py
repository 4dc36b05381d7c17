"""What a container that has no node waits for that ends by itself, and about when that will be.

Nothing tells how far a copy is or how long a program takes to stop. What can be told is when it
began, and how long the same took the last times in this cluster: the median of those.
"""

from collections.abc import Iterable
from statistics import median
from typing import Final

import msgspec

from pathfinder.control.life import Life
from pathfinder.control.objects import Container, Event
from pathfinder.control.placing import request_of
from pathfinder.control.preempting import going, occupants_going
from pathfinder.control.state import State
from pathfinder.scheduler.fit import feasible
from pathfinder.scheduler.preempt import preempt

SAMPLES_MAX: Final = 20  # the last so many
AWAITED_MAX: Final = 10
LET_GO: Final = ("deleting", "replacing", "relocated")  # after these a node has something to stop


class Awaited(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Something that leaves a node, for whose room a container waits.

    since_ms: when it began, 0: not known. until_ms: about when it ends, as the last times; 0: it
    has not happened here lately. Both by the wall clock.
    """

    name: str
    node: str
    what: str
    since_ms: int
    until_ms: int


def awaited(state: State, life: Life, container: Container) -> tuple[Awaited, ...]:
    """What has to end by itself before a PENDING container can have a node; nothing: it is stuck.

    What it has left behind itself, else what is on its way out of the node that it would fit on
    then.
    """
    own = [copy.node for copy in container.leaving if not copy.arriving and not copy.abandoned]
    if own and container.spec.type == "STATEFUL":
        found = [(container, node, "is stopped and let go") for node in own]
    elif node := container.nominated or _node_with_room_soon(state, container):
        there = state.on_node(f"{container.cluster}/{node}")
        found = [(each, node, what) for each in there if (what := going(each, node))]
    else:
        return ()
    spans = _Spans(state.events, container.cluster)
    return tuple(_awaited(life, spans, *each) for each in found[:AWAITED_MAX])


def _node_with_room_soon(state: State, container: Container) -> str:
    """The best node on which it fits when what is on its way out is gone, or ""."""
    found = preempt(
        feasible(state.fleet, request_of(state, container)),
        lambda node: occupants_going(state, f"{container.cluster}/{node}"),
        lambda _: 0,
    )
    return found.node if found is not None else ""


def _awaited(life: Life, spans: "_Spans", each: Container, node: str, what: str) -> Awaited:
    is_moving = each.arriving is not None and each.node == node
    since_ms = (spans.moving if is_moving else spans.leaving).get(each.name, 0)
    parts = [spans.moved, spans.left] if is_moving else [spans.left]
    took_ms = sum(round(median(part[-SAMPLES_MAX:])) for part in parts) if all(parts) else None
    is_heard = life.status(f"{each.cluster}/{node}") == "ready"  # else nobody knows when
    return Awaited(
        name=each.name,
        node=node,
        what=what,
        since_ms=since_ms,
        until_ms=since_ms + took_ms if since_ms and took_ms is not None and is_heard else 0,
    )


class _Spans:
    """How long moves and departures took, as the events in memory tell, and which are under way."""

    def __init__(self, events: Iterable[Event], cluster: str) -> None:
        self.moving: dict[str, int] = {}  # since when, by container
        self.leaving: dict[str, int] = {}
        self.moved: list[int] = []
        self.left: list[int] = []
        for event in events:
            if (event.kind, event.cluster) != (Container.KIND, cluster):
                continue
            name, began = event.name, self.moving.get(event.name, event.time_ms)
            if event.action == "relocating":
                self.moving[name] = event.time_ms
            elif event.action in ("relocated", "relocate_failed") and name in self.moving:
                del self.moving[name]
                if event.action == "relocated":
                    self.moved.append(event.time_ms - began)
            if event.action in LET_GO:
                self.leaving[name] = event.time_ms
            elif event.action == "released" and name in self.leaving:
                self.left.append(event.time_ms - self.leaving.pop(name))
