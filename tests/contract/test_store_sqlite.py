"""What the SQLite engine promises beyond the port: one server, old formats, a bounded WAL."""

import os
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from pathfinder.store.inspection import verify
from pathfinder.store.port import Broken, Occupied, Unusable
from pathfinder.store.sqlite import SqliteStore
from pathfinder.store.sqlite_file import SCHEMA_VERSION, WAL_BYTES_MAX


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStore]:
    with closing(SqliteStore(path, ballast_bytes=64 << 10)) as opened:
        yield opened


def change(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(statement)


HOLDER = """
import sys
from pathlib import Path
from pathfinder.store.sqlite import SqliteStore
store = SqliteStore(Path(sys.argv[1]), ballast_bytes=0)
store.lead()
print("leading", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def holder(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that leads on `path` until its standard input ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "leading\n"
    yield process
    process.kill()
    process.communicate()


@pytest.mark.slow
def test_second_server_is_refused_with_the_first_ones_process_id(
    store: SqliteStore, holder: subprocess.Popen[str]
) -> None:
    with pytest.raises(Occupied, match=f"in use by process {holder.pid}: stop that server first"):
        store.lead()


@pytest.mark.slow
def test_dead_servers_lock_does_not_outlive_it(
    store: SqliteStore, holder: subprocess.Popen[str]
) -> None:
    holder.kill()
    holder.wait()

    assert store.lead().epoch == 2


@pytest.mark.slow
def test_journal_can_be_read_while_another_process_leads(
    store: SqliteStore, holder: subprocess.Popen[str]
) -> None:
    assert holder.poll() is None
    assert store.describe().epoch == 1
    assert list(store.read(0)) == []


def test_second_store_in_one_process_is_refused_too(path: Path, store: SqliteStore) -> None:
    store.lead()

    with closing(SqliteStore(path)) as other, pytest.raises(Occupied, match=str(os.getpid())):
        other.lead()


def test_leader_is_confirmed_while_another_connection_writes(
    path: Path, store: SqliteStore
) -> None:
    epoch = store.lead().epoch
    with closing(sqlite3.connect(path, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        store.confirm(epoch)

        assert writer.in_transaction


def test_stopped_journal_can_be_read_without_leading(path: Path, store: SqliteStore) -> None:
    record = store.append(store.lead().epoch, 0, b"kept")
    store.close()

    with closing(SqliteStore(path)) as reader:
        assert list(reader.read(0)) == [record]
        assert reader.describe().epoch == 1


def test_reading_where_there_is_no_journal_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "nothing.db"

    with closing(SqliteStore(path)) as store, pytest.raises(Unusable, match="pathfinder init"):
        store.describe()
    assert not path.exists()


def test_journal_of_a_newer_version_is_refused(path: Path, store: SqliteStore) -> None:
    store.lead()
    store.close()
    change(path, f"PRAGMA user_version = {SCHEMA_VERSION + 1}")

    with closing(SqliteStore(path)) as newer, pytest.raises(Unusable, match="newer Pathfinder"):
        newer.lead()
    with closing(SqliteStore(path)) as newer, pytest.raises(Unusable, match="newer Pathfinder"):
        newer.describe()


def test_database_of_another_program_is_left_alone(path: Path, store: SqliteStore) -> None:
    change(path, "CREATE TABLE recipes (name)")

    with pytest.raises(Unusable, match="not a journal of Pathfinder"):
        store.lead()


def test_file_that_is_no_database_is_broken(path: Path, store: SqliteStore) -> None:
    path.write_bytes(b"no database at all" * 1_000)

    with pytest.raises(Broken):
        store.lead()


def test_missing_directory_is_named(tmp_path: Path) -> None:
    with (
        closing(SqliteStore(tmp_path / "absent" / "journal.db")) as store,
        pytest.raises(Unusable, match="No such file or directory"),
    ):
        store.lead()


def test_other_users_cannot_read_the_journal(path: Path, store: SqliteStore) -> None:
    store.append(store.lead().epoch, 0, b"secret")
    files = list(path.parent.iterdir())

    assert len(files) == 5, "database, WAL, shared memory, lock and ballast"
    assert all(stat.S_IMODE(file.stat().st_mode) == 0o600 for file in files)


def test_two_writing_threads_are_a_mistake(store: SqliteStore) -> None:
    epoch = store.lead().epoch
    outcome: list[str] = []

    def chunks() -> Iterator[bytes]:
        def write() -> None:
            try:
                store.append(epoch, 0, b"at the same time")
            except AssertionError as error:
                outcome.append(str(error))

        thread = threading.Thread(target=write)
        thread.start()
        thread.join()
        yield b"state"

    store.save_snapshot(epoch, 0, bytes(32), chunks())

    assert outcome == ["two threads write to the journal at once"]


def test_other_threads_read_while_one_writes(store: SqliteStore) -> None:
    epoch = store.lead().epoch
    seen: list[list[bytes]] = []

    def read() -> None:
        seen.append([record.body for record in store.read(0)])

    def chunks() -> Iterator[bytes]:
        readers = [threading.Thread(target=read) for _ in range(3)]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join()
        yield b"state"

    store.append(epoch, 0, b"one")
    store.save_snapshot(epoch, 0, bytes(32), chunks())

    assert seen == [[b"one"]] * 3


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE snapshot_chunk SET chunk = zeroblob(length(chunk)) WHERE position = 1",
        "UPDATE snapshot_chunk SET chunk = 7 WHERE position = 1",
        "DELETE FROM snapshot_chunk WHERE position = 1",
        "UPDATE snapshot SET seq = 2",
        "UPDATE snapshot SET hash = zeroblob(32)",
        "DELETE FROM snapshot",
    ],
)
def test_damaged_snapshot_is_found_before_leading(
    path: Path, store: SqliteStore, statement: str
) -> None:
    epoch = store.lead().epoch
    records = [store.append(epoch, n, b"body") for n in range(3)]
    store.save_snapshot(epoch, 3, records[2].hash, [b"zero", b"one"])
    store.compact(epoch, keep_after_ms=1)
    change(path, statement)

    with pytest.raises(Broken):
        store.read_snapshot()
    with pytest.raises(Broken):
        store.lead()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE head SET epoch = 0",
        "UPDATE head SET last_seq = 2",
        "UPDATE head SET last_seq = 9",
        "UPDATE head SET last_hash = zeroblob(32)",
        "UPDATE head SET dropped_seq = 1",
        "UPDATE head SET dropped_hash = 'text'",
        "DELETE FROM head",
        "UPDATE journal SET seq = 7 WHERE seq = 3",
        "UPDATE journal SET epoch = 'text' WHERE seq = 2",
        "UPDATE journal SET time_ms = -1 WHERE seq = 2",
        "UPDATE journal SET hash = zeroblob(0) WHERE seq = 2",
        "DROP TABLE journal",
    ],
)
def test_damaged_rows_are_found_before_leading(
    path: Path, store: SqliteStore, statement: str
) -> None:
    epoch = store.lead().epoch
    for n in range(3):
        store.append(epoch, n, b"body")
    change(path, statement)

    with pytest.raises(Broken):
        store.lead()


@pytest.mark.slow
def test_write_lock_held_by_a_person_is_reported_not_awaited_forever(
    path: Path, store: SqliteStore
) -> None:
    epoch = store.lead().epoch
    with closing(sqlite3.connect(path, isolation_level=None)) as shell:
        shell.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unusable, match="locked by another program"):
            store.append(epoch, 0, b"")
        shell.execute("ROLLBACK")

    assert store.append(epoch, 0, b"").seq == 1


@pytest.mark.slow
def test_wal_stays_bounded_and_shrinks_after_a_large_transaction(
    path: Path, store: SqliteStore
) -> None:
    epoch = store.lead().epoch
    wal = path.with_name("journal.db-wal")
    last = store.append(epoch, 0, b"")
    store.save_snapshot(epoch, last.seq, last.hash, (bytes(1 << 20) for _ in range(40)))
    for _ in range(60):
        store.append(epoch, 0, bytes(1 << 20))

    assert wal.stat().st_size <= WAL_BYTES_MAX + (4 << 20)


def test_damaged_base_is_found_and_keeps_nobody_from_leading(
    path: Path, store: SqliteStore
) -> None:
    epoch = store.lead().epoch
    record = store.append(epoch, 1, b"one")
    store.save_snapshot(epoch, 1, record.hash, [b"state"])
    store.keep_base(epoch, time_ms=1)
    change(path, "UPDATE base_chunk SET chunk = x'00'")

    with pytest.raises(Broken, match="the base after record 1 is damaged"):
        store.read_base(1)
    assert "damaged" in verify(store).problem
    assert store.lead().last_seq == 1


def test_base_that_is_forgotten_while_it_is_read_is_not_half_of_one(store: SqliteStore) -> None:
    epoch = store.lead().epoch
    record = store.append(epoch, 1, b"one")
    store.save_snapshot(epoch, 1, record.hash, [b"state", b"more"])
    store.keep_base(epoch, time_ms=1)
    base = store.read_base(1)
    assert base is not None
    reading = iter(base.chunks)
    assert next(reading) == b"state"
    store.compact(epoch, keep_after_ms=0, keeps_bases=False)

    with pytest.raises(Broken, match="forgotten while it was read"):
        next(reading)


def test_journal_from_before_there_were_bases_has_none_until_somebody_leads(
    path: Path, store: SqliteStore
) -> None:
    epoch = store.lead().epoch
    record = store.append(epoch, 1, b"one")
    store.save_snapshot(epoch, 1, record.hash, [b"state"])
    store.close()
    for table in ("base", "base_chunk"):
        change(path, f"DROP TABLE {table}")
    with closing(SqliteStore(path, ballast_bytes=0)) as old:
        assert old.bases() == ()
        assert old.read_base(1) is None
        assert verify(old).is_whole
        old.keep_base(old.lead().epoch, time_ms=1)
        assert [base.seq for base in old.bases()] == [1]
