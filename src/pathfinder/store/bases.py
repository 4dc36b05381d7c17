"""Which earlier snapshots are needed, and where they are in the SQLite file.

A base and the records after it tell every state from its time on. Without one, records older than
the newest snapshot are of no use when those before them have been dropped.
"""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from pathfinder.store.chain import digest_of
from pathfinder.store.port import Base, Broken

# Beside the tables of `sqlite_file`: what does not know them does not miss them.
SCHEMA: Final = (
    """CREATE TABLE IF NOT EXISTS base (
        seq INTEGER PRIMARY KEY,
        time_ms INTEGER NOT NULL,
        hash BLOB NOT NULL,
        digest BLOB NOT NULL
    )""",
    """CREATE TABLE IF NOT EXISTS base_chunk (
        seq INTEGER NOT NULL,
        position INTEGER NOT NULL,
        chunk BLOB NOT NULL,
        PRIMARY KEY (seq, position)
    )""",
)
DROP_CHUNKS_MAX: Final = 16  # in one transaction, so that the WAL stays within its bound


@dataclass(frozen=True, slots=True)
class Chunks:
    """A snapshot's chunks, read again each time that they are gone through."""

    after: Callable[[int, bytes], tuple[int, bytes] | None] = field(compare=False)
    digest: bytes

    def __iter__(self) -> Iterator[bytes]:
        position = -1
        while found := self.after(position, self.digest):
            position, chunk = found
            yield chunk


def needed_bases(bases: Sequence[Base], keep_after_ms: int) -> tuple[Base, ...]:
    """Those that tell everything from then on: the last that is older, and all after it.

    bases: the oldest first. By their order and not by their times, as a clock may have gone back.
    """
    older = [place for place, base in enumerate(bases) if base.time_ms < keep_after_ms]
    return tuple(bases[max(older, default=0) :])


def all_of(connection: sqlite3.Connection) -> tuple[Base, ...]:
    """All that are kept, the oldest first; none in a journal that nobody has led since."""
    if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'base'").fetchone() is None:
        return ()
    rows = connection.execute("SELECT seq, time_ms FROM base ORDER BY seq")
    return tuple(Base(seq=seq, time_ms=time_ms) for seq, time_ms in rows)


def add(connection: sqlite3.Connection, time_ms: int) -> None:
    """Keep the snapshot that there is, if it is not kept already."""
    is_new = connection.execute(
        "INSERT OR IGNORE INTO base SELECT seq, ?, hash, digest FROM snapshot", (time_ms,)
    ).rowcount
    if is_new:
        connection.execute(
            "INSERT OR REPLACE INTO base_chunk SELECT snapshot.seq, position, chunk "
            "FROM snapshot_chunk, snapshot"
        )


def forget(connection: sqlite3.Connection, needed: Sequence[Base]) -> bool:
    """Forget what is not needed any more, and some of its chunks; whether there may be others."""
    kept = {base.seq for base in needed}
    for base in all_of(connection):
        if base.seq not in kept:
            connection.execute("DELETE FROM base WHERE seq = ?", (base.seq,))
    dropped = connection.execute(
        "DELETE FROM base_chunk WHERE rowid IN (SELECT rowid FROM base_chunk "
        "WHERE seq NOT IN (SELECT seq FROM base) LIMIT ?)",
        (DROP_CHUNKS_MAX,),
    ).rowcount
    return dropped == DROP_CHUNKS_MAX


def read(connection: sqlite3.Connection, seq: int) -> tuple[bytes, bytes] | None:
    """Hash and digest of one, which is intact; None: it is not kept. Broken."""
    if seq not in {base.seq for base in all_of(connection)}:
        return None
    stored, digest = connection.execute(
        "SELECT hash, digest FROM base WHERE seq = ?", (seq,)
    ).fetchone()
    chunks = connection.execute(
        "SELECT chunk FROM base_chunk WHERE seq = ? ORDER BY position", (seq,)
    )
    if digest != digest_of(intact(chunk, seq) for (chunk,) in chunks):
        raise Broken(f"the base after record {seq} is damaged")
    return stored, digest


def chunk_after(
    connection: sqlite3.Connection, seq: int, position: int
) -> tuple[int, bytes] | None:
    """The next chunk, and its position; Broken when it has been forgotten meanwhile."""
    if connection.execute("SELECT 1 FROM base WHERE seq = ?", (seq,)).fetchone() is None:
        raise Broken(f"the base after record {seq} was forgotten while it was read")
    found: tuple[int, bytes] | None = connection.execute(
        "SELECT position, chunk FROM base_chunk WHERE seq = ? AND position > ? "
        "ORDER BY position LIMIT 1",
        (seq, position),
    ).fetchone()
    return found


def intact(chunk: object, seq: int) -> bytes:
    """A chunk; Broken when it is none."""
    if not isinstance(chunk, bytes):
        raise Broken(f"the snapshot after record {seq} is damaged")
    return chunk
