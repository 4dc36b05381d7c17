"""What-if questions over the API: answered on a copy, with the errors of every other request."""

from collections.abc import Iterator

import pytest

from pathfinder.store.memory import MemoryStore
from tests.support.running import READER, Api, RunningServer, running_server

QUESTION = "/api/v3/clusters/default/what-if"


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    with running_server(MemoryStore()) as running:
        yield running


@pytest.fixture
def api(server: RunningServer) -> Api:
    return server.api()


def test_a_question_is_answered_and_changes_nothing(api: Api) -> None:
    before = api.get("/api/v3/version")["revision"]
    document = {"kind": "Container", "name": "one", "spec": {"image": "busybox"}}
    answer = api.call("POST", QUESTION, {"documents": [document]})

    assert answer.status == 200
    (move,) = answer.document["moves"]
    assert (move["name"], move["action"], move["target"]) == ("one", "unplaced", "")
    assert move["why"] == "no node fits: the cluster has no nodes"
    assert api.get("/api/v3/version")["revision"] == before


@pytest.mark.parametrize(
    ("question", "status", "code"),
    [
        ({"lose": ["n9"]}, 400, "definition_wrong"),
        ({"drain": ["n9"]}, 404, "not_found"),
        ({"scale": {"web": -1}}, 400, "definition_wrong"),
        ({"add": [{"count": 1, "like": "n9"}]}, 404, "not_found"),
        ({"add": "many"}, 400, "malformed"),
    ],
)
def test_mistakes_are_told_as_everywhere(
    api: Api, question: dict[str, object], status: int, code: str
) -> None:
    answer = api.call("POST", QUESTION, question)

    assert (answer.status, answer.code) == (status, code)


def test_readers_may_ask_and_plan_no_documents(server: RunningServer) -> None:
    reader = server.api(READER)
    document = {"kind": "Container", "name": "one", "spec": {"image": "busybox"}}

    assert reader.call("POST", QUESTION, {}).status == 200
    assert reader.call("POST", QUESTION, {"documents": [document]}).code == "forbidden"


def test_a_rebalance_is_planned_by_readers_and_begun_by_administrators(
    server: RunningServer, api: Api
) -> None:
    path = "/api/v3/clusters/default/rebalance"
    planned = server.api(READER).call("GET", f"{path}?moves=3")
    begun = api.call("POST", path, {"moves": 3})

    assert (planned.status, planned.document["moves"], planned.document["done"]) == (200, [], True)
    assert (begun.status, begun.document["moves_left"]) == (200, 3)
    assert server.api(READER).call("POST", path, {"moves": 3}).code == "forbidden"
    assert api.call("GET", f"{path}?moves=0").code == "malformed"
    assert api.call("POST", path, {"moves": 0}).document["moves_left"] == 0


def test_the_state_is_exported_to_administrators_alone(server: RunningServer, api: Api) -> None:
    answer = api.call("GET", "/api/v3/state")

    assert answer.status == 200
    assert answer.body.startswith(b"pathfinder-state 1\n")
    assert server.api(READER).call("GET", "/api/v3/state").code == "forbidden"


def test_an_earlier_state_is_asked_by_its_time(api: Api) -> None:
    assert api.call("POST", f"{QUESTION}?at_ms=1", {}).code == "not_found"
    assert api.call("POST", f"{QUESTION}?at_ms=4102444800000", {}).status == 200


def test_an_earlier_state_is_answered_before_the_nodes_have_been_heard() -> None:
    store = MemoryStore()
    with running_server(store) as before:
        before.node("n1").join()
    with running_server(store.copy(), is_prepared=True) as running:
        api = running.api()

        assert api.call("POST", QUESTION, {}).code == "not_leading"
        assert api.call("POST", f"{QUESTION}?at_ms=4102444800000", {"lose": ["n1"]}).status == 200
        unknown = "/api/v3/clusters/other/what-if?at_ms=4102444800000"
        assert api.call("POST", unknown, {}).code == "not_found"
