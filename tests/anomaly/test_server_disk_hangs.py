"""The disk hangs in an append: leases go on, questions are refused, nothing is lost."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from pathfinder.store.memory import MemoryStore
from pathfinder.store.port import Record
from tests.support.running import WAIT_S_MAX, RunningServer, running_server

pytestmark = pytest.mark.slow
CONTAINERS = "/api/v3/clusters/default/containers"
SPEC = {"spec": {"image": "busybox"}}


class HangingStore(MemoryStore):
    """A store whose appends wait while `may_go` is clear."""

    def __init__(self) -> None:
        super().__init__()
        self.may_go = threading.Event()
        self.may_go.set()
        self.hangs = threading.Event()

    def append(self, epoch: int, time_ms: int, body: bytes) -> Record:
        """As the port says, late."""
        if not self.may_go.is_set():
            self.hangs.set()
        assert self.may_go.wait(4 * WAIT_S_MAX)
        return super().append(epoch, time_ms, body)


@pytest.fixture
def store() -> HangingStore:
    return HangingStore()


@pytest.fixture
def server(store: HangingStore) -> Iterator[RunningServer]:
    with running_server(store) as running:
        yield running
        store.may_go.set()


def test_leases_go_on_and_what_is_not_durable_is_seen_by_nobody(
    store: HangingStore, server: RunningServer
) -> None:
    node = server.node()
    node.join()
    with ThreadPoolExecutor(1) as pool:
        store.may_go.clear()
        writing = pool.submit(server.api().call, "PUT", f"{CONTAINERS}/late", SPEC)
        assert store.hangs.wait(WAIT_S_MAX)
        leases = [node.exchange() for _ in range(2)]
        question = server.api().call("GET", f"{CONTAINERS}/late")
        store.may_go.set()
        written = writing.result()
        after = server.api().call("GET", f"{CONTAINERS}/late")

    assert [lease.kind for lease in leases] == ["nothing", "nothing"]
    assert all(lease.lease_ms > 0 for lease in leases)
    assert (question.status, question.code) == (429, "too_busy")
    assert written.status == 200
    assert after.status == 200
