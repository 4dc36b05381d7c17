"""Whatever goes wrong: one shape, the right status, nothing about our insides. Promise 9."""

import json
from collections.abc import Iterator

import pytest

from pathfinder.store.memory import MemoryStore
from pathfinder.wire.messages import BODY_BYTES_MAX
from tests.support.running import Answer, RunningServer, running_server

CONTAINER = "/api/v3/clusters/default/containers/one"
MISTAKES = (
    ("GET", "/api", None, 404, "not_found"),
    ("GET", "/api/v3/nothing", None, 404, "not_found"),
    ("PATCH", "/api/v3/clusters", None, 405, "method_not_allowed"),
    ("GET", "/api/v3/node/exchange", None, 404, "not_found"),
    ("PUT", CONTAINER, b"{", 400, "malformed"),
    ("PUT", CONTAINER, b"[]", 400, "malformed"),
    ("PUT", CONTAINER, b"", 400, "malformed"),
    ("PUT", CONTAINER, b"\xff\xfe", 400, "malformed"),
    ("PUT", CONTAINER, b"{}", 400, "definition_wrong"),
    ("PUT", CONTAINER, b'{"spec":{"image":7}}', 400, "definition_wrong"),
    ("PUT", CONTAINER, b'{"spec":{"image":"a"},"labels":[]}', 400, "definition_wrong"),
    ("PUT", CONTAINER + "%00", b'{"spec":{"image":"a"}}', 400, "malformed"),
    ("PUT", CONTAINER + "_x", b'{"spec":{"image":"a"}}', 400, "definition_wrong"),
    ("PUT", CONTAINER, b'{"a":' + b"[" * 100_000, 400, "malformed"),
    ("PUT", CONTAINER, b" " * (BODY_BYTES_MAX + 1), 413, "too_much"),
    ("GET", "/api/v3/clusters?limit=0", None, 400, "malformed"),
    ("GET", "/api/v3/clusters?limit=many", None, 400, "malformed"),
    ("GET", "/api/v3/events?since=-2", None, 400, "malformed"),
    ("GET", "/api/v3/clusters/none", None, 404, "not_found"),
    ("POST", "/api/v3/apply", b'{"documents":[{"kind":"Conteiner"}]}', 400, "definition_wrong"),
    ("POST", "/api/v3/apply", b'{"documents":[7]}', 400, "malformed"),
    ("POST", "/api/v3/apply", b'{"documents":[],"typo":true}', 400, "malformed"),
    ("POST", "/api/v3/tokens", b'{"name":"x","role":"king"}', 400, "malformed"),
    ("DELETE", "/api/v3/clusters/default/nodes/none", None, 404, "not_found"),
    ("POST", "/api/v3/node/register", b"{}", 400, "malformed"),
    ("GET", f"{CONTAINER}/logs", None, 404, "not_found"),
)


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    with running_server(MemoryStore()) as running:
        yield running


def check_shape(answer: Answer, status: int, code: str) -> None:
    error = json.loads(answer.body)["error"]
    assert answer.status == status, error
    assert error["code"] == code
    assert set(error) == {"code", "message", "hint", "retry", "details"}
    assert error["message"]
    assert answer.headers["content-type"] == "application/json"
    assert b"Traceback" not in answer.body
    assert b".py" not in answer.body


@pytest.mark.parametrize(("method", "path", "body", "status", "code"), MISTAKES)
def test_mistakes_are_answered_in_one_shape(
    server: RunningServer, method: str, path: str, body: bytes | None, status: int, code: str
) -> None:
    api = server.api()

    check_shape(api.call(method, path, body), status, code)


@pytest.mark.parametrize(
    "credential", ["", "x", "pft.", "pft.admin", "pft.admin.wrong", "pfn.a.b.c", "pft.é.ü"]
)
def test_wrong_credential_is_refused_without_saying_what_was_wrong(
    server: RunningServer, credential: str
) -> None:
    headers = {"Authorization": f"Bearer {credential}".encode().decode("latin-1")}
    answer = server.api("").call("GET", "/api/v3/clusters", headers=headers)

    check_shape(answer, 401, "unauthorized")
    assert answer.headers["www-authenticate"] == "Bearer"
    assert "wrong" not in answer.document["error"]["message"]


@pytest.mark.parametrize(
    ("header", "value"),
    [("If-Match", "7"), ("If-Match", '"x"'), ("Idempotency-Key", "k" * 129), ("If-Match", "*")],
)
def test_conditions_that_are_none_are_refused(
    server: RunningServer, header: str, value: str
) -> None:
    answer = server.api().call("DELETE", CONTAINER, headers={header: value})

    check_shape(answer, 400, "malformed")


def test_method_that_a_path_does_not_know_is_told_which_it_does(server: RunningServer) -> None:
    answer = server.api().call("PATCH", "/api/v3/clusters")

    assert "GET" in answer.headers["allow"]
