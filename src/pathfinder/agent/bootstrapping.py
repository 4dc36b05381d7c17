"""Which try of which bootstrap is due, at most so many at once, and what its end means. Pure.

A try takes minutes, so it is none of the calls that a slot has one of: a container whose bootstrap
runs is looked at, stopped and removed like any other. When another round is wanted while a try
runs, that try comes to its end first, as two runs at once would collide; then the newest begins.
"""

from collections.abc import Callable, Mapping
from heapq import heappop, heappush
from typing import Any, Final

from pathfinder.agent.effects import Bootstrap, Failed, Inspect, Result, Tried, failed
from pathfinder.agent.notes import Note
from pathfinder.agent.slots import Permit, Slot, lacks_address, spread
from pathfinder.model.bootstrap import BootstrapStep, steps_from
from pathfinder.model.errors import PathfinderError
from pathfinder.runtimes.qualified import plain_name
from pathfinder.wire.messages import BootstrapState

PAUSE_MS_MIN: Final = 2_000  # between two tries
FAULT_MS_MIN: Final = 500  # after a runtime's failure, which is no try
PAUSE_MS_MAX: Final = 60_000
ADDRESS_MS_MAX: Final = 30_000  # how long a bootstrap waits for its container's address
Try = tuple[Note, BootstrapStep | None, int]  # what is run or followed; its step; of how many


class Bootstraps:
    """The bootstraps of one node. `consider` a slot whenever something about it has changed."""

    def __init__(
        self, slots: Mapping[str, Slot], permit: Callable[[Slot], Permit], *, most: int
    ) -> None:
        self._slots = slots
        self._permit = permit
        self._most = most
        self._in_hand = 0
        self._considered: dict[str, None] = {}
        self._timers: list[tuple[int, str]] = []
        self._timer_of: dict[str, int] = {}

    def consider(self, name: str) -> None:
        """Something about the slot may have changed."""
        self._considered[name] = None

    def is_any_due(self, now_ms: int) -> bool:
        """Whether `due` may have something to begin."""
        return bool(self._considered) or (bool(self._timers) and self._timers[0][0] <= now_ms)

    def due(self, now_ms: int, next_id: Callable[[], int]) -> list[Bootstrap]:
        """What begins now; the others wait in the order in which they came."""
        while self._timers and self._timers[0][0] <= now_ms:
            due_ms, name = heappop(self._timers)
            if self._timer_of.get(name) == due_ms:
                del self._timer_of[name]
                self.consider(name)
        out: list[Bootstrap] = []
        waiting: dict[str, None] = {}
        for name in self._considered:
            slot = self._slots.get(name)
            if slot is None or slot.bootstrapping is not None:
                continue
            if not self._permit(slot).may_act or not _may_run(slot):
                continue
            if (wait_ms := wake_ms(slot, now_ms)) is not None:
                self._wait(name, wait_ms)
            elif self._in_hand + len(out) >= self._most:
                waiting[name] = None
            elif (effect := _effect(slot, next_id)) is not None:
                slot.bootstrapping, slot.note = effect, effect.note
                out.append(effect)
        self._considered = waiting
        self._in_hand += len(out)
        return out

    def finished(self, now_ms: int, slot: Slot, effect: Bootstrap, result: Result) -> None:
        """A try has ended, or could not be made."""
        self._in_hand -= 1
        slot.bootstrapping = None
        # A look that is under way may tell of the note that was there before.
        slot.keeps_note = isinstance(slot.in_hand, Inspect)
        if slot.labels is None or slot.labels.generation != effect.generation:
            return
        match result:
            case Tried(note=note):
                slot.note, slot.bootstrap_failure, slot.bootstrap_faults = note, None, 0
                if note.state == "waiting" and note.attempt > 1:
                    pause_ms = min(PAUSE_MS_MAX, PAUSE_MS_MIN << min(note.attempt - 2, 10))
                    slot.bootstrap_retry_ms = now_ms + spread(slot.name, note.attempt, pause_ms)
            case Failed():
                # It may have begun: the next one has the same key, and finds out. Mostly its
                # container has stopped: a look will tell, and this failure is nothing to say.
                slot.note = effect.note
                slot.bootstrap_faults += 1
                is_said = slot.bootstrap_faults > 1 and result.code != "not_there"
                slot.bootstrap_failure = result if is_said else None
                pause_ms = min(PAUSE_MS_MAX, FAULT_MS_MIN << min(slot.bootstrap_faults - 1, 10))
                slot.bootstrap_retry_ms = now_ms + spread(
                    slot.name, slot.bootstrap_faults, pause_ms
                )
                slot.look_ms = now_ms
            case _:
                raise AssertionError(result)

    def _wait(self, name: str, until_ms: int) -> None:
        if self._timer_of.get(name) != until_ms:
            self._timer_of[name] = until_ms
            heappush(self._timers, (until_ms, name))

    def wake_ms(self) -> int | None:
        """When `due` may say something else by the passing of time alone; None: never."""
        return self._timers[0][0] if self._timers else None


def next_try(slot: Slot) -> Try | None:
    """The try that comes next for a container that runs and is what is wanted; None: none.

    DefinitionWrong when this agent does not understand the steps.
    """
    wanted, note = slot.wanted, slot.note
    assert wanted is not None, slot
    if note is not None and note.round == wanted.round and note.has_ended:
        return None
    steps = steps_from(wanted.spec.get("bootstrap"), "spec.bootstrap")
    if not steps or (note is None and not wanted.round):
        return None  # nothing to do, or the server holds it back for now
    if note is not None and note.round != wanted.round and note.state == "running":
        return note, None, 0  # another round is wanted, but this one may still run
    if note is not None and note.round > wanted.round:
        return None  # an old backup asks for it; the server is told, and will ask for a newer one
    if note is None or note.round != wanted.round or note.step > len(steps):
        return Note(round=wanted.round, state="running"), steps[0], len(steps)
    # Running or left: it may have begun, and then it is followed to its end instead.
    begun = Note(round=note.round, state="running", step=note.step, attempt=note.attempt)
    return begun, steps[note.step - 1], len(steps)


def wake_ms(slot: Slot, now_ms: int) -> int | None:
    """Until when the next try waits: for its pause, or for the container's address; None: now."""
    if slot.bootstrap_retry_ms > now_ms:
        return slot.bootstrap_retry_ms
    since_ms = slot.runs_since_ms
    if since_ms is None or not lacks_address(slot) or now_ms - since_ms >= ADDRESS_MS_MAX:
        return None
    return since_ms + ADDRESS_MS_MAX


def round_awaited(slot: Slot) -> int:
    """The round that is wanted and has not ended; 0: none."""
    wanted, note = slot.wanted, slot.note
    if wanted is None or not wanted.spec.get("bootstrap"):
        return 0
    is_over = note is not None and note.round == wanted.round and note.has_ended
    return 0 if is_over else wanted.round


def told(slot: Slot) -> dict[str, Any]:
    """What the node says of the bootstrap of what is there, as fields of a `Holding`."""
    wanted, note, effect = slot.wanted, slot.note, slot.bootstrapping
    if wanted is None or wanted.hold or not slot.is_matched:
        return {} if note is None else _fields(slot, note, _state(note))
    if not wanted.spec.get("bootstrap"):
        return {"round": wanted.round}
    if note is None or note.round < wanted.round:
        is_running = effect is not None and effect.note.round == wanted.round
        state: BootstrapState = "running" if is_running else "waiting"
        return _fields(slot, Note(round=wanted.round, state="waiting"), state)
    return _fields(slot, note, _state(note))


def _fields(slot: Slot, note: Note, state: BootstrapState) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "round": note.round,
        "bootstrap": state,
        "bootstrap_tries": note.tries_made,
        "bootstrap_exit_code": note.exit_code,
    }
    fault = slot.bootstrap_failure
    if slot.failure is not None or slot.state != "running" or state == "done":
        return fields
    if fault is not None and not note.has_ended:
        return fields | {"error_code": fault.code, "error": fault.message, "hint": fault.hint}
    if note.error:
        hint = f"pfi logs --bootstrap {plain_name(slot.name)}"
        return fields | {"error_code": "bootstrap_failed", "error": note.error, "hint": hint}
    return fields


def _state(note: Note) -> BootstrapState:
    if note.state == "done":
        return "done"
    return "failed" if note.state == "failed" else "running"


def _may_run(slot: Slot) -> bool:
    """Whether what is there runs, and is what is wanted."""
    return (
        slot.certain
        and (slot.in_hand is None or isinstance(slot.in_hand, Inspect))
        and slot.presence == "ours"
        and slot.state == "running"
        and slot.wanted is not None
        and not slot.wanted.hold
        and slot.is_matched
    )


def _effect(slot: Slot, next_id: Callable[[], int]) -> Bootstrap | None:
    assert slot.labels is not None, slot
    try:
        found = next_try(slot)
    except PathfinderError as error:
        # Steps of a newer server: said, and looked at again when something else is wanted.
        slot.bootstrap_failure = failed(error.code, error.message, "upgrade this node's agent")
        return None
    if found is None:
        return None
    note, step, step_count = found
    return Bootstrap(
        id=next_id(),
        slot=slot.name,
        generation=slot.labels.generation,
        note=note,
        step=step,
        step_count=step_count,
        why=f"round {note.round}" if step is not None else f"round {note.round} may still run",
    )
