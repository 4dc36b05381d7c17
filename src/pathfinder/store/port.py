"""What every store engine owes: an append-only journal of opaque records, and snapshots.

A *record* is the packed changes of one group of commands. Sequence numbers begin at 1 and have no
holes. Each record carries the hash of its predecessor: `hash = SHA-256(previous hash || seq, epoch,
time_ms as big-endian u64 || body)`, so that a change to history is seen. One writer: the holder of
the highest epoch. An append under a lower epoch is refused, whoever asks.

Engines are called from one writer thread, except `read`, `read_snapshot`, `describe` and `confirm`,
which may come from any thread. They know nothing of what is inside a record.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Protocol

GENESIS: Final = bytes(32)  # the hash before the first record
RECORD_BYTES_MAX: Final = 64 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One appended group. `time_ms` is wall clock, for people and retention only."""

    seq: int
    epoch: int
    time_ms: int
    body: bytes
    previous: bytes
    hash: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The whole state after record `seq`, in chunks; `hash` is that record's hash.

    chunks: read one by one as they are asked for, since all of them may not fit into memory beside
    what they become; Broken when another snapshot has taken their place meanwhile.
    """

    seq: int
    hash: bytes
    chunks: Iterable[bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """An earlier snapshot that is kept: the state after record `seq`, as it was at `time_ms`."""

    seq: int
    time_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenure:
    """What leading begins with: the new epoch, the newest snapshot, and where the journal ends."""

    epoch: int
    snapshot: Snapshot | None
    last_seq: int
    last_hash: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """For people and metrics. `first_seq` is `last_seq` + 1 when no record is held."""

    epoch: int
    first_seq: int
    last_seq: int
    snapshot_seq: int  # 0: no snapshot
    bytes_used: int


class Store(Protocol):
    """A journal engine."""

    def lead(self, *, at_least: int = 0) -> Tenure:
        """Become the writer: the epoch grows durably by one (and to `at_least`), deposing others.

        Checks the snapshot and the chain from there on first: Broken. Occupied when another
        process holds a store that only one may have open for writing.
        """

    def append(self, epoch: int, time_ms: int, body: bytes) -> Record:
        """Durably add one record. Deposed under a higher epoch; DiskFull when there is no room."""

    def confirm(self, epoch: int) -> None:
        """Return when nobody leads under a higher epoch: Deposed. An append does not hold it up."""

    def read(self, after_seq: int) -> Iterator[Record]:
        """Records with seq > `after_seq`, in order, each checked against the chain; Broken if not.

        What `compact` has dropped is passed over: who needs every record looks at the first seq.
        """

    def read_snapshot(self) -> Snapshot | None:
        """The newest complete snapshot; Broken if it or its place in the chain is wrong."""

    def save_snapshot(self, epoch: int, seq: int, hash: bytes, chunks: Iterable[bytes]) -> None:
        """Durably replace the snapshot. The newest complete one is kept; never half a one."""

    def keep_base(self, epoch: int, time_ms: int) -> None:
        """Durably keep the snapshot that there is, beside the newer ones to come, as a base.

        `time_ms`: when it was the state, by the wall clock. Nothing happens without a snapshot.
        """

    def bases(self) -> tuple[Base, ...]:
        """The bases, the oldest first: a state is rebuilt from one and the records after it."""

    def read_base(self, seq: int) -> Snapshot | None:
        """One of them, or None when it is not kept any more; Broken as a snapshot."""

    def compact(self, epoch: int, *, keep_after_ms: int, keeps_bases: bool = True) -> int:
        """Drop records that the snapshot covers and that are older; give the number dropped.

        Drops from the front only: a record younger than `keep_after_ms` keeps all after it. So does
        the oldest base, from which what was later is rebuilt; forgotten are those that are not
        needed for anything after `keep_after_ms`, or all of them: not `keeps_bases`.
        """

    def describe(self) -> Description:
        """Figures about the journal."""

    def close(self) -> None:
        """Let go of everything; further calls are mistakes."""


class StoreFailure(Exception):
    """Base: raise a subclass."""


class Deposed(StoreFailure):
    """Another server leads under a higher epoch: stop writing and follow."""


class DiskFull(StoreFailure):
    """Nothing was written for lack of room; the same append may succeed later.

    What makes room without anybody's help: a new snapshot, then `compact`.
    """


class Broken(StoreFailure):
    """The journal's chain does not hold; the message says at which record."""


class Occupied(StoreFailure):
    """Another live process writes here; the message says which, and what to do."""


class Unusable(StoreFailure):
    """The store cannot be used as it is; the message says why and what to do.

    Raised by an append (an I/O error, say), it leaves open whether the record is durable: stop.
    """
