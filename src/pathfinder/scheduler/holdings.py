"""What those hold on each node who may have to go: the least that making room there can cost.

Most nodes of a full cluster are as good as the next. What is least there, by columns for all nodes
at once, tells which need no closer look: exact answers are worked out for the few others.
"""

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from pathfinder.scheduler.domains import Numbers
from pathfinder.scheduler.fit import RESOURCE_OF_CODE
from pathfinder.scheduler.occupants import Occupant

CODES: Final = (*RESOURCE_OF_CODE, "containers_max", "stateful_max")
LEVELS_MAX: Final = 8  # of priority, told apart on one node; the rest count as the lowest of them
NOBODY: Final = -1  # the level at which nobody has to go
TOO_MUCH: Final = 1 << 60


class Holdings:
    """Of one cluster's nodes by row; each is looked at when it is asked for.

    occupants: of a row, all that might be asked to go, and what is going already. More than those
    who may really go is no mistake: what is least is then less than what it comes to.
    """

    def __init__(self, node_count: int, occupants: Callable[[int], Sequence[Occupant]]) -> None:
        self._occupants = occupants
        self._is_known = np.zeros(node_count, np.bool_)
        shape = (node_count, LEVELS_MAX + 1)
        self._levels: Numbers = np.full(shape, TOO_MUCH, np.int64)
        self._held: Numbers = np.zeros((*shape, len(CODES)), np.int64)
        self._most: Numbers = np.zeros((node_count, len(CODES)), np.int64)
        self._going: Numbers = np.zeros((node_count, len(CODES)), np.int64)

    def forget(self, row: int) -> None:
        """Others are there now."""
        self._is_known[row] = False

    def least(
        self, rows: Sequence[int], lacking: Numbers, priority: int
    ) -> list[tuple[int, int, int]]:
        """(highest priority, how many, their size) that must go at least, by row.

        lacking: by row and code. TOO_MUCH when it cannot be had from what is below the priority.
        """
        for row in rows:
            if not self._is_known[row]:
                self._look_at(row)
        still = np.maximum(lacking - self._going[rows], 0)
        levels = self._levels[rows]
        does = (self._held[rows] >= still[:, None, :]).all(axis=2) & (levels < priority)
        first = does.argmax(axis=1)
        at = np.arange(len(rows))
        highest = np.where(does[at, first], levels[at, first], TOO_MUCH)
        counts = -(-still // np.maximum(self._most[rows], 1)).max(axis=1, initial=0)
        sizes = still[:, CODES.index("cpu")] + still[:, CODES.index("memory")]
        return list(zip(highest.tolist(), counts.tolist(), sizes.tolist(), strict=True))

    def _look_at(self, row: int) -> None:
        there = self._occupants(row)
        named = sorted((one for one in there if one.name), key=lambda one: one.priority)
        self._going[row] = sum(
            (_frees(one) for one in there if not one.name), np.zeros(len(CODES), np.int64)
        )
        self._levels[row], self._held[row], self._most[row] = TOO_MUCH, 0, 0
        self._levels[row, 0] = NOBODY
        level, held = 0, np.zeros(len(CODES), np.int64)
        for one in named:
            if level < LEVELS_MAX and one.priority != self._levels[row, level]:
                level += 1
                self._levels[row, level] = one.priority
            frees = _frees(one)
            held += frees
            self._held[row, level] = held
            np.maximum(self._most[row], frees, out=self._most[row])
        self._is_known[row] = True


def _frees(one: Occupant) -> Numbers:
    return np.array([one.frees(code) for code in CODES], np.int64)
