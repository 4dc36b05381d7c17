"""Which node a container goes to, decided for many containers one after another.

Among the nodes that fit: fewest members of the container's group, then the most left afterwards of
whichever of CPU and memory is scarcer, then the fewest containers, then the smallest name.

Equal requests are one class: its columns are computed once, and after each placement only for the
nodes that were given something. The arithmetic is the same for one node as for all of them.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from pathfinder.model.resources import Resources
from pathfinder.model.selectors import Requirement
from pathfinder.scheduler.explain import Explanation, explain
from pathfinder.scheduler.fit import Request, candidates, examine, refusals, shortages
from pathfinder.scheduler.fleet import COUNT, CPU, MEMORY, Columns, Fleet, Mask, Numbers, numbers

MILLION: Final = 1_000_000
COUNT_BITS: Final = 21
SHARE_BITS: Final = 20  # MILLION fits
COUNT_LIMIT: Final = 1 << COUNT_BITS
NOWHERE: Final = np.iinfo(np.int64).max
CLASSES_MAX: Final = 256  # remembered at once: 20 MiB with 10,000 nodes
CATCH_UP_MAX: Final = 16  # more changed nodes than this are cheaper computed all together

RequestClass = tuple[str, str, Resources, tuple[Requirement, ...], str]


@dataclass(frozen=True, slots=True)
class Placement:
    """The container goes to `node_key` ("cluster/node"); `why` says what spoke for that node."""

    node_key: str
    why: str


@dataclass(frozen=True, slots=True)
class Unplaced:
    """No node fits; the explanation is that of the moment at which it was its turn."""

    explanation: Explanation


def place(fleet: Fleet, requests: Sequence[Request]) -> list[Placement | Unplaced]:
    """A node for each request, in the given order, each seeing what those before it were given.

    The fleet stays as it is: the caller reserves what it accepts.
    """
    class_numbers: dict[RequestClass, int] = {}
    classes = [
        class_numbers.setdefault(_class_of(request), len(class_numbers)) for request in requests
    ]
    remaining = Counter(classes)
    drafts: dict[str, _Draft] = {}
    outcomes: list[Placement | Unplaced] = []
    for request, class_number in zip(requests, classes, strict=True):
        draft = drafts.get(request.cluster)
        if draft is None:
            draft = drafts[request.cluster] = _Draft(
                fleet.columns(request.cluster), placements_max=len(requests)
            )
        remaining[class_number] -= 1
        outcomes.append(draft.place(request, class_number, again=remaining[class_number] > 0))
    return outcomes


class _Draft:
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
        self._classes: dict[int, _Chooser] = {}

    def place(self, request: Request, class_number: int, *, again: bool) -> Placement | Unplaced:
        """Decide for one; `again`: another of its class is to come, so keep what was computed."""
        chooser = self._classes.pop(class_number, None) or _Chooser(self, request)
        if again:
            if len(self._classes) == CLASSES_MAX:
                del self._classes[next(iter(self._classes))]
            self._classes[class_number] = chooser
        return chooser.choose(request)

    def group_counts(self, group: str) -> Numbers:
        """How many members of a group each node has, with those placed in this round."""
        if group not in self._groups:
            self._groups[group] = self.columns.group_counts(group)
        return self._groups[group]

    def reserve(self, row: int, need: tuple[int, ...], group: str) -> None:
        """Count one more container on a node."""
        for resource, amount in enumerate(need):
            if amount:
                self.amounts[resource, row] += amount
        self.amounts[COUNT, row] += 1
        if group:
            self.group_counts(group)[row] += 1
        self.placed_rows.append(row)


class _Chooser:
    """What is computed once for all equal requests of a round."""

    def __init__(self, draft: _Draft, request: Request) -> None:
        self._draft = draft
        self._need = numbers(request.need)
        self._needed: Numbers = np.array([[self._need[CPU]], [self._need[MEMORY]]], np.int64)
        self._group = request.group
        self._open = candidates(draft.columns, refusals(draft.columns, request))
        self._members = draft.group_counts(request.group)
        self._keys: Numbers = np.full(len(self._open), NOWHERE, np.int64)
        self._compute(slice(None))
        self._seen = len(draft.placed_rows)
        self._unplaced: Unplaced | None = None

    def choose(self, request: Request) -> Placement | Unplaced:
        """The best node now, reserved in the draft."""
        self._catch_up()
        fit_count = int(np.count_nonzero(self._keys != NOWHERE))
        if not fit_count:
            return self._explained(request)
        row = int(self._keys.argmin())
        placement = Placement(
            f"{request.cluster}/{self._draft.columns.names[row]}", self._why(row, fit_count)
        )
        self._draft.reserve(row, self._need, self._group)
        return placement

    def _catch_up(self) -> None:
        placed_rows = self._draft.placed_rows
        if self._seen == len(placed_rows):
            return
        self._unplaced = None
        if len(placed_rows) - self._seen > CATCH_UP_MAX:
            self._compute(slice(None))
        else:
            for row in set(placed_rows[self._seen :]):
                self._compute(slice(row, row + 1))
        self._seen = len(placed_rows)

    def _compute(self, rows: slice) -> None:
        traits, amounts = self._draft.traits[:, rows], self._draft.amounts[:, rows]
        shut: Mask = ~self._open[rows]
        for failure in shortages(traits, amounts, self._need):
            shut |= failure.nodes
        keys = preference(traits, amounts, self._needed, self._members[rows])
        keys[shut] = NOWHERE
        self._keys[rows] = keys

    def _explained(self, request: Request) -> Unplaced:
        if self._unplaced is None:
            draft = self._draft
            self._unplaced = Unplaced(explain(examine(draft.columns, draft.amounts, request)))
        return self._unplaced

    def _why(self, row: int, fit_count: int) -> str:
        traits, amounts = self._draft.traits, self._draft.amounts
        left = []
        for resource, word in ((CPU, "CPU"), (MEMORY, "memory")):
            capacity = int(traits[resource, row])
            free = max(capacity - int(amounts[resource, row]) - self._need[resource], 0)
            left.append((MILLION * free // capacity, word))
        share, word = min(left)
        reasons = f"{100 * share // MILLION} % of {word} free"
        if self._group:
            deployment = self._group.rpartition("/")[2]
            reasons = f"fewest replicas of {deployment} ({int(self._members[row])}), {reasons}"
        if fit_count == 1:
            count = self._draft.node_count
            others = f" of {count} that fits" if count > 1 else ""
            return f"{reasons}; the only node{others}"
        return f"{reasons}; {fit_count} of {self._draft.node_count} nodes fit"


def preference(traits: Numbers, amounts: Numbers, needed: Numbers, members: Numbers) -> Numbers:
    """One number per node, the smaller the better: group members, share taken, containers.

    needed: CPU and memory, one below the other.
    """
    capacity = traits[CPU : MEMORY + 1]
    left = np.maximum(capacity - amounts[CPU : MEMORY + 1] - needed, 0)
    # In millionths, so that shares are exact whole numbers: 2^40 times a million is in int64.
    shares = left * MILLION // np.maximum(capacity, 1)
    taken = MILLION - np.minimum(shares[CPU], shares[MEMORY])
    keys: Numbers = (members << (SHARE_BITS + COUNT_BITS)) + (taken << COUNT_BITS)
    keys += amounts[COUNT]
    return keys


def _class_of(request: Request) -> RequestClass:
    return (request.cluster, request.kind, request.need, request.constraints, request.group)
