"""A full disk: changes are refused clearly, reading goes on, and room heals it. Promise 1."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from pathfinder.store.inspection import verify
from pathfinder.store.port import DiskFull, Record, Store
from pathfinder.store.sqlite import SqliteStore

DISK_BYTES = 6 << 20
BALLAST_BYTES = 1 << 20
BODY_BYTES = 20_000

pytestmark = [pytest.mark.slow, pytest.mark.system]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk of its own."""
    place = tmp_path / "disk"
    place.mkdir()
    mounting = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(place)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounting.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {mounting.stderr.strip()}")
    yield place
    subprocess.run(["umount", str(place)], check=True)


@pytest.fixture
def store(disk: Path) -> Iterator[SqliteStore]:
    with closing(opened(disk)) as store:
        yield store


def opened(disk: Path) -> SqliteStore:
    return SqliteStore(disk / "journal.db", ballast_bytes=BALLAST_BYTES)


def append_until_full(store: Store, epoch: int) -> list[Record]:
    records: list[Record] = []
    while True:
        assert len(records) * BODY_BYTES < DISK_BYTES, "the disk does not become full"
        body = b"%d " % len(records) * (BODY_BYTES // 4)
        try:
            records.append(store.append(epoch, len(records), body))
        except DiskFull:
            return records


def occupy(disk: Path) -> Path:
    """Another program takes all the room there is."""
    path = disk / "other-program"
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return path


def free_bytes(disk: Path) -> int:
    room = os.statvfs(disk)
    return room.f_bavail * room.f_frsize


def test_full_disk_refuses_appends_and_loses_nothing(store: SqliteStore) -> None:
    epoch = store.lead().epoch
    records = append_until_full(store, epoch)

    with pytest.raises(DiskFull, match="free some on its disk"):
        store.append(epoch, 0, bytes(BODY_BYTES * 2))
    assert len(records) * BODY_BYTES > DISK_BYTES // 4
    assert list(store.read(0)) == records
    assert store.describe().last_seq == len(records)
    assert verify(store).is_whole


def test_ballast_is_given_up_for_cleaning_and_kept_from_records(
    disk: Path, store: SqliteStore
) -> None:
    epoch = store.lead().epoch
    ballast = disk / "journal.db.ballast"
    assert ballast.stat().st_size == BALLAST_BYTES
    append_until_full(store, epoch)
    room_bytes = free_bytes(disk)
    for _ in range(10):
        with pytest.raises(DiskFull):
            store.append(epoch, 0, bytes(BODY_BYTES))

    assert not ballast.exists()
    assert room_bytes > 0
    assert free_bytes(disk) == room_bytes


def test_snapshot_and_compaction_make_room_on_a_full_disk(disk: Path, store: SqliteStore) -> None:
    epoch = store.lead().epoch
    records = append_until_full(store, epoch)
    last = records[-1]
    store.save_snapshot(epoch, last.seq, last.hash, [b"state" * 20_000])
    assert store.compact(epoch, keep_after_ms=last.time_ms) == len(records) - 1
    added = store.append(epoch, last.time_ms, b"goes on")

    assert list(store.read(0)) == [last, added]
    assert (disk / "journal.db.ballast").stat().st_size == BALLAST_BYTES
    assert len(append_until_full(store, epoch)) > len(records) // 2


def test_room_made_by_others_heals_without_a_restart(disk: Path, store: SqliteStore) -> None:
    epoch = store.lead().epoch
    records = [store.append(epoch, 0, bytes(BODY_BYTES)) for _ in range(5)]
    other = occupy(disk)
    records += append_until_full(store, epoch)
    occupy(disk)
    with pytest.raises(DiskFull):
        store.append(epoch, 0, b"small")
    other.unlink()
    records += [store.append(epoch, 0, bytes(BODY_BYTES)) for _ in range(5)]

    assert list(store.read(0)) == records
    assert (disk / "journal.db.ballast").exists()


def test_nothing_is_half_applied_at_any_amount_of_room(disk: Path, store: SqliteStore) -> None:
    epoch = store.lead().epoch
    records = [store.append(epoch, 0, b"first")]
    refused = 0
    for room_kib in range(0, 2 * BALLAST_BYTES >> 10, 36):
        other = occupy(disk)
        os.truncate(other, max(other.stat().st_size - (room_kib << 10), 0))
        for _ in range(40):
            try:
                records.append(store.append(epoch, 0, bytes(BODY_BYTES)))
            except DiskFull:
                refused += 1
            assert list(store.read(len(records) - 1)) == records[-1:]
        other.unlink()
        last = store.append(epoch, 0, b"room again")
        store.save_snapshot(epoch, last.seq, last.hash, [b"state"])
        store.compact(epoch, keep_after_ms=1)
        records.append(last)

    assert refused > 10
    assert verify(store).is_whole


def test_snapshot_that_does_not_fit_leaves_the_earlier_one(store: SqliteStore) -> None:
    epoch = store.lead().epoch
    first = store.append(epoch, 0, b"first")
    store.save_snapshot(epoch, 1, first.hash, [b"earlier"])
    second = store.append(epoch, 0, b"second")

    with pytest.raises(DiskFull):
        store.save_snapshot(epoch, 2, second.hash, (bytes(1 << 20) for _ in range(20)))
    snapshot = store.read_snapshot()
    assert snapshot is not None
    assert tuple(snapshot.chunks) == (b"earlier",)
    assert store.append(epoch, 0, b"third").seq == 3


def test_server_starts_on_a_full_disk_and_can_clean_up(disk: Path, store: SqliteStore) -> None:
    records = append_until_full(store, store.lead().epoch)
    last = records[-1]
    store.close()
    with closing(opened(disk)) as again:
        epoch = again.lead().epoch
        records += append_until_full(again, epoch)
        again.save_snapshot(epoch, last.seq, last.hash, [b"state"])

        assert again.compact(epoch, keep_after_ms=1 << 40) == last.seq
        assert again.append(epoch, 0, b"goes on").seq == len(records) + 1


def test_ballast_of_the_last_run_lets_a_server_start_with_no_room_at_all(
    disk: Path, store: SqliteStore
) -> None:
    record = store.append(store.lead().epoch, 0, b"before")
    store.close()
    other = occupy(disk)
    with closing(opened(disk)) as again:
        tenure = again.lead()
        other.unlink()
        added = again.append(tenure.epoch, 0, bytes(BODY_BYTES))

        assert list(again.read(0)) == [record, added]


def test_start_with_no_room_at_all_is_refused_clearly_and_can_be_repeated(disk: Path) -> None:
    other = occupy(disk)
    with closing(opened(disk)) as store:
        with pytest.raises(DiskFull, match="free some on its disk"):
            store.lead()
        other.unlink()

        assert store.lead().epoch == 1
