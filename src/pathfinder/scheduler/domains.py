"""Nodes by the values of one label: the racks of a cluster, its zones, or each node on its own."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Domains:
    """Nodes by one label. ids: of each row, -1 without a value. rows: those with one; of_rows."""

    names: tuple[str, ...]
    ids: Numbers
    rows: Rows
    of_rows: Numbers


class Cells:
    """Nodes that no one of several labels tells apart, together.

    order: all rows, cell by cell. of_rows: the cell of each row. ids: for each of the labels, of
    each cell, its domain, or -1.
    """

    def __init__(self, labels: Sequence[Domains], row_count: int) -> None:
        codes: Numbers = np.zeros(row_count, np.int64)
        for label in labels:
            # Whole numbers without gaps, so that the next label's fit beside them.
            _, codes = np.unique(
                codes * (len(label.names) + 1) + label.ids + 1, return_inverse=True
            )
        self.of_rows = codes
        self.order: Rows = np.argsort(codes, kind="stable")
        self._of_order: Numbers = codes[self.order]
        self._starts: Rows = np.flatnonzero(np.diff(self._of_order, prepend=-1))
        self._bounds = [*self._starts.tolist(), row_count]
        self.ids = [label.ids[self.order[self._starts]] for label in labels]

    def bounds(self, cell: int) -> tuple[int, int]:
        """Where a cell begins in `order`, and where the next one does."""
        return self._bounds[cell], self._bounds[cell + 1]

    def smallest(self, values: Numbers) -> Rows:
        """The place of the smallest value in each cell, of equal ones the first, in `order`."""
        if not len(values):
            return np.zeros(0, np.intp)
        least = np.minimum.reduceat(values, self._starts)
        places = np.flatnonzero(values == least[self._of_order])[::-1]
        found: Rows = np.zeros(len(self._starts), np.intp)
        found[self._of_order[places]] = places  # of several the last one stays: the first place
        return found


def domains_from(values: Sequence[str | None]) -> Domains:
    """The domains of rows by their values, in the order of the values."""
    names = tuple(sorted({value for value in values if value is not None}))
    numbers_of = {name: number for number, name in enumerate(names)}
    ids = np.array([numbers_of[v] if v is not None else -1 for v in values], np.int64)
    rows = np.flatnonzero(ids >= 0)
    return Domains(names, ids, rows, ids[rows])
