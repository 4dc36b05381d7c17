"""What every store engine promises, checked on each of them. Promise 1."""

import contextlib
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Protocol

import pytest

from pathfinder.store.bases import needed_bases
from pathfinder.store.inspection import show, verify
from pathfinder.store.memory import MemoryStore
from pathfinder.store.port import GENESIS, Base, Broken, Deposed, Record, Snapshot, Store
from pathfinder.store.sqlite import READ_BYTES_MAX, SqliteStore


class Engine(Protocol):
    """One engine, and what its tests do to it from outside."""

    @property
    def store(self) -> Store:
        """The engine's store as last opened."""

    def reopen(self) -> Store:
        """The same journal, as a server finds it that starts anew."""

    def damage(self, seq: int) -> None:
        """Change record `seq` behind the engine's back."""

    def lose(self, seq: int) -> None:
        """Make record `seq` disappear behind the engine's back."""


class MemoryEngine:
    """In memory."""

    def __init__(self) -> None:
        self.store: MemoryStore = MemoryStore()

    def reopen(self) -> Store:
        self.store = self.store.crash()
        return self.store

    def damage(self, seq: int) -> None:
        self.store.damage(seq)

    def lose(self, seq: int) -> None:
        self.store.lose(seq)


class SqliteEngine:
    """In a file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.store: SqliteStore = SqliteStore(path, ballast_bytes=0)

    def reopen(self) -> Store:
        self.store.close()
        self.store = SqliteStore(self._path, ballast_bytes=0)
        return self.store

    def damage(self, seq: int) -> None:
        self._change("UPDATE journal SET body = zeroblob(length(body)) WHERE seq = ?", seq)

    def lose(self, seq: int) -> None:
        self._change("DELETE FROM journal WHERE seq = ?", seq)

    def _change(self, statement: str, seq: int) -> None:
        connection = sqlite3.connect(self._path)
        with connection:
            assert connection.execute(statement, (seq,)).rowcount == 1
        connection.close()


@pytest.fixture(params=["memory", "sqlite"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    made = MemoryEngine() if request.param == "memory" else SqliteEngine(tmp_path / "journal.db")
    yield made
    made.store.close()


def filled(store: Store, count: int) -> tuple[int, list[Record]]:
    """Lead, and append `count` records; record n has time n and a body that says n."""
    epoch = store.lead().epoch
    return epoch, [store.append(epoch, n, b"record %d" % n) for n in range(1, count + 1)]


def test_new_journal_is_empty_and_its_first_epoch_is_one(engine: Engine) -> None:
    tenure = engine.store.lead()

    assert (tenure.epoch, tenure.snapshot, tenure.last_seq, tenure.last_hash) == (
        1,
        None,
        0,
        GENESIS,
    )
    assert list(engine.store.read(0)) == []


def test_what_is_appended_is_read_in_order_from_any_place(engine: Engine) -> None:
    _, records = filled(engine.store, 5)

    assert list(engine.store.read(0)) == records
    assert list(engine.store.read(3)) == records[3:]
    assert list(engine.store.read(5)) == []
    assert list(engine.store.read(99)) == []


def test_records_form_a_chain_that_begins_at_genesis(engine: Engine) -> None:
    _, records = filled(engine.store, 4)

    assert [record.seq for record in records] == [1, 2, 3, 4]
    assert records[0].previous == GENESIS
    assert all(after.previous == before.hash for before, after in pairwise(records))


def test_hash_is_the_one_that_the_port_documents(engine: Engine) -> None:
    epoch = engine.store.lead(at_least=3).epoch
    record = engine.store.append(epoch, 1_700_000_000_000, b"body")

    expected = "375e49309559c5b32bed7e71f9aeb8e3af0a5a38dd8dbeaa44033c934c820f95"
    assert record.hash.hex() == expected


def test_journal_survives_reopening_and_the_epoch_grows(engine: Engine) -> None:
    epoch, records = filled(engine.store, 3)
    store = engine.reopen()
    tenure = store.lead()

    assert tenure.epoch == epoch + 1
    assert (tenure.last_seq, tenure.last_hash) == (3, records[-1].hash)
    assert list(store.read(0)) == records
    assert store.append(tenure.epoch, 9, b"next").previous == records[-1].hash


def test_epoch_grows_to_at_least_what_is_asked_and_never_falls(engine: Engine) -> None:
    store = engine.store

    assert store.lead(at_least=7).epoch == 7
    assert store.lead(at_least=7).epoch == 8
    assert engine.reopen().lead(at_least=2).epoch == 9


def test_deposed_leader_can_write_nothing(engine: Engine) -> None:
    epoch, records = filled(engine.store, 2)
    engine.store.lead()

    with pytest.raises(Deposed, match="epoch 2 leads"):
        engine.store.append(epoch, 3, b"late")
    with pytest.raises(Deposed):
        engine.store.save_snapshot(epoch, 2, records[1].hash, [b"late"])
    with pytest.raises(Deposed):
        engine.store.compact(epoch, keep_after_ms=9)
    assert list(engine.store.read(0)) == records
    assert engine.store.read_snapshot() is None


def test_leader_is_confirmed_until_another_leads(engine: Engine) -> None:
    """Promise 2."""
    epoch, _ = filled(engine.store, 2)
    engine.store.confirm(epoch)
    next_epoch = engine.store.lead().epoch

    engine.store.confirm(next_epoch)
    with pytest.raises(Deposed, match="epoch 2 leads"):
        engine.store.confirm(epoch)


def test_epoch_that_never_began_is_a_mistake(engine: Engine) -> None:
    epoch = engine.store.lead().epoch

    with pytest.raises(AssertionError):
        engine.store.append(epoch + 1, 0, b"")


def test_empty_and_binary_bodies_are_kept_as_they_are(engine: Engine) -> None:
    epoch = engine.store.lead().epoch
    bodies = [b"", bytes(range(256)), b"\0" * 20_000]
    for body in bodies:
        engine.store.append(epoch, 0, body)

    assert [record.body for record in engine.reopen().read(0)] == bodies


def test_journal_larger_than_one_read_is_read_whole(engine: Engine) -> None:
    epoch = engine.store.lead().epoch
    body = bytes(READ_BYTES_MAX // 3)
    records = [engine.store.append(epoch, n, body) for n in range(8)]

    assert list(engine.store.read(0)) == records


def test_reader_sees_what_is_appended_while_it_reads(engine: Engine) -> None:
    epoch, records = filled(engine.store, 2)
    seen = []
    for record in engine.store.read(0):
        seen.append(record)
        if record.seq < 4:
            records.append(engine.store.append(epoch, 0, b"more"))

    assert seen == records[: len(seen)]
    assert len(seen) >= 4


def whole(snapshot: Snapshot | None) -> Snapshot | None:
    """A snapshot with its chunks read."""
    return snapshot and replace(snapshot, chunks=tuple(snapshot.chunks))


def test_a_snapshot_can_be_read_again_and_is_never_half_of_another(engine: Engine) -> None:
    epoch, records = filled(engine.store, 2)
    engine.store.save_snapshot(epoch, 1, records[0].hash, [b"one", b"two"])
    snapshot = engine.store.read_snapshot()
    assert snapshot is not None
    assert list(snapshot.chunks) == list(snapshot.chunks) == [b"one", b"two"]

    reading = iter(snapshot.chunks)
    assert next(reading) == b"one"
    engine.store.save_snapshot(epoch, 2, records[1].hash, [b"three", b"four"])
    rest = [b"two"]  # or none of it, where the engine has it no more
    with contextlib.suppress(Broken):
        rest = list(reading)
    assert rest == [b"two"]


def test_snapshot_is_handed_to_the_next_leader(engine: Engine) -> None:
    epoch, records = filled(engine.store, 3)
    chunks = (b"one", b"", b"three")
    engine.store.save_snapshot(epoch, 2, records[1].hash, iter(chunks))
    tenure = engine.reopen().lead()

    assert whole(tenure.snapshot) == Snapshot(seq=2, hash=records[1].hash, chunks=chunks)
    assert tenure.last_seq == 3
    assert engine.store.describe().snapshot_seq == 2


def test_state_before_the_first_record_can_be_a_snapshot(engine: Engine) -> None:
    epoch = engine.store.lead().epoch
    engine.store.save_snapshot(epoch, 0, GENESIS, [b"beginning"])

    found = whole(engine.reopen().lead().snapshot)
    assert found == Snapshot(seq=0, hash=GENESIS, chunks=(b"beginning",))


def test_newer_snapshot_replaces_and_older_one_does_not(engine: Engine) -> None:
    epoch, records = filled(engine.store, 3)
    for seq in (1, 3, 2):
        engine.store.save_snapshot(epoch, seq, records[seq - 1].hash, [b"state %d" % seq])

    assert whole(engine.store.read_snapshot()) == Snapshot(
        seq=3, hash=records[2].hash, chunks=(b"state 3",)
    )


def test_snapshot_that_fails_halfway_leaves_the_earlier_one(engine: Engine) -> None:
    epoch, records = filled(engine.store, 2)
    engine.store.save_snapshot(epoch, 1, records[0].hash, [b"whole"])

    def failing() -> Iterator[bytes]:
        yield b"half"
        raise EOFError

    with pytest.raises(EOFError):
        engine.store.save_snapshot(epoch, 2, records[1].hash, failing())
    assert whole(engine.reopen().read_snapshot()) == Snapshot(
        seq=1, hash=records[0].hash, chunks=(b"whole",)
    )


def test_snapshot_of_another_history_is_a_mistake(engine: Engine) -> None:
    epoch, records = filled(engine.store, 2)

    with pytest.raises(AssertionError):
        engine.store.save_snapshot(epoch, 1, records[1].hash, [b"wrong"])
    assert engine.store.read_snapshot() is None


def test_compaction_drops_only_what_is_old_and_covered(engine: Engine) -> None:
    epoch, records = filled(engine.store, 6)
    assert engine.store.compact(epoch, keep_after_ms=99) == 0, "no snapshot covers anything"
    engine.store.save_snapshot(epoch, 4, records[3].hash, [b"state"])

    assert engine.store.compact(epoch, keep_after_ms=3) == 2
    assert list(engine.store.read(0)) == records[2:]
    assert engine.store.compact(epoch, keep_after_ms=99) == 2
    assert list(engine.store.read(0)) == records[4:]
    assert engine.store.describe().first_seq == 5


def test_compaction_never_makes_a_hole_where_the_clock_went_back(engine: Engine) -> None:
    epoch = engine.store.lead().epoch
    records = [engine.store.append(epoch, time_ms, b"") for time_ms in (1, 50, 2, 60)]
    engine.store.save_snapshot(epoch, 4, records[3].hash, [b"state"])

    assert engine.store.compact(epoch, keep_after_ms=10) == 1
    assert list(engine.store.read(0)) == records[1:]


def test_base_keeps_the_records_after_it_until_a_newer_one_is_old_enough(engine: Engine) -> None:
    epoch, records = filled(engine.store, 8)
    for seq in (2, 5, 7):
        engine.store.save_snapshot(epoch, seq, records[seq - 1].hash, [b"state %d" % seq, b"more"])
        if seq != 7:
            engine.store.keep_base(epoch, time_ms=seq)

    assert engine.store.compact(epoch, keep_after_ms=5) == 2
    assert engine.store.bases() == (Base(seq=2, time_ms=2), Base(seq=5, time_ms=5))
    assert list(engine.store.read(0)) == records[2:]
    assert engine.store.compact(epoch, keep_after_ms=6) == 3
    assert engine.store.bases() == (Base(seq=5, time_ms=5),)
    assert engine.store.read_base(2) is None
    kept = Snapshot(seq=5, hash=records[4].hash, chunks=(b"state 5", b"more"))
    assert whole(engine.store.read_base(5)) == kept
    engine.reopen()
    assert whole(engine.store.read_base(5)) == kept


def test_base_of_a_clock_that_has_gone_back_is_forgotten_in_its_turn() -> None:
    first, ahead, old, young = (
        Base(seq=seq, time_ms=time_ms) for seq, time_ms in enumerate((1, 900, 5, 9), 1)
    )

    assert needed_bases([first, ahead], 3) == (first, ahead)
    assert needed_bases([first, ahead, old, young], 7) == (old, young)


def test_bases_give_way_when_room_is_needed(engine: Engine) -> None:
    epoch, records = filled(engine.store, 4)
    engine.store.keep_base(epoch, time_ms=0)
    assert engine.store.bases() == (), "there is no snapshot"
    engine.store.save_snapshot(epoch, 1, records[0].hash, [b"%d" % n for n in range(100)])
    for _ in range(2):
        engine.store.keep_base(epoch, time_ms=1)
    assert engine.store.bases() == (Base(seq=1, time_ms=1),)
    engine.store.save_snapshot(epoch, 4, records[3].hash, [b"state"])

    assert engine.store.compact(epoch, keep_after_ms=99, keeps_bases=False) == 4
    assert engine.store.bases() == ()
    assert engine.store.read_base(1) is None


def test_base_of_a_deposed_leader_is_refused(engine: Engine) -> None:
    epoch, records = filled(engine.store, 1)
    engine.store.save_snapshot(epoch, 1, records[0].hash, [b"state"])
    engine.store.lead()

    with pytest.raises(Deposed):
        engine.store.keep_base(epoch, time_ms=1)
    assert engine.store.bases() == ()


def test_chain_goes_on_where_all_records_were_dropped(engine: Engine) -> None:
    epoch, records = filled(engine.store, 300)
    engine.store.save_snapshot(epoch, 300, records[-1].hash, [b"state"])

    assert engine.store.compact(epoch, keep_after_ms=10_000) == 300
    tenure = engine.reopen().lead()
    assert (tenure.last_seq, tenure.last_hash) == (300, records[-1].hash)
    added = engine.store.append(tenure.epoch, 301, b"next")
    assert (added.seq, added.previous) == (301, records[-1].hash)
    assert list(engine.reopen().read(0)) == [added]


def test_changed_record_is_found_and_nothing_after_it_is_believed(engine: Engine) -> None:
    filled(engine.store, 5)
    engine.damage(3)
    reader = engine.store.read(0)

    with pytest.raises(Broken, match="record 3"):
        list(reader)
    with pytest.raises(Broken, match="record 3"):
        engine.reopen().lead()


@pytest.mark.parametrize("seq", [1, 3, 5])
def test_lost_record_is_found_wherever_it_was(engine: Engine, seq: int) -> None:
    filled(engine.store, 5)
    engine.lose(seq)

    with pytest.raises(Broken):
        list(engine.store.read(0))
    with pytest.raises(Broken):
        engine.reopen().lead()


def test_damage_before_the_snapshot_does_not_keep_a_leader_from_starting(engine: Engine) -> None:
    epoch, records = filled(engine.store, 5)
    engine.store.save_snapshot(epoch, 4, records[3].hash, [b"state"])
    engine.damage(2)
    store = engine.reopen()

    assert store.lead().last_seq == 5
    assert not verify(store).is_whole


def test_description_counts_records_epochs_and_bytes(engine: Engine) -> None:
    epoch, _ = filled(engine.store, 3)
    before = engine.store.describe()
    for _ in range(20):
        engine.store.append(epoch, 0, bytes(10_000))
    after = engine.store.describe()

    assert (before.epoch, before.first_seq, before.last_seq, before.snapshot_seq) == (
        epoch,
        1,
        3,
        0,
    )
    assert after.last_seq == 23
    assert after.bytes_used - before.bytes_used >= 200_000


def test_verdict_on_a_whole_journal_says_what_was_checked(engine: Engine) -> None:
    epoch, records = filled(engine.store, 4)
    engine.store.save_snapshot(epoch, 3, records[2].hash, [b"state"])
    engine.store.compact(epoch, keep_after_ms=3)
    verdict = verify(engine.store)

    assert verdict.is_whole
    assert (verdict.record_count, verdict.first_seq, verdict.last_seq) == (2, 3, 4)
    assert verdict.snapshot_seq == 3


def test_verdict_on_a_damaged_journal_names_the_record(engine: Engine) -> None:
    filled(engine.store, 4)
    engine.damage(3)
    verdict = verify(engine.store)

    assert not verdict.is_whole
    assert "record 3" in verdict.problem
    assert verdict.last_seq <= 2


def test_show_decodes_at_most_as_many_records_as_asked(engine: Engine) -> None:
    filled(engine.store, 5)
    shown = list(show(engine.store, after_seq=1, limit=2, decode=bytes.decode))

    assert [(item.record.seq, item.content) for item in shown] == [
        (2, "record 2"),
        (3, "record 3"),
    ]


def test_closed_store_is_not_used(engine: Engine) -> None:
    epoch, _ = filled(engine.store, 1)
    engine.store.close()

    with pytest.raises(AssertionError):
        engine.store.append(epoch, 0, b"")
    with pytest.raises(AssertionError):
        list(engine.store.read(0))
    with pytest.raises(AssertionError):
        engine.store.describe()
