"""What a container goes through, as a table.

(generation, round, phase) only grows. A relocation or a replacement begins a new generation at a
small phase; a re-bootstrap begins a new round of the same generation at PROVISIONED; within one
round the numbers go up. The names are those that Pathfinder's users know. Readiness is a separate
fact.
"""

from collections.abc import Mapping
from enum import IntEnum
from typing import Final


class Phase(IntEnum):
    """Numbers only grow within a round of a generation."""

    PENDING = 10
    SCHEDULED = 20
    PROVISION_ERROR = 25
    PROVISIONED = 30
    BOOTSTRAP_STARTED = 40
    BOOTSTRAP_ERROR = 45
    BOOTSTRAPPED = 50
    SCHEDULE_RELOCATION = 60
    RELOCATE_STARTED = 65
    RELOCATE_ERROR = 67
    SCHEDULE_DELETION = 80
    DELETED = 90


MEANING: Final[Mapping[Phase, str]] = {
    Phase.PENDING: "wanted, without a node; its explanation says why and what would help",
    Phase.SCHEDULED: "has a node; the node creates and starts it",
    Phase.PROVISION_ERROR: "the node could not create or start it, says why, and tries again",
    Phase.PROVISIONED: "runs, and waits to be bootstrapped",
    Phase.BOOTSTRAP_STARTED: "its bootstrap runs",
    Phase.BOOTSTRAP_ERROR: "its bootstrap failed; runs, and waits for another round",
    Phase.BOOTSTRAPPED: "runs, and nothing is left to do",
    Phase.SCHEDULE_RELOCATION: "is about to move to another node",
    Phase.RELOCATE_STARTED: "moves",
    Phase.RELOCATE_ERROR: "could not move, and runs on where it was",
    Phase.SCHEDULE_DELETION: "is not wanted any more; counted until its node has let go",
    Phase.DELETED: "gone",
}

# A node's report may tell of several steps at once.
BOOTSTRAPS: Final = frozenset({Phase.BOOTSTRAP_STARTED, Phase.BOOTSTRAP_ERROR, Phase.BOOTSTRAPPED})
RUNS: Final = BOOTSTRAPS | {Phase.PROVISIONED}

MOVES: Final[Mapping[Phase, frozenset[Phase]]] = {
    Phase.PENDING: frozenset({Phase.SCHEDULED, Phase.SCHEDULE_DELETION, Phase.DELETED}),
    Phase.SCHEDULED: RUNS | {Phase.PROVISION_ERROR, Phase.SCHEDULE_DELETION},
    Phase.PROVISION_ERROR: RUNS | {Phase.SCHEDULE_DELETION},
    Phase.PROVISIONED: BOOTSTRAPS | {Phase.SCHEDULE_DELETION},
    Phase.BOOTSTRAP_STARTED: frozenset(
        {Phase.BOOTSTRAP_ERROR, Phase.BOOTSTRAPPED, Phase.SCHEDULE_DELETION}
    ),
    Phase.BOOTSTRAP_ERROR: frozenset(
        {Phase.BOOTSTRAPPED, Phase.SCHEDULE_RELOCATION, Phase.SCHEDULE_DELETION}
    ),
    Phase.BOOTSTRAPPED: frozenset({Phase.SCHEDULE_RELOCATION, Phase.SCHEDULE_DELETION}),
    Phase.SCHEDULE_RELOCATION: frozenset({Phase.RELOCATE_STARTED, Phase.SCHEDULE_DELETION}),
    Phase.RELOCATE_STARTED: frozenset({Phase.RELOCATE_ERROR, Phase.SCHEDULE_DELETION}),
    Phase.RELOCATE_ERROR: frozenset({Phase.SCHEDULE_DELETION}),
    Phase.SCHEDULE_DELETION: frozenset({Phase.DELETED}),
    Phase.DELETED: frozenset(),
}


def may_move(before: Phase, after: Phase) -> bool:
    """Whether one round of a generation may go from `before` to `after`."""
    return after in MOVES[before]
