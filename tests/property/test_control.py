"""The control room, whatever people and nodes do: its journal tells all, and all can be taken back.

Random commands, exchanges, losses and pauses; the state that counts is a `picture`: things, events,
indexes and what is reserved on nodes.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pathfinder.control import codec
from pathfinder.control.access import SYSTEM
from pathfinder.control.commands import (
    Apply,
    Command,
    Delete,
    PatchNode,
    Put,
    Register,
    Request,
    Reschedule,
    Scale,
)
from pathfinder.control.life import OUTWAIT_MS
from pathfinder.control.state import Change, State
from pathfinder.model.errors import PathfinderError
from tests.support.control_room import (
    CLUSTER,
    ControlRoom,
    RoomNode,
    container,
    deployment,
    held,
    picture,
)

NAMES = ("web", "api")
SINGLES = ("one", "two", "web-02")
NODES = ("n1", "n2")


@st.composite
def specs(draw: st.DrawFn) -> dict[str, Any]:
    """Definitions of which some fit together on a node and some nowhere."""
    return {
        "type": draw(st.sampled_from(("STATEFUL", "STATELESS"))),
        "image": draw(st.sampled_from(("busybox", "absent"))),
        "resources": {"memory_mib": draw(st.sampled_from((100, 400, 5_000)))},
    }


@st.composite
def deployments(draw: st.DrawFn) -> dict[str, Any]:
    """Documents of deployments, some of which cannot be."""
    replicas = draw(st.integers(0, 3))
    floor = {"min_available": draw(st.integers(0, 3))} if draw(st.booleans()) else {}
    return deployment(draw(st.sampled_from(NAMES)), replicas, **floor, **draw(specs()))


@st.composite
def containers(draw: st.DrawFn) -> dict[str, Any]:
    """Documents of single containers, one of which has the name of a replica."""
    return container(draw(st.sampled_from(SINGLES)), **draw(specs()))


def commands() -> st.SearchStrategy[Command]:
    """What people ask for, sensible or not."""
    names = st.sampled_from((*SINGLES, "web-01", "api-01"))
    documents = st.one_of(deployments(), containers())
    deletions = st.one_of(
        st.builds(Delete, st.just("container"), st.just(CLUSTER), names),
        st.builds(Delete, st.just("deployment"), st.just(CLUSTER), st.sampled_from(NAMES)),
        st.builds(Delete, st.just("node"), st.just(CLUSTER), st.sampled_from(NODES), st.booleans()),
    )
    registrations = st.sampled_from(NODES).map(
        lambda name: Register(RoomNode(ControlRoom(), name).registration(), password_good=True)
    )
    return st.one_of(
        documents.map(Put),
        st.lists(documents, max_size=3).map(lambda several: Apply(tuple(several))),
        st.builds(
            Scale, st.just(CLUSTER), st.sampled_from(NAMES), st.integers(-1, 4),
            st.none() | st.integers(0, 4),
        ),
        st.builds(Reschedule, st.just(CLUSTER), names),
        deletions,
        st.builds(
            PatchNode, st.just(CLUSTER), st.sampled_from(NODES), st.none(), st.booleans()
        ),
        registrations,
    )  # fmt: skip


@dataclass
class Story:
    """A room with nodes to which things happen, one after another."""

    room: ControlRoom = field(default_factory=ControlRoom)

    def __post_init__(self) -> None:
        self.nodes = {name: RoomNode(self.room, name) for name in NODES}

    def command(self, command: Command, key: str, end: str) -> None:
        """Somebody asks for something: for good, to try, or while the disk is full."""
        dry_run = end == "dry run"
        before, revision = self.everything(), self.room.state.revision
        request = Request(
            principal=SYSTEM,
            command=command,
            idempotency_key=key,
            request_digest=repr(command),
            dry_run=dry_run,
        )
        try:
            self.room.request(request)
        except PathfinderError:
            assert self.everything() == before, "a refusal has changed something"
        if end == "disk full" and self.room.state.revision > revision:
            self.room.controller.revert(self.room.changes.pop())
            self.room.records.pop()
        if end != "durable":
            assert self.everything() == before, f"{end}: something has changed"

    def everything(self) -> object:
        """The state, and nodes as placing sees them."""
        state = self.room.state
        return picture(state), dict(state.fleet.columns(CLUSTER).views)

    def exchange(self, name: str, what: str) -> None:
        """A node reports: what it was told, or something else that nodes may say."""
        node = self.nodes[name]
        if node.key not in self.room.state.things["node"]:
            return
        fields: dict[str, Any] = {}
        match what:
            case "lives":
                node.live()
            case "obeys":
                node.obey()
            case "daemon is silent":
                fields = {"runtime_error": "no answer", "complete": False}
            case "all fail":
                failed = {"phase": "failed", "addresses": (), "error": "no", "error_code": "x"}
                node.holding = {s: held(a, **failed) for s, a in node.wanted.items()}
            case "lost all":
                node.holding = {}
            case _:
                assert what == "heartbeat", what
        node.exchange(**fields)


ENDS = ("durable", "durable", "durable", "dry run", "disk full")
REPORTS = ("lives", "lives", "obeys", "heartbeat", "daemon is silent", "all fail", "lost all")
Step = Callable[[Story], object]


def steps() -> st.SearchStrategy[list[Step]]:
    """What happens, in some order."""
    asked = st.tuples(commands(), st.sampled_from(("", "", "k1", "k2")), st.sampled_from(ENDS)).map(
        lambda chosen: lambda story: story.command(*chosen)
    )
    reported = st.tuples(st.sampled_from(NODES), st.sampled_from(REPORTS)).map(
        lambda chosen: lambda story: story.exchange(*chosen)
    )
    passed = st.sampled_from((500, 500, OUTWAIT_MS + 1)).map(
        lambda after_ms: lambda story: story.room.tick(after_ms)
    )
    restarted = st.just(lambda story: story.room.restart())
    happening = st.one_of(asked, asked, asked, reported, reported, reported, passed, restarted)
    return st.lists(happening, min_size=5, max_size=30).map(lambda several: [_begin, *several])


def _begin(story: Story) -> None:
    """Two nodes that run what there is for them."""
    for document in (deployment("web", 2), container("one")):
        story.room.put(document)
    for node in story.nodes.values():
        node.join()


@given(steps())
def test_journal_tells_the_whole_state(happenings: list[Step]) -> None:
    story = Story()
    for step in happenings:
        step(story)
    room = story.room

    assert picture(room.rebuilt()) == picture(room.state)
    assert picture(codec.load_snapshot(codec.encode_snapshot(room.state))) == picture(room.state)
    assert [change.revision for change in room.changes] == [*range(1, room.state.revision + 1)]


@given(steps())
def test_all_changes_taken_back_lead_to_the_beginning(happenings: list[Step]) -> None:
    story = Story()
    for step in happenings:
        step(story)
    room = story.room
    for change in reversed(room.changes):
        room.controller.revert(change)

    assert picture(room.state) == picture(State())


@given(steps())
def test_time_that_has_passed_once_brings_nothing_a_second_time(happenings: list[Step]) -> None:
    story = Story()
    for step in happenings:
        step(story)
    story.room.tick(500)
    again = story.room.tick()

    assert again is None


@given(steps())
def test_generations_and_revisions_only_grow(happenings: list[Step]) -> None:
    story = Story()
    for step in happenings:
        step(story)

    for change in story.room.changes:
        _check_growth(change)


def _check_growth(change: Change) -> None:
    for edit in change.edits:
        before, after = edit.before, edit.after
        assert after is None or after.revision == change.revision
        if before is not None and after is not None:
            assert after.revision > before.revision
            generations = [getattr(thing, "generation", 0) for thing in (before, after)]
            assert generations == sorted(generations)
