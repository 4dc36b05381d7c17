"""`pathfinder journal`: what was recorded, for people who look at it; also while a server runs."""

from pathlib import Path

import msgspec

from pathfinder.control.codec import describe_record, load_snapshot, replay
from pathfinder.control.state import State
from pathfinder.server.files import DataDirectory
from pathfinder.server.trouble import Trouble
from pathfinder.store.port import StoreFailure
from pathfinder.store.sqlite import SqliteStore


def show(data_directory: Path, after_seq: int) -> int:
    """Print each record after `after_seq` as a line of JSON, without secrets' digests."""
    store = SqliteStore(DataDirectory(data_directory).journal)
    try:
        for record in store.read(after_seq):
            line = {
                "seq": record.seq,
                "epoch": record.epoch,
                "time_ms": record.time_ms,
                "hash": record.hash.hex(),
                **describe_record(record.body),
            }
            print(msgspec.json.encode(line).decode())
    except StoreFailure as error:
        raise Trouble(str(error)) from None
    except BrokenPipeError:
        return 0
    finally:
        store.close()
    return 0


def verify(data_directory: Path) -> int:
    """Check every record's hash, and that snapshot and records give a state."""
    store = SqliteStore(DataDirectory(data_directory).journal)
    count = 0
    try:
        about = store.describe()
        snapshot = store.read_snapshot()
        state, seq = State(), 0
        if snapshot is not None:
            state, seq = load_snapshot(snapshot.chunks), snapshot.seq
        for record in store.read(0):
            count += 1
            if record.seq > seq:
                replay(state, record.body)
    except StoreFailure as error:
        raise Trouble(
            str(error), hint="restore the data directory from a backup; nodes keep what they run"
        ) from None
    finally:
        store.close()
    print(
        f"good: {count} records, {about.first_seq} to {about.last_seq}, snapshot after "
        f"{about.snapshot_seq}, epoch {about.epoch}, revision {state.revision}"
    )
    return 0
