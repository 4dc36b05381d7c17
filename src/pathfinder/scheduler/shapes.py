"""What requests have in common that differ in their group alone: worked out once for all of them.

Borg and Firmament call it an equivalence class. A cluster has thousands of deployments and few
shapes; what one of a shape needs is known from another one, but for the nodes that have been given
something since.
"""

from collections.abc import Mapping
from typing import Final

import numpy as np

from pathfinder.scheduler.domains import Mask, Numbers, Rows
from pathfinder.scheduler.draft import MEMBERS_SHIFT, NOWHERE, Draft, preference
from pathfinder.scheduler.fit import Request, candidates, needs, refusals, room, shortages
from pathfinder.scheduler.fleet import CPU, MEMORY
from pathfinder.scheduler.ties import eligible

# Beyond such a part of all rows, working all of them out is sooner done than picking some.
PART: Final = 2


class Shape:
    """How good each node is for one of this shape that belongs to no group. Kept up to date."""

    def __init__(self, draft: Draft, request: Request) -> None:
        self.draft = draft
        self.need = needs(request)
        self.is_open: Mask = candidates(draft.columns, refusals(draft.columns, request))
        self.fit_count = 0
        self._request = request
        self.needed: Numbers = np.array([[self.need[CPU]], [self.need[MEMORY]]], np.int64)
        self._seen = len(draft.placed_rows)
        self._rooms: Numbers | None = None
        self._eligible: dict[str, Mask] = {}
        self.keys: Numbers = self._worked_out(slice(None))
        self.fit_count = int(np.count_nonzero(self.keys != NOWHERE))

    def refresh(self) -> None:
        """Take account of what has been placed since."""
        placed = self.draft.placed_rows
        if self._seen == len(placed):
            return
        changed = set(placed[self._seen :])
        self._seen = len(placed)
        if PART * len(changed) > len(self.keys):
            self.keys = self._worked_out(slice(None))
            self.fit_count = int(np.count_nonzero(self.keys != NOWHERE))
            return
        rows = np.fromiter(changed, np.intp, len(changed))
        before = np.count_nonzero(self.keys[rows] != NOWHERE)
        self.keys[rows] = after = self._worked_out(rows)
        self.fit_count += int(np.count_nonzero(after != NOWHERE) - before)

    def keys_for(self, members: Mapping[int, int]) -> Numbers:
        """The keys for one of a group, of which rows have so many members; not to be written to."""
        if not members:
            return self.keys
        keys = self.keys.copy()
        rows = np.fromiter(members.keys(), np.intp, len(members))
        counts = np.fromiter(members.values(), np.int64, len(members))
        fitting = keys[rows] != NOWHERE
        shift = 0 if self.draft.packs else MEMBERS_SHIFT
        keys[rows[fitting]] += counts[fitting] << shift
        return keys

    def eligible(self, label: str) -> Mask:
        """The domains of a label that have a node which is open to the shape."""
        if label not in self._eligible:
            domains = self.draft.columns.domains(label)
            self._eligible[label] = eligible(domains, self.is_open)
        return self._eligible[label]

    def rooms(self) -> Numbers:
        """How many more of this shape each node has room for; 0 where none may go."""
        if self._rooms is None:
            self._rooms = self._rooms_of(slice(None))
        return self._rooms

    def _worked_out(self, rows: slice | Rows) -> Numbers:
        """The keys of these rows; their rooms too, once somebody has asked for rooms."""
        traits, amounts = self.draft.traits[:, rows], self.draft.amounts[:, rows]
        keys = preference(traits, amounts, self.needed, packs=self.draft.packs)
        if self._rooms is not None:
            rooms = self._rooms_of(rows)
            self._rooms[rows] = rooms
            keys[rooms < 1] = NOWHERE
            return keys
        shut: Mask = ~self.is_open[rows]
        left = {code: each[rows] for code, each in self.draft.claimable(self._request).items()}
        for failure in shortages(traits, amounts, self.need, left, self._request.claims):
            shut |= failure.nodes
        keys[shut] = NOWHERE
        return keys

    def _rooms_of(self, rows: slice | Rows) -> Numbers:
        traits, amounts = self.draft.traits[:, rows], self.draft.amounts[:, rows]
        left = {code: each[rows] for code, each in self.draft.claimable(self._request).items()}
        found = room(traits, amounts, self.need, left, self._request.claims)
        found[~self.is_open[rows]] = 0
        return found
