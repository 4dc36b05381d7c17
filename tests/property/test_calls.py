"""Deployments that refer to each other's addresses, in any graph, come to rest with the final ones.

Random graphs, circles and self-references among them; random replicas and floors; addresses appear
one after another in any order, some with delay; rounds of bootstrap end when luck says so. What is
sampled throughout: nobody goes below `min_available`, once that many have been ready.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pathfinder.control.commands import Apply, Put, Scale
from pathfinder.control.rendering import AWAIT_MS, rendered
from pathfinder.model.errors import DefinitionWrong
from pathfinder.wire.messages import Holding
from tests.support.control_room import CLUSTER, FACTS, ControlRoom, RoomNode, deployment, held

NAMES = ("a", "b", "d")
STEPS_MAX = 400
STEP_MS_MAX = 3_000  # between two exchanges: its node is not lost meanwhile


def call(name: str) -> str:
    """The call for the addresses of a deployment."""
    return f"$pf-meta:deployment_ip_addresses?deployment_name={name}"


@dataclass(frozen=True)
class Wish:
    """One deployment: who it refers to in its bootstrap, and in its environment."""

    name: str
    replicas: int
    floor: int
    refers: tuple[str, ...]
    environment: tuple[str, ...]
    version: int = 0

    def document(self) -> dict[str, Any]:
        """As it is applied."""
        attributes = {"version": self.version, "id": "$pf-meta:container_id"}
        attributes |= {name: call(name) for name in self.refers}
        return deployment(
            self.name,
            self.replicas,
            min_available=min(self.floor, max(self.replicas - 1, 0)),
            bootstrap=[{"type": "chef-solo", "attributes": attributes}],
            environment={name.upper(): call(name) for name in self.environment},
        )


@st.composite
def wishes(draw: st.DrawFn) -> tuple[Wish, ...]:
    """Any graph of bootstraps; environments only refer back, so that they are no circle."""
    return tuple(
        Wish(
            name=name,
            replicas=draw(st.integers(1, 4)),
            floor=draw(st.integers(0, 3)),
            refers=draw(st.lists(st.sampled_from(NAMES), unique=True, max_size=3).map(tuple)),
            environment=draw(
                st.lists(st.sampled_from(NAMES[:index]), unique=True, max_size=1).map(tuple)
                if index
                else st.just(())
            ),
        )
        for index, name in enumerate(NAMES)
    )


@dataclass
class Story:
    """A node that does what it is told a bit at a time, as luck says. Addresses are never reused.

    done: what each container was last bootstrapped with, in ground truth.
    """

    luck: Random
    room: ControlRoom = field(default_factory=ControlRoom)
    done: dict[str, Any] = field(default_factory=dict)
    addresses: dict[tuple[str, int], str] = field(default_factory=dict)
    floors: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        facts = replace(FACTS, cpu_millis=1_000_000, memory_mib=1_000_000)
        self.node = RoomNode(self.room, "n1").join(facts)

    def apply(self, wanted: tuple[Wish, ...]) -> None:
        """All at once."""
        self.room.ask(Apply(tuple(wish.document() for wish in wanted)))

    def rest(self) -> None:
        """Go on lazily for a while, then until nothing has changed for longer than is waited."""
        lazy_steps, quiet_ms = self.luck.randint(0, 60), 0
        for number in range(STEPS_MAX):
            revision = self.room.state.revision
            is_lazy = number < lazy_steps
            self._step(is_lazy=is_lazy)
            self._sample()
            is_quiet = not is_lazy and self.room.state.revision == revision
            quiet_ms = quiet_ms + STEP_MS_MAX if is_quiet else 0
            if quiet_ms > AWAIT_MS:
                return
        raise AssertionError("it does not come to rest")

    def _step(self, *, is_lazy: bool) -> None:
        node = self.node
        node.holding = {slot: self._held(slot, is_lazy=is_lazy) for slot in node.wanted}
        node.exchange()
        self.room.tick(self.luck.choice((10, 500, STEP_MS_MAX)) if is_lazy else STEP_MS_MAX)

    def _held(self, slot: str, *, is_lazy: bool) -> Holding:
        assignment = self.node.wanted[slot]
        key = (slot, assignment.generation)
        if key not in self.addresses and not (is_lazy and self.luck.random() < 0.6):
            self.addresses[key] = f"10.0.{len(self.addresses) // 250}.{len(self.addresses) % 250}"
        is_done = bool(assignment.round) and not (is_lazy and self.luck.random() < 0.5)
        if is_done:
            self.done[slot] = assignment.spec["bootstrap"]
        address = self.addresses.get(key)
        return held(
            assignment,
            addresses=(address,) if address else (),
            bootstrap="done" if is_done else "",
        )

    def _sample(self) -> None:
        """Promise 6: whoever has had as many as must stay ready keeps them."""
        for found in NAMES:
            wanted = self.room.deployment(found)
            ready = sum(each.ready for each in self.room.state.replicas(wanted.key))
            floor = self.floors.get(found, 0)
            assert ready >= min(floor, wanted.min_available), f"{found} has {ready} ready"
            self.floors[found] = max(min(floor, wanted.min_available), ready)
            self.floors[found] = min(self.floors[found], wanted.min_available)


def _check(story: Story) -> None:
    state = story.room.state
    for name in NAMES:
        wanted = story.room.deployment(name)
        replicas = state.replicas(wanted.key)
        assert [each.ordinal for each in replicas] == [*range(1, wanted.replicas + 1)]
        assert (wanted.last_error, wanted.blocked, wanted.held) == ("", "", False)
        for each in replicas:
            spec = rendered(state, wanted, each.ordinal).spec
            assert each.ready
            assert each.spec.environment == spec.environment
            assert story.done[each.name] == spec.document()["bootstrap"]


@given(wishes(), st.integers(0, 1 << 30).map(Random))
def test_any_graph_comes_to_rest_with_final_addresses(
    wanted: tuple[Wish, ...], luck: Random
) -> None:
    """Promise 6."""
    story = Story(luck)
    story.apply(wanted)
    story.rest()

    _check(story)
    for wish in wanted:
        news = 2 * sum(slot.startswith(wish.refers) for slot, _ in story.addresses)
        for each in story.room.state.replicas(story.room.deployment(wish.name).key):
            actions = Counter(story.room.actions(each.name))
            generations = 1 + actions["replacing"]
            # A first round of each, and another only where an address has come or gone.
            assert actions["rebootstrapping"] <= generations + news


@pytest.mark.slow
@given(wishes(), st.sampled_from(NAMES), st.integers(1, 5), st.integers(0, 1 << 30).map(Random))
def test_any_graph_follows_a_scale_and_a_changed_definition(
    wanted: tuple[Wish, ...], changed: str, replicas: int, luck: Random
) -> None:
    """Promise 6."""
    story = Story(luck)
    story.apply(wanted)
    story.rest()
    story.room.ask(Scale(CLUSTER, changed, replicas))
    story.rest()
    _check(story)
    wish = next(each for each in wanted if each.name == changed)
    story.room.ask(Put(replace(wish, version=1, replicas=replicas).document()))
    story.rest()

    _check(story)


@given(st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES)), max_size=6))
def test_who_refers_to_whom_is_known_whatever_is_put(edges: list[tuple[str, str]]) -> None:
    room = ControlRoom()
    newest: dict[str, str] = {}
    for name, other in edges:
        newest[name] = other
        room.put(deployment(name, 1, bootstrap=[_step(call(other))]))
    expected: dict[str, set[str]] = {}
    for name, other in newest.items():
        expected.setdefault(f"c/{other}", set()).add(f"c/{name}")

    assert room.state.referrers == room.rebuilt().referrers == expected
    for change in reversed(room.changes):
        room.controller.revert(change)
    assert room.state.referrers == {}


@given(st.permutations(range(3)), st.integers(0, 2))
def test_a_circle_of_environments_is_refused_whatever_closes_it(
    order: list[int], length: int
) -> None:
    room = ControlRoom()
    circle = [NAMES[index] for index in range(length + 1)]
    apply: Callable[[str], object] = lambda name: room.put(  # noqa: E731 - a short word in a loop
        deployment(
            name,
            1,
            environment={"A": call(circle[(circle.index(name) + 1) % len(circle)])},
        )
    )
    names = [NAMES[index] for index in order if index <= length]
    for name in names[:-1]:
        apply(name)

    with pytest.raises(DefinitionWrong, match="replaced for ever"):
        apply(names[-1])


def _step(value: str) -> dict[str, Any]:
    return {"type": "chef-solo", "attributes": {"others": value}}
