"""How the core learns where a container is reached, once it runs: from whoever measures it."""

from dataclasses import replace

from pathfinder.agent.effects import Inspect, Inspected
from pathfinder.runtimes.port import Change, Usage
from tests.unit.agent.driving import Node, instance, wish


def node_with_address(address: str = "10.0.0.7") -> Node:
    """A node whose container runs, and is known to be reached there."""
    node = Node(instance("web-01"))
    node.want(wish("web-01"))
    (look,) = node.later(50)
    node.finish(look, Inspected(instance=replace(instance("web-01"), addresses=(address,))))
    assert node.holding()[0].addresses == (address,)
    return node


def test_nobody_looks_at_a_container_that_runs_with_its_address() -> None:
    node = node_with_address()

    assert [e for _ in range(200) for e in node.later(50) if isinstance(e, Inspect)] == []


def test_what_measures_a_container_tells_its_new_address() -> None:
    node = node_with_address()
    asked = node.core.running()

    node.core.on_usages(node.now_ms, {"web-01": Usage(addresses=("10.0.0.8",))}, asked.event)

    assert asked.names == ("web-01",)
    assert node.holding()[0].addresses == ("10.0.0.8",)


def test_what_was_measured_before_something_happened_is_not_believed() -> None:
    node = node_with_address("10.0.0.8")
    asked = node.core.running()
    node.core.on_change(node.now_ms, Change(name="web-01"))
    (look,) = node.later(50)
    node.finish(look, Inspected(instance=replace(instance("web-01"), addresses=("10.0.0.9",))))

    node.core.on_usages(node.now_ms, {"web-01": Usage(addresses=("10.0.0.8",))}, asked.event)

    assert node.holding()[0].addresses == ("10.0.0.9",)


def test_an_address_that_was_lost_is_looked_for() -> None:
    node = node_with_address()

    node.core.on_usages(node.now_ms, {"web-01": Usage(addresses=())}, node.core.running().event)

    assert [type(effect) for effect in node.later(50)] == [Inspect]


def test_a_daemon_that_tells_no_addresses_takes_none_away() -> None:
    node = node_with_address()

    node.core.on_usages(node.now_ms, {"web-01": Usage()}, node.core.running().event)

    assert node.holding()[0].addresses == ("10.0.0.7",)
