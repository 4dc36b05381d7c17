"""The journal in one SQLite file: WAL, `synchronous=FULL`, one connection that writes.

Beside `journal.db` stand its lock (one server per directory) and its ballast (room kept back for
cleaning up when the disk is full). Two hash checks make damage visible that SQLite itself does not
see: the chain over the records, and the journal's end, which each append writes beside the epoch.
A torn tail is cut by SQLite: WAL frames carry checksums and count only up to a commit.
"""

import sqlite3
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from pathfinder.store import bases
from pathfinder.store.ballast import Ballast
from pathfinder.store.bases import Chunks, needed_bases
from pathfinder.store.chain import Mark, checked, digest_of, mark_of, next_record
from pathfinder.store.lockfile import LockFile
from pathfinder.store.port import (
    Base,
    Broken,
    Deposed,
    Description,
    DiskFull,
    Record,
    Snapshot,
    Tenure,
)
from pathfinder.store.sqlite_file import (
    PAGE_BYTES,
    WAL_BYTES_MAX,
    disk_full,
    open_reader,
    open_writer,
    translated,
)

# On a full disk, room to fold the WAL into the database, and as much again for cleaning up.
BALLAST_BYTES: Final = 2 * WAL_BYTES_MAX
# In one read transaction, since a long one keeps the WAL from being folded in.
READ_BYTES_MAX: Final = 4 << 20  # of bodies
READ_RECORDS_MAX: Final = 10_000
DROP_RECORDS_MAX: Final = 256  # in one transaction, so that the WAL stays within its bound


@dataclass(frozen=True, slots=True, kw_only=True)
class _Head:
    """The one row that says who leads, where the journal ends, and where it begins."""

    epoch: int
    last: Mark
    dropped: Mark


class SqliteStore:
    """A `Store` in the file `path`, whose directory exists. Opens nothing before it is used.

    Until `lead` it only reads, so that a journal can be looked at while its server runs.
    `ballast_bytes` 0: none is kept, and a full disk may need help from outside.
    """

    def __init__(self, path: Path, *, ballast_bytes: int = BALLAST_BYTES) -> None:
        self._path = path
        self._lock = LockFile(path.with_name(path.name + ".lock"))
        self._ballast = Ballast(path.with_name(path.name + ".ballast"), ballast_bytes)
        self._wal_bytes_max = min(WAL_BYTES_MAX, ballast_bytes // 2 or WAL_BYTES_MAX)
        self._writer: sqlite3.Connection | None = None
        self._reader: sqlite3.Connection | None = None
        self._only_writer = threading.Lock()
        self._reader_turn = threading.Lock()
        self._is_closed = False

    def lead(self, *, at_least: int = 0) -> Tenure:
        """As the port says. Occupied when another live process leads in this directory."""
        with translated(self._path):
            self._lock.take()
        try:
            tenure = self._begin(at_least)
        except DiskFull:
            # What the previous run kept back lets this one start.
            self._ballast.release()
            tenure = self._begin(at_least)
        with translated(self._path):
            self._ballast.take()
        return tenure

    def append(self, epoch: int, time_ms: int, body: bytes) -> Record:
        """As the port says. Once the disk was full it refuses until there is room for the ballast.

        Without that rule the room which the ballast gave back for cleaning up would fill with
        further records.
        """
        if self._ballast.is_held:
            try:
                return self._add(epoch, time_ms, body)
            except DiskFull:
                self._ballast.release()
        if not self._regain_room():
            raise disk_full(self._path)
        try:
            return self._add(epoch, time_ms, body)
        except DiskFull:
            self._ballast.release()
            raise

    def confirm(self, epoch: int) -> None:
        """As the port says. The lock forbids another leader too, where locks reach."""
        with self._reading() as connection:
            _head_of_leader(connection, epoch)

    def read(self, after_seq: int) -> Iterator[Record]:
        """As the port says. Sees what is appended meanwhile; holds up neither writer nor WAL."""
        while records := self._read_some(after_seq):
            yield from records
            after_seq = records[-1].seq

    def read_snapshot(self) -> Snapshot | None:
        """As the port says."""
        with self._reading() as connection:
            head = _head(connection)
            row = connection.execute("SELECT seq, hash, digest FROM snapshot").fetchone()
            count = connection.execute("SELECT count(*) FROM snapshot_chunk").fetchone()[0]
            if row is None and head.dropped.seq == 0 and not count:
                return None
            match row:
                case (int(seq), bytes(stored), bytes(digest)) if seq >= head.dropped.seq:
                    pass
                case _:
                    raise Broken("the snapshot that compaction relied on is missing or older")
            stored_chunks = connection.execute("SELECT chunk FROM snapshot_chunk ORDER BY position")
            if digest != digest_of(bases.intact(chunk, seq) for (chunk,) in stored_chunks):
                raise Broken(f"the snapshot after record {seq} is damaged")
            if stored != _mark_at(connection, head, seq).hash:
                raise Broken(f"the snapshot after record {seq} belongs to another history")
            return Snapshot(seq=seq, hash=stored, chunks=Chunks(self._chunk_after, digest))

    def _chunk_after(self, position: int, digest: bytes) -> tuple[int, bytes] | None:
        """The next chunk of a snapshot, and its position."""
        with self._reading() as connection:
            row = connection.execute("SELECT digest FROM snapshot").fetchone()
            if row is None or row[0] != digest:
                raise Broken("the snapshot was replaced while it was read: read it again")
            found: tuple[int, bytes] | None = connection.execute(
                "SELECT position, chunk FROM snapshot_chunk WHERE position > ? "
                "ORDER BY position LIMIT 1",
                (position,),
            ).fetchone()
            return found

    def save_snapshot(self, epoch: int, seq: int, hash: bytes, chunks: Iterable[bytes]) -> None:
        """As the port says. `chunks` are taken one by one and need not fit into memory together."""
        with self._cleaning_up(), self._writing() as connection:
            head = _head_of_leader(connection, epoch)
            assert hash == _mark_at(connection, head, seq).hash, f"{seq} has another hash"
            if seq < _snapshot_seq(connection):
                return
            connection.execute("DELETE FROM snapshot_chunk")
            digest = digest_of(_stored(connection, chunks))
            connection.execute(
                "INSERT OR REPLACE INTO snapshot VALUES (1, ?, ?, ?)", (seq, hash, digest)
            )

    def keep_base(self, epoch: int, time_ms: int) -> None:
        """As the port says."""
        with self._cleaning_up(), self._writing() as connection:
            _head_of_leader(connection, epoch)
            bases.add(connection, time_ms)

    def bases(self) -> tuple[Base, ...]:
        """As the port says."""
        with self._reading() as connection:
            return bases.all_of(connection)

    def read_base(self, seq: int) -> Snapshot | None:
        """As the port says."""
        with self._reading() as connection:
            found = bases.read(connection, seq)
            if found is None:
                return None
            stored, digest = found
            if stored != _mark_at(connection, _head(connection), seq).hash:
                raise Broken(f"the base after record {seq} belongs to another history")
        return Snapshot(
            seq=seq, hash=stored, chunks=Chunks(partial(self._base_chunk_after, seq), digest)
        )

    def _base_chunk_after(
        self, seq: int, position: int, _digest: bytes
    ) -> tuple[int, bytes] | None:
        with self._reading() as connection:
            return bases.chunk_after(connection, seq, position)

    def compact(self, epoch: int, *, keep_after_ms: int, keeps_bases: bool = True) -> int:
        """As the port says. While the disk is full, also gives the room back to the disk."""
        count = 0
        with self._cleaning_up():
            while self._forget_some(epoch, keep_after_ms if keeps_bases else None):
                pass
            while dropped := self._drop_some(epoch, keep_after_ms):
                count += dropped
            if not self._ballast.is_held:
                self._shrink()
        return count

    def describe(self) -> Description:
        """As the port says; `bytes_used` counts the database and its WAL, not the ballast."""
        with self._reading() as connection:
            head = _head(connection)
            snapshot_seq = _snapshot_seq(connection)
        wal = self._path.with_name(self._path.name + "-wal")
        with translated(self._path):
            bytes_used = sum(file.stat().st_size for file in (self._path, wal) if file.exists())
        return Description(
            epoch=head.epoch,
            first_seq=head.dropped.seq + 1,
            last_seq=head.last.seq,
            snapshot_seq=snapshot_seq,
            bytes_used=bytes_used,
        )

    def close(self) -> None:
        """As the port says. The ballast stays: the next start may find the disk full."""
        self._is_closed = True
        with translated(self._path), self._reader_turn:
            for connection in (self._reader, self._writer):
                if connection is not None:
                    connection.close()
            self._reader = self._writer = None
        self._lock.release()

    def _begin(self, at_least: int) -> Tenure:
        if self._writer is None:
            self._writer = open_writer(self._path, wal_bytes_max=self._wal_bytes_max)
        snapshot = self.read_snapshot()
        last_epoch = 0
        for record in self.read(snapshot.seq if snapshot else 0):
            last_epoch = record.epoch
        with self._writing() as connection:
            head = _head(connection)
            if last_epoch > head.epoch:
                raise Broken(f"the last record is of epoch {last_epoch}, which never began")
            epoch = max(head.epoch + 1, at_least)
            connection.execute("UPDATE head SET epoch = ?", (epoch,))
        return Tenure(
            epoch=epoch,
            snapshot=snapshot,
            last_seq=head.last.seq,
            last_hash=head.last.hash,
        )

    def _add(self, epoch: int, time_ms: int, body: bytes) -> Record:
        with self._writing() as connection:
            head = _head_of_leader(connection, epoch)
            record = next_record(head.last, epoch=epoch, time_ms=time_ms, body=body)
            connection.execute(
                "INSERT INTO journal (seq, epoch, time_ms, hash, body) VALUES (?, ?, ?, ?, ?)",
                (record.seq, epoch, time_ms, record.hash, body),
            )
            connection.execute(
                "UPDATE head SET last_seq = ?, last_hash = ?", (record.seq, record.hash)
            )
        return record

    def _read_some(self, after_seq: int) -> tuple[Record, ...]:
        """The next records, as many as one read transaction may give; none at the journal's end."""
        with self._reading() as connection:
            head = _head(connection)
            start = _mark_at(connection, head, max(after_seq, head.dropped.seq))
            if start.seq >= head.last.seq:
                return ()
            rows, is_cut = _rows(connection, start.seq)
        records = tuple(checked(rows, start))
        end = mark_of(records[-1]) if records else start
        if not is_cut and end != head.last:
            raise Broken(f"the journal ends at record {end.seq}, not as written at {head.last.seq}")
        return records

    def _forget_some(self, epoch: int, keep_after_ms: int | None) -> bool:
        """Some of the bases that are not needed; whether there are more. None: all of them."""
        with self._writing() as connection:
            _head_of_leader(connection, epoch)
            kept = bases.all_of(connection) if keep_after_ms is not None else ()
            return bases.forget(connection, needed_bases(kept, keep_after_ms or 0))

    def _drop_some(self, epoch: int, keep_after_ms: int) -> int:
        with self._writing() as connection:
            head = _head_of_leader(connection, epoch)
            last_seq = min(_snapshot_seq(connection), head.dropped.seq + DROP_RECORDS_MAX)
            last_seq = min([last_seq, *(base.seq for base in bases.all_of(connection))])
            kept = connection.execute(
                "SELECT seq FROM journal WHERE seq <= ? AND time_ms >= ? ORDER BY seq LIMIT 1",
                (last_seq, keep_after_ms),
            ).fetchone()
            if kept is not None:
                last_seq = kept[0] - 1
            count = last_seq - head.dropped.seq
            if count <= 0:
                return 0
            mark = _mark_at(connection, head, last_seq)
            connection.execute("DELETE FROM journal WHERE seq <= ?", (mark.seq,))
            connection.execute(
                "UPDATE head SET dropped_seq = ?, dropped_hash = ?", (mark.seq, mark.hash)
            )
            return count

    def _regain_room(self) -> bool:
        """Fold the WAL into the database, then take the ballast back; False without room."""
        try:
            self._checkpoint()
        except DiskFull:
            return False
        with translated(self._path):
            return self._ballast.take()

    def _shrink(self) -> None:
        """Give free pages back to the disk until the ballast fits again."""
        slice_pages = max(self._wal_bytes_max // PAGE_BYTES // 2, 1)
        while not self._regain_room() and self._free_page_count():
            with translated(self._path):
                # Not execute(): it takes one step of this statement, which frees one page.
                self._leading().executescript(f"PRAGMA incremental_vacuum({slice_pages})")

    def _free_page_count(self) -> int:
        with translated(self._path):
            (count,) = self._leading().execute("PRAGMA freelist_count").fetchone()
        return int(count)

    def _checkpoint(self) -> None:
        with translated(self._path):
            self._leading().execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def _leading(self) -> sqlite3.Connection:
        assert self._writer is not None, "writing begins with lead()"
        return self._writer

    @contextmanager
    def _cleaning_up(self) -> Iterator[None]:
        """What makes room may use the ballast's, from the next attempt on."""
        try:
            yield
        except DiskFull:
            self._ballast.release()
            raise

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """One write transaction: all that happens inside, or nothing."""
        connection = self._leading()
        is_alone = self._only_writer.acquire(blocking=False)
        assert is_alone, "two threads write to the journal at once"
        try:
            with translated(self._path):
                connection.execute("BEGIN IMMEDIATE")
                try:
                    yield connection
                    connection.execute("COMMIT")
                finally:
                    if connection.in_transaction:
                        connection.execute("ROLLBACK")
        finally:
            self._only_writer.release()

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """One read transaction: what is seen inside is of one moment."""
        with self._reader_turn, translated(self._path):
            assert not self._is_closed, "the store is closed"
            if self._reader is None:
                self._reader = open_reader(self._path)
            self._reader.execute("BEGIN")
            try:
                yield self._reader
            finally:
                self._reader.execute("ROLLBACK")


def _head(connection: sqlite3.Connection) -> _Head:
    row = connection.execute(
        "SELECT epoch, last_seq, last_hash, dropped_seq, dropped_hash FROM head"
    ).fetchone()
    match row:
        case (int(epoch), int(last), bytes(last_hash), int(dropped), bytes(dropped_hash)):
            return _Head(
                epoch=epoch,
                last=Mark(seq=last, hash=last_hash),
                dropped=Mark(seq=dropped, hash=dropped_hash),
            )
        case _:
            raise Broken("the journal's head cannot be read")


def _head_of_leader(connection: sqlite3.Connection, epoch: int) -> _Head:
    head = _head(connection)
    if head.epoch > epoch:
        raise Deposed(f"epoch {head.epoch} leads; {epoch} is over")
    assert head.epoch == epoch, f"epoch {epoch} never began"
    return head


def _mark_at(connection: sqlite3.Connection, head: _Head, seq: int) -> Mark:
    """The place after record `seq`; the journal's end for what lies beyond it."""
    if seq >= head.last.seq:
        return head.last
    if seq == head.dropped.seq:
        return head.dropped
    row = connection.execute("SELECT hash FROM journal WHERE seq = ?", (seq,)).fetchone()
    match row:
        case (bytes(found),):
            return Mark(seq=seq, hash=found)
        case _:
            raise Broken(f"record {seq} is missing")


def _rows(connection: sqlite3.Connection, after_seq: int) -> tuple[list[tuple[object, ...]], bool]:
    """Rows after `after_seq`, and whether a READ_..._MAX cut them short."""
    rows: list[tuple[object, ...]] = []
    bytes_read = 0
    for row in connection.execute(
        "SELECT seq, epoch, time_ms, body, hash FROM journal WHERE seq > ? ORDER BY seq",
        (after_seq,),
    ):
        if bytes_read >= READ_BYTES_MAX or len(rows) >= READ_RECORDS_MAX:
            return rows, True
        rows.append(row)
        bytes_read += len(row[3]) if isinstance(row[3], bytes) else 0
    return rows, False


def _snapshot_seq(connection: sqlite3.Connection) -> int:
    row = connection.execute("SELECT seq FROM snapshot").fetchone()
    match row:
        case None:
            return 0
        case (int(seq),):
            return seq
        case _:
            raise Broken("the snapshot's place cannot be read")


def _stored(connection: sqlite3.Connection, chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The chunks as they pass by, each stored."""
    for position, chunk in enumerate(chunks):
        connection.execute("INSERT INTO snapshot_chunk VALUES (?, ?)", (position, chunk))
        yield chunk
