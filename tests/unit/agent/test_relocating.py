"""A node's part in a relocation, as the core takes it step by step. Promises 2, 7 and 8."""

from dataclasses import replace
from typing import Any

import pytest

from pathfinder.agent.core import AgentCore
from pathfinder.agent.effects import (
    Complete,
    Done,
    Effect,
    Failed,
    HandedOver,
    HandOver,
    Inspect,
    Inspected,
    Listed,
    Relabel,
    Remove,
    Restore,
    Result,
    Start,
    Stop,
    Take,
)
from pathfinder.runtimes.port import Instance, Labels, Offer, State
from pathfinder.wire.messages import (
    Assignment,
    Exchange,
    Facts,
    Holding,
    Offered,
    RelocationPart,
    Reply,
    Session,
)

LABELS = Labels(cluster="west", slot="web", generation=1, digest="d")
OFFER = Offer(runtime="lxd", details={"secret": "s"})
NO_WAY = Failed(code="runtime_failed", message="no way to 10.0.0.1:8443", hint="open it")


def instance(state: State = "running", labels: Labels = LABELS) -> Instance:
    return Instance(name="web", labels=labels, state=state, addresses=("10.0.0.7",))


def wish(part: RelocationPart = "", number: int = 0, **fields: Any) -> Assignment:
    made = Assignment(
        slot="web",
        generation=1,
        digest="d",
        spec={"image": {"alias": "busybox"}},
        relocation=part,
        copy_number=number,
    )
    return replace(made, **fields)


def taking(number: int, *, offered: int | None = None) -> Assignment:
    """Copy `number` shall be taken; `offered`: of which copy the offer is."""
    offer = Offered(
        slot="web",
        generation=0,
        number=number if offered is None else offered,
        runtime="lxd",
        details={"secret": "s"},
    )
    return wish("take", number, offer=offer)


class Node:
    """A core, and somebody who answers it."""

    def __init__(self, *there: Instance) -> None:
        self.core = AgentCore("west", "n1")
        self.now_ms = 1_000
        self.revision = 0
        self.core.on_facts(self.now_ms, Facts(copies_at="10.0.0.1:8443"))
        (listing,) = self.core.effects(self.now_ms)
        self.core.on_finished(self.now_ms, listing, Listed(instances=there))
        hello = Reply(
            session=Session(epoch=1, incarnation="a", sequence=0), sent_ms=0, kind="hello"
        )
        self.core.on_reply(self.now_ms, self.exchange().session.sequence, hello)
        self.held = there

    def direct(self) -> "Node":
        """It has been told something in this life: that nothing is as it was before."""
        keeps = [wish(hold=True)] if self.held else []
        assert self.want(*keeps) == []
        return self

    def exchange(self) -> Exchange:
        """The next exchange, however long it takes; looks are answered with what is known."""
        for _ in range(20):
            exchange = self.core.request(self.now_ms)
            if exchange is not None:
                return exchange
            self.now_ms = max(self.now_ms + 1, self.core.wake_ms(self.now_ms))
        raise AssertionError("no exchange left")

    def want(self, *assignments: Assignment) -> list[Effect]:
        """One exchange, answered with exactly these; what the core does then."""
        self.revision += 1
        exchange = self.exchange()
        reply = Reply(
            session=exchange.session,
            sent_ms=exchange.sent_ms,
            kind="complete",
            lease_ms=10_000,
            revision=self.revision,
            assignments=assignments,
        )
        self.core.on_reply(self.now_ms, exchange.session.sequence, reply)
        return self.core.effects(self.now_ms)

    def finish(self, effect: Effect, result: Result | None = None) -> list[Effect]:
        """The effect ends; what the core does then."""
        self.core.on_finished(self.now_ms, effect, result or Done())
        return self.core.effects(self.now_ms)

    def told(self) -> Holding:
        """What it says of web."""
        (holding,) = self.core.holding(self.now_ms)
        return holding


def test_offered_container_runs_on_and_its_offer_goes_with_every_exchange() -> None:
    node = Node(instance())
    (effect,) = node.want(wish("offer", 1))
    assert isinstance(effect, HandOver)
    node.finish(effect, HandedOver(offer=OFFER))
    offers = [node.exchange().offers for _ in range(2)]

    assert (effect.number, effect.address) == (1, "10.0.0.1:8443")
    assert (node.told().phase, node.told().copy_number, node.told().copy) == (
        "running",
        1,
        "offered",
    )
    assert [[each.number for each in said] for said in offers] == [[1], [1]]
    assert "secret" not in repr(offers)


def test_halted_container_is_stopped_stays_so_and_is_offered_then() -> None:
    node = Node(instance())
    (stop,) = node.want(wish("halt", 2))
    (offer,) = node.finish(stop)
    assert isinstance(offer, HandOver)
    after = node.finish(offer, HandedOver(offer=OFFER))

    assert isinstance(stop, Stop)
    assert offer.number == 2
    assert after == []
    assert (node.told().phase, node.told().copy, node.told().restarts) == ("stopped", "offered", 0)


def test_halted_container_that_could_not_start_before_is_offered_as_any_other() -> None:
    node = Node(instance("stopped"))
    (start,) = node.want(wish())
    assert isinstance(start, Start)
    assert node.finish(start, NO_WAY) == []
    assert node.told().phase == "failed"
    node.want(wish("halt", 2))
    node.now_ms += 10_000
    (look,) = node.core.effects(node.now_ms)
    (offer,) = node.finish(look, Inspected(instance=instance("stopped")))
    node.finish(offer, HandedOver(offer=OFFER))

    assert isinstance(offer, HandOver)
    told = node.told()
    assert (told.phase, told.copy, told.error_code) == ("stopped", "offered", "")


def test_halted_container_is_not_started_by_an_agent_that_has_just_begun() -> None:
    node = Node(instance("stopped"))

    assert node.want(wish("halt")) == []
    assert node.told().phase == "stopped"


def test_container_that_stays_runs_again_and_is_offered_no_more() -> None:
    node = Node(instance("stopped"))
    (offer,) = node.want(wish("halt", 2))
    node.finish(offer, HandedOver(offer=OFFER))
    (start,) = node.want(wish())
    after = node.finish(start)

    assert isinstance(start, Start)
    assert after == []
    assert node.exchange().offers == ()


def test_copy_is_taken_looked_at_and_told_and_nothing_runs_from_it() -> None:
    node = Node().direct()
    assert node.want(wish("take", 1)) == []
    assert node.want(taking(2, offered=1)) == []
    (take,) = node.want(taking(2))
    assert isinstance(take, Take)
    under_way = node.told()
    (look,) = node.finish(take)
    before_look = node.told()
    half = replace(LABELS, digest="")
    after = node.finish(look, Inspected(instance=instance("stopped", half)))

    assert (take.number, take.offer.details) == (2, {"secret": "s"})
    assert (under_way.copy, under_way.digest, under_way.phase) == ("taking", "", "creating")
    assert isinstance(look, Inspect)
    assert before_look.copy == ""
    assert after == []
    assert (node.told().copy, node.told().copy_number, node.told().digest) == ("taken", 2, "")
    assert node.want(taking(2)) == []


def test_offer_that_an_earlier_agent_may_have_taken_is_left_alone() -> None:
    """LXD 5.0 crashes where one is taken twice at once."""
    node = Node()
    before = node.want(taking(1))
    told = node.told()
    (take,) = node.want(taking(2))

    assert before == []
    assert (told.copy, told.copy_number, told.copy_code) == ("failed", 1, "outcome_unknown")
    assert isinstance(take, Take)


def test_copy_becomes_whole_and_starts_when_it_may_arrive() -> None:
    half = replace(LABELS, digest="")
    node = Node(instance("stopped", half))
    (complete,) = node.want(wish("arrive", 2))
    told = node.told()
    (start,) = node.finish(complete)
    node.finish(start)

    assert isinstance(complete, Complete)
    assert told.digest == "d"
    assert isinstance(start, Start)
    assert node.told().phase == "running"


def test_arriving_container_that_could_not_start_leaves_it_to_the_server() -> None:
    """What is told has an end: meanwhile it may run where it was, and nothing is written twice."""
    node = Node(instance("stopped", replace(LABELS, digest="")))
    (complete,) = node.want(wish("arrive", 2))
    (start,) = node.finish(complete)
    node.finish(start, Failed(code="runtime_failed", message="the daemon refused"))
    node.now_ms += 60_000
    (look,) = (each for each in node.core.effects(node.now_ms) if isinstance(each, Inspect))
    node.finish(look, Inspected(instance=instance("stopped")))
    node.now_ms += 60_000
    later = [type(effect) for effect in node.core.effects(node.now_ms)]

    assert isinstance(start, Start)
    assert node.told().phase == "failed"
    assert Start not in later
    assert [type(effect) for effect in node.want(wish())] == [Start]


def test_copy_that_is_lost_is_not_made_anew() -> None:
    node = Node()

    assert node.want(wish("arrive", 2)) == []
    assert (node.told().phase, node.told().error_code) == ("failed", "copy_lost")


@pytest.mark.parametrize(
    ("there", "wanted"),
    [((), taking(1)), ((instance(),), wish("offer", 1))],
    ids=["take", "offer"],
)
def test_copy_that_fails_is_told_with_its_reason_and_tried_under_another_number_only(
    there: tuple[Instance, ...], wanted: Assignment
) -> None:
    node = Node(*there).direct()
    (effect,) = node.want(wanted)
    for look in node.finish(effect, NO_WAY):
        node.finish(look, Inspected(instance=there[0] if there else None))
    told = node.told()
    again = node.want(wanted)
    (other,) = node.want(taking(2) if wanted.offer else wish("offer", 2))

    assert (told.copy, told.copy_code, told.copy_error, told.copy_hint) == (
        "failed",
        NO_WAY.code,
        NO_WAY.message,
        NO_WAY.hint,
    )
    assert again == []
    assert isinstance(other, (Take, HandOver))


def test_offer_is_not_taken_again_when_the_daemon_went_away_meanwhile() -> None:
    """Its source may still serve the first taking: LXD 5.0 crashes at a second one."""
    node = Node().direct()
    (take,) = node.want(taking(1))
    node.finish(take, Failed(code="runtime_down", message="LXD does not answer"))
    node.now_ms += 10_000
    (listing,) = node.core.effects(node.now_ms)
    after = node.finish(listing, Listed(instances=()))

    assert after == []
    assert (node.told().copy, node.told().copy_code) == ("failed", "runtime_down")


def test_half_made_copy_that_is_not_wanted_is_removed() -> None:
    node = Node(instance("stopped", replace(LABELS, digest="")))
    (remove,) = [*node.want(), *node.want()]  # once the server has heard of it

    assert isinstance(remove, Remove)


def test_earlier_generation_goes_before_a_copy_comes() -> None:
    node = Node(instance("stopped"))
    other = replace(taking(1), generation=2)
    (remove,) = [*node.want(other), *node.want(other)]

    assert isinstance(remove, Remove)


def test_at_most_two_copies_are_taken_at_once() -> None:
    node = Node().direct()
    wanted = [replace(taking(1), slot=f"web-{index}") for index in range(4)]

    takes = node.want(*wanted)

    assert [type(effect) for effect in takes] == [Take, Take]


def test_container_that_goes_back_to_a_snapshot_is_stopped_restored_and_started() -> None:
    node = Node(instance())
    node.want(wish())
    refused = node.core.on_restore(node.now_ms, "web", "before")
    (stop,) = node.core.effects(node.now_ms)
    again = node.core.on_restore(node.now_ms, "web", "before")
    (restore,) = node.finish(stop)
    (look,) = node.finish(restore)
    (start,) = node.finish(look, Inspected(instance=instance("stopped")))
    node.finish(start)

    assert refused is None
    assert again is not None
    assert [type(each) for each in (stop, restore, look, start)] == [Stop, Restore, Inspect, Start]
    assert isinstance(restore, Restore)
    assert restore.snapshot == "before"
    assert (node.told().phase, node.told().restarts) == ("running", 0)


def test_restore_that_fails_leaves_the_container_running() -> None:
    node = Node(instance())
    node.want(wish())
    node.core.on_restore(node.now_ms, "web", "nothing")
    (stop,) = node.core.effects(node.now_ms)
    (restore,) = node.finish(stop)
    (look,) = node.finish(restore, Failed(code="not_there", message="no such snapshot"))
    (start,) = node.finish(look, Inspected(instance=instance("stopped")))

    assert isinstance(start, Start)
    assert node.told().error == ""


def test_what_is_moved_or_is_not_here_is_not_restored() -> None:
    node = Node(instance())
    node.want(wish("offer", 1))

    moving = node.core.on_restore(node.now_ms, "web", "before")
    absent = node.core.on_restore(node.now_ms, "db", "before")

    assert moving is not None
    assert moving == absent


def test_container_back_from_a_snapshot_of_an_earlier_generation_is_relabelled_and_kept() -> None:
    """Else it would be removed as a leftover, with its data. Promise 7."""
    old = replace(LABELS, generation=4)
    node = Node(instance("stopped", old))
    (relabel,) = node.want(wish(generation=9, earlier=(2, 4)))
    told = node.told()
    (start,) = node.finish(relabel)

    assert isinstance(relabel, Relabel)
    assert relabel.labels == replace(LABELS, generation=9)
    assert (told.generation, told.digest, told.phase) == (9, "d", "stopped")
    assert isinstance(start, Start)
