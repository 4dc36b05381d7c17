"""Opening the journal's SQLite file: settings, schema, and what its failures mean to us."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import quote

from pathfinder.store import bases
from pathfinder.store.ballast import NO_ROOM
from pathfinder.store.port import Broken, DiskFull, StoreFailure, Unusable

SCHEMA_VERSION: Final = 1
# The WAL is folded into the database at this size and does not stay larger after a big transaction.
WAL_BYTES_MAX: Final = 4 << 20
PAGE_BYTES: Final = 4096
# Nobody else writes here; a person with a `sqlite3` shell in a transaction is refused, not awaited.
BUSY_S_MAX: Final = 1.0

# `head` has one row. `last_*` say where the journal ends: were rows lost at its end, the chain
# alone could not tell. `dropped_*` are the last record that compaction removed: there it begins.
_SCHEMA: Final = (
    """CREATE TABLE head (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        epoch INTEGER NOT NULL,
        last_seq INTEGER NOT NULL,
        last_hash BLOB NOT NULL,
        dropped_seq INTEGER NOT NULL,
        dropped_hash BLOB NOT NULL
    )""",
    """CREATE TABLE journal (
        seq INTEGER PRIMARY KEY,
        epoch INTEGER NOT NULL,
        time_ms INTEGER NOT NULL,
        hash BLOB NOT NULL,
        body BLOB NOT NULL
    )""",
    """CREATE TABLE snapshot (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        seq INTEGER NOT NULL,
        hash BLOB NOT NULL,
        digest BLOB NOT NULL
    )""",
    "CREATE TABLE snapshot_chunk (position INTEGER PRIMARY KEY, chunk BLOB NOT NULL)",
    "INSERT INTO head VALUES (1, 0, 0, zeroblob(32), 0, zeroblob(32))",
    f"PRAGMA user_version = {SCHEMA_VERSION}",
)

_BROKEN_CODES: Final = frozenset(
    # ERROR: the statements are ours and tested, so it is the schema that does not fit them.
    {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR, sqlite3.SQLITE_TOOBIG}
)
_BUSY_CODES: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
# SQLite reports a full disk as an I/O error where it sizes its shared memory or meets a quota.
_ROOM_BYTES_MIN: Final = 64 << 10


def open_writer(path: Path, *, wal_bytes_max: int = WAL_BYTES_MAX) -> sqlite3.Connection:
    """The writing connection; makes file and schema when there are none. StoreFailure otherwise."""
    with translated(path):
        os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
        connection = _connect(path, "rw")
        try:
            # auto_vacuum before journal_mode: the first page that is written fixes it.
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute(f"PRAGMA wal_autocheckpoint = {wal_bytes_max // PAGE_BYTES}")
            connection.execute(f"PRAGMA journal_size_limit = {wal_bytes_max}")
            # Overwrites what is deleted where that costs no further I/O.
            connection.execute("PRAGMA secure_delete = FAST")
            if _is_empty(connection):
                _create(connection)
            _check_version(connection, path)
            for statement in bases.SCHEMA:
                connection.execute(statement)
        except BaseException:
            connection.close()
            raise
        return connection


def open_reader(path: Path) -> sqlite3.Connection:
    """A read-only connection to an existing journal, for any thread. StoreFailure otherwise."""
    with translated(path):
        if not path.exists():
            raise Unusable(f"there is no journal at {path}: has `pathfinder init` been run?")
        connection = _connect(path, "ro")
        try:
            _check_version(connection, path)
        except BaseException:
            connection.close()
            raise
        return connection


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """SQLite's and the system's failures inside become a StoreFailure that says what to do."""
    try:
        yield
    except sqlite3.Error as error:
        raise _failure(error, path) from error
    except UnicodeDecodeError as error:
        # SQLite quotes the schema in its message about a damaged one.
        raise Broken(f"{path}: the schema is damaged") from error
    except OSError as error:
        if error.errno in NO_ROOM:
            raise disk_full(path) from error
        raise Unusable(f"{path}: {error.strerror}") from error


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"file:{quote(str(path))}?mode={mode}",
        uri=True,
        timeout=BUSY_S_MAX,
        isolation_level=None,  # transactions begin and end where the code says so
        check_same_thread=False,  # the store sees to it that only one thread is inside
    )
    connection.text_factory = bytes  # there is no text here; damaged bytes may claim to be some
    connection.execute("PRAGMA cell_size_check = ON")
    connection.execute("PRAGMA trusted_schema = OFF")
    return connection


def _is_empty(connection: sqlite3.Connection) -> bool:
    return connection.execute("SELECT 1 FROM sqlite_master").fetchone() is None


def _create(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        for statement in _SCHEMA:
            connection.execute(statement)
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _check_version(connection: sqlite3.Connection, path: Path) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > SCHEMA_VERSION:
        raise Unusable(
            f"{path} was written by a newer Pathfinder (journal format {version}, known here: "
            f"{SCHEMA_VERSION}): start that version, or restore a backup made by this one"
        )
    if version != SCHEMA_VERSION:
        raise Unusable(f"{path} is not a journal of Pathfinder (format {version})")


def _failure(error: sqlite3.Error, path: Path) -> StoreFailure:
    extended: int = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    code = extended & 0xFF
    if code == sqlite3.SQLITE_FULL or (
        code in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN) and _has_no_room(path)
    ):
        return disk_full(path)
    if code in _BROKEN_CODES:
        return Broken(f"{path}: {error}")
    if code in _BUSY_CODES:
        return Unusable(f"{path} is locked by another program: end it ({error})")
    return Unusable(f"{path}: {error}")


def disk_full(path: Path) -> DiskFull:
    """The failure, in words for people."""
    return DiskFull(f"no room left for {path}: free some on its disk")


def _has_no_room(path: Path) -> bool:
    try:
        disk = os.statvfs(path.parent)
    except OSError:
        return False
    return disk.f_bavail * disk.f_frsize < _ROOM_BYTES_MIN
