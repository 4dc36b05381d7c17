"""Followers of events: each gets what it wants, in order, or is told that it was too slow.

Promise 11.
"""

import asyncio

import pytest

from pathfinder.control.objects import Event
from pathfinder.model.errors import TooBusy
from pathfinder.server.feed import FOLLOWERS_MAX, QUEUE_EVENTS_MAX, Feed


def event(revision: int, name: str = "web") -> Event:
    return Event(
        revision=revision, index=0, time_ms=0, kind="container", name=name, action="created"
    )


def test_follower_gets_earlier_events_and_then_what_it_wants() -> None:
    async def scene() -> list[Event]:
        feed = Feed()
        follower = feed.follow(lambda each: each.name == "web", [event(1)])
        feed.publish([event(2), event(3, "other"), event(4)])
        return await follower.take(1)

    assert [each.revision for each in asyncio.run(scene())] == [1, 2, 4]


def test_follower_that_is_too_slow_is_told_so_after_what_it_has() -> None:
    async def scene() -> tuple[int, bool, str]:
        feed = Feed()
        follower = feed.follow(lambda _: True, [])
        for revision in range(QUEUE_EVENTS_MAX + 1):
            feed.publish([event(revision)])
        got = len(await follower.take(1))
        rest = await follower.take(1)
        return got, follower.is_over and not rest, follower.why

    assert asyncio.run(scene()) == (QUEUE_EVENTS_MAX, True, "too slow: come again with the last id")


def test_followers_are_bounded() -> None:
    async def scene() -> None:
        feed = Feed()
        for _ in range(FOLLOWERS_MAX):
            feed.follow(lambda _: True, [])
        feed.follow(lambda _: True, [])

    with pytest.raises(TooBusy):
        asyncio.run(scene())


def test_who_comes_when_the_server_stops_is_told_at_once() -> None:
    async def scene() -> tuple[list[Event], str]:
        feed = Feed()
        feed.end("the server stops")
        follower = feed.follow(lambda _: True, [])
        return await follower.take(1), follower.why

    assert asyncio.run(scene()) == ([], "the server stops")
