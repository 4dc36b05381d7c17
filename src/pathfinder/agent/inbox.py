"""What the threads tell the main loop: one queue, and the messages that go through it.

Its bound is the sum of its senders' bounds: as many answers as lines, as many results as calls in
hand, one measurement, and `CHANGES_MAX` changes, whose sender waits for a place.
"""

import threading
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Final

from pathfinder.agent.effects import Effect, Result
from pathfinder.agent.health import Verdict
from pathfinder.agent.measure import Metered
from pathfinder.runtimes.port import Change
from pathfinder.wire.messages import Facts, Reply

CHANGES_MAX: Final = 1_000
PLACE_S_MAX: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """The server answered an exchange."""

    sequence: int
    reply: Reply


@dataclass(frozen=True, slots=True, kw_only=True)
class Unanswered:
    """An exchange had no answer that can be used. `error` "": people have been told already."""

    sequence: int
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """An effect has ended."""

    effect: Effect
    result: Result
    took_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """The runtime says that something happened."""

    change: Change


@dataclass(frozen=True, slots=True, kw_only=True)
class WentDown:
    """The changes of a daemon have ended: it went away. daemon: its name among several."""

    message: str
    daemon: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Probed:
    """A container's health has changed."""

    verdict: Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What the node is and uses now. None: as before."""

    facts: Facts | None
    metered: Metered


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreAsked:
    """Somebody wants a container brought back to a snapshot; what came of it goes to `answer`."""

    slot: str
    snapshot: str
    answer: SimpleQueue[Result]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopping:
    """Somebody wants the agent to end."""

    why: str


Message = (
    Answered
    | Unanswered
    | Finished
    | Changed
    | WentDown
    | Measured
    | Probed
    | RestoreAsked
    | Stopping
)


class Inbox:
    """One reader, many senders. `put` may be called by a signal handler."""

    def __init__(self) -> None:
        # SimpleQueue alone may be filled by a signal handler while its reader is inside it.
        self._queue: SimpleQueue[Message] = SimpleQueue()
        self._places = threading.BoundedSemaphore(CHANGES_MAX)

    def put(self, message: Message) -> None:
        """Leave a message; never waits."""
        self._queue.put(message)

    def put_change(self, change: Change, stopping: threading.Event) -> None:
        """Leave a change when there is a place for it; gives up when the agent stops."""
        while not self._places.acquire(timeout=PLACE_S_MAX):
            if stopping.is_set():
                return
        self.put(Changed(change=change))

    def take(self, timeout_s: float) -> list[Message]:
        """All that has arrived, waiting at most `timeout_s` for the first."""
        try:
            messages = [self._queue.get(timeout=max(0.0, timeout_s))]
        except Empty:
            return []
        while not self._queue.empty():
            messages.append(self._queue.get())
        for message in messages:
            if isinstance(message, Changed):
                self._places.release()
        return messages
