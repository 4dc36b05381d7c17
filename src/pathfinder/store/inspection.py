"""Looking at a journal from outside: is it whole, and what does it say?"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Generic, TypeVar

from pathfinder.store.port import Broken, Record, Store

Content = TypeVar("Content")


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What was checked, and the first thing found wrong ("": nothing)."""

    record_count: int  # whose chain holds, from `first_seq` on
    first_seq: int
    last_seq: int  # the last that was checked
    snapshot_seq: int  # 0: there is none, or it is damaged
    problem: str

    @property
    def is_whole(self) -> bool:
        """Whether everything that is held is as it was written."""
        return not self.problem


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown(Generic[Content]):
    """One record with its body decoded."""

    record: Record
    content: Content


def verify(store: Store) -> Verdict:
    """Check every held record, the snapshot and the bases, also while a server appends."""
    promised = store.describe()
    snapshot_seq = 0
    count = 0
    last_seq = promised.first_seq - 1
    last_epoch = 0
    problem = ""
    try:
        snapshot = store.read_snapshot()
        snapshot_seq = snapshot.seq if snapshot else 0
        for base in store.bases():
            store.read_base(base.seq)
        for record in store.read(0):
            if record.epoch < last_epoch:
                raise Broken(f"record {record.seq} was written by a leader already deposed")
            count += 1
            last_seq = record.seq
            last_epoch = record.epoch
        if last_seq < promised.last_seq:
            raise Broken(f"record {last_seq + 1} is missing")
    except Broken as broken:
        problem = str(broken)
    return Verdict(
        record_count=count,
        first_seq=promised.first_seq,
        last_seq=last_seq,
        snapshot_seq=snapshot_seq,
        problem=problem,
    )


def show(
    store: Store, *, after_seq: int, limit: int, decode: Callable[[bytes], Content]
) -> Iterator[Shown[Content]]:
    """At most `limit` records after `after_seq`, oldest first, with what `decode` makes of them."""
    for record in islice(store.read(after_seq), limit):
        yield Shown(record=record, content=decode(record.body))
