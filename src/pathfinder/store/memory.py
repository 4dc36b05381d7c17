"""The journal in memory, for simulation and tests: the same promises, and failures on demand.

What `append` has returned counts as durable, as it does where a disk is behind it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Self

from pathfinder.store.bases import needed_bases
from pathfinder.store.chain import BEGINNING, Mark, check, mark_of, next_record
from pathfinder.store.port import (
    Base,
    Broken,
    Deposed,
    Description,
    Record,
    Snapshot,
    StoreFailure,
    Tenure,
)


@dataclass(slots=True, kw_only=True)
class Contents:
    """What a disk would hold. Records never change, so that copies share them."""

    epoch: int = 0
    records: list[Record] = field(default_factory=list)
    dropped: Mark = BEGINNING
    last: Mark = BEGINNING
    snapshot: Snapshot | None = None
    bases: tuple[tuple[Base, Snapshot], ...] = ()  # the oldest first
    bytes_used: int = 0


class MemoryStore:
    """A `Store` without a disk."""

    def __init__(self, contents: Contents | None = None) -> None:
        self._disk = contents or Contents()
        self._failure: StoreFailure | None = None
        self._is_failure_late = False
        self._is_closed = False

    def lead(self, *, at_least: int = 0) -> Tenure:
        """As the port says."""
        snapshot = self.read_snapshot()
        for _ in self.read(snapshot.seq if snapshot else 0):
            pass
        self._disk.epoch = max(self._disk.epoch + 1, at_least)
        return Tenure(
            epoch=self._disk.epoch,
            snapshot=snapshot,
            last_seq=self._disk.last.seq,
            last_hash=self._disk.last.hash,
        )

    def append(self, epoch: int, time_ms: int, body: bytes) -> Record:
        """As the port says, unless `fail_next_append` has ordered a failure."""
        self._check_leader(epoch)
        failure, self._failure = self._failure, None
        if failure is not None and not self._is_failure_late:
            raise failure
        record = next_record(self._disk.last, epoch=epoch, time_ms=time_ms, body=body)
        self._disk.records.append(record)
        self._disk.last = mark_of(record)
        self._disk.bytes_used += len(body)
        if failure is not None:
            raise failure
        return record

    def confirm(self, epoch: int) -> None:
        """As the port says."""
        self._check_leader(epoch)

    def read(self, after_seq: int) -> Iterator[Record]:
        """As the port says. Sees what is appended while it runs."""
        while True:
            assert not self._is_closed, "the store is closed"
            mark = self._mark_at(max(after_seq, self._disk.dropped.seq))
            if mark == self._disk.last:
                return
            records = self._disk.records[mark.seq - self._disk.dropped.seq :]
            if not records:
                raise Broken(f"record {mark.seq + 1} is missing")
            for record in records:
                check(record, mark)
                yield record
                mark = mark_of(record)
            after_seq = mark.seq

    def read_snapshot(self) -> Snapshot | None:
        """As the port says."""
        assert not self._is_closed, "the store is closed"
        snapshot = self._disk.snapshot
        if snapshot is not None and self._mark_at(snapshot.seq).hash != snapshot.hash:
            raise Broken(f"the snapshot after record {snapshot.seq} belongs to another history")
        return snapshot

    def save_snapshot(self, epoch: int, seq: int, hash: bytes, chunks: Iterable[bytes]) -> None:
        """As the port says."""
        self._check_leader(epoch)
        assert hash == self._mark_at(seq).hash, f"{seq} has another hash"
        if self._disk.snapshot is not None and seq < self._disk.snapshot.seq:
            return
        snapshot = Snapshot(seq=seq, hash=hash, chunks=tuple(chunks))
        self._disk.bytes_used += _size(snapshot) - _size(self._disk.snapshot)
        self._disk.snapshot = snapshot

    def keep_base(self, epoch: int, time_ms: int) -> None:
        """As the port says."""
        self._check_leader(epoch)
        snapshot, kept = self._disk.snapshot, self._disk.bases
        if snapshot is not None and all(base.seq < snapshot.seq for base, _ in kept):
            self._disk.bases = (*kept, (Base(seq=snapshot.seq, time_ms=time_ms), snapshot))
            self._disk.bytes_used += _size(snapshot)

    def bases(self) -> tuple[Base, ...]:
        """As the port says."""
        assert not self._is_closed, "the store is closed"
        return tuple(base for base, _ in self._disk.bases)

    def read_base(self, seq: int) -> Snapshot | None:
        """As the port says."""
        assert not self._is_closed, "the store is closed"
        for base, snapshot in self._disk.bases:
            if base.seq == seq:
                if self._mark_at(seq).hash != snapshot.hash:
                    raise Broken(f"the base after record {seq} belongs to another history")
                return snapshot
        return None

    def compact(self, epoch: int, *, keep_after_ms: int, keeps_bases: bool = True) -> int:
        """As the port says."""
        self._check_leader(epoch)
        covered = self._disk.snapshot.seq if self._disk.snapshot else 0
        needed = needed_bases(self.bases(), keep_after_ms) if keeps_bases else ()
        for base, snapshot in self._disk.bases:
            self._disk.bytes_used -= 0 if base in needed else _size(snapshot)
        self._disk.bases = tuple(each for each in self._disk.bases if each[0] in needed)
        covered = min(covered, *(base.seq for base in needed)) if needed else covered
        count = 0
        for record in self._disk.records:
            if record.seq > covered or record.time_ms >= keep_after_ms:
                break
            count += 1
            self._disk.dropped = mark_of(record)
            self._disk.bytes_used -= len(record.body)
        del self._disk.records[:count]
        return count

    def describe(self) -> Description:
        """As the port says; `bytes_used` counts bodies and chunks."""
        assert not self._is_closed, "the store is closed"
        return Description(
            epoch=self._disk.epoch,
            first_seq=self._disk.dropped.seq + 1,
            last_seq=self._disk.last.seq,
            snapshot_seq=self._disk.snapshot.seq if self._disk.snapshot else 0,
            bytes_used=self._disk.bytes_used,
        )

    def close(self) -> None:
        """As the port says; what is stored remains for `copy`."""
        self._is_closed = True

    def fail_next_append(self, failure: StoreFailure, *, is_late: bool = False) -> None:
        """The next append raises `failure`.

        `is_late`: only after the record has become durable, as when power fails between the disk's
        answer and ours. Whoever appended cannot know, and the next leader finds the record.
        """
        self._failure = failure
        self._is_failure_late = is_late

    def crash(self) -> Self:
        """The server dies: a store with what was durable, for the next one. This one is closed."""
        self.close()
        return self.copy()

    def copy(self) -> Self:
        """A backup, and a store to start from a backup: independent from now on."""
        return type(self)(replace(self._disk, records=self._disk.records.copy()))

    def damage(self, seq: int) -> None:
        """Flip a bit in the held record `seq`, as a bad disk would: reading it is Broken."""
        index = seq - self._disk.dropped.seq - 1
        record = self._disk.records[index]
        self._disk.records[index] = replace(record, time_ms=record.time_ms ^ 1)

    def lose(self, seq: int) -> None:
        """Make the held record `seq` disappear: reading past it is Broken."""
        del self._disk.records[seq - self._disk.dropped.seq - 1]

    def _check_leader(self, epoch: int) -> None:
        assert not self._is_closed, "the store is closed"
        if self._disk.epoch > epoch:
            raise Deposed(f"epoch {self._disk.epoch} leads; {epoch} is over")
        assert self._disk.epoch == epoch, f"epoch {epoch} never began"

    def _mark_at(self, seq: int) -> Mark:
        """The place after record `seq`; the journal's end for what lies beyond it."""
        if seq >= self._disk.last.seq:
            return self._disk.last
        if seq == self._disk.dropped.seq:
            return self._disk.dropped
        if seq < self._disk.dropped.seq:
            raise Broken(f"record {seq} is missing")
        return mark_of(self._disk.records[seq - self._disk.dropped.seq - 1])


def _size(snapshot: Snapshot | None) -> int:
    return sum(map(len, snapshot.chunks)) if snapshot else 0
