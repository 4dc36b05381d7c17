"""kill -9 of a server that eight clients write to: all that was answered is there afterwards.

KILLS in the environment says how often in all; 200 is what a release is tried with.

Promise 1.
"""

import http.client
import os
import random
import signal
import threading
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support.running import Api
from tests.support.server_process import ServerProcess, initialised, run_program, server_process

pytestmark = [pytest.mark.slow, pytest.mark.system]
KILLS = int(os.environ.get("KILLS", "20"))
KILLS_OF_ONE = 20  # of one data directory: each life has more to recover than the one before
WRITERS = 8
ACKNOWLEDGED_MAX = 150  # a kill comes after at most so many answers
CONTAINERS = "/api/v3/clusters/default/containers"
SPEC = {"spec": {"image": "busybox"}}


@dataclass
class Acknowledged:
    """What was answered with success, by all writers."""

    generations: dict[str, int] = field(default_factory=dict)
    revision: int = 0
    count: int = 0
    changed: threading.Condition = field(default_factory=threading.Condition)

    def take(self, made: dict[str, object]) -> None:
        """One answer."""
        name, generation, revision = made["name"], made["generation"], made["revision"]
        assert isinstance(name, str)
        assert isinstance(generation, int)
        assert isinstance(revision, int)
        with self.changed:
            self.generations[name] = generation
            self.revision = max(self.revision, revision)
            self.count += 1
            self.changed.notify_all()

    def wait_for(self, count: int) -> None:
        """Until so many have been answered since the beginning."""
        with self.changed:
            assert self.changed.wait_for(lambda: self.count >= count, 60), "nothing is answered"


def write_until_killed(server: ServerProcess, acknowledged: Acknowledged, prefix: str) -> None:
    """Create containers one after another, until the server is gone."""
    api = server.api()
    try:
        for number in range(ACKNOWLEDGED_MAX * 100):
            answer = api.call("PUT", f"{CONTAINERS}/{prefix}-{number}", SPEC)
            assert answer.status == 200, answer
            acknowledged.take(answer.document)
    except (OSError, http.client.HTTPException):
        return
    finally:
        api.connection.close()


def check(api: Api, acknowledged: Acknowledged) -> None:
    """Everything that was answered is there, and revisions went on."""
    there: dict[str, int] = {}
    after = ""
    while True:
        page = api.get(f"{CONTAINERS}?limit=5000&after={after}")
        there |= {item["name"]: item["generation"] for item in page["items"]}
        after = page["next"]
        if not after:
            break
    lost = acknowledged.generations.keys() - there.keys()

    assert not lost, f"{len(lost)} answered creations are lost, such as {sorted(lost)[:3]}"
    assert {name: there[name] for name in acknowledged.generations} == acknowledged.generations
    assert page["revision"] >= acknowledged.revision


@pytest.mark.parametrize("seed", range(-(-KILLS // KILLS_OF_ONE)))
def test_everything_answered_survives_kills_at_random_moments(tmp_path: Path, seed: int) -> None:
    directory = tmp_path / "data"
    token = initialised(directory)
    luck = random.Random(seed)
    acknowledged = Acknowledged()
    for kill in range(min(KILLS, KILLS_OF_ONE)):
        with server_process(directory, token) as server:
            api = server.api()
            check(api, acknowledged)
            api.connection.close()
            writers = [
                threading.Thread(
                    target=write_until_killed, args=(server, acknowledged, f"k{kill}-w{writer}")
                )
                for writer in range(WRITERS)
            ]
            for writer in writers:
                writer.start()
            acknowledged.wait_for(acknowledged.count + luck.randrange(1, ACKNOWLEDGED_MAX))
            server.end(signal.SIGKILL)
            for writer in writers:
                writer.join()
    with server_process(directory, token) as server:
        api = server.api()
        check(api, acknowledged)
        api.connection.close()
        assert server.end() == 0

    assert "good: " in run_program("journal", "verify", "--data-dir", directory).stdout
