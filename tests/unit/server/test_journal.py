"""The journal as history: what the state was at a time, as far back as is promised."""

import asyncio

import pytest

from pathfinder.model.errors import NotFound
from pathfinder.server.journal import Journal, Retention
from pathfinder.store.memory import MemoryStore
from tests.support.control_room import WALL_MS, ControlRoom, container

SECOND_MS = 1_000
HISTORY_MS = 10 * SECOND_MS


class Past:
    """A server that ends and begins again each second, and makes a container in each."""

    def __init__(self, history_ms: int) -> None:
        self.retention = Retention(history_ms=history_ms)
        self.store = MemoryStore()
        self.room = ControlRoom()
        self.revisions: dict[int, int] = {}  # by time

    def live(self, second: int, *, is_disk_full: bool = False) -> None:
        """Make one more, and end."""
        self.room.now_ms = second * SECOND_MS
        self.room.put(container(f"c{second}"))
        wall_ms = WALL_MS + self.room.now_ms
        asyncio.run(self._live(wall_ms, is_disk_full=is_disk_full))
        self.revisions[wall_ms] = self.room.state.revision

    async def _live(self, wall_ms: int, *, is_disk_full: bool) -> None:
        self.store = self.store.copy()
        journal = Journal(self.store, self.retention)
        await journal.lead()
        for body in self.room.records:
            await journal.append(wall_ms, body)
        self.room.records.clear()
        if is_disk_full:
            journal.save_snapshot(self.room.state, wall_ms=wall_ms, now_ms=0, makes_room=True)
        await journal.close(self.room.state, wall_ms=wall_ms, is_leading=not is_disk_full)

    def revision_at(self, time_ms: int) -> int:
        """Of the state as it was then."""
        return Journal(self.store.copy(), self.retention).state_at(time_ms).revision


def test_every_moment_of_the_history_can_be_told_and_what_was_long_before_is_dropped() -> None:
    past = Past(HISTORY_MS)
    for second in range(1, 41):
        past.live(second)
        now_ms = WALL_MS + second * SECOND_MS
        since_ms = max(now_ms - HISTORY_MS, WALL_MS + SECOND_MS)
        times = range(since_ms, now_ms + 1, SECOND_MS)

        assert [past.revision_at(each) for each in times] == [past.revisions[t] for t in times]
    held = past.store.copy().describe()
    assert held.last_seq - held.first_seq < 2 * HISTORY_MS // SECOND_MS
    assert len(past.store.copy().bases()) <= 3


def test_what_is_not_told_any_more_says_from_when_on_it_is() -> None:
    past = Past(HISTORY_MS)
    for second in range(1, 41):
        past.live(second)

    with pytest.raises(NotFound, match="not in the journal any more") as refused:
        past.revision_at(WALL_MS)
    assert refused.value.hint == "it can be told from 2023-11-14T22:13:46Z on"


def test_without_a_history_there_is_the_newest_snapshot_and_nothing_before() -> None:
    past = Past(0)
    for second in range(1, 4):
        past.live(second)

    assert past.store.copy().bases() == ()
    assert past.revision_at(WALL_MS + 4 * SECOND_MS) == past.room.state.revision


def test_history_gives_way_while_the_disk_is_full_and_begins_anew() -> None:
    past = Past(HISTORY_MS)
    for second in range(1, 31):
        past.live(second)
    before = past.store.copy().describe()
    past.live(31, is_disk_full=True)
    after = past.store.copy().describe()

    assert past.store.copy().bases() == ()
    assert after.first_seq - before.first_seq > 2
    assert past.revision_at(WALL_MS + 31 * SECOND_MS) == past.room.state.revision
    past.live(32)
    assert len(past.store.copy().bases()) == 1
