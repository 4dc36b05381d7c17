"""From a step to the call that takes it, and how many calls of each kind may be in hand."""

from dataclasses import replace
from typing import Final

from pathfinder.agent.bounds import CoreSettings
from pathfinder.agent.effects import (
    Bootstrap,
    Call,
    Complete,
    Create,
    Effect,
    Failed,
    HandOver,
    Inspect,
    OpenStream,
    Relabel,
    Remove,
    Restore,
    Start,
    Stop,
    Take,
    failed,
)
from pathfinder.agent.slots import Slot, Step
from pathfinder.model.definitions import spec_from_document
from pathfinder.model.errors import PathfinderError
from pathfinder.runtimes.port import Labels, Offer, Remote, Wish
from pathfinder.wire import codec
from pathfinder.wire.messages import Assignment

MAKES: Final = ("create", "start")
REMOVALS: Final = ("stop", "remove")


class Room:
    """How many more calls may be in hand; makes and removals each have a share of their own."""

    def __init__(self, settings: CoreSettings) -> None:
        self._calls = settings.calls_max
        self._makes = settings.makes_max
        self._removals = settings.removals_max
        self._takes = settings.takes_max

    def is_any(self) -> bool:
        """Whether there is room for a call that neither makes nor removes."""
        return self._calls > 0

    def has(self, step: Step) -> bool:
        """Whether there is room for the step's call."""
        if step.verb in MAKES:
            return self._calls > 0 and self._makes > 0
        if step.verb in REMOVALS:
            return self._calls > 0 and self._removals > 0
        if step.verb == "take":
            return self._calls > 0 and self._takes > 0
        return self._calls > 0

    def take(self, effect: Effect) -> None:
        """One effect more is in hand."""
        self._count(effect, -1)

    def give_back(self, effect: Effect) -> None:
        """It has ended."""
        self._count(effect, 1)

    def _count(self, effect: Effect, more: int) -> None:
        match effect:
            case OpenStream() | Bootstrap():
                return
            case Create() | Start():
                self._makes += more
            case Stop() | Remove():
                self._removals += more
            case Take():
                self._takes += more
            case _:
                pass
        self._calls += more


def version(assignment: Assignment) -> tuple[int, str, int]:
    """What is wanted: something else is wanted when this differs."""
    return (assignment.generation, assignment.digest, assignment.round)


def call_for(
    slot: Slot, step: Step, *, effect_id: int, cluster: str, stop_grace_s: float, copies_at: str
) -> Call | Failed:
    """The call that takes `step`; Failed when what is wanted cannot be understood here."""
    if step.verb == "inspect":
        return Inspect(id=effect_id, slot=slot.name, why=step.why)
    if step.verb in ("create", "take", "complete"):
        try:
            return _making(slot, step, effect_id, cluster)
        except PathfinderError as error:
            return failed(error.code, error.message, error.hint)
    assert slot.labels is not None, slot
    generation = slot.labels.generation
    if step.verb == "start":
        return Start(id=effect_id, slot=slot.name, generation=generation, why=step.why)
    if step.verb == "remove":
        return Remove(id=effect_id, slot=slot.name, generation=generation, why=step.why)
    if step.verb == "restore":
        assert slot.restoring is not None, slot
        return Restore(
            id=effect_id,
            slot=slot.name,
            generation=generation,
            snapshot=slot.restoring.snapshot,
            why=step.why,
        )
    if step.verb == "relabel":
        assert slot.wanted is not None, slot
        labels = replace(slot.labels, generation=slot.wanted.generation, digest=slot.wanted.digest)
        return Relabel(
            id=effect_id, slot=slot.name, generation=generation, labels=labels, why=step.why
        )
    if step.verb == "hand over":
        assert slot.wanted is not None, slot
        return HandOver(
            id=effect_id,
            slot=slot.name,
            generation=generation,
            number=slot.wanted.copy_number,
            address=copies_at,
            why=step.why,
        )
    return Stop(
        id=effect_id,
        slot=slot.name,
        generation=generation,
        grace_s=stop_grace_s,
        why=step.why,
    )


def _making(slot: Slot, step: Step, effect_id: int, cluster: str) -> Create | Take | Complete:
    wanted = slot.wanted
    assert wanted is not None, slot
    wish = wish_of(cluster, wanted)
    if step.verb == "create":
        return Create(id=effect_id, slot=slot.name, wish=wish, why=step.why)
    if step.verb == "complete":
        return Complete(
            id=effect_id, slot=slot.name, generation=wanted.generation, wish=wish, why=step.why
        )
    assert wanted.offer is not None, slot
    return Take(
        id=effect_id,
        slot=slot.name,
        generation=wanted.generation,
        number=wanted.copy_number,
        wish=wish,
        offer=Offer(runtime=wanted.offer.runtime, details=wanted.offer.details),
        why=step.why,
    )


def made_labels(call: Create | Take) -> Labels:
    """What the instance carries that the call makes: a copy is not whole yet."""
    labels = call.wish.labels
    return replace(labels, digest="") if isinstance(call, Take) else labels


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
