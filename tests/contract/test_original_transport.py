"""API v1 and v2 take what the original's clients send, byte by byte, and answer as they can read.

Promise 9.
"""

import json
import re
from collections.abc import Iterator

import pytest

from tests.support.original_clients.go import GoPfi
from tests.support.original_clients.mruby import MrubyPfi
from tests.support.original_clients.platform import agent, original_server, pfi
from tests.support.original_clients.raw import RawAnswer, RawConnection
from tests.support.running import ADMIN, APP, READER, RunningServer

IDENT = re.compile(r"[0-9A-F]{4}-[0-9A-F]{4}")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
TIME_OF_ERROR = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00")


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    with original_server() as running:
        yield running


def raw(server: RunningServer, request: bytes) -> RawAnswer:
    with RawConnection(server.port) as connection:
        connection.send(request)
        return connection.answer()


def counting_bytes(body: bytes) -> bytes:
    """A request of HTTP/1.0 whose length is right."""
    head = (
        "GET /api/v1/ext_app/nodes HTTP/1.0\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nX-Auth-Token: {APP}\r\n\r\n"
    )
    return head.encode() + body


def test_json_body_of_a_get_over_http_1_0_is_read_and_the_connection_closed(
    server: RunningServer,
) -> None:
    answer = MrubyPfi(server.port, token=APP).nodes()

    assert answer.items == []
    assert answer.header("connection") == "close"
    assert answer.header("content-type") == "application/json; charset=utf-8"


def test_form_without_a_content_type_is_a_form(server: RunningServer) -> None:
    answer = pfi(server).create("form-one", "busybox")

    assert answer.data["hostname"] == "form-one"
    assert answer.data["image"] == "busybox"


def test_keep_alive_connection_serves_request_after_request(server: RunningServer) -> None:
    client = pfi(server)

    assert [client.nodes().status for _ in range(5)] == [200] * 5


def test_length_that_counts_characters_is_understood(server: RunningServer) -> None:
    client = MrubyPfi(server.port, token=APP, cluster="café au lait ☕☕☕")
    answer = client.containers()

    assert answer.status == 404
    assert "café au lait ☕☕☕" in answer.error["message"]


def test_length_in_characters_is_understood_in_whatever_pieces_it_arrives(
    server: RunningServer,
) -> None:
    body = '{"cluster_name":"größte Straße"}'
    head = (
        "GET /api/v1/ext_app/nodes HTTP/1.0\r\nConnection: close\r\n"
        f"Content-type: application/json\r\nContent-length: {len(body)}\r\n"
        f"Host: 127.0.0.1\r\nX-auth-token: {APP}\r\n\r\n"
    )
    request = head.encode() + body.encode()
    for cut in range(1, len(request), 7):
        with RawConnection(server.port) as connection:
            connection.send(request[:cut])
            connection.send(request[cut:])
            answer = connection.answer_until_closed()

        assert "größte Straße" in answer.error["message"], cut


def test_http_1_0_body_whose_length_counts_bytes_is_read_too(server: RunningServer) -> None:
    body = '{"cluster_name":"größte"}'.encode()
    with RawConnection(server.port) as connection:
        connection.send(counting_bytes(body))
        answer = connection.answer_until_closed()

    assert "größte" in answer.error["message"]


def test_http_1_0_body_that_is_broken_is_refused_and_not_waited_for(server: RunningServer) -> None:
    body = '{"cluster_name":"größ'.encode()
    with RawConnection(server.port) as connection:
        connection.send(counting_bytes(body))
        answer = connection.answer_until_closed()

    assert answer.status == 400
    assert "not JSON" in answer.error["message"]


def test_query_outweighs_the_body_and_the_path_both(server: RunningServer) -> None:
    client = GoPfi(server.port, token=APP)
    client.create("weighed")
    body = json.dumps({"cluster_name": "nowhere", "hostname": "other"}).encode()
    answer = client.request(
        "GET",
        "api/v1/ext_app/containers/weighed",
        {"cluster_name": "default", "hostname": "another"},
        body,
        (("Content-Type", "application/json"), ("Content-Length", str(len(body)))),
    )

    assert answer.data["hostname"] == "weighed"


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/ext_app/containers.json",
        "/api/v2/ext_app/containers.json",
        "/api/v1/ext_app/nodes.json",
        "/api/v1/ext_app/nodes/",
    ],
)
def test_suffix_of_a_path_says_nothing_new(server: RunningServer, path: str) -> None:
    request = f"GET {path}?cluster_name=default HTTP/1.1\r\nHost: x\r\nX-AUTH-TOKEN: {APP}\r\n\r\n"

    assert raw(server, request.encode()).data["total_server_items"] == 0


def test_nested_forms_reach_any_depth_that_clients_use(server: RunningServer) -> None:
    fields = (
        "container[hostname]=nested&container[source][source_type]=image&container[source][alias]=a"
        "&container[bootstrappers][][bootstrap_type]=chef-solo"
        "&container[bootstrappers][][bootstrap_attributes][a][b]=c"
    )
    request = (
        "POST /api/v2/ext_app/containers?cluster_name=default HTTP/1.1\r\nHost: x\r\n"
        f"X-Auth-Token: {APP}\r\nContent-Length: {len(fields)}\r\n\r\n{fields}"
    )
    made = raw(server, request.encode()).data

    assert made["source"]["alias"] == "a"
    assert made["bootstrappers"] == [
        {
            "bootstrap_type": "chef-solo",
            "bootstrap_cookbooks_url": "",
            "bootstrap_attributes": {"a": {"b": "c"}},
        }
    ]


def test_ping_tells_the_time_as_text_and_lookup_nothing(server: RunningServer) -> None:
    ping = raw(server, b"GET /api/v1/ping HTTP/1.1\r\nHost: x\r\n\r\n")
    lookup = raw(server, b"GET /api/v1/lookup HTTP/1.1\r\nHost: x\r\n\r\n")

    assert ping.document["message"] == "OK"
    assert re.fullmatch(r"\d{13}", ping.document["time"])
    assert set(ping.document) == {"message", "time"}
    assert lookup.document == {"api_version": "1.0", "notifications": [], "data": {}}


def test_success_is_exactly_the_envelope(server: RunningServer) -> None:
    client = pfi(server)
    made = client.create("enveloped").document
    answer = client.request("GET", "api/v2/ext_app/containers", {"cluster_name": "default"})

    assert set(made) == {"api_version", "notifications", "data"}
    assert (made["api_version"], made["notifications"]) == ("1.0", [])
    assert answer.document["api_version"] == "2.0"
    assert TIME.fullmatch(made["data"]["last_status_update_at"])


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_error_is_exactly_the_envelope_of_v1(server: RunningServer, version: str) -> None:
    client = pfi(server)
    path = f"api/{version}/ext_app/containers/missing"
    answer = client.request("GET", path, {"cluster_name": "default"})

    assert answer.status == 404
    document = answer.document
    assert set(document) == {"api_version", "notifications", "error"}
    assert document["api_version"] == "1.0"
    error = document["error"]
    assert set(error) == {
        "error_ident", "message", "messages", "details", "errors", "time", "links", "resource",
    }  # fmt: skip
    assert IDENT.fullmatch(error["error_ident"])
    assert TIME_OF_ERROR.fullmatch(error["time"])
    assert error["errors"] == [{"message": error["message"]}]
    assert (error["messages"], error["details"], error["links"]) == ([], [], [])


def test_validation_says_which_field_is_wrong(server: RunningServer) -> None:
    answer = pfi(server).create("-bad-")

    assert answer.status == 406
    assert answer.error["errors"] == [{"field": "hostname", "message": "is invalid"}]
    assert answer.error["resource"] == "Container"


@pytest.mark.parametrize("cluster", ["default", "nowhere", "Default", ""])
def test_bad_token_is_refused_whatever_the_cluster(server: RunningServer, cluster: str) -> None:
    for token in ("", "wrong", "pft.app.wrong", APP + "x"):
        answer = GoPfi(server.port, token=token, cluster=cluster).nodes()

        assert answer.status == 401
        assert answer.error["message"] == "Unauthorized access"


@pytest.mark.parametrize("cluster", ["nowhere", "Default", ""])
def test_good_token_does_not_find_a_cluster_that_is_none(
    server: RunningServer, cluster: str
) -> None:
    answer = GoPfi(server.port, token=APP, cluster=cluster).nodes()

    assert answer.status == 404
    assert answer.error["resource"] == "Cluster"


def test_token_of_a_reader_reads_and_no_more(server: RunningServer) -> None:
    reader = GoPfi(server.port, token=READER)

    assert reader.containers().status == 200
    assert reader.create("by-a-reader").status == 403
    assert GoPfi(server.port, token=ADMIN).create("by-an-admin").status == 200


def test_credential_of_a_node_opens_no_route_of_apps(server: RunningServer) -> None:
    """Promise 10."""
    node = agent(server, "curious")

    assert GoPfi(server.port, token=node.token).containers().status == 401
    assert GoPfi(server.port, token=f"pfn.default.curious.{node.token}").nodes().status == 401


@pytest.mark.parametrize(
    "request_line",
    [
        "GET /api/v1/nothing",
        "GET /api/v2/ext_app/nodes",
        "DELETE /api/v1/ext_app/containers/x",
        "GET /api/v1/node/register",
        "POST /api/v1/ping",
        "GET /api/v1/",
    ],
)
def test_route_that_is_none_is_404_in_the_envelope(
    server: RunningServer, request_line: str
) -> None:
    answer = raw(server, f"{request_line} HTTP/1.1\r\nHost: x\r\n\r\n".encode())

    assert answer.status == 404
    assert answer.document["api_version"] == "1.0"


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b"null",
        b'{"container":null}',
        b'{"container":[1,2]}',
        b'{"container":{"hostname":["x"],"source":7,"bootstrappers":"no"}}',
        b'{"container":{"hostname":"x","source":{"alias":{"a":1}},"bootstrappers":[7]}}',
        b'{"container":{"hostname":"x","source":{"alias":"\\u0000"}}}',
        b'{"container":{"hostname":"x","source":{"alias":"a"},"container_type":"odd"}}',
        b'{"container":{"hostname":"x","source":{"alias":"a","mode":"odd"}}}',
        b'{"container":{"hostname":"x","source":{"alias":"a","source_type":"odd"}}}',
        b'{"a":' * 500 + b"1" + b"}" * 500,
        b"\xff\xfe",
        b'{"hostname":"\\ud800"}',
    ],
)
@pytest.mark.parametrize(
    "path",
    [
        "POST /api/v2/ext_app/containers",
        "POST /api/v1/ext_app/containers",
        "POST /api/v2/ext_app/containers/x/rebootstrap",
        "PATCH /api/v2/ext_app/containers/x/update",
        "POST /api/v1/node/register",
    ],
)
def test_odd_body_is_a_client_s_mistake(server: RunningServer, path: str, body: bytes) -> None:
    head = (
        f"{path}?cluster_name=default HTTP/1.1\r\nHost: x\r\nX-Auth-Token: {APP}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    answer = raw(server, head.encode() + body)

    assert 400 <= answer.status < 500, answer
    assert "Traceback" not in answer.body.decode()
