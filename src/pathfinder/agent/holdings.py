"""What the node says about a slot: what is there, and what it is about to make. Pure."""

from collections.abc import Mapping
from typing import Any, Final

from pathfinder.agent.effects import Failed, failed
from pathfinder.agent.slots import Permit, Slot
from pathfinder.runtimes.port import Labels, State
from pathfinder.runtimes.qualified import plain_name
from pathfinder.wire.messages import CRASH_LOOP, Holding, HoldingPhase

CRASH_LOOP_HINT: Final = "pfi logs shows what it wrote; it is tried again, at last every 60 s"
COPY_LOST: Final = Failed(
    code="copy_lost",
    message="the copy that was taken for its relocation is gone",
    hint="relocate it again",
)


NO_FIELDS: Final[Mapping[str, Any]] = {}


def holdings(
    slot: Slot,
    permit: Permit,
    *,
    copy: Mapping[str, Any] = NO_FIELDS,
    bootstrap: Mapping[str, Any] = NO_FIELDS,
) -> tuple[Holding, ...]:
    """What the node says about this slot: what is there, then what it is about to make.

    copy, bootstrap: fields about its copy, and about the bootstrap of what is there.
    """
    out = []
    if slot.labels is not None:
        out.append(_there(slot, slot.labels, permit, {**bootstrap, **copy}))
    wanted = slot.wanted
    is_told = slot.is_matched or slot.is_half_copy or slot.is_returned
    if wanted is not None and not wanted.hold and not is_told:
        failure = slot.failure if slot.labels is None else None
        if slot.part == "arrive" and slot.certain and slot.presence == "absent":
            failure = COPY_LOST
        phase: HoldingPhase = "failed" if failure else "waiting"
        digest = "" if slot.part == "take" else wanted.digest
        more = copy if slot.labels is None else NO_FIELDS
        out.append(_holding(slot, (wanted.generation, digest), phase, failure, more))
    return tuple(out)


def _is_halted(slot: Slot) -> bool:
    """Whether it is stopped, as it is to be while it moves: what failed before says nothing now."""
    return slot.part == "halt" and slot.certain and slot.state in ("created", "stopped")


def _there(slot: Slot, labels: Labels, permit: Permit, more: Mapping[str, Any]) -> Holding:
    failure = slot.failure if not _is_halted(slot) else None
    if failure is None and slot.state == "frozen" and not slot.is_left_frozen:
        failure = Failed(code="frozen", message="it is frozen", hint="unfreeze it on its node")
    if failure is None and slot.is_crash_looping and not _is_halted(slot):
        message = "its program ends soon after each start"
        message += f": {slot.ended}" if slot.ended else ""
        failure = failed(CRASH_LOOP, message, CRASH_LOOP_HINT)
    phase = _phase(slot, permit)
    generation, digest = labels.generation, labels.digest
    if slot.wanted is not None and (slot.is_half_copy or slot.is_returned):
        generation = slot.wanted.generation
        if slot.part != "take":
            digest = slot.wanted.digest  # it is as good as whole, and nobody else may run it
    return _holding(slot, (generation, digest), phase, failure, more)


def _phase(slot: Slot, permit: Permit) -> HoldingPhase:
    verb = type(slot.in_hand).__name__
    if verb in _PHASE_OF_VERB:
        return _PHASE_OF_VERB[verb]
    if _is_halted(slot):
        return _PHASE_OF_STATE[slot.state]
    failure = slot.failure
    if slot.certain and slot.is_crash_looping and slot.state in ("created", "stopped"):
        return "failed"
    if not slot.certain:
        return "unknown" if failure is None or failure.code == "outcome_unknown" else "failed"
    is_kept = slot.is_matched or slot.is_half_copy or slot.is_returned
    is_wanted = slot.wanted is not None and (slot.wanted.hold or is_kept)
    if not is_wanted and permit.may_act and permit.may_remove:
        return "removing"
    if failure is not None and slot.state != "running":
        return "failed"
    return _PHASE_OF_STATE[slot.state]


_PHASE_OF_VERB: Final[dict[str, HoldingPhase]] = {
    "Create": "creating",
    "Take": "creating",
    "Complete": "creating",
    "Start": "starting",
    "Stop": "removing",
    "Remove": "removing",
}
_PHASE_OF_STATE: Final[dict[State, HoldingPhase]] = {
    "created": "creating",
    "starting": "starting",
    "running": "running",
    "stopping": "stopped",
    "stopped": "stopped",
    "frozen": "stopped",
    "unknown": "unknown",
}


def _holding(
    slot: Slot,
    which: tuple[int, str],
    phase: HoldingPhase,
    failure: Failed | None,
    more: Mapping[str, Any],
) -> Holding:
    """which: generation and digest. more: fields that count before all others."""
    fields: dict[str, Any] = {}
    if slot.labels is not None:
        fields["addresses"] = slot.addresses
        fields["started_ms"] = slot.started_ms
        fields["restarts"] = slot.restart_count
        fields["ended"] = slot.ended
        verdict = slot.verdict
        if verdict is not None and verdict.life == slot.runs_since_ms:
            fields |= {"health": verdict.state, "health_error": verdict.why}
    if failure is not None:
        fields |= {"error_code": failure.code, "error": failure.message, "hint": failure.hint}
    generation, digest = which
    return Holding(
        slot=plain_name(slot.name),
        generation=generation,
        digest=digest,
        phase=phase,
        **{**fields, **more},
    )
