"""Choosing nodes for containers with ties to others, or with preferences.

One more member changes what a whole domain is worth, so that a heap of the best nodes does not
do. Instead every node has its penalty (of the wishes that are not met) and its key (how good it is
else) in columns; one placement brings the rows of the domains concerned up to date, and the best
row is the smallest of the column. Only when a must changes everywhere (the domain with the fewest
members has one more; the first replica is there) are all rows worked out again: at most once for
as many placements as there are domains.
"""

from typing import Final

import numpy as np

from pathfinder.scheduler.domains import Domains, Numbers, Rows
from pathfinder.scheduler.draft import NOWHERE, Draft, Placement, Spot, Unplaced
from pathfinder.scheduler.fit import Request
from pathfinder.scheduler.shapes import Shape
from pathfinder.scheduler.ties import (
    Tie,
    broken_by,
    counted,
    fewest,
    on_rows,
    penalty,
)

PENALTY_BITS: Final = 50
PENALTY_MAX: Final = 8_190  # above it all are equally bad; with the key below in 63 bits


class _State:
    """One tie in the middle of a round."""

    def __init__(self, draft: Draft, tie: Tie, request: Request, shape: Shape) -> None:
        self.tie = tie
        self.domains: Domains = draft.columns.domains(tie.over)
        self.is_own = tie.group == request.group
        self.counts = counted(self.domains, draft.group_counts(tie.group))
        self.is_single = len(self.domains.names) == len(self.domains.rows)  # one node in each
        if tie.kind == "spread":
            self.among = shape.eligible(tie.over)
            self.note_least()

    def note_least(self) -> None:
        """Find out how many the domains with the fewest have, and how many domains these are."""
        self.least = fewest(self.counts, self.among)
        self.at_least = int(np.count_nonzero(self.counts[self.among] == self.least))

    def is_last_at_least(self, domain: int, count: int) -> bool:
        """Whether a spread's least is another one when this domain, with so many, has one more."""
        is_must = not self.tie.weight
        return is_must and self.at_least == 1 and count == self.least and bool(self.among[domain])

    def broken(self) -> Numbers:
        """1 where one more would break the must."""
        least = self.least if self.tie.kind == "spread" else 0
        broken = broken_by(self.tie, self.counts, least, is_own=self.is_own)
        rows: Numbers = on_rows(self.domains, broken, unlabelled=self.tie.kind != "far").astype(
            np.int64
        )
        return rows

    def penalties(self) -> Numbers:
        """How little the wish is met on each node."""
        least = self.least if self.tie.kind == "spread" else 0
        by_domain, unlabelled = penalty(self.tie, self.counts, least)
        rows: Numbers = np.full(len(self.domains.ids), unlabelled, np.int64)
        rows[self.domains.rows] = by_domain[self.domains.of_rows]
        return rows


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

    def _one(self) -> Placement | Unplaced:
        row = int(self._scores.argmin()) if len(self._scores) else -1
        if row < 0 or self._scores[row] == NOWHERE:
            return self._explained()
        spot = self._spots.get(row) or self._spot(row)
        name = self._draft.columns.names[row]
        placement = Placement(f"{self._request.cluster}/{name}", self._why(spot, row))
        self._taken.append(row)
        self._take(row, spot)
        return placement

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

    def best(self, count: int) -> list[tuple[str, str]]:
        """The names of the best nodes now, the best first, and what speaks for each."""
        rows = np.argsort(self._scores, kind="stable")[:count].tolist()
        names = self._draft.columns.names
        return [
            (names[row], self._why(self._spot(row), row))
            for row in rows
            if self._scores[row] != NOWHERE
        ]

    def _begin(self) -> None:
        """Work out every row."""
        draft, request, shape = self._draft, self._request, self._shape
        shape.refresh()
        self._seen = len(draft.placed_rows)
        self._spots: dict[int, Spot] = {}
        self._members: dict[int, int] = draft.members(request.group) if request.group else {}
        rooms = shape.rooms()
        self._keys = shape.keys_for(self._members).copy()
        self._states = [_State(draft, tie, request, shape) for tie in self._ties]
        self._own = [state for state in self._states if state.is_own]
        # Replicas that no two of are on one node: how good it is for another one does not matter.
        self._is_apart = any(
            state.tie.kind == "far" and not state.tie.weight and state.tie.over == "node"
            for state in self._own
        )
        self._penalties: Numbers = np.zeros(len(self._keys), np.int64)
        for requirement, weight in request.preferences:
            self._penalties += weight * ~draft.columns.meets(requirement)
        self._blocks: Numbers = (rooms < 1).astype(np.int64)
        for state in self._states:
            if state.tie.weight:
                self._penalties += state.penalties()
            else:
                self._blocks += state.broken()
        self._scores: Numbers = self._scored(slice(None))

    def _scored(self, rows: slice | Rows) -> Numbers:
        worth = (np.minimum(self._penalties[rows], PENALTY_MAX) << PENALTY_BITS) + self._keys[rows]
        found: Numbers = np.where(self._blocks[rows] > 0, NOWHERE, worth)
        return found

    def _score(self, row: int) -> int:
        """The same of one row, in plain numbers."""
        if self._blocks[row]:
            return int(NOWHERE)
        return (min(int(self._penalties[row]), PENALTY_MAX) << PENALTY_BITS) + int(self._keys[row])

    def _take(self, row: int, spot: Spot) -> None:
        """One more on a node: what that means for it, and for its domains."""
        if not self._is_apart:
            spot.take()
            self._keys[row] = spot.key()
            self._blocks[row] += not spot.room
        is_stale = False
        for state in self._own:
            if (domain := int(state.domains.ids[row])) >= 0:
                is_stale = self._count(state, domain, row) or is_stale
        if is_stale:
            self._reserve()
            self._begin()
        else:
            self._scores[row] = self._score(row)

    def _count(self, state: _State, domain: int, row: int) -> bool:
        """One more in a domain; whether that changes what holds of other domains."""
        tie, before = state.tie, int(state.counts[domain])
        if tie.kind == "spread" and state.is_last_at_least(domain, before):
            self._raise_least(state, domain)
            return False
        state.counts[domain] += 1
        if tie.weight:
            change = -tie.weight * (before == 0) if tie.kind == "near" else tie.weight
            self._penalize(state, domain, row, change)
            return False  # that others are a little better by comparison is in the numbers
        if tie.kind == "near":
            return before == 0 and int(state.counts.sum()) == 1
        if tie.kind == "far":
            is_broken_now = before == 0
        else:
            state.at_least -= before == state.least and bool(state.among[domain])
            is_broken_now = before + 2 - state.least > tie.skew >= before + 1 - state.least
        if is_broken_now:
            rows = row if state.is_single else state.domains.rows_of(domain)
            self._blocks[rows] += 1
            self._scores[rows] = NOWHERE
        return False

    def _raise_least(self, state: _State, domain: int) -> None:
        """No domain has as few as before: what one more would break is another matter now."""
        was = state.broken()
        state.counts[domain] += 1
        state.note_least()
        self._blocks += state.broken() - was
        self._scores = self._scored(slice(None))

    def _penalize(self, state: _State, domain: int, row: int, change: int) -> None:
        """Make a domain worse; its node with the new member is scored afterwards anyway."""
        if state.is_single:
            self._penalties[row] += change
        elif change:
            rows = state.domains.rows_of(domain)
            self._penalties[rows] += change
            self._scores[rows] = self._scored(rows)

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
        reasons = [self._tie_reason(state, row) for state in self._states]
        unmet = [
            requirement.text()
            for requirement, _ in self._request.preferences
            if not self._draft.columns.meets(requirement)[row]
        ]
        if unmet:
            reasons.append(f"without {', '.join(unmet)}, which it would rather have")
        elif self._request.preferences:
            reasons.append("as it prefers")
        if self._request.group:
            reasons.append(f"replicas of {self._deployment} here: {members}")
        reasons.append(f"{percent} % of {word} free")
        return ", ".join(reasons)

    @staticmethod
    def _tie_reason(state: _State, row: int) -> str:
        tie, domain = state.tie, int(state.domains.ids[row])
        deployment = tie.group.rpartition("/")[2]
        if domain < 0:
            return f"has no {tie.over}"
        count = int(state.counts[domain])
        return f"{tie.over} {state.domains.names[domain]} has {count} of {deployment}"
