"""Nodes of the control room that do their part in relocations."""

from dataclasses import dataclass, field, replace
from typing import Any

from pathfinder.wire.messages import Assignment, Facts, Offered, Reply
from tests.support.control_room import FACTS, ControlRoom, RoomNode

MOVER = replace(FACTS, architecture="x86_64", copies_at="10.0.0.1:8443", takes_copies=True)
SECRET = "secret-of-the-operation"


@dataclass
class Mover(RoomNode):
    """A node that does its part in relocations. `fails`: what it says of a part instead."""

    fails: dict[str, dict[str, Any]] = field(default_factory=dict)

    def exchange(self, **fields: Any) -> Reply | None:
        """With what it offers."""
        offers = tuple(
            Offered(
                slot=each.slot,
                generation=each.generation,
                number=each.copy_number,
                runtime="scripted",
                details={"secret": f"{SECRET} {each.copy_number}"},
            )
            for each in self.holding.values()
            if each.copy == "offered"
        )
        return super().exchange(**{"offers": offers, **fields})

    def obey(self) -> None:
        """Make what it holds what it was told, copies too."""
        super().obey()
        for slot, assignment in self.wanted.items():
            part = _part(assignment, self.fails.get(assignment.relocation))
            self.holding[slot] = replace(self.holding[slot], **part)


def _part(assignment: Assignment, failure: dict[str, Any] | None) -> dict[str, Any]:
    fields: dict[str, Any] = {"copy_number": assignment.copy_number}
    match assignment.relocation:
        case "offer":
            fields |= {"copy": "offered"}
        case "halt":
            fields |= {"phase": "stopped", "addresses": ()}
            fields |= {"copy": "offered"} if assignment.copy_number else {}
        case "take":
            fields |= {"phase": "creating", "digest": "", "addresses": ()}
            fields |= {"copy": "taken" if assignment.offer is not None else ""}
    return fields | (failure or {})


def mover(room: ControlRoom, name: str, facts: Facts = MOVER) -> Mover:
    """A node that has joined."""
    node = Mover(room, name)
    node.join(facts)
    return node
