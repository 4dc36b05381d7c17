"""From a step to the call that takes it, and how many calls of each kind may be in hand."""

from collections.abc import Iterable

from pathfinder.agent.effects import (
    Bootstrap,
    Call,
    Create,
    Effect,
    Failed,
    Inspect,
    OpenStream,
    Remove,
    Start,
    Stop,
    failed,
)
from pathfinder.agent.slots import Slot, Step
from pathfinder.model.definitions import spec_from_document
from pathfinder.model.errors import PathfinderError
from pathfinder.runtimes.port import Labels, Remote, Wish
from pathfinder.wire import codec
from pathfinder.wire.messages import Assignment

MAKES = ("create", "start")
REMOVALS = ("stop", "remove")


class Room:
    """How many more calls may be in hand; makes and removals each have a share of their own."""

    def __init__(self, in_hand: Iterable[Effect], *, calls: int, makes: int, removals: int) -> None:
        self._calls = calls
        self._makes = makes
        self._removals = removals
        for effect in in_hand:
            self._calls -= not isinstance(effect, (OpenStream, Bootstrap))
            self._makes -= isinstance(effect, (Create, Start))
            self._removals -= isinstance(effect, (Stop, Remove))

    def is_any(self) -> bool:
        """Whether there is room for a call that neither makes nor removes."""
        return self._calls > 0

    def has(self, step: Step) -> bool:
        """Whether there is room for the step's call."""
        if step.verb in MAKES:
            return self._calls > 0 and self._makes > 0
        if step.verb in REMOVALS:
            return self._calls > 0 and self._removals > 0
        return self._calls > 0

    def take(self, step: Step | None) -> None:
        """One call more; None: a listing."""
        self._calls -= 1
        if step is not None:
            self._makes -= step.verb in MAKES
            self._removals -= step.verb in REMOVALS


def call_for(
    slot: Slot, step: Step, *, effect_id: int, cluster: str, stop_grace_s: float
) -> Call | Failed:
    """The call that takes `step`; Failed when what is wanted cannot be understood here."""
    if step.verb == "create":
        assert slot.wanted is not None, slot
        try:
            wish = wish_of(cluster, slot.wanted)
        except PathfinderError as error:
            return failed(error.code, error.message, error.hint)
        return Create(id=effect_id, slot=slot.name, wish=wish, why=step.why)
    if step.verb == "inspect":
        return Inspect(id=effect_id, slot=slot.name, why=step.why)
    assert slot.labels is not None, slot
    generation = slot.labels.generation
    if step.verb == "start":
        return Start(id=effect_id, slot=slot.name, generation=generation, why=step.why)
    if step.verb == "remove":
        return Remove(id=effect_id, slot=slot.name, generation=generation, why=step.why)
    return Stop(
        id=effect_id,
        slot=slot.name,
        generation=generation,
        grace_s=stop_grace_s,
        why=step.why,
    )


def wish_of(cluster: str, assignment: Assignment) -> Wish:
    """What the runtime shall make; PathfinderError when the assignment cannot be understood."""
    labels = Labels(
        cluster=cluster,
        slot=assignment.slot,
        generation=assignment.generation,
        digest=assignment.digest,
    )
    return Wish(
        name=assignment.slot,
        labels=labels,
        spec=spec_from_document(assignment.spec),
        remote=None if assignment.remote is None else codec.parse(Remote, assignment.remote),
    )
