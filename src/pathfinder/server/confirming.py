"""Asks the store whether this server still leads, before it renews the lease of a node.

One question answers all that came before it. A question is asked with each tick, so that what is
parked until the heartbeat seldom waits for one of its own; and each append is one. They go by a
thread of their own: a disk that hangs in an append holds up no lease.
"""

import asyncio
from collections.abc import Callable
from typing import Final

import structlog

from pathfinder.control.leadership import Leadership
from pathfinder.model.errors import NotLeading, TooBusy
from pathfinder.server.clock import Clock
from pathfinder.server.journal import Journal
from pathfinder.store.port import Deposed, StoreFailure

CONFIRM_S_MAX: Final = 5.0  # longer than this no exchange waits for the store
BUSY_HINT: Final = "try again in a moment"


class Confirming:
    """What the store has said of who leads. on_deposed: told once that another server does."""

    def __init__(
        self, journal: Journal, clock: Clock, on_deposed: Callable[[Deposed], None]
    ) -> None:
        self._journal = journal
        self._clock = clock
        self._on_deposed = on_deposed
        self._leadership = Leadership(confirmed_ms=-1)
        self._asking: asyncio.Task[bool] | None = None
        self._deposed = ""
        self._is_stopped = False
        self._log = structlog.get_logger("leader")

    def confirm(self, asked_ms: int) -> None:
        """The store has taken an append, or given the lead, that it was asked for then."""
        self._leadership.confirm(asked_ms)

    def ask(self) -> asyncio.Task[bool]:
        """Begin to ask, unless the store is being asked already."""
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask())
        return self._asking

    async def since(self, heard_ms: int) -> None:
        """Return once the store, asked no earlier than then, has said that nobody else leads.

        NotLeading when another does; TooBusy when the store does not say.
        """
        while not self._leadership.covers(heard_ms):
            if self._is_stopped:
                raise NotLeading("this server is stopping", hint=BUSY_HINT)
            is_said = False
            try:
                is_said = await asyncio.wait_for(asyncio.shield(self.ask()), CONFIRM_S_MAX)
            except TimeoutError:
                pass
            if self._deposed:
                raise NotLeading(self._deposed, hint="another server leads: ask that one")
            if not is_said:
                raise TooBusy("the store does not say who leads", hint=BUSY_HINT)

    async def stop(self) -> None:
        """Ask no more; what has been asked is waited for."""
        self._is_stopped = True
        if self._asking is not None:
            await self._asking

    async def _ask(self) -> bool:
        asked_ms = self._clock.now().uptime_ms
        try:
            is_so = await self._journal.confirm()
        except Deposed as error:
            if not self._deposed:
                self._deposed = str(error)
                self._on_deposed(error)
            return False
        except StoreFailure as error:
            self._log.warning("the store does not say who leads", why=str(error))
            return False
        if is_so:
            self._leadership.confirm(asked_ms)
        return is_so
