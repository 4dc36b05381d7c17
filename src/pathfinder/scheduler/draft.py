"""A round of placements in the middle of it: what each node has by now, and how good it is."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from pathfinder.scheduler.explain import Explanation, explain
from pathfinder.scheduler.fit import (
    IS_STATEFUL,
    Needs,
    Request,
    examine,
    needs,
    quota_shortages,
    totals,
)
from pathfinder.scheduler.fleet import (
    COUNT,
    CPU,
    DISK,
    MEMORY,
    NO_RULES,
    PROCESSES,
    STATEFUL,
    Columns,
    Numbers,
)

MILLION: Final = 1_000_000
COUNT_BITS: Final = 21
SHARE_BITS: Final = 20  # MILLION fits
COUNT_LIMIT: Final = 1 << COUNT_BITS
NOWHERE: Final = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True)
class Placement:
    """The container goes to `node_key` ("cluster/node"); `why` says what spoke for that node."""

    node_key: str
    why: str


@dataclass(frozen=True, slots=True)
class Unplaced:
    """No node fits; the explanation is that of the moment at which it was its turn."""

    explanation: Explanation


class Draft:
    """One cluster's amounts in the middle of a round of placements."""

    def __init__(self, columns: Columns, *, placements_max: int) -> None:
        self.columns = columns
        self.traits = columns.traits
        self.amounts = columns.amounts.copy()
        # Else the parts of `preference` would run into each other.
        assert self.amounts[COUNT].max(initial=0) + placements_max < COUNT_LIMIT
        self.node_count = len(columns.views)
        self.placed_rows: list[int] = []
        self._groups: dict[str, Numbers] = {}
        self.packs = columns.rules.packs
        self._totals = totals(self.amounts) if columns.rules.quota != NO_RULES.quota else []
        self._claims: dict[str, Numbers] = {}

    def group_counts(self, group: str) -> Numbers:
        """How many members of a group each node has, with those placed in this round."""
        if group not in self._groups:
            self._groups[group] = self.columns.group_counts(group)
        return self._groups[group]

    def claimable(self, request: Request) -> dict[str, Numbers]:
        """What each node has left of what a request claims, after those of this round."""
        for code, _ in request.claims:
            if code not in self._claims:
                self._claims[code] = self.columns.claim_left(code)
        return {code: self._claims[code] for code, _ in request.claims}

    def is_within_quota(self, request: Request) -> bool:
        """Whether the cluster as a whole may be given one more."""
        if not self._totals or request.is_counted:
            return True
        return not quota_shortages(self.columns.rules, self._totals, needs(request))

    def explained(self, request: Request) -> Unplaced:
        """Why a request fits nowhere now."""
        claimable = self.claimable(request)
        counts = self.group_counts
        return Unplaced(explain(examine(self.columns, self.amounts, claimable, request, counts)))

    def reserve(self, row: int, request: Request, need: Needs) -> None:
        """Count one more container, which needs `need`, on a node."""
        amounts = self.amounts
        for resource in (CPU, MEMORY, DISK, PROCESSES):
            if amount := need[resource]:
                amounts[resource, row] += amount
        amounts[COUNT, row] += 1
        amounts[STATEFUL, row] += need[IS_STATEFUL]
        if self._totals and not request.is_counted:
            for place, amount in enumerate((*need[:IS_STATEFUL], 1)):
                self._totals[place] += amount
        if request.group:
            self.group_counts(request.group)[row] += 1
        for code, amount in request.claims:
            self.claimable(request)[code][row] -= amount
        self.placed_rows.append(row)


class Spot:
    """One node for one class, in plain numbers: faster than arrays where one number changes."""

    __slots__ = (
        "_capacities", "_count", "_is_grouped", "_members", "_needs", "_packs", "_used", "room",
    )  # fmt: skip

    def __init__(
        self, draft: Draft, row: int, *, need: Needs, members: int, is_grouped: bool, room: int
    ) -> None:
        self.room = room
        self._capacities = draft.traits[CPU : MEMORY + 1, row].tolist()
        self._used = draft.amounts[CPU : MEMORY + 1, row].tolist()
        self._needs = need[CPU : MEMORY + 1]
        self._count = int(draft.amounts[COUNT, row])
        self._members = members
        self._is_grouped = is_grouped
        self._packs = draft.packs

    def why(self) -> tuple[int, str, int]:
        """Percent left of the scarcer resource when it is given one more, and members before."""
        share, word = min(zip(self._shares(), ("CPU", "memory"), strict=True))
        return 100 * share // MILLION, word, self._members

    def take(self) -> None:
        """It is given one of the class."""
        self.room -= 1
        self._count += 1
        self._members += self._is_grouped
        self._used = [used + need for used, need in zip(self._used, self._needs, strict=True)]

    def key(self) -> int:
        """As `preference` has it: the smaller the better."""
        if self._packs:
            return (sum(self._shares()) << (COUNT_BITS + 1)) + self._members
        taken = MILLION - min(self._shares())
        return (self._members << (SHARE_BITS + COUNT_BITS)) + (taken << COUNT_BITS) + self._count

    def _shares(self) -> list[int]:
        return [
            max(capacity - used - need, 0) * MILLION // capacity
            for capacity, used, need in zip(self._capacities, self._used, self._needs, strict=True)
        ]


def preference(
    traits: Numbers, amounts: Numbers, needed: Numbers, members: Numbers, *, packs: bool
) -> Numbers:
    """One number per node, the smaller the better: group members, share taken, containers.

    Where nodes are packed: what is left of CPU and memory together, then group members.
    needed: CPU and memory, one below the other.
    """
    capacity = traits[CPU : MEMORY + 1]
    left = np.maximum(capacity - amounts[CPU : MEMORY + 1] - needed, 0)
    # In millionths, so that shares are exact whole numbers: 2^40 times a million is in int64.
    shares = left * MILLION // np.maximum(capacity, 1)
    keys: Numbers
    if packs:
        keys = ((shares[CPU] + shares[MEMORY]) << (COUNT_BITS + 1)) + members
        return keys
    taken = MILLION - np.minimum(shares[CPU], shares[MEMORY])
    keys = (members << (SHARE_BITS + COUNT_BITS)) + (taken << COUNT_BITS)
    keys += amounts[COUNT]
    return keys
