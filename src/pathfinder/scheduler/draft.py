"""A round of placements in the middle of it: what each node has by now, and how good it is."""

from dataclasses import dataclass
from typing import Final

import msgspec
import numpy as np

from pathfinder.scheduler.domains import Numbers, Rows
from pathfinder.scheduler.explain import Explanation, explain
from pathfinder.scheduler.fit import (
    IS_STATEFUL,
    Needs,
    Request,
    examine,
    needs,
    quota_room,
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
)
from pathfinder.scheduler.packing import MILLION, unlikeness, unlikenesses

COUNT_BITS: Final = 21
SHARE_BITS: Final = 20  # MILLION fits
MEMBERS_SHIFT: Final = SHARE_BITS + COUNT_BITS
COUNT_LIMIT: Final = 1 << COUNT_BITS
NOWHERE: Final = np.iinfo(np.int64).max


class Placement(msgspec.Struct, frozen=True, gc=False):
    """The container goes to this node; `why` says what spoke for it."""

    cluster: str
    node: str
    why: str

    @property
    def node_key(self) -> str:
        """cluster/node."""
        return f"{self.cluster}/{self.node}"


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
        self._members: dict[str, dict[int, int]] = {}
        self._unlooked: dict[str, list[tuple[int, int]]] = {}  # placed, of groups not in `_members`
        self._columns_of: dict[str, Numbers] = {}
        self.packs = columns.rules.packs
        self._totals = totals(self.amounts) if columns.rules.quota != NO_RULES.quota else []
        self._claims: dict[str, Numbers] = {}

    def members(self, group: str) -> dict[int, int]:
        """How many members of a group which row has, with those placed in this round."""
        members = self._members.get(group)
        if members is None:
            members = self._members[group] = self.columns.group_rows(group)
            for row, count in self._unlooked.pop(group, ()):
                members[row] = members.get(row, 0) + count
        return members

    def member_count(self, group: str, row: int) -> int:
        """The same of one row, without a look at the others."""
        if group in self._members:
            return self._members[group].get(row, 0)
        placed = (count for where, count in self._unlooked.get(group, ()) if where == row)
        return self.columns.group_count(group, row) + sum(placed)

    def group_counts(self, group: str) -> Numbers:
        """The same as a column."""
        column = self._columns_of.get(group)
        if column is None:
            column = self._columns_of[group] = np.zeros(len(self.columns.names), np.int64)
            for row, count in self.members(group).items():
                column[row] = count
        return column

    def claimable(self, request: Request) -> dict[str, Numbers]:
        """What each node has left of what a request claims, after those of this round."""
        for code, _ in request.claims:
            if code not in self._claims:
                self._claims[code] = self.columns.claim_left(code)
        return {code: self._claims[code] for code, _ in request.claims}

    def within_quota(self, request: Request, count: int) -> int:
        """How many of so many the cluster as a whole may be given."""
        if not self._totals or request.is_counted:
            return count
        return quota_room(self.columns.rules, self._totals, needs(request), count)

    def explained(self, request: Request) -> Unplaced:
        """Why a request fits nowhere now."""
        claimable = self.claimable(request)
        counts = self.group_counts
        return Unplaced(explain(examine(self.columns, self.amounts, claimable, request, counts)))

    def reserve(self, row: int, request: Request, need: Needs, *, count: int = 1) -> None:
        """Count so many more containers, each of which needs `need`, on a node."""
        self._count(row, [row], request, need, count)

    def reserve_each(self, rows: Rows, request: Request, need: Needs) -> None:
        """Count one more on each of these nodes, none of which is named twice."""
        self._count(rows, rows.tolist(), request, need, 1)

    def release(self, row: int, request: Request, *, count: int = 1) -> None:
        """Take back as many `reserve`s."""
        self._count(row, [row], request, needs(request), -count)

    def _count(
        self, at: int | Rows, rows: list[int], request: Request, need: Needs, count: int
    ) -> None:
        """`at` and `rows` are the same: one row or several as arrays take them, and as a list."""
        amounts = self.amounts
        for resource in (CPU, MEMORY, DISK, PROCESSES):
            if amount := need[resource]:
                amounts[resource, at] += count * amount
        amounts[COUNT, at] += count
        if need[IS_STATEFUL]:
            amounts[STATEFUL, at] += count
        if self._totals and not request.is_counted:
            for place, amount in enumerate((*need[:IS_STATEFUL], 1)):
                self._totals[place] += len(rows) * count * amount
        if group := request.group:
            members = self._members.get(group)
            if members is None:
                self._unlooked.setdefault(group, []).extend((row, count) for row in rows)
            else:
                for row in rows:
                    members[row] = members.get(row, 0) + count
            if group in self._columns_of:
                self._columns_of[group][at] += count
        for code, amount in request.claims:
            self.claimable(request)[code][at] -= count * amount
        self.placed_rows.extend(rows)


class Spot:
    """One node for one class, in plain numbers: faster than arrays where one number changes."""

    __slots__ = (
        "_count", "_cpu_left", "_is_grouped", "_members", "_memory_left", "_need", "_of_cpu",
        "_of_memory", "_packs", "_share_of_cpu", "_share_of_memory", "room",
    )  # fmt: skip

    def __init__(
        self, draft: Draft, row: int, *, need: Needs, members: int, is_grouped: bool, room: int
    ) -> None:
        self.room = room
        self._of_cpu: int
        self._of_memory: int
        self._of_cpu, self._of_memory = draft.traits[CPU : MEMORY + 1, row].tolist()
        used_cpu, used_memory = draft.amounts[CPU : MEMORY + 1, row].tolist()
        self._cpu_left, self._memory_left = self._of_cpu - used_cpu, self._of_memory - used_memory
        self._need = need[CPU : MEMORY + 1]
        self._count = int(draft.amounts[COUNT, row])
        self._members = members
        self._is_grouped = is_grouped
        self._packs = draft.packs
        self._share()

    def why(self) -> tuple[int, str, int]:
        """Percent left of the scarcer resource when it is given one more, and members before."""
        if self._share_of_cpu <= self._share_of_memory:
            return 100 * self._share_of_cpu // MILLION, "CPU", self._members
        return 100 * self._share_of_memory // MILLION, "memory", self._members

    def take(self) -> None:
        """It is given one of the class."""
        self.room -= 1
        self._count += 1
        self._members += self._is_grouped
        self._cpu_left -= self._need[0]
        self._memory_left -= self._need[1]
        self._share()

    def key(self) -> int:
        """As `preference` has it, with members: the smaller the better."""
        shares: tuple[int, int] = self._share_of_cpu, self._share_of_memory
        if self._packs:
            worth = unlikeness(*shares, is_empty=not self._count)
            return (worth << COUNT_BITS) + self._members
        taken = MILLION - min(shares)
        return (self._members << MEMBERS_SHIFT) + (taken << COUNT_BITS) + self._count

    def _share(self) -> None:
        """What is left of each, in millionths, when it is given one more."""
        need_cpu, need_memory = self._need
        self._share_of_cpu = max(self._cpu_left - need_cpu, 0) * MILLION // self._of_cpu
        self._share_of_memory = max(self._memory_left - need_memory, 0) * MILLION // self._of_memory


def shares_left(traits: Numbers, amounts: Numbers, needed: Numbers) -> Numbers:
    """What is left of CPU and of memory where one more is given its `needed`, in millionths.

    In millionths, so that shares are exact whole numbers: 2^40 times a million is in int64.
    """
    capacity = traits[CPU : MEMORY + 1]
    left: Numbers = np.maximum(capacity - amounts[CPU : MEMORY + 1] - needed, 0)
    left *= MILLION
    left //= np.maximum(capacity, 1)
    return left


def preference(traits: Numbers, amounts: Numbers, needed: Numbers, *, packs: bool) -> Numbers:
    """One number per node, the smaller the better: share taken, containers.

    Where nodes are packed: see `packing`. Members of the request's group are not in it. needed: CPU
    and memory, one below the other.
    """
    left = shares_left(traits, amounts, needed)
    keys: Numbers
    if packs:
        keys = unlikenesses(left, (amounts[COUNT] == 0).astype(np.int64)) << COUNT_BITS
        return keys
    keys = MILLION - np.minimum(left[CPU], left[MEMORY])
    keys <<= COUNT_BITS
    keys += amounts[COUNT]
    return keys
