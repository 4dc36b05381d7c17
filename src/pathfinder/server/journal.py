"""The one writer: a store that is only ever touched from one thread, seen from the event loop."""

import asyncio
import gc
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, TypeVar

import structlog

from pathfinder.control.codec import encode_snapshot, load_snapshot, replay
from pathfinder.control.state import State
from pathfinder.model.errors import NotFound
from pathfinder.store.port import GENESIS, Deposed, DiskFull, Store, StoreFailure, Tenure

T = TypeVar("T")
HOUR_MS: Final = 3_600_000
# From one snapshot to the next: where there is no room for one, trying is not free either.
SNAPSHOT_PAUSE_MS: Final = 30_000
BASES_PER_HISTORY: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """When the state is saved whole, and for how long what it was made of is kept beyond that."""

    records_max: int = 20_000
    bytes_max: int = 64 << 20
    history_ms: int = 30 * 24 * HOUR_MS


@dataclass(frozen=True, slots=True, kw_only=True)
class _End:
    """Where the journal ends."""

    seq: int
    hash: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered:
    """What leading begins with."""

    epoch: int
    state: State
    end: _End
    records_replayed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Covered:
    """What a snapshot covers: up to which record, and how many since the one before it.

    wall_ms: when the state was so. makes_room: earlier times give way to it.
    """

    epoch: int
    end: _End
    records: int
    bytes: int
    wall_ms: int
    makes_room: bool


def _forgotten(from_ms: int) -> NotFound:
    return NotFound(
        "what the state was then is not in the journal any more",
        hint=f"it can be told from {_time_text(from_ms)} on",
    )


def _time_text(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Journal:
    """A store and its writer thread. All methods are called from the event loop."""

    def __init__(self, store: Store, retention: Retention) -> None:
        self._store = store
        self._retention = retention
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="journal")
        self._asking = ThreadPoolExecutor(max_workers=1, thread_name_prefix="confirm")
        self._is_taking_over = False
        self._epoch = 0
        self._end = _End(seq=0, hash=GENESIS)
        self._records = 0
        self._bytes = 0
        self._snapshot: asyncio.Task[None] | None = None
        self._not_before_ms = 0
        self._log = structlog.get_logger("journal")

    async def lead(self, *, at_least: int = 0) -> Recovered:
        """Become the writer and rebuild the state; StoreFailure when that cannot be."""
        self._is_taking_over = True
        try:
            recovered = await self._call(lambda: self._recover(at_least))
        finally:
            self._is_taking_over = False
        self._epoch, self._records, self._bytes = recovered.epoch, recovered.records_replayed, 0
        self._end = recovered.end
        return recovered

    async def append(self, wall_ms: int, body: bytes) -> None:
        """Durably add a record; StoreFailure."""
        epoch = self._epoch
        record = await self._call(lambda: self._store.append(epoch, wall_ms, body))
        self._end = _End(seq=record.seq, hash=record.hash)
        self._records += 1
        self._bytes += len(body)

    async def confirm(self) -> bool:
        """Whether the store, asked after this call, says that nobody else leads; StoreFailure.

        Deposed when another does. False: this server has taken the lead anew meanwhile, so that it
        is not clear of whom the store spoke.
        """
        epoch = self._epoch
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(self._asking, lambda: self._store.confirm(epoch))
        except Deposed:
            if self._is_taking_over or epoch != self._epoch:
                return False
            raise
        return True

    def is_snapshot_due(self, now_ms: int) -> bool:
        """Whether it is time to save the whole state."""
        limits = self._retention
        is_much = self._records >= limits.records_max or self._bytes >= limits.bytes_max
        return is_much and self._may_snapshot(now_ms)

    def may_make_room(self, now_ms: int) -> bool:
        """Whether a snapshot might free room on a full disk, and was not tried just now."""
        return self._may_snapshot(now_ms)

    def save_snapshot(
        self, state: State, *, wall_ms: int, now_ms: int, makes_room: bool = False
    ) -> None:
        """Begin to save the state, whose newest change must be durable.

        makes_room: the disk is full, and what is kept of earlier times gives way. The state is
        saved as it is now, and encoded in a thread of its own; appends queue behind the writing
        alone.
        """
        assert self._end.seq, "an empty journal needs no snapshot"
        self._not_before_ms = now_ms + SNAPSHOT_PAUSE_MS
        encoding = asyncio.to_thread(list, encode_snapshot(state))
        covered = self._covered(wall_ms, makes_room=makes_room)
        self._snapshot = asyncio.create_task(self._save_encoded(covered, encoding))

    def state_at(self, time_ms: int) -> State:
        """The state as it was at a time by the wall clock; StoreFailure, NotFound. From any thread.

        It is rebuilt from the last base before, or from the first record, or from the snapshot:
        from what the journal still has.
        """
        state, after_seq = self._beginning(time_ms)
        for record in self._store.read(after_seq):
            if record.time_ms > time_ms:
                break
            replay(state, record.body)
        return state

    def _beginning(self, time_ms: int) -> tuple[State, int]:
        """A state of before, and the record after which the journal tells what followed."""
        bases = self._store.bases()
        for base in reversed(bases):
            if base.time_ms <= time_ms and (kept := self._store.read_base(base.seq)) is not None:
                return load_snapshot(kept.chunks), base.seq
        if self._store.describe().first_seq == 1:
            return State(), 0
        if bases:
            raise _forgotten(bases[0].time_ms)
        snapshot = self._store.read_snapshot()
        assert snapshot is not None, "records were dropped that no snapshot covers"
        state = load_snapshot(snapshot.chunks)
        newest = max((event.time_ms for event in state.events), default=0)
        if time_ms < newest:
            raise _forgotten(newest)
        return state, snapshot.seq

    async def close(self, state: State, *, wall_ms: int, is_leading: bool) -> None:
        """Save what the next start would otherwise replay, and let go of the store."""
        if self._snapshot is not None:
            await self._snapshot
        if is_leading and self._records:
            await self._save(self._covered(wall_ms), encode_snapshot(state))
        self._asking.shutdown()
        try:
            await self._call(self._store.close)
        except StoreFailure as error:
            self._log.warning("store not closed", why=str(error))
        self._thread.shutdown()

    def _may_snapshot(self, now_ms: int) -> bool:
        is_busy = self._snapshot is not None and not self._snapshot.done()
        return bool(self._end.seq) and not is_busy and now_ms >= self._not_before_ms

    def _covered(self, wall_ms: int, *, makes_room: bool = False) -> _Covered:
        """What a snapshot of the state as it is now covers."""
        return _Covered(
            epoch=self._epoch,
            end=self._end,
            records=self._records,
            bytes=self._bytes,
            wall_ms=wall_ms,
            makes_room=makes_room,
        )

    async def _save_encoded(self, covered: _Covered, encoding: Awaitable[list[bytes]]) -> None:
        await self._save(covered, await encoding)

    async def _save(self, covered: _Covered, chunks: Iterable[bytes]) -> None:
        end = covered.end

        def save() -> int:
            self._store.save_snapshot(covered.epoch, end.seq, end.hash, chunks)
            history_ms = self._retention.history_ms
            keeps_bases = bool(history_ms) and not covered.makes_room
            if keeps_bases:
                self._keep_base(covered)
            return self._store.compact(
                covered.epoch,
                keep_after_ms=covered.wall_ms - history_ms,
                keeps_bases=keeps_bases,
            )

        try:
            dropped = await self._call(save)
        except StoreFailure as error:
            self._log.warning("snapshot not saved", seq=end.seq, why=str(error))
            return
        self._records -= min(covered.records, self._records)
        self._bytes -= min(covered.bytes, self._bytes)
        self._log.info("snapshot saved", seq=end.seq, records_dropped=dropped)

    def _keep_base(self, covered: _Covered) -> None:
        """Now and then: so that there is always one as old as the history is to reach back.

        Seldom, since all records after the oldest one are kept: for up to half as long again.
        """
        bases = self._store.bases()
        pause_ms = self._retention.history_ms // BASES_PER_HISTORY
        # A base of later than now is of a clock that has gone back since.
        if bases and 0 <= covered.wall_ms - bases[-1].time_ms < pause_ms:
            return
        try:
            self._store.keep_base(covered.epoch, covered.wall_ms)
        except DiskFull as error:
            self._log.warning("earlier states not kept", why=str(error))

    def _recover(self, at_least: int) -> Recovered:
        tenure = self._store.lead(at_least=at_least)
        # What is read stays: looking through it for garbage again and again doubles the time.
        gc.disable()
        try:
            return self._rebuild(tenure)
        finally:
            gc.enable()

    def _rebuild(self, tenure: Tenure) -> Recovered:
        state, after_seq = State(), 0
        end = _End(seq=tenure.last_seq, hash=tenure.last_hash)
        if tenure.snapshot is not None:
            state, after_seq = load_snapshot(tenure.snapshot.chunks), tenure.snapshot.seq
        count = 0
        for record in self._store.read(after_seq):
            replay(state, record.body)
            count += 1
        return Recovered(epoch=tenure.epoch, state=state, end=end, records_replayed=count)

    async def _call(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)
