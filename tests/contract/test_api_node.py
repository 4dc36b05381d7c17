"""A node's conversation with a real server: it registers, its exchanges are parked and answered.

Promises 8, 10 and 11.
"""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from pathfinder.store.memory import MemoryStore
from pathfinder.wire.messages import BODY_BYTES_MAX, HEARTBEAT_MS, Exchange, Session
from tests.support.running import Api, RunningServer, running_server

CONTAINERS = "/api/v3/clusters/default/containers"
SPEC = {"spec": {"image": "busybox", "resources": {"memory": "64MiB"}}}


@pytest.fixture
def server() -> Iterator[RunningServer]:
    with running_server(MemoryStore()) as running:
        yield running


def test_container_goes_from_request_to_running(server: RunningServer) -> None:
    api, node = server.api(), server.node()
    node.join()
    made = api.put(f"{CONTAINERS}/web", SPEC)
    reply = node.exchange()
    node.exchange(*node.running(), seen=node.revision - 1)
    shown = api.get(f"{CONTAINERS}/web")

    assert made["node"] == "n1"
    assert [each.slot for each in reply.assignments] == ["web"]
    assert shown["phase"] == "BOOTSTRAPPED"
    assert shown["ready"]
    assert shown["ipaddress"] == "10.0.0.2"


def test_parked_exchange_is_answered_when_there_is_news(server: RunningServer) -> None:
    api, node = server.api(), server.node()
    node.join()
    with ThreadPoolExecutor(1) as pool:
        parked = pool.submit(node.exchange)
        api.put(f"{CONTAINERS}/news", SPEC)
        reply = parked.result()

    assert reply.kind == "difference"
    assert [each.slot for each in reply.assignments] == ["news"]


@pytest.mark.slow
def test_newer_exchange_answers_the_older_at_once(server: RunningServer) -> None:
    node = server.node()
    node.join()
    first, second = (
        Exchange(
            session=_next(node.session, by),
            sent_ms=0,
            seen=node.revision,
            complete=True,
            runtime_error="its daemon restarts",
        )
        for by in (1, 2)
    )
    answered: list[tuple[str, float]] = []

    def send(name: str, exchange: Exchange) -> None:
        assert node.send("/api/v3/node/exchange", exchange).status == 200
        answered.append((name, time.monotonic()))

    with ThreadPoolExecutor(2) as pool:
        older = pool.submit(send, "older", first)
        _wait_until_heard(server, "n1", "its daemon restarts")
        newer = pool.submit(send, "newer", second)
        older.result()
        newer.result()

    assert [name for name, _ in answered] == ["older", "newer"]


@pytest.mark.slow
def test_exchange_without_news_is_answered_at_the_heartbeat(server: RunningServer) -> None:
    node = server.node()
    node.join()
    began = time.monotonic()
    reply = node.exchange()
    took_ms = (time.monotonic() - began) * 1000

    assert reply.kind == "nothing"
    assert reply.lease_ms > 0
    assert took_ms >= HEARTBEAT_MS * 0.9


@pytest.mark.slow
def test_parked_exchange_is_answered_when_the_server_stops() -> None:
    with running_server(MemoryStore()) as server, ThreadPoolExecutor(1) as pool:
        node = server.node()
        node.join()
        parked = pool.submit(node.exchange)
    reply = parked.result()

    assert reply.kind == "nothing"


def test_same_registration_twice_has_the_effect_of_one(server: RunningServer) -> None:
    api, node = server.api(), server.node()
    token = api.call("POST", "/api/v3/clusters/default/join-tokens", {}).document["token"]
    message = node.registration(join_token=token)
    first = node.send("/api/v3/node/register", message)
    second = node.send("/api/v3/node/register", message)

    assert first.status == 200
    assert second.body == first.body


def test_join_token_is_for_one_node(server: RunningServer) -> None:
    api, one, two = server.api(), server.node("one"), server.node("two")
    two.secret = "e" * 64
    token = api.call("POST", "/api/v3/clusters/default/join-tokens", {}).document["token"]
    one.send("/api/v3/node/register", one.registration(join_token=token))
    answer = two.send("/api/v3/node/register", two.registration(join_token=token))

    assert (answer.status, answer.code) == (401, "unauthorized")


def test_node_joins_by_the_clusters_password(server: RunningServer) -> None:
    api, node = server.api(), server.node()
    api.put("/api/v3/clusters/default", {"password": "correct horse"})
    wrong = node.send("/api/v3/node/register", node.registration(cluster_password="battery"))
    right = node.send("/api/v3/node/register", node.registration(cluster_password="correct horse"))

    assert wrong.status == 401
    assert right.status == 200


def test_guessing_passwords_is_slowed_down(server: RunningServer) -> None:
    node = server.node()
    codes = {
        node.send("/api/v3/node/register", node.registration(cluster_password=f"guess {n}")).status
        for n in range(12)
    }

    assert codes == {401, 429}


def test_exchange_needs_the_credential_of_a_node(server: RunningServer) -> None:
    api = server.api()
    stranger = server.node("stranger")
    asked = Exchange(session=Session(epoch=0, incarnation="", sequence=1), sent_ms=0)

    assert api.call("POST", "/api/v3/node/exchange", {}).status == 403
    assert stranger.send("/api/v3/node/exchange", asked).status == 401


def test_forgotten_node_is_refused(server: RunningServer) -> None:
    api, node = server.api(), server.node()
    node.join()
    assert api.call("DELETE", "/api/v3/clusters/default/nodes/n1").status == 200
    session = Session(epoch=0, incarnation="", sequence=1)

    assert node.send("/api/v3/node/exchange", Exchange(session=session, sent_ms=0)).status == 401


def test_exchange_that_is_none_is_refused_with_the_place(server: RunningServer) -> None:
    node = server.node()
    node.join()
    api = Api(server.port, f"pfn.default.n1.{node.secret}")
    server.connections.append(api)
    not_json = api.call("POST", "/api/v3/node/exchange", b"{")
    wrong = api.call("POST", "/api/v3/node/exchange", {"session": {"epoch": "x"}, "sent_ms": 0})

    assert (not_json.status, not_json.code) == (400, "malformed")
    assert "Exchange.session.epoch" in wrong.document["error"]["message"]


def test_exchange_that_is_too_large_is_refused(server: RunningServer) -> None:
    node = server.node()
    node.join()
    api = Api(server.port, f"pfn.default.n1.{node.secret}")
    server.connections.append(api)
    answer = api.call("POST", "/api/v3/node/exchange", b" " * (BODY_BYTES_MAX + 1))

    assert (answer.status, answer.code) == (413, "too_much")


@pytest.mark.slow
def test_deleted_container_is_released_and_then_gone(server: RunningServer) -> None:
    api, node = server.api(), server.node()
    node.join()
    api.put(f"{CONTAINERS}/short", SPEC)
    node.exchange()
    with ThreadPoolExecutor(1) as pool:
        parked = pool.submit(node.exchange, *node.running())
        _wait_until_ready(api, f"{CONTAINERS}/short")
        api.call("DELETE", f"{CONTAINERS}/short")
        reply = parked.result()
        leaving = api.get(f"{CONTAINERS}/short")
        gone = pool.submit(node.exchange)
        deadline = time.monotonic() + 10
        while api.call("GET", f"{CONTAINERS}/short").status != 404:
            assert time.monotonic() < deadline, "it stays"
        gone.result()

    assert reply.released == ("short",)
    assert [each["node"] for each in leaving["leaving"]] == ["n1"]


def _next(session: Session, by: int) -> Session:
    return Session(
        epoch=session.epoch, incarnation=session.incarnation, sequence=session.sequence + by
    )


def _wait_until_ready(api: Api, path: str) -> None:
    deadline = time.monotonic() + 10
    while not api.get(path)["ready"]:
        assert time.monotonic() < deadline, "it does not become ready"


def _wait_until_heard(server: RunningServer, name: str, error: str) -> None:
    """Until the server has taken an exchange that says `error` of its daemon."""
    api = server.api()
    deadline = time.monotonic() + 10
    while api.get(f"/api/v3/clusters/default/nodes/{name}")["runtime_error"] != error:
        assert time.monotonic() < deadline, "it is not heard"


@pytest.mark.parametrize("word", ["\ud800", 1 << 64])
def test_word_of_a_node_that_cannot_be_stored_is_refused_and_harms_nobody(
    server: RunningServer, word: object
) -> None:
    node = server.node("odd")
    node.join()
    said = {"session": {"epoch": 1, "incarnation": "i", "sequence": 1}, "sent_ms": 1}
    credential = f"pfn.default.{node.name}.{node.secret}"
    exchange = {**said, "facts": {"odd": word}}
    answer = server.api(credential).call("POST", "/api/v3/node/exchange", exchange)

    assert answer.status == 400
    assert answer.code == "malformed"
    assert server.api().get("/readyz") == {"status": "ok"}
    assert server.failures == []
