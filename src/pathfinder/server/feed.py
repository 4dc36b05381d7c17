"""Events on their way to those who follow them; who is too slow is told to come again."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from pathfinder.control.objects import Event
from pathfinder.model.errors import TooBusy

FOLLOWERS_MAX: Final = 1_000
QUEUE_EVENTS_MAX: Final = 1_000

Filter = Callable[[Event], bool]


class Follower:
    """One subscription. `is_over` with nothing left: the feed ended, or this one was too slow."""

    def __init__(self, wants: Filter, earlier: Sequence[Event]) -> None:
        self._wants = wants
        self._queue: deque[Event] = deque(earlier)
        self._news = asyncio.Event()
        self.is_over = False
        self.why = ""

    async def take(self, wait_s_max: float) -> list[Event]:
        """The next events; none when nothing happened for that long, or all is over."""
        if not self._queue and not self.is_over:
            try:
                await asyncio.wait_for(self._news.wait(), wait_s_max)
            except TimeoutError:
                return []
        events = list(self._queue)
        self._queue.clear()
        self._news.clear()
        return events

    def offer(self, events: Sequence[Event]) -> None:
        """Take what this follower wants of newly durable events."""
        wanted = [event for event in events if self._wants(event)]
        if not wanted or self.is_over:
            return
        if len(self._queue) + len(wanted) > QUEUE_EVENTS_MAX:
            self.end("too slow: come again with the last id")
            return
        self._queue.extend(wanted)
        self._news.set()

    def end(self, why: str) -> None:
        """Say that nothing more will come, and why."""
        self.is_over, self.why = True, why
        self._news.set()


class Feed:
    """All followers."""

    def __init__(self) -> None:
        self._followers: set[Follower] = set()
        self._over = ""

    def follow(self, wants: Filter, earlier: Sequence[Event]) -> Follower:
        """Begin to follow after `earlier`; TooBusy."""
        if len(self._followers) >= FOLLOWERS_MAX:
            raise TooBusy(f"{FOLLOWERS_MAX} connections follow events already")
        follower = Follower(wants, earlier)
        if self._over:
            follower.end(self._over)
        self._followers.add(follower)
        return follower

    def leave(self, follower: Follower) -> None:
        """Follow no longer; twice is once."""
        self._followers.discard(follower)

    def publish(self, events: Sequence[Event]) -> None:
        """Let the followers know of events that are durable."""
        for follower in self._followers:
            follower.offer(events)

    def end(self, why: str) -> None:
        """The server stops: nothing more comes for anybody."""
        self._over = why
        for follower in self._followers:
            follower.end(why)
