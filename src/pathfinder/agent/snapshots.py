"""Snapshots, as the server asks for them on a stream: one question, one answer.

Listing, making and removing one is the daemon's alone. To bring a container back to one it has to
be stopped, and started again: that goes through the core, which has one call in hand for a slot.
"""

from collections.abc import Callable, Mapping
from queue import Empty, SimpleQueue
from typing import Any, Final

from pathfinder.agent.effects import Done, Failed, Result
from pathfinder.agent.inbox import Inbox, RestoreAsked
from pathfinder.agent.restoring import RESTORE_MS_MAX
from pathfinder.runtimes.port import Runtime

SLACK_S: Final = 10.0
Restorer = Callable[[str, str], Result]


def restorer(inbox: Inbox) -> Restorer:
    """Brings a container back to a snapshot, and returns when that has been done, or has not."""

    def restore(slot: str, snapshot: str) -> Result:
        answer: SimpleQueue[Result] = SimpleQueue()
        inbox.put(RestoreAsked(slot=slot, snapshot=snapshot, answer=answer))
        try:
            return answer.get(timeout=RESTORE_MS_MAX / 1000 + SLACK_S)
        except Empty:
            return Failed(code="outcome_unknown", message=f"{slot} could not be stopped in time")

    return restore


def answer(
    runtime: Runtime, restore: Restorer, slot: str, arguments: Mapping[str, Any]
) -> Failed | list[dict[str, Any]]:
    """The snapshots that there are when it has been done; RuntimeFailure as the verbs have it."""
    what, name = arguments.get("do"), str(arguments.get("snapshot", ""))
    match what:
        case "create":
            runtime.make_snapshot(slot, name)
        case "delete":
            runtime.remove_snapshot(slot, name)
        case "restore":
            ended = restore(slot, name)
            if not isinstance(ended, Done):
                assert isinstance(ended, Failed), ended
                return ended
        case "list":
            pass
        case _:
            return Failed(code="malformed", message=f"this agent cannot {what!r} a snapshot")
    return [
        {"name": each.name, "made_ms": each.made_ms, "size_mib": each.size_mib}
        for each in runtime.list_snapshots(slot)
    ]
