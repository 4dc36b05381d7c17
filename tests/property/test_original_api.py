"""Whatever is sent to API v1 and v2 is answered in its form, and never as a mistake of ours.

Promise 9.
"""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pathfinder.api.original.app import ROUTES
from tests.support.examples import EXAMPLES
from tests.support.original_clients.platform import agent, original_server, pfi
from tests.support.original_clients.raw import RawConnection
from tests.support.running import ADMIN, RunningServer

KEYS = (
    "cluster_name", "container", "hostname", "source", "bootstrappers", "deployments", "name",
    "definition", "memory", "total", "load", "capacity", "ipaddress", "node_hostname", "remote",
    "bootstrap_type", "bootstrap_attributes", "alias", "image", "container_type", "password",
    "desired_num_replicas", "min_available_replicas", "server", "mode", "source_type",
)  # fmt: skip
WORDS = (
    "default", "web", "chef-solo", "image", "pull", "n1", "10.0.0.1", "STATELESS", "\x00", "ü",
    "$pf-meta:container_id", "$pf-meta:nothing", "https://x", "-", "a" * 300, "-1", "1e400", "7",
)  # fmt: skip
leaves = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.sampled_from(WORDS)
)
values: st.SearchStrategy[Any] = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(KEYS), inner, max_size=4)
    ),
    max_leaves=12,
)
bags = st.dictionaries(st.sampled_from(KEYS), values, max_size=5)
queries = st.dictionaries(st.sampled_from(KEYS), st.sampled_from(WORDS), max_size=3)


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[RunningServer, str]]:
    """A server with a node and a container, and the node's token."""
    with original_server() as server:
        node = agent(server)
        pfi(server).create("web")
        yield server, node.token


@settings(
    max_examples=2 * EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    route=st.sampled_from(ROUTES),
    bag=bags,
    query=queries,
    is_json=st.booleans(),
    is_old=st.booleans(),
)
def test_whatever_is_said_is_answered_in_the_envelope(
    served: tuple[RunningServer, str],
    route: tuple[str, str, str, Any],
    bag: dict[str, Any],
    query: dict[str, str],
    *,
    is_json: bool,
    is_old: bool,
) -> None:
    server, node_token = served
    method, versions, path, _ = route
    token = node_token if path.startswith("node/") else ADMIN
    target = path.replace(":hostname", "web").replace(":name", "web")
    text = json.dumps(bag) if is_json else urlencode(query)
    body = text.encode(errors="surrogatepass")
    query = {"cluster_name": "default", **query}
    head = (
        f"{method} /api/{versions.split()[-1]}/{target}?{urlencode(query)} "
        f"HTTP/1.{0 if is_old else 1}\r\nHost: x\r\nX-Auth-Token: {token}\r\n"
        f"{'Content-Type: application/json' if is_json else 'Accept: */*'}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    with RawConnection(server.port) as connection:
        connection.send(head.encode() + body)
        answer = connection.answer_until_closed() if is_old else connection.answer()

    assert answer.status < 500, answer
    if answer.status not in (200, 204) and "success" not in answer.document:
        assert answer.document["api_version"] == "1.0"
        assert answer.document["error"]["message"]
        assert "Traceback" not in answer.body.decode()
