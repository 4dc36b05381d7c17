"""Until when the passing of time alone brings nothing: a tick before that moment has nothing to do.

Reports that change nothing only put these moments off. Whoever changes anything asks again.
"""

from collections.abc import Iterator
from typing import Final

from pathfinder.control import answered
from pathfinder.control.life import (
    HOUR_MS,
    OUTWAIT_MS,
    POLL_SUSPECT_MS,
    SUSPECT_MS,
    Life,
    NodeLife,
)
from pathfinder.control.objects import Cluster
from pathfinder.control.state import State

QUIET_MS_MAX: Final = 60_000  # what goes by the wall clock is late by no more than this


def until_ms(state: State, life: Life, wall_ms: int) -> int:
    """The first moment at which a tick may have something to do; `life.now_ms`: it has now."""
    now_ms = life.now_ms
    is_behind = bool(life.turns.now) or any(drain.is_behind for drain in life.drains.values())
    if life.recovering or life.lost or state.held or is_behind:
        return now_ms
    due_ms = min(_moments(state, life, wall_ms), default=now_ms + QUIET_MS_MAX)
    return max(now_ms, min(due_ms, now_ms + QUIET_MS_MAX))


def _moments(state: State, life: Life, wall_ms: int) -> Iterator[int]:
    for key, node in life.nodes.items():
        if key not in state.things["node"] or node.status != life.status_at(key, life.now_ms):
            yield life.now_ms
        if (silent_ms := _silent_ms(life, node)) is not None:
            yield silent_ms + 1
    for cluster in state.all(Cluster):
        if (step_ms := _step_ms(life, cluster)) is not None:
            yield step_ms
    if (answer_ms := answered.due_ms(state, life, wall_ms)) is not None:
        yield answer_ms


def _silent_ms(life: Life, node: NodeLife) -> int | None:
    """The last moment at which a silent node is what it is now; None: it stays so."""
    if node.polls:
        heard_ms = life.began_ms if node.heard_ms is None else node.heard_ms
        return None if node.status == "suspect" else heard_ms + POLL_SUSPECT_MS
    if node.status == "lost":
        return None
    if node.heard_ms is None:
        return life.began_ms + OUTWAIT_MS
    return node.heard_ms + (OUTWAIT_MS if node.status == "suspect" else SUSPECT_MS)


def _step_ms(life: Life, cluster: Cluster) -> int | None:
    """When balancing may take its next step; None: it does not."""
    not_before_ms = life.balance_not_before_ms.get(cluster.name, 0)
    if cluster.moves_left:
        return not_before_ms
    if not cluster.policy.moves_per_hour:
        return None
    moved = [moved_ms for moved_ms, name in life.moved if name == cluster.name]
    if len(moved) < cluster.policy.moves_per_hour:
        return not_before_ms
    return moved[0] + HOUR_MS
