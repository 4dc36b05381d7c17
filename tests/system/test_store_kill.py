"""kill -9 in the middle of writing: what was acknowledged is there, whole, in order. Promise 1."""

import os
import random
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from pathfinder.store.inspection import verify
from pathfinder.store.sqlite import SqliteStore

KILLS = 30

pytestmark = [pytest.mark.slow, pytest.mark.system]

# Appends for ever and acknowledges each record on standard output, as a server answers: after the
# append has returned. Snapshots and compaction happen now and then, to be interrupted as well.
WRITER = """
import os, sys
from pathlib import Path
from pathfinder.store.sqlite import SqliteStore
store = SqliteStore(Path(sys.argv[1]), ballast_bytes=1 << 16)
epoch = store.lead().epoch
while True:
    record = store.append(epoch, 0, os.urandom(3_000))
    os.write(1, b"%d %s\\n" % (record.seq, record.hash.hex().encode()))
    if record.seq % 40 == 0:
        store.save_snapshot(epoch, record.seq, record.hash, [b"state after %d" % record.seq] * 50)
    if record.seq % 100 == 0:
        os.write(1, b"compact\\n")
        store.compact(epoch, keep_after_ms=1)
"""


def acknowledged_before_kill(path: Path, count: int) -> list[tuple[int, str]]:
    """Run a writer, kill it after `count` acknowledgements, and give all it has acknowledged."""
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    ) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(count)]
        process.send_signal(signal.SIGKILL)
        lines += process.stdout.readlines()
    assert process.returncode == -signal.SIGKILL, "the writer ended by itself"
    parts = [line.split() for line in lines if line != b"compact\n"]
    return [(int(seq), hash_hex.decode()) for seq, hash_hex in parts]


def test_every_acknowledged_record_survives_kills_at_random_moments(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    luck = random.Random(7)
    acknowledged: dict[int, str] = {}
    last_epoch = 0
    for _ in range(KILLS):
        written = acknowledged_before_kill(path, luck.randrange(1, 120))
        with closing(SqliteStore(path, ballast_bytes=0)) as store:
            found = {record.seq: record.hash.hex() for record in store.read(0)}
            description = store.describe()
            assert verify(store).is_whole
        acknowledged |= dict(written)
        expected = {s: h for s, h in acknowledged.items() if s >= description.first_seq}
        assert expected.items() <= found.items()
        assert len(found) <= len(expected) + KILLS, "at most one in doubt for each kill"
        assert max(acknowledged) <= description.last_seq
        assert description.first_seq <= description.snapshot_seq + 1
        assert description.epoch > last_epoch
        last_epoch = description.epoch

    assert len(acknowledged) > KILLS
