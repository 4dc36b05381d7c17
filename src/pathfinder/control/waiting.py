"""Why a container has no node as things are now: what people ask may be long after it was tried.

What is stored with a container is of the last time that it was its turn. Since then a node may have
gone, or been filled. The answer is the production code's, and leaves the state as it was.
"""

from typing import Any

from msgspec.structs import replace

from pathfinder.control.draining import remedies_now
from pathfinder.control.life import Life
from pathfinder.control.objects import Container
from pathfinder.control.placing import count_before, recovering, request_of
from pathfinder.control.preempting import Round, is_room_being_made, kept_from_making_room, waiting
from pathfinder.control.relocating import WITH_DATA
from pathfinder.control.state import State
from pathfinder.control.transaction import Transaction
from pathfinder.control.turns import IN_TURN
from pathfinder.control.views import ContainerView
from pathfinder.scheduler.explain import explain
from pathfinder.scheduler.fit import feasible


def as_it_is_now(
    state: State, life: Life, container: Container, view: ContainerView
) -> ContainerView:
    """A view of a container that waits for a node, with what keeps it from having one now."""
    explanation = explanation_now(state, life, container)
    if explanation is None:
        return view
    why = explanation["text"] if view.why == container.why else view.why
    return replace(view, why=why, explanation=explanation)


def explanation_now(state: State, life: Life, container: Container) -> dict[str, Any] | None:
    """The explanation of a container that waits for a node; None for others."""
    if container.key not in state.pending or not container.explanation:
        return None
    if life.recovering:
        return recovering(state, life)
    if container.nominated and is_room_being_made(state, container, container.nominated):
        return {"text": waiting(state, container, container.nominated)}
    request = request_of(state, container)
    found = explain(feasible(state.fleet, request))
    document = found.document()
    if found.nodes_fitting:
        return {**document, "text": f"{found.text()}; it is placed with the next change"}
    tx = Transaction(state, now_ms=0, who="", epoch=life.epoch)  # of which nothing is kept
    more = kept_from_making_room(tx, Round(state, life, WITH_DATA), container, request)
    before = count_before(state, life, container)
    turn = "" if before is None else f"; {IN_TURN}, {before} before it"
    remedies = remedies_now(state, life, container.cluster, [*document["remedies"], *more])
    return {**document, "text": f"{document['text']}{turn}", "remedies": remedies}
