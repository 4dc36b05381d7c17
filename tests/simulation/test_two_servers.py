"""Two servers over one store: the one that was deposed changes nothing, and nobody follows it."""

from pathfinder.control.access import SYSTEM
from pathfinder.control.commands import PutCluster, Register, Request
from pathfinder.control.controller import Controller
from pathfinder.control.state import Change
from pathfinder.model.errors import PathfinderError
from pathfinder.simulation.server import Server
from pathfinder.simulation.timeline import Timeline
from pathfinder.wire.messages import Exchange, Reply, Session
from tests.support.control_room import CLUSTER, ControlRoom, RoomNode


class Pair:
    """A server that leads, and the one that takes the lead from it."""

    def __init__(self) -> None:
        self.timeline = Timeline(1)
        self.revisions: list[int] = []
        self.answers: list[bytes | PathfinderError] = []
        self.first = Server(self.timeline, self._on_change)
        self.first.start()
        self.second = self.first.rival()

    def _on_change(self, change: Change, controller: Controller) -> None:
        self.revisions.append(change.revision)

    def ask(self, server: Server, name: str) -> None:
        """Somebody asks one of them for a cluster, and waits for a second."""
        request = Request(principal=SYSTEM, command=PutCluster(name=name))
        server.command(request, self.answers.append)
        self.timeline.run_until(self.timeline.now_ms + 1_000)


def test_the_first_is_refused_by_the_store_answers_nobody_and_ends() -> None:
    """Promise 1."""
    pair = Pair()
    believes_that_it_leads = pair.first.life
    pair.ask(pair.first, "late")

    assert believes_that_it_leads
    assert pair.answers == []
    assert pair.revisions == []
    assert not pair.first.life


def test_the_first_renews_no_lease_though_it_has_nothing_to_append() -> None:
    """Promise 2."""
    timeline, replies = Timeline(1), list[Reply]()
    first = Server(timeline, lambda change, controller: None)
    first.start()
    node = RoomNode(ControlRoom(), "n1")
    for command in (PutCluster(name=CLUSTER), Register(node.registration(), password_good=True)):
        first.command(Request(principal=SYSTEM, command=command), lambda answer: None)
        timeline.run_until(timeline.now_ms + 1_000)

    def exchange(sequence: int) -> None:
        assert first.controller is not None
        life = first.controller.life
        session = Session(epoch=life.epoch, incarnation=life.incarnation, sequence=sequence)
        asked = Exchange(session=session, sent_ms=0, seen=0, complete=True, holding=())
        first.exchange(node.key, asked, replies.append)
        timeline.run_until(timeline.now_ms + 1_000)

    exchange(1)
    answered = [reply.lease_ms > 0 for reply in replies]
    first.rival()
    exchange(2)

    assert answered == [True]
    assert len(replies) == 1
    assert not first.life


def test_the_second_decides_on_under_a_higher_epoch() -> None:
    pair = Pair()
    first, second = pair.first.controller, pair.second.controller
    assert first is not None
    assert second is not None
    pair.ask(pair.second, "c")

    assert second.life.epoch > first.life.epoch
    assert len(pair.answers) == 1
    assert pair.revisions == [1]


def test_what_comes_to_a_server_that_stands_still_is_refused_when_it_goes_on() -> None:
    """Promise 1."""
    pair = Pair()
    pair.first.paused_until_ms = 5_000
    pair.ask(pair.first, "late")
    still_lives = pair.first.life
    pair.timeline.run_until(6_000)

    assert still_lives
    assert not pair.first.life
    assert pair.answers == []
