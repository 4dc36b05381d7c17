"""Somebody wants a container brought back to a snapshot: it is stopped, restored, started. Pure."""

from collections.abc import Iterable
from typing import Final

from pathfinder.agent.effects import Failed
from pathfinder.agent.slots import Restoring, Slot

RESTORE_MS_MAX: Final = 150_000  # so long somebody waits; then it is not begun any more
NOT_NOW: Final = Failed(
    code="not_there",
    message="it is not here, or is being moved or restored just now",
    hint="look at it, and try again: pfi describe container",
)


def ask(slots: Iterable[Slot | None], snapshot: str, now_ms: int) -> Slot | None:
    """The one of the slots of a name that is to be restored now; None: NOT_NOW."""
    slot = next((slot for slot in slots if slot is not None and slot.is_matched), None)
    if slot is None or slot.part or slot.restoring is not None:
        return None
    slot.restoring = Restoring(snapshot=snapshot, until_ms=now_ms + RESTORE_MS_MAX)
    return slot


def failed(slot: Slot) -> None:
    """It runs on as it is."""
    slot.restoring, slot.certain = None, False


def expire(slot: Slot, now_ms: int) -> None:
    """Nobody waits for it any more."""
    if slot.restoring is not None and slot.restoring.until_ms <= now_ms:
        slot.restoring = None
