"""What a crash or a bad disk leaves of the SQLite journal: a prefix or a clear no, never a lie.

The files are copied while the journal is open, as power loss would leave them, then cut or changed,
and opened as a new server would.

Promise 1.
"""

import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from pathfinder.store.port import Record, Snapshot, StoreFailure
from pathfinder.store.sqlite import SqliteStore

CUT_BYTES = 512  # what a disk writes whole
WAL_HEADER_BYTES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Remains:
    """The two files of a journal, and what was acknowledged when they were copied."""

    database: bytes
    wal: bytes
    records: tuple[Record, ...]
    snapshot: Snapshot | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a new server finds."""

    records: tuple[Record, ...]
    snapshot: Snapshot | None


def remains_of(path: Path, records: list[Record], snapshot: Snapshot | None = None) -> Remains:
    wal = path.with_name(path.name + "-wal")
    return Remains(
        database=path.read_bytes(),
        wal=wal.read_bytes() if wal.exists() else b"",
        records=tuple(records),
        snapshot=snapshot,
    )


def open_anew(directory: Path, database: bytes, wal: bytes) -> Found:
    """Lead on these files and read everything; StoreFailure when the store says no."""
    directory.mkdir(exist_ok=True)
    for file in directory.iterdir():
        file.unlink()
    path = directory / "journal.db"
    path.write_bytes(database)
    path.with_name("journal.db-wal").write_bytes(wal)
    with closing(SqliteStore(path, ballast_bytes=0)) as store:
        tenure = store.lead()
        records = tuple(store.read(0))
        store.append(tenure.epoch, 0, b"life goes on")
    return Found(records=records, snapshot=tenure.snapshot)


def flipped(content: bytes, step: int, seed: int) -> Iterator[bytes]:
    """`content` with one bit changed, somewhere in each `step` bytes."""
    luck = random.Random(seed)
    for start in range(0, len(content), step):
        changed = bytearray(content)
        position = min(start + luck.randrange(step), len(content) - 1)
        changed[position] ^= 1 << luck.randrange(8)
        yield bytes(changed)


def is_prefix(found: Found, remains: Remains) -> bool:
    return found.records == remains.records[: len(found.records)]


@pytest.fixture
def scratch() -> Iterator[Path]:
    """A directory in memory where there is one: hundreds of openings need not wait for a disk."""
    memory = Path("/dev/shm")
    with TemporaryDirectory(dir=memory if memory.is_dir() else None) as directory:
        yield Path(directory)


@pytest.fixture
def path(scratch: Path) -> Path:
    return scratch / "journal.db"


@pytest.mark.slow
def test_torn_last_record_is_cut_and_all_before_it_remain(path: Path, scratch: Path) -> None:
    wal = path.with_name("journal.db-wal")
    with closing(SqliteStore(path, ballast_bytes=0)) as store:
        epoch = store.lead().epoch
        records = [store.append(epoch, n, b"%d " % n * 300) for n in range(20)]
        whole_bytes = wal.stat().st_size
        records.append(store.append(epoch, 20, b"last" * 5_000))
        remains = remains_of(path, records)
    cuts = range(whole_bytes, len(remains.wal), CUT_BYTES)
    found = [open_anew(scratch / "torn", remains.database, remains.wal[:cut]) for cut in cuts]

    assert len(cuts) >= 40
    assert all(each.records == remains.records[:-1] for each in found)
    assert open_anew(scratch / "torn", remains.database, remains.wal).records == remains.records


@pytest.mark.slow
def test_torn_tail_filled_with_what_was_there_before_is_cut_too(path: Path, scratch: Path) -> None:
    with closing(SqliteStore(path, ballast_bytes=0)) as store:
        epoch = store.lead().epoch
        records = [store.append(epoch, n, bytes(3_000)) for n in range(10)]
        before = remains_of(path, records)
        records.append(store.append(epoch, 10, b"last" * 5_000))
        after = remains_of(path, records)
    old = b"\xa5" * len(after.wal)
    cuts = range(len(before.wal), len(after.wal), CUT_BYTES)
    found = [
        open_anew(scratch / "torn", after.database, after.wal[:cut] + old[cut:]) for cut in cuts
    ]

    assert len(cuts) >= 40
    assert all(each.records == before.records for each in found)


@pytest.mark.slow
def test_journal_cut_anywhere_is_a_prefix_that_grows_with_the_cut(
    path: Path, scratch: Path
) -> None:
    with closing(SqliteStore(path, ballast_bytes=0)) as store:
        epoch = store.lead().epoch
        records = []
        for n in range(14):
            records.append(store.append(epoch, n, b"%d " % n * (1 + 90 * n)))
            if n == 8:
                store.save_snapshot(epoch, records[-1].seq, records[-1].hash, [bytes(6_000)])
                store.compact(epoch, keep_after_ms=5)
        remains = remains_of(path, records)
    counts = []
    for cut in range(WAL_HEADER_BYTES, len(remains.wal) + CUT_BYTES, CUT_BYTES):
        found = open_anew(scratch / "torn", remains.database, remains.wal[:cut])
        last = found.records[-1].seq if found.records else 0
        expected = remains.records[5 if found.records[:1] == remains.records[5:6] else 0 : last]
        assert found.records == expected
        counts.append(last)

    assert counts == sorted(counts)
    assert (counts[0], counts[-1]) == (0, 14)


def closed_journal(path: Path) -> Remains:
    """Everything in the database, nothing in the WAL; with a snapshot in the middle."""
    with closing(SqliteStore(path, ballast_bytes=0)) as store:
        epoch = store.lead().epoch
        records = [store.append(epoch, n, b"%d " % n * (1 + 60 * n)) for n in range(25)]
        store.save_snapshot(epoch, 10, records[9].hash, [b"state" * 1_000, b"of all"])
        store.compact(epoch, keep_after_ms=5)
        snapshot = store.read_snapshot()
    return remains_of(path, records[5:], snapshot)


def half_folded_journal(path: Path) -> Remains:
    """Everything in the WAL and half of it in the database already, as a checkpoint leaves it."""
    with (
        closing(SqliteStore(path, ballast_bytes=0)) as store,
        closing(sqlite3.connect(path)) as checkpointer,
    ):
        epoch = store.lead().epoch
        records = [store.append(epoch, n, b"%d " % n * 400) for n in range(12)]
        checkpointer.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        # A reader holds the WAL, so that the next records are added after what is folded in.
        checkpointer.execute("BEGIN")
        checkpointer.execute("SELECT count(*) FROM journal").fetchone()
        records += [store.append(epoch, n, b"%d " % n * 400) for n in range(12, 24)]
        return remains_of(path, records)


@pytest.mark.slow
def test_database_with_a_flipped_bit_is_whole_or_refused(path: Path, scratch: Path) -> None:
    remains = closed_journal(path)
    refused = 0
    for database in flipped(remains.database, 199, 1):
        try:
            found = open_anew(scratch / "flipped", database, b"")
        except StoreFailure:
            refused += 1
            continue
        assert found.records == remains.records
        assert found.snapshot == remains.snapshot

    assert refused > 100


@pytest.mark.slow
@pytest.mark.parametrize("seed", [3, 4])
def test_wal_with_a_flipped_bit_gives_a_prefix_or_is_refused(
    path: Path, scratch: Path, seed: int
) -> None:
    remains = half_folded_journal(path)
    counts = set()
    for wal in flipped(remains.wal, 512, seed):
        try:
            found = open_anew(scratch / "flipped", remains.database, wal)
        except StoreFailure:
            continue
        assert is_prefix(found, remains)
        counts.add(len(found.records))

    assert len(counts) > 5


@pytest.mark.slow
def test_half_folded_database_with_a_flipped_bit_is_a_prefix_or_refused(
    path: Path, scratch: Path
) -> None:
    remains = half_folded_journal(path)
    outcomes = set()
    for database in flipped(remains.database, 151, 5):
        try:
            found = open_anew(scratch / "flipped", database, remains.wal)
        except StoreFailure:
            outcomes.add("refused")
            continue
        assert is_prefix(found, remains)
        outcomes.add("whole" if found.records == remains.records else "prefix")

    assert "whole" in outcomes
