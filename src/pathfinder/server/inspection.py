"""`pathfinder journal`: what was recorded, for people who look at it; also while a server runs."""

from pathlib import Path
from typing import Final

import msgspec

from pathfinder.control.codec import describe_record, load_snapshot, replay
from pathfinder.control.state import State
from pathfinder.server.files import DataDirectory
from pathfinder.server.trouble import Trouble
from pathfinder.store import inspection
from pathfinder.store.port import StoreFailure
from pathfinder.store.sqlite import SqliteStore

RESTORE: Final = "restore the data directory from a backup; nodes keep what they run"


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
    try:
        verdict = inspection.verify(store)
        if not verdict.is_whole:
            raise Trouble(verdict.problem, hint=RESTORE)
        state = _replayed(store)
    except StoreFailure as error:
        raise Trouble(str(error), hint=RESTORE) from None
    finally:
        store.close()
    print(
        f"good: {verdict.record_count} records, {verdict.first_seq} to {verdict.last_seq}, "
        f"snapshot after {verdict.snapshot_seq}, revision {state.revision}"
    )
    return 0


def _replayed(store: SqliteStore) -> State:
    """What snapshot and records give: that they can be read is part of being good."""
    snapshot = store.read_snapshot()
    state, seq = State(), 0
    if snapshot is not None:
        state, seq = load_snapshot(snapshot.chunks), snapshot.seq
    for record in store.read(seq):
        replay(state, record.body)
    return state
