"""Durable appends to the journal, beside a plain SQLite insert of the same bytes.

The floor is one row in one transaction, WAL and `synchronous=FULL`: what a durable answer costs on
this disk. The journal adds the epoch check, the hash chain and the journal's end to each.
"""

import os
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from statistics import median
from typing import Any, Final

from pathfinder.store.sqlite import SqliteStore

BODIES: Final = (("200 B", 200), ("2 KB", 2_000), ("20 KB", 20_000))
ROUNDS: Final = 9
APPENDS: Final = 300  # in a round
DISK: Final = "/var/tmp"  # noqa: S108 - /tmp may be memory, where durable means nothing

Append = Callable[[bytes], object]


def run() -> Iterable[dict[str, Any]]:
    """Appends a second for each size of body: medians, the two measured in turns."""
    for label, size in BODIES:
        body = os.urandom(size)
        with (
            tempfile.TemporaryDirectory(dir=DISK) as directory,
            _journal(Path(directory)) as journal,
            _plain(Path(directory)) as plain,
        ):
            rates = [(_rate(journal, body), _rate(plain, body)) for _ in range(ROUNDS)]
        value = median(rate for rate, _ in rates)
        floor = median(rate for _, rate in rates)
        yield {
            "name": f"store: durable appends of {label}",
            "value": round(value),
            "unit": "appends/s",
            "floor": round(floor),
            "ratio": round(value / floor, 3),
            "runs": ROUNDS,
        }


def _rate(append: Append, body: bytes) -> float:
    started = time.perf_counter()
    for _ in range(APPENDS):
        append(body)
    return APPENDS / (time.perf_counter() - started)


@contextmanager
def _journal(directory: Path) -> Iterator[Append]:
    with closing(SqliteStore(directory / "journal.db")) as store:
        epoch = store.lead().epoch
        yield lambda body: store.append(epoch, 0, body)


@contextmanager
def _plain(directory: Path) -> Iterator[Append]:
    with closing(sqlite3.connect(directory / "plain.db", isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("CREATE TABLE plain (body BLOB)")
        yield lambda body: connection.execute("INSERT INTO plain VALUES (?)", (body,))
