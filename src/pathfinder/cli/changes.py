"""Tells when something may have changed: the server's events as they come, and a pulse."""

import queue
import threading
from typing import Any, Final

from pathfinder.cli.session import Session
from pathfinder.model.errors import PathfinderError

# Should an event be missed, or the stream be refused to this credential, it is noticed this late.
PULSE_S: Final = 2.0
BURST_S: Final = 0.05  # events of one change come together: one look for all of them
HELD_MAX: Final = 1000


class Changes:
    """The events of a cluster ("": of all), followed in a thread over a connection of its own.

    `since`: the revision that the caller has already seen.
    """

    def __init__(self, session: Session, *, since: int, cluster: str) -> None:
        self._client = session.new_client()
        self._since = since
        self._cluster = cluster
        self._arrived: queue.Queue[dict[str, Any]] = queue.Queue(HELD_MAX)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="pfi-events", daemon=True)
        self._thread.start()

    def wait(self, timeout_s: float = PULSE_S) -> list[dict[str, Any]]:
        """The events since the last call; after `timeout_s` at the latest, perhaps none."""
        try:
            events = [self._arrived.get(timeout=timeout_s)]
        except queue.Empty:
            return []
        while True:
            try:
                events.append(self._arrived.get(timeout=BURST_S))
            except queue.Empty:
                return events
            if len(events) >= HELD_MAX:
                return events

    def stop(self) -> None:
        """Let the thread end; it is not waited for, since it may sit in a read."""
        self._stopping.set()

    def _follow(self) -> None:
        try:
            for event in self._client.follow_events(
                since=self._since, cluster=self._cluster or None
            ):
                if self._stopping.is_set():
                    return
                self._arrived.put(event)
        except PathfinderError:
            return  # the pulse goes on
