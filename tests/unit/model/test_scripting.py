"""Calls in definitions: what each function gives, at any depth, and what is refused where."""

from typing import Any

import pytest

from pathfinder.model.errors import DefinitionWrong
from pathfinder.model.scripting import Surroundings, calls, rendered

SURROUNDINGS = Surroundings(
    ordinal=2,
    replica_count=3,
    addresses=lambda name: ("10.0.0.1", "10.0.0.2") if name == "web" else (),
)
VALUES: list[tuple[str, Any]] = [
    ("$pf-meta:container_id", 2),
    ("$pf-meta:container_id?", 2),
    ("$pf-meta:deployment_ip_addresses?deployment_name=web", ["10.0.0.1", "10.0.0.2"]),
    ("$pf-meta:deployment_ip_addresses?deployment_name=db", []),
    (
        "$pf-meta:deployment_host_sequences?host=zk.consul",
        ["1.zk.consul", "2.zk.consul", "3.zk.consul"],
    ),
    (
        "$pf-meta:deployment_host_sequences?host=zk.consul&self_host=0.0.0.0",
        ["1.zk.consul", "0.0.0.0", "3.zk.consul"],
    ),
    ("$pf-meta:passthrough?value=v0.11.8", "v0.11.8"),
    ("$pf-meta:passthrough?value=a%26b+c%3D%C3%A9", "a&b c=é"),
    ("$pf-meta:passthrough?value=100%", "100%"),
    ("a $pf-meta:container_id", "a $pf-meta:container_id"),
    ("$pf-meta", "$pf-meta"),
]


@pytest.mark.parametrize(("text", "value"), VALUES)
def test_text_that_begins_with_a_call_becomes_its_value(text: str, value: object) -> None:
    assert rendered(text, SURROUNDINGS) == value


def test_calls_are_found_at_any_depth_and_the_rest_stays_byte_for_byte() -> None:
    document = {
        "consul": {"hosts": "$pf-meta:deployment_ip_addresses?deployment_name=web"},
        "list": [1, None, True, {"id": "$pf-meta:container_id"}, '$(id) "as it is" \\n'],
    }

    assert rendered(document, SURROUNDINGS) == {
        "consul": {"hosts": ["10.0.0.1", "10.0.0.2"]},
        "list": [1, None, True, {"id": 2}, '$(id) "as it is" \\n'],
    }
    assert [call.place for call in calls(document, "attributes")] == [
        "attributes.consul.hosts",
        "attributes.list[3].id",
    ]


WRONG = [
    ("$pf-meta:destroy_all", "$pf-meta:destroy_all is not a function"),
    ("$pf-meta:", "is not a function"),
    ("$pf-meta:deployment_ip_addresses", "needs deployment_name"),
    ("$pf-meta:deployment_ip_addresses?deployment_name=", "needs deployment_name"),
    ("$pf-meta:deployment_ip_addresses?deployment_name=a b", "cannot be the name"),
    ("$pf-meta:container_id?host=x", "host is not a parameter of container_id"),
    ("$pf-meta:passthrough?value", "is not KEY=VALUE"),
]


@pytest.mark.parametrize(("text", "message"), WRONG)
def test_wrong_call_is_refused_with_its_place(text: str, message: str) -> None:
    with pytest.raises(DefinitionWrong) as caught:
        list(calls({"a": [text]}, "spec.bootstrap"))

    assert caught.value.details["place"] == "spec.bootstrap.a[0]"
    assert message in caught.value.message
