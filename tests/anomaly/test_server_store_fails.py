"""The store fails under a running server: what was not durable was never seen, the rest goes on.

Promise 1.
"""

import time
from collections.abc import Iterator

import pytest

from pathfinder.store.memory import MemoryStore
from pathfinder.store.port import Broken, Deposed, DiskFull, StoreFailure, Unusable
from pathfinder.wire.messages import Exchange, Session
from tests.support.running import WAIT_S_MAX, Api, RunningServer, running_server

CONTAINERS = "/api/v3/clusters/default/containers"
SPEC = {"spec": {"image": "busybox"}}


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def server(store: MemoryStore) -> Iterator[RunningServer]:
    with running_server(store) as running:
        yield running


@pytest.fixture
def api(server: RunningServer) -> Api:
    return server.api()


def test_change_that_finds_no_room_is_refused_and_leaves_no_trace(
    store: MemoryStore, api: Api
) -> None:
    before = api.get("/api/v3/version")["revision"]
    store.fail_next_append(DiskFull("no room left"))
    refused = api.call("PUT", f"{CONTAINERS}/one", SPEC)

    assert (refused.status, refused.code) == (507, "store_full")
    assert refused.document["error"]["retry"]
    assert api.call("GET", f"{CONTAINERS}/one").status == 404
    assert api.get("/api/v3/version")["revision"] == before


def test_changes_are_taken_again_when_there_is_room(store: MemoryStore, api: Api) -> None:
    store.fail_next_append(DiskFull("no room left"))
    api.call("PUT", f"{CONTAINERS}/one", SPEC)
    again = api.call("PUT", f"{CONTAINERS}/one", SPEC)

    assert again.status == 200
    assert api.get(f"{CONTAINERS}/one")["name"] == "one"


@pytest.mark.slow
def test_report_that_found_no_room_is_taken_with_the_next_exchange(
    store: MemoryStore, server: RunningServer, api: Api
) -> None:
    node = server.node()
    node.join()
    api.put(f"{CONTAINERS}/web", SPEC)
    node.exchange()
    store.fail_next_append(DiskFull("no room left"))
    lost = node.exchange(*node.running())
    not_yet = api.get(f"{CONTAINERS}/web")
    node.exchange(*node.running())

    assert lost.lease_ms > 0
    assert not not_yet["ready"]
    assert api.get(f"{CONTAINERS}/web")["ready"]


@pytest.mark.parametrize(
    "failure", [Deposed("epoch 9 leads"), Broken("record 7"), Unusable("an I/O error")]
)
def test_server_that_cannot_write_any_more_says_so_and_stops(
    store: MemoryStore, server: RunningServer, api: Api, failure: StoreFailure
) -> None:
    store.fail_next_append(failure)
    refused = api.call("PUT", f"{CONTAINERS}/one", SPEC)
    ready = api.call("GET", "/readyz")

    assert (refused.status, refused.code) == (503, "not_leading")
    assert ready.status == 503
    assert len(server.failures) == 1
    assert type(failure).__name__ in server.failures[0]


def test_change_that_was_written_and_not_confirmed_is_there_after_the_restart() -> None:
    store = MemoryStore()
    with running_server(store) as server:
        store.fail_next_append(Unusable("an I/O error"), is_late=True)
        refused = server.api().call("PUT", f"{CONTAINERS}/one", SPEC)
        after = store.copy()
    with running_server(after, is_prepared=True) as server:
        shown = server.api().call("GET", f"{CONTAINERS}/one")

    assert refused.status == 503
    assert shown.status == 200


def test_store_restored_from_a_backup_is_noticed_and_led_under_a_later_epoch() -> None:
    store = MemoryStore()
    with running_server(store) as server:
        backup = store.copy()
        node = server.node()
        node.join()
        server.api().put(f"{CONTAINERS}/later", SPEC)
        node.exchange()
    with running_server(backup, is_prepared=True) as server:
        api = server.api()
        before = api.get("/api/v3/version")["epoch"]
        node.api = api
        node.register()
        ahead = Session(epoch=before + 3, incarnation="other", sequence=1)
        node.send("/api/v3/node/exchange", Exchange(session=ahead, sent_ms=0))
        deadline = time.monotonic() + WAIT_S_MAX
        while api.get("/api/v3/version")["epoch"] <= before:
            assert time.monotonic() < deadline, "it does not lead anew"
        after = api.get("/api/v3/version")["epoch"]

    assert after == before + 4


def test_future_that_no_server_can_have_seen_is_not_believed(server: RunningServer) -> None:
    node = server.node()
    node.join()
    before = server.api().get("/api/v3/version")["epoch"]
    far = Session(epoch=1 << 40, incarnation="other", sequence=1)
    reply = node.send("/api/v3/node/exchange", Exchange(session=far, sent_ms=0))
    server.api().put(f"{CONTAINERS}/after", SPEC)

    assert reply.document["kind"] == "hello"
    assert server.api().get("/api/v3/version")["epoch"] == before
