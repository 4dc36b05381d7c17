"""One direction of a stream: in order, bounded, and closed for both who put and who take.

Promise 11.
"""

import asyncio

from pathfinder.server.streams import FRAMES_MAX, Lane


def test_frames_come_out_in_order_after_the_lane_is_closed() -> None:
    async def scene() -> list[object]:
        lane = Lane()
        await lane.put(b"one")
        await lane.put("two")
        lane.close()
        return [await lane.take(), await lane.take(), await lane.take()]

    assert asyncio.run(scene()) == [b"one", "two", None]


def test_who_puts_waits_for_room() -> None:
    async def scene() -> tuple[bool, bool]:
        lane = Lane()
        for _ in range(FRAMES_MAX):
            await lane.put(b"frame")
        putting = asyncio.create_task(lane.put(b"one too many"))
        await asyncio.sleep(0)
        waited = not putting.done()
        await lane.take()
        return waited, await putting

    assert asyncio.run(scene()) == (True, True)


def test_close_frees_who_waits_for_room() -> None:
    async def scene() -> bool:
        lane = Lane()
        for _ in range(FRAMES_MAX):
            await lane.put(b"frame")
        putting = asyncio.create_task(lane.put(b"one too many"))
        await asyncio.sleep(0)
        lane.close()
        return await putting

    assert asyncio.run(scene()) is False
