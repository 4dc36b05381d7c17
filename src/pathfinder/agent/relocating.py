"""A node's part in a relocation: what came of its copies, and what the server is told of them.

Pure. The steps themselves are `slots.next_step`'s.
"""

from collections.abc import Iterable
from typing import Any, Final

from pathfinder.agent.effects import Call, Failed, HandedOver, HandOver, Take
from pathfinder.agent.slots import Slot
from pathfinder.runtimes.qualified import plain_name
from pathfinder.wire.messages import CopyState, Offered

BEGAN_ANEW: Final = Failed(
    code="outcome_unknown", message="the agent was started anew while the copy was to be taken"
)


def handed_over(slot: Slot, call: Call, result: HandedOver) -> None:
    """The instance is offered; the offer before, of another copy, is over."""
    assert isinstance(call, HandOver), call
    slot.certain = True
    slot.offer, slot.offered = result.offer, call.number


def failed(slot: Slot, call: HandOver | Take, failure: Failed) -> None:
    """A copy did not come about. It is not tried again: another one has another number."""
    slot.copy_failed, slot.copy_failure = call.number, failure
    slot.certain = slot.certain and isinstance(call, HandOver)


def doubt(slots: Iterable[Slot]) -> None:
    """What an agent is told to take when it has just begun, its predecessor may have taken already.

    LXD 5.0 crashes where an offer is taken while another one takes it: this one is never touched.
    """
    for slot in slots:
        if slot.part == "take" and slot.wanted is not None:
            slot.copy_failed, slot.copy_failure = slot.wanted.copy_number, BEGAN_ANEW


def told(slot: Slot) -> dict[str, Any]:
    """What the node says of its present copy, as fields of a `Holding`."""
    wanted = slot.wanted
    if wanted is None or not wanted.copy_number:
        return {}
    state, failure = _state(slot, wanted.copy_number)
    fields: dict[str, Any] = {"copy_number": wanted.copy_number, "copy": state}
    if failure is not None:
        fields |= {
            "copy_code": failure.code,
            "copy_error": failure.message,
            "copy_hint": failure.hint,
        }
    return fields


def _state(slot: Slot, number: int) -> tuple[CopyState, Failed | None]:
    if slot.copy_failed == number and slot.copy_failure is not None:
        return "failed", slot.copy_failure
    if slot.part == "halt" and slot.has_stop_failed and slot.failure is not None:
        return "failed", slot.failure
    if slot.part in ("offer", "halt"):
        return ("offered" if slot.offered == number else ""), None
    if isinstance(slot.in_hand, Take):
        return "taking", None
    is_taken = slot.taken == number and slot.certain and slot.is_half_copy
    return ("taken" if is_taken else ""), None


def offers(slots: Iterable[Slot]) -> tuple[Offered, ...]:
    """What this node offers now, for whoever is to take it."""
    offering = [slot for slot in slots if slot.offer is not None]
    return tuple(
        Offered(
            slot=plain_name(slot.name),
            generation=slot.labels.generation,
            number=slot.offered,
            runtime=slot.offer.runtime,
            details=slot.offer.details,
        )
        for slot in offering
        if slot.offer is not None and slot.labels is not None and slot.part in ("offer", "halt")
    )
