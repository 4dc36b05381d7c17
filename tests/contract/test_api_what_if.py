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
