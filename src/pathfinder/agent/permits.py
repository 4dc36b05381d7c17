"""What may be done with a slot now, as conversation and daemons stand. Pure."""

from collections.abc import Mapping
from functools import cache

from pathfinder.agent.conversation import Conversation
from pathfinder.agent.daemons import Daemons
from pathfinder.agent.slots import Permit, Slot
from pathfinder.runtimes.qualified import plain_name


def permit(
    conversation: Conversation, daemons: Daemons, slots: Mapping[str, Slot], slot: Slot
) -> Permit:
    """What is allowed for one of the slots."""
    return _permit(
        may_act=conversation.directed and daemons.of(slot.name).is_complete,
        may_remove=0 < slot.reported <= conversation.taken,
        may_make=not _is_elsewhere(daemons, slots, slot),
    )


@cache
def _permit(*, may_act: bool, may_remove: bool, may_make: bool) -> Permit:
    """One of eight: asked for with each look at each slot."""
    return Permit(may_act=may_act, may_remove=may_remove, may_make=may_make)


def _is_elsewhere(daemons: Daemons, slots: Mapping[str, Slot], slot: Slot) -> bool:
    """Whether another daemon has, or may have, something of ours under the same name."""
    if daemons.only is not None:
        return False
    namesakes = (
        slots.get(name) for name, _ in daemons.names(plain_name(slot.name)) if name != slot.name
    )
    return any(other is not None and other.may_be_there for other in namesakes)
