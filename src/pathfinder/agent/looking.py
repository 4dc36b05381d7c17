"""What a look at a daemon has brought: mostly nothing new, so that nothing is to be done. Pure."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from pathfinder.agent.daemons import Daemon
from pathfinder.agent.slots import Slot
from pathfinder.runtimes.port import Instance, Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """The names of our running containers, sorted. event: the core's counter at that moment."""

    names: tuple[str, ...]
    event: int


def seen(slot: Slot) -> tuple[object, ...]:
    """What a look at a slot may change, but for when it is looked at next."""
    return (
        slot.presence,
        slot.certain,
        slot.labels,
        slot.state,
        slot.addresses,
        slot.started_ms,
        slot.note,
        slot.keeps_note,
        slot.offered,
        slot.taken,
        slot.runs_since_ms,
        slot.has_died,
        slot.death_count,
        slot.ended,
        slot.failure,
        slot.retry_ms,
    )


def take_list(
    slots: Iterable[Slot],
    daemon: Daemon,
    there: Mapping[str, Instance],
    observe: Callable[[Slot, Instance | None], None],
) -> list[Slot]:
    """Let `observe` take what the daemon's list says of its slots; those that differ now."""
    changed = []
    for slot in slots:
        # What was acted on or looked at while the list was made is known better already.
        if slot.in_hand is not None or slot.touched > daemon.listing_event:
            continue
        instance, last, look_ms = there.get(slot.name), slot.listed, slot.look_ms
        slot.listed = (daemon.listing_event, instance)
        if last is not None and last[1] == instance and slot.touched <= last[0] and not look_ms:
            continue  # nothing has happened to it since the daemon said the same
        before = seen(slot)
        observe(slot, instance)
        if seen(slot) != before or slot.look_ms != look_ms:
            changed.append(slot)
    return changed


def take_usages(slots: Mapping[str, Slot], usages: Mapping[str, Usage], event: int) -> list[Slot]:
    """Take how running containers are reached, and since when they run; those that differ now.

    event: of the `Running` that was asked about.
    """
    changed = []
    for name, usage in usages.items():
        slot = slots.get(name)
        # What was acted on or looked at while they were measured is known better already.
        if slot is None or slot.in_hand is not None or slot.touched > event:
            continue
        if slot.runs_since_ms is None or usage.addresses is None:
            continue
        started_ms = usage.started_ms or slot.started_ms
        if (usage.addresses, started_ms) != (slot.addresses, slot.started_ms):
            slot.addresses, slot.started_ms = usage.addresses, started_ms
            changed.append(slot)
    return changed
