"""Polling nodes and people in any order: what the marks leave is a state that can be trusted.

Promises 1, 5 and 8.
"""

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from pathfinder.control import marks, polling_moves
from pathfinder.control.access import Principal, digest
from pathfinder.control.commands import (
    Delete,
    Mark,
    MarkAddress,
    MarkKind,
    Poll,
    Put,
    Rebootstrap,
    RegisterPolling,
    Relocate,
    Reschedule,
)
from pathfinder.control.objects import Container
from pathfinder.model.errors import PathfinderError
from pathfinder.model.phases import Phase
from tests.support.control_room import CLUSTER, ControlRoom, container, picture
from tests.support.examples import EXAMPLES

NODES = ("a", "b", "c")
NAMES = ("x", "y", "z")
KINDS: tuple[MarkKind, ...] = (*marks.SOURCES, "deleted")
STEP = {"type": "shell", "script": "true"}
nodes, names = st.sampled_from(NODES), st.sampled_from(NAMES)


class PollingNodes(RuleBasedStateMachine):
    """Three nodes that mark whatever comes to them, and people who want this and that."""

    def __init__(self) -> None:
        super().__init__()
        self.room = ControlRoom()
        for name in NODES:
            self.room.ask(RegisterPolling(CLUSTER, name, digest(name * 64), "10.0.0.1"))
            self.room.ask(Poll(f"{CLUSTER}/{name}"), principal=_node(name))

    def try_to(self, command: Any, principal: Principal | None = None) -> bool:
        """Whether a command is taken; a refusal leaves everything as it was."""
        before = picture(self.room.state)
        try:
            if principal is None:
                self.room.ask(command)
            else:
                self.room.ask(command, principal=principal)
        except PathfinderError:
            assert picture(self.room.state) == before, command
            return False
        return True

    @rule(name=names, has_steps=st.booleans(), new=st.booleans())
    def create(self, name: str, has_steps: bool, new: bool) -> None:  # noqa: FBT001 - drawn
        steps = {"bootstrap": [STEP]} if has_steps else {}
        self.try_to(Put(container(name, **steps), new=new))

    @rule(name=names)
    def delete(self, name: str) -> None:
        self.try_to(Delete("container", CLUSTER, name))

    @rule(name=names)
    def reschedule(self, name: str) -> None:
        self.try_to(Reschedule(CLUSTER, name))

    @rule(name=names)
    def rebootstrap(self, name: str) -> None:
        self.try_to(Rebootstrap(CLUSTER, name))

    @rule(name=names, node=nodes)
    def relocate(self, name: str, node: str) -> None:
        self.try_to(Relocate(CLUSTER, name, node))

    @rule(node=nodes, name=names, what=st.sampled_from(KINDS))
    def mark(self, node: str, name: str, what: MarkKind) -> None:
        command = Mark(f"{CLUSTER}/{node}", name, what)
        if self.try_to(command, _node(node)):
            revision = self.room.state.revision
            assert self.try_to(command, _node(node)), "a repetition is answered like the first"
            assert self.room.state.revision == revision, "and changes nothing"

    @rule(node=nodes, name=names, address=st.sampled_from(("", "10.0.0.8", "10.0.0.9")))
    def address(self, node: str, name: str, address: str) -> None:
        self.try_to(MarkAddress(f"{CLUSTER}/{node}", name, address), _node(node))

    @rule(node=nodes)
    def work(self, node: str) -> None:
        """A node does what it is told, as a good agent does."""
        key = f"{CLUSTER}/{node}"
        for found, phase in marks.scheduled(self.room.state, key, relocations=True):
            if phase == Phase.SCHEDULE_DELETION:
                assert self.try_to(Mark(key, found.name, "deleted"), _node(node))
                continue
            if phase == Phase.SCHEDULE_RELOCATION:
                assert self.try_to(Mark(key, found.name, "relocate_started"), _node(node))
            assert self.try_to(MarkAddress(key, found.name, "10.0.0.7"), _node(node))
            assert self.try_to(Mark(key, found.name, "provisioned"), _node(node))
        for begun in self.room.state.all(Container):
            if polling_moves.target_of(begun) == node:  # a move that it has begun, it ends
                assert self.try_to(MarkAddress(key, begun.name, "10.0.0.7"), _node(node))
                assert self.try_to(Mark(key, begun.name, "provisioned"), _node(node))
        for found, _ in marks.bootstrap_scheduled(self.room.state, key):
            for what in ("bootstrap_started", "bootstrapped"):
                assert self.try_to(Mark(key, found.name, what), _node(node))

    @rule()
    def restart(self) -> None:
        self.room.restart()
        for name in NODES:
            self.room.ask(Poll(f"{CLUSTER}/{name}"), principal=_node(name))

    @invariant()
    def the_journal_tells_the_whole_state(self) -> None:
        assert picture(self.room.rebuilt()) == picture(self.room.state)

    @invariant()
    def every_container_has_somebody_who_can_bring_it_on(self) -> None:
        """Nothing hangs: what waits for a node is in that node's list, or runs, or says why."""
        for each in self.room.state.all(Container):
            for copy in each.leaving:
                told = marks.scheduled(self.room.state, f"{CLUSTER}/{copy.node}", relocations=True)
                is_moving = polling_moves.target_of(each) == copy.node
                assert is_moving or (each.name, Phase.SCHEDULE_DELETION) in [
                    (found.name, phase) for found, phase in told
                ]
            assert each.wanted or each.leaving, "what nobody wants and nobody has is gone"

    def teardown(self) -> None:
        """When people stop and nodes work, everything comes to rest."""
        for _ in range(4):
            for name in NODES:
                self.work(name)
        for each in self.room.state.all(Container):
            assert not each.leaving, each
            assert each.phase not in (Phase.PENDING, Phase.SCHEDULED), each


def _node(name: str) -> Principal:
    return Principal(
        name=f"node {name}", role="node", clusters=(CLUSTER,), node=f"{CLUSTER}/{name}"
    )


TestPollingNodes = PollingNodes.TestCase
TestPollingNodes.settings = settings(
    max_examples=EXAMPLES // 2, stateful_step_count=40, deadline=None
)
