"""Nodes by the values of one label: the racks of a cluster, its zones, or each node on its own."""

from collections.abc import Sequence
from dataclasses import dataclass, field

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
    _rows_of: dict[int, Rows] = field(default_factory=dict, repr=False)

    def rows_of(self, domain: int) -> Rows:
        """The rows of one domain; looked for once."""
        rows = self._rows_of.get(domain)
        if rows is None:
            rows = self._rows_of[domain] = np.flatnonzero(self.ids == domain)
        return rows


def domains_from(values: Sequence[str | None]) -> Domains:
    """The domains of rows by their values, in the order of the values."""
    names = tuple(sorted({value for value in values if value is not None}))
    numbers_of = {name: number for number, name in enumerate(names)}
    ids = np.array([numbers_of[v] if v is not None else -1 for v in values], np.int64)
    rows = np.flatnonzero(ids >= 0)
    return Domains(names, ids, rows, ids[rows])
