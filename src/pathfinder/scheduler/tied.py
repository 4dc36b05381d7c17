"""Choosing nodes for containers with ties to others, or with preferences.

One more replica changes what a whole domain is worth, so that a heap of the best nodes does not do.
But what its own ties say is the same for all nodes with the same values of their labels: these are
a *cell*, the racks of a cluster for instance. Within a cell the best node is found by what does not
change (its penalty of wishes that have nothing to do with its own replicas, and how good it is
else); between cells a heap has the best node of each, and a placement renews the entries of the
cells whose domains have one more. That replicas are never two on a node needs no cells of single
nodes: each node is taken once.
"""

from heapq import heapify, heappop, heappush
from typing import Final

import numpy as np

from pathfinder.scheduler.domains import Cells, Domains, Mask, Numbers
from pathfinder.scheduler.draft import NOWHERE, Draft, Placement, Spot, Unplaced
from pathfinder.scheduler.fit import Request
from pathfinder.scheduler.shapes import Shape
from pathfinder.scheduler.ties import Tie, broken_by, counted, fewest, on_rows, penalty

PENALTY_BITS: Final = 50
PENALTY_MAX: Final = 8_190  # above it all are equally bad; with the key below in 63 bits
LAST: Final = int(NOWHERE)


class _State:
    """One tie in the middle of a round."""

    def __init__(self, draft: Draft, tie: Tie, request: Request, shape: Shape) -> None:
        self.tie = tie
        self.domains: Domains = draft.columns.domains(tie.over)
        self.counts: Numbers = (
            counted(self.domains, draft.group_counts(tie.group))
            if draft.members(tie.group)
            else np.zeros(len(self.domains.names), np.int64)
        )
        self.is_own = tie.group == request.group
        self._deployment = tie.group.rpartition("/")[2]
        # No two replicas on a node: a node that has been given one is given no other.
        self.is_apart = self.is_own and tie.kind == "far" and not tie.weight and tie.over == "node"
        self.least = 0
        if tie.kind == "spread":
            self.among = shape.eligible(tie.over)
            self.note_least()

    def note_least(self) -> None:
        """Find out how many the domains with the fewest have, and how many domains these are."""
        self.least = fewest(self.counts, self.among)
        self.at_least = int(np.count_nonzero(self.counts[self.among] == self.least))

    def broken(self) -> Mask:
        """The domains where one more would break the must."""
        return broken_by(self.tie, self.counts, self.least, is_own=self.is_own)

    def broken_rows(self) -> Mask:
        """The same of nodes."""
        return on_rows(self.domains, self.broken(), unlabelled=self.tie.kind != "far")

    def penalties(self) -> Numbers:
        """How little the wish is met on each node."""
        by_domain, unlabelled = penalty(self.tie, self.counts, self.least)
        return np.append(by_domain, unlabelled)[self.domains.ids]  # -1: the last one

    def reason(self, row: int) -> str:
        """What it has to do with a node."""
        over, domain = self.tie.over, int(self.domains.ids[row])
        if domain < 0:
            return f"has no {over}"
        count = int(self.counts[domain])
        return f"{over} {self.domains.names[domain]} has {count} of {self._deployment}"


class TiedChooser:
    """What is computed once for all equal requests of a round that have ties or preferences."""

    def __init__(self, shape: Shape, request: Request) -> None:
        self._draft = shape.draft
        self._shape = shape
        self._request = request
        self._need = shape.need
        self._ties = tuple(dict.fromkeys(request.ties))
        self._deployment = request.group.rpartition("/")[2]
        self._unplaced: Unplaced | None = None
        self._taken: list[int] = []  # and not reserved in the draft yet
        self._begin()

    def choose(self, count: int, to_come: int) -> list[Placement | Unplaced]:
        """The best nodes for so many, one after another, reserved in the draft."""
        if self._seen != len(self._draft.placed_rows):
            self._unplaced = None
            self._begin()
        found = [self._one() for _ in range(count)]
        self._reserve()
        return found

    def best(self, count: int) -> list[tuple[str, str]]:
        """The names of the best nodes now, the best first, and what speaks for each."""
        heads = self._values[np.argsort(self._cells.order)]
        totals = self._totals(heads, np.arange(len(heads)), self._cells.of_rows)
        rows = np.argsort(totals, kind="stable")[:count].tolist()
        names = self._draft.columns.names
        return [
            (names[row], self._why(self._spot(row), row)) for row in rows if totals[row] != NOWHERE
        ]

    def _begin(self) -> None:
        """Work out every row, and the best one of each cell."""
        draft, request, shape = self._draft, self._request, self._shape
        shape.refresh()
        self._seen = len(draft.placed_rows)
        self._spots: dict[int, Spot] = {}
        self._members: dict[int, int] = draft.members(request.group) if request.group else {}
        self._states = [_State(draft, tie, request, shape) for tie in self._ties]
        self._own = [state for state in self._states if state.is_own and not state.is_apart]
        self._is_apart = any(state.is_apart for state in self._states)
        shut: Mask = shape.rooms() < 1
        penalties: Numbers = np.zeros(len(shut), np.int64)
        for requirement, weight in request.preferences:
            penalties += weight * ~draft.columns.meets(requirement)
        for state in self._states:
            if state in self._own:
                continue
            if state.tie.weight:
                penalties += state.penalties()
            elif not state.is_apart or self._members:
                shut |= state.broken_rows()
        worth = np.minimum(penalties, PENALTY_MAX) << PENALTY_BITS
        worth += shape.keys_for(self._members)
        worth[shut] = NOWHERE
        self._cells: Cells = draft.columns.cells(tuple(state.tie.over for state in self._own))
        self._values: Numbers = worth[self._cells.order]
        self._at = self._cells.smallest(self._values)
        self._heads: Numbers = self._values[self._at]
        self._weigh()

    def _weigh(self) -> None:
        """What the own ties say of each cell as it is now, and the best node of all."""
        self._shut: Numbers = np.zeros(len(self._heads), np.int64)
        self._penalties: Numbers = np.zeros(len(self._heads), np.int64)
        for state, ids in zip(self._own, self._cells.ids, strict=True):
            if state.tie.weight:
                by_domain, unlabelled = penalty(state.tie, state.counts, state.least)
                self._penalties += np.append(by_domain, unlabelled)[ids]
            else:
                self._shut += np.append(state.broken(), state.tie.kind != "far")[ids]
        cells = np.arange(len(self._heads))
        totals = self._totals(self._heads, cells, cells)
        rows = self._cells.order[self._at]
        self._entries: list[tuple[int, int, int]] = list(
            zip(totals.tolist(), rows.tolist(), cells.tolist(), strict=True)
        )
        self._heap = [entry for entry in self._entries if entry[0] != LAST]
        heapify(self._heap)

    def _totals(self, heads: Numbers, places: Numbers, cells: Numbers) -> Numbers:
        """How good nodes are with what the own ties say of their cells; the smaller the better."""
        left = PENALTY_MAX - (heads[places] >> PENALTY_BITS)
        totals = heads[places] + (np.minimum(self._penalties[cells], left) << PENALTY_BITS)
        found: Numbers = np.where(
            (heads[places] == NOWHERE) | (self._shut[cells] > 0), NOWHERE, totals
        )
        return found

    def _one(self) -> Placement | Unplaced:
        heap, entries = self._heap, self._entries
        while heap and entries[heap[0][2]] is not heap[0]:
            heappop(heap)  # an earlier one of its cell
        if not heap:
            return self._explained()
        _, row, cell = heappop(heap)
        spot = self._spots.get(row) or self._spot(row)
        name = self._draft.columns.names[row]
        placement = Placement(self._request.cluster, name, self._why(spot, row))
        self._taken.append(row)
        self._take(cell, spot)
        return placement

    def _take(self, cell: int, spot: Spot) -> None:
        """One more on the best node of a cell: what that means for it, and for its domains."""
        at = self._at[cell]
        if not self._is_apart:
            spot.take()
        if self._is_apart or not spot.room:
            self._values[at] = NOWHERE
        else:
            penalties = int(self._values[at]) >> PENALTY_BITS
            self._values[at] = (penalties << PENALTY_BITS) + spot.key()
        start, end = self._cells.bounds(cell)
        self._at[cell] = at = start + int(self._values[start:end].argmin())
        self._heads[cell] = self._values[at]
        is_all = False
        for state, ids in zip(self._own, self._cells.ids, strict=True):
            if (domain := int(ids[cell])) >= 0:
                is_all = self._count(state, domain, ids, cell) or is_all
        if is_all:
            self._weigh()
        else:
            self._renew(cell)

    def _count(self, state: _State, domain: int, ids: Numbers, cell: int) -> bool:
        """One more in a domain; whether that changes what holds of other domains."""
        tie, before = state.tie, int(state.counts[domain])
        state.counts[domain] += 1
        if tie.weight:
            # That others are a little better by comparison is in the numbers.
            change = -tie.weight * (before == 0) if tie.kind == "near" else tie.weight
            self._change(self._penalties, change, domain, ids, cell)
            return False
        if tie.kind == "near":
            return before == 0 and int(state.counts.sum()) == 1
        if tie.kind == "far":
            is_broken_now = before == 0
        else:
            if before == state.least and state.among[domain]:
                state.at_least -= 1
                if not state.at_least:
                    state.note_least()
                    return True
            is_broken_now = before + 2 - state.least > tie.skew >= before + 1 - state.least
        self._change(self._shut, int(is_broken_now), domain, ids, cell)
        return False

    def _change(self, of_cells: Numbers, change: int, domain: int, ids: Numbers, cell: int) -> None:
        """Something changes for all cells of a domain; `cell` is renewed afterwards anyway."""
        if not change:
            return
        if len(self._own) == 1:
            of_cells[cell] += change  # each domain is a cell
            return
        cells = np.flatnonzero(ids == domain)
        of_cells[cells] += change
        for each in cells.tolist():
            if each != cell:
                self._renew(each)

    def _renew(self, cell: int) -> None:
        """Another entry for a cell, whose best node or whose penalty is another one."""
        total, row = int(self._heads[cell]), int(self._cells.order[self._at[cell]])
        if total == LAST or self._shut[cell]:
            self._entries[cell] = (LAST, row, cell)
            return
        left = PENALTY_MAX - (total >> PENALTY_BITS)
        total += min(int(self._penalties[cell]), left) << PENALTY_BITS
        entry = self._entries[cell] = (total, row, cell)
        heappush(self._heap, entry)

    def _reserve(self) -> None:
        """Tell the draft what has been taken: at once, unless a node has been taken twice."""
        taken = self._taken
        if not taken:
            return
        if len(set(taken)) == len(taken):
            self._draft.reserve_each(np.array(taken, np.intp), self._request, self._need)
        else:
            for row in taken:
                self._draft.reserve(row, self._request, self._need)
        self._seen += len(taken)
        self._taken = []

    def _spot(self, row: int) -> Spot:
        made = self._spots[row] = Spot(
            self._draft,
            row,
            need=self._need,
            members=self._members.get(row, 0),
            is_grouped=bool(self._request.group),
            room=int(self._shape.rooms()[row]),
        )
        return made

    def _explained(self) -> Unplaced:
        self._reserve()
        if self._unplaced is None:
            self._unplaced = self._draft.explained(self._request)
        return self._unplaced

    def _why(self, spot: Spot, row: int) -> str:
        percent, word, members = spot.why()
        reasons = [state.reason(row) for state in self._states]
        if self._request.preferences:
            reasons.append(self._preferred(row))
        if self._request.group:
            reasons.append(f"replicas of {self._deployment} here: {members}")
        reasons.append(f"{percent} % of {word} free")
        return ", ".join(reasons)

    def _preferred(self, row: int) -> str:
        unmet = [
            requirement.text()
            for requirement, _ in self._request.preferences
            if not self._draft.columns.meets(requirement)[row]
        ]
        return (
            f"without {', '.join(unmet)}, which it would rather have" if unmet else "as it prefers"
        )
