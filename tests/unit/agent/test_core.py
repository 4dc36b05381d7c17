"""What the core does in the situations that a node meets; the property test does the rest.

Promises 4, 7, 8 and 11.
"""

from dataclasses import replace

import pytest

from pathfinder.agent.bounds import CoreSettings
from pathfinder.agent.core import AgentCore
from pathfinder.agent.effects import (
    Create,
    Effect,
    Failed,
    Inspect,
    Inspected,
    ListAll,
    OpenStream,
    Remove,
    Start,
    Stop,
)
from pathfinder.runtimes.port import Change, Instance
from pathfinder.wire.messages import (
    Assignment,
    Facts,
    Reply,
    StreamRequest,
)
from tests.unit.agent.driving import Node, instance, wish


def test_first_comes_the_list_and_nothing_before_it() -> None:
    core = AgentCore("west", "n1")

    effects = core.effects(0)

    assert [type(effect) for effect in effects] == [ListAll]
    assert core.effects(0) == []


def test_assigned_container_is_created_then_started_without_looking_between() -> None:
    node = Node()

    (create,) = node.want(wish("web-01"))
    (start,) = node.finish(create)
    looks = node.finish(start)

    assert isinstance(create, Create)
    assert isinstance(start, Start)
    assert looks == []
    assert [held.phase for held in node.holding()] == ["running"]


def test_running_is_reported_at_once_and_the_address_when_it_is_there() -> None:
    node = Node()
    (create,) = node.want(wish("web-01"))
    node.core.request(node.now_ms)
    (start,) = node.finish(create)
    node.finish(start)

    said = node.core.request(node.now_ms)
    (look,) = node.later(50)
    running = replace(instance("web-01"), addresses=("10.0.0.7",), started_ms=5)
    node.finish(look, Inspected(instance=running))

    assert said is not None
    assert [held.phase for held in said.holding] == ["running"]
    assert node.holding()[0].addresses == ("10.0.0.7",)


def test_gaps_between_looks_grow_while_there_is_no_address() -> None:
    node = Node()
    (create,) = node.want(wish("web-01"))
    (start,) = node.finish(create)
    node.finish(start)
    gaps = []
    for _ in range(12):
        began_ms = node.now_ms
        looks: list[Effect] = []
        while not looks:
            node.now_ms = max(node.now_ms + 1, node.core.wake_ms(node.now_ms))
            looks = [e for e in node.effects() if isinstance(e, Inspect)]
            node.core.request(node.now_ms)
        gaps.append(node.now_ms - began_ms)
        node.finish(looks[0], Inspected(instance=instance("web-01")))

    assert gaps[:5] == [50, 100, 200, 400, 800]
    assert max(gaps) <= 30_000


def test_unwanted_container_is_stopped_then_removed_once_the_server_has_heard_of_it() -> None:
    node = Node(instance("old-01"))

    (stop,) = node.want()
    (remove,) = node.finish(stop)
    node.finish(remove)

    assert isinstance(stop, Stop)
    assert isinstance(remove, Remove)
    assert node.holding() == ()


def test_late_made_container_is_reported_before_it_is_removed() -> None:
    node = Node()
    node.want()
    node.core.on_change(node.now_ms, Change(name="late-01"))
    (look,) = node.effects()

    at_once = node.finish(look, Inspected(instance=instance("late-01")))
    (stop,) = node.want()

    assert [e for e in at_once if not isinstance(e, Inspect)] == []
    assert isinstance(stop, Stop)


def test_nothing_is_removed_before_the_first_answer_of_this_life() -> None:
    node = Node(instance("old-01"))

    effects = node.later(50_000)

    assert [e for e in effects if not isinstance(e, Inspect)] == []
    assert [held.phase for held in node.holding()] == ["running"]


def test_hold_leaves_whatever_is_there() -> None:
    node = Node(instance("kept-01", 3), instance("kept-02", 1, "stopped"))

    effects = node.want(wish("kept-01", 9, hold=True), wish("kept-02", 1, hold=True))

    assert [e for e in effects if not isinstance(e, Inspect)] == []
    assert [(h.generation, h.phase) for h in node.holding()] == [(3, "running"), (1, "stopped")]


def test_another_generation_is_removed_first_and_both_are_told() -> None:
    node = Node(instance("web-01", 1))

    (stop,) = node.want(wish("web-01", 2))
    told = [(held.generation, held.phase) for held in node.holding()]
    (remove,) = node.finish(stop)
    (create,) = node.finish(remove)

    assert told == [(1, "removing"), (2, "waiting")]
    assert isinstance(create, Create)
    assert create.wish.labels.generation == 2


@pytest.mark.parametrize(
    "there",
    [
        Instance(name="web-01", labels=None, state="running"),
        instance("web-01", cluster="east"),
        replace(instance("web-02"), name="web-01"),
    ],
    ids=["unlabelled", "another cluster's", "a copy made by hand"],
)
def test_name_that_is_occupied_is_a_failure_and_is_not_touched(there: Instance) -> None:
    node = Node(there)

    (create,) = node.want(wish("web-01"))
    node.finish(create, Failed(code="name_occupied", message="taken"))
    (look,) = node.later(1_000)
    effects = node.finish(look, Inspected(instance=there))

    assert isinstance(look, Inspect)
    assert effects == []
    assert [(h.phase, h.error_code) for h in node.holding()] == [("failed", "name_occupied")]


def test_failure_is_told_with_its_hint_and_tried_again_after_a_growing_pause() -> None:
    node = Node()
    (create,) = node.want(wish("web-01"))
    pauses = []
    held = node.holding()[0]
    for _ in range(9):
        assert isinstance(create, Create)
        node.finish(create, Failed(code="image_missing", message="no image", hint="pfi images"))
        (held,) = node.holding()
        pauses.append(held.retry_ms)
        (look,) = [e for e in node.later(held.retry_ms) if isinstance(e, Inspect)]
        (create,) = node.finish(look, Inspected(instance=None))

    assert (held.phase, held.error_code, held.hint) == ("failed", "image_missing", "pfi images")
    assert 500 <= pauses[0] < 1_000
    assert pauses[1] > pauses[0]
    assert pauses[-1] == 60_000


def test_unknown_outcome_is_held_and_looked_at_before_anything_else() -> None:
    node = Node()
    (create,) = node.want(wish("web-01"))

    node.finish(create, Failed(code="outcome_unknown", message="no answer"))
    told = [held.phase for held in node.holding()]
    (look,) = node.later(1_000)
    (start,) = node.finish(look, Inspected(instance=instance("web-01", state="created")))

    assert told == ["unknown"]
    assert isinstance(look, Inspect)
    assert isinstance(start, Start)


def test_unknown_outcome_is_held_even_when_it_is_not_wanted_any_more() -> None:
    node = Node()
    (create,) = node.want(wish("web-01"))
    node.finish(create, Failed(code="outcome_unknown", message="no answer"))

    node.want()

    assert [held.slot for held in node.holding()] == ["web-01"]


def test_container_that_died_after_a_while_is_started_at_once_and_counted() -> None:
    node = Node(instance("web-01"))
    node.want(wish("web-01"))
    node.later(20_000)
    for effect in node.effects():
        node.finish(effect)
    node.core.on_change(node.now_ms, Change(name="web-01"))
    looks = [e for e in node.later(50) if isinstance(e, Inspect)]
    looks = looks or [e for e in node.core.in_hand.values() if isinstance(e, Inspect)]

    (start,) = node.finish(looks[0], Inspected(instance=instance("web-01", state="stopped")))
    node.finish(start)

    assert isinstance(start, Start)
    assert node.holding()[0].restarts == 1


def dies(node: Node, name: str = "web-01", ended: str = "exit code 1") -> list[Effect]:
    """The daemon says that something happened; a look finds the container stopped."""
    node.core.on_change(node.now_ms, Change(name=name))
    looks = [effect for effect in node.later(50) if isinstance(effect, Inspect)]
    stopped = replace(instance(name, state="stopped"), ended=ended)
    return node.finish(looks[0], Inspected(instance=stopped))


def starts_again(node: Node) -> int:
    """After how many milliseconds it is started again; it runs then."""
    began_ms = node.now_ms
    while not (starts := [e for e in node.core.in_hand.values() if isinstance(e, Start)]):
        node.later(max(1, node.core.wake_ms(node.now_ms) - node.now_ms))
        for look in [e for e in node.core.in_hand.values() if isinstance(e, Inspect)]:
            node.finish(look, Inspected(instance=instance("web-01", state="stopped")))
    node.finish(starts[0])
    return node.now_ms - began_ms


def looping() -> tuple[Node, list[int]]:
    """A node whose container has died three times, soon after each start; the pauses."""
    node = Node(instance("web-01"))
    node.want(wish("web-01"))
    pauses = []
    for _ in range(3):
        dies(node)
        pauses.append(starts_again(node))
    return node, pauses


def test_first_death_is_mended_at_once_and_the_next_ones_after_pauses_that_grow() -> None:
    _, (first, second, third) = looping()

    assert first == 0
    assert 500 <= second < 750
    assert 1_000 <= third < 1_500


def test_crash_loop_is_said_until_it_has_run_for_a_while() -> None:
    node, _ = looping()
    during = node.holding()[0]
    node.exchange()
    for _ in range(20):
        for look in [e for e in node.later(500) if isinstance(e, Inspect)]:
            node.finish(look, Inspected(instance=instance("web-01")))
    after = node.holding()[0]

    assert (during.phase, during.error_code) == ("running", "crash_loop")
    assert during.error == "its program ends soon after each start: exit code 1"
    assert (after.phase, after.error_code, after.restarts) == ("running", "", 3)


def runs_for(node: Node, ms: int) -> None:
    """It runs, and each look finds it running."""
    for _ in range(ms // 1_000):
        for look in [e for e in node.later(1_000) if isinstance(e, Inspect)]:
            node.finish(look, Inspected(instance=instance("web-01")))


def test_what_ends_again_and_again_is_a_crash_loop_also_when_it_runs_a_while_in_between() -> None:
    node = Node(instance("web-01"))
    node.want(wish("web-01"))
    told = []
    for _ in range(4):
        runs_for(node, 40_000)
        dies(node)
        starts_again(node)
        told.append(node.holding()[0].error_code)
    runs_for(node, 15_000)
    too_short = node.holding()[0].error_code
    runs_for(node, 10_000)

    assert told == ["", "", "crash_loop", "crash_loop"]
    assert too_short == "crash_loop", "each death more asks for a longer run"
    assert node.holding()[0].error_code == ""


def test_deaths_are_forgiven_after_five_minutes() -> None:
    node = Node(instance("web-01"))
    node.want(wish("web-01"))
    for _ in range(4):
        runs_for(node, 310_000)
        dies(node)

        assert starts_again(node) == 0
        assert node.holding()[0].error_code == ""


def test_crash_loop_in_its_pause_has_failed() -> None:
    node, _ = looping()
    dies(node)
    held = node.holding()[0]

    assert (held.phase, held.error_code) == ("failed", "crash_loop")


def test_crash_loop_of_an_older_definition_says_nothing_about_the_new_one() -> None:
    node, _ = looping()
    node.want(wish("web-01", generation=2))

    assert {held.error_code for held in node.holding()} == {""}


def test_silent_daemon_is_reported_and_nothing_is_tried_until_it_lists_again() -> None:
    node = Node(instance("web-01"))
    node.want(wish("web-01"), wish("web-02"))

    node.core.on_runtime_down(node.now_ms, "connection refused")
    said = node.exchange()
    (listing,) = [e for e in node.later(20_000) if not isinstance(e, Inspect)]

    assert (said.complete, said.runtime_error) == (False, "connection refused")
    assert {held.slot for held in said.holding} == {"web-01", "web-02"}
    assert isinstance(listing, ListAll)


def test_calls_in_hand_are_bounded_and_slow_removals_leave_room() -> None:
    bounds = CoreSettings(calls_max=4, makes_max=3, removals_max=2)
    surplus = tuple(instance(f"old-{number:02}") for number in range(9))
    node = Node(*surplus, settings=bounds)
    for look in [e for e in node.effects() if isinstance(e, Inspect)]:
        node.finish(look, Inspected(instance=instance(look.slot)))

    effects = node.want(*(wish(f"new-{number:02}") for number in range(9)))
    in_hand = node.core.in_hand.values()

    assert effects
    assert len(in_hand) <= 4
    assert sum(isinstance(e, (Stop, Remove)) for e in in_hand) <= 2


def test_definition_that_cannot_be_understood_is_a_failure_of_that_slot_alone() -> None:
    node = Node()
    odd = Assignment(slot="odd-01", generation=1, digest="d", spec={"kind": "unikernel"})

    effects = node.want(odd, wish("web-01"))

    assert [e.slot for e in effects if isinstance(e, Create)] == ["web-01"]
    assert {h.slot: h.error_code for h in node.holding()}["odd-01"] == "definition_wrong"


def test_facts_go_with_the_first_exchange_of_a_session_until_they_are_heard() -> None:
    node = Node()
    node.core.on_facts(node.now_ms, Facts(hostname="n1"))

    first = node.exchange()
    node.core.on_unreachable(node.now_ms, first.session.sequence)
    second = node.exchange()
    node.core.on_reply(
        node.now_ms,
        second.session.sequence,
        Reply(session=second.session, sent_ms=0, kind="nothing", lease_ms=1),
    )
    third = node.exchange()

    assert first.facts == second.facts == Facts(hostname="n1")
    assert third.facts is None


def test_lease_ends_by_the_clock_and_wakes_the_node() -> None:
    node = Node()
    node.want()
    until_ms = node.core.checkpoint().lease_until_ms

    assert node.core.lease_valid(until_ms - 1)
    assert not node.core.lease_valid(until_ms)
    assert node.core.wake_ms(until_ms - 1) <= until_ms


def test_stream_is_opened_when_the_server_asks() -> None:
    node = Node()
    request = StreamRequest(stream_id="s1", slot="web-01", what="logs")

    (effect,) = node.want(streams=(request,))

    assert isinstance(effect, OpenStream)
    assert effect.request == request
