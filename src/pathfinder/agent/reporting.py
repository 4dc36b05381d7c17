"""What the node says of itself: which holdings have changed, how soon they are told, and facts.

Pure. The core marks slots; holdings are worked out again only for those.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Final

from pathfinder.agent import holdings, relocating
from pathfinder.agent.bootstrapping import told
from pathfinder.agent.slots import Permit, Slot
from pathfinder.wire.messages import (
    HOLDING_MAX,
    Exchange,
    Facts,
    Holding,
    Measurements,
    Offered,
    Session,
)

# Somebody waits for these: a person, a rollout, a replacement.
URGENT_PHASES: Final = frozenset({"running", "stopped", "failed", "unknown"})
URGENT_COPIES: Final = frozenset({"offered", "taken", "failed"})


class Reporting:
    """Builds the exchanges of one node. `news_ms`: when the next should leave; None: no news."""

    def __init__(
        self, slots: Mapping[str, Slot], permit: Callable[[Slot], Permit], *, news_gap_ms: int
    ) -> None:
        self.news_ms: int | None = None
        self._slots = slots
        self._permit = permit
        self._news_gap_ms = news_gap_ms
        self._stale: dict[str, None] = {}  # slots whose holding may have changed
        self._holding: tuple[Holding, ...] | None = None  # of all; None: to be put together anew
        self._offers: tuple[Offered, ...] | None = None  # as `_holding`
        self._unheard: set[str] = set()  # slots that the server may not have heard of
        self._facts: Facts | None = None
        self._facts_sequence = 0  # the exchange that first carried them in this session
        self._are_facts_heard = False
        self._measurements: Measurements | None = None

    def mark(self, name: str) -> None:
        """The slot's holding may have changed."""
        self._stale[name] = None

    def mark_unheard(self, slot: Slot) -> None:
        """The server does not know yet what is in the slot."""
        slot.reported = 0
        self._unheard.add(slot.name)

    @property
    def copies_at(self) -> str:
        """Where other nodes' daemons reach this one's."""
        return self._facts.copies_at if self._facts is not None else ""

    def urge(self, now_ms: int) -> None:
        """There is something to say at once."""
        self.news_ms = now_ms

    def set_facts(self, now_ms: int, facts: Facts) -> None:
        """What the node is; told in each session's first exchange and when it changes."""
        if facts != self._facts:
            self._facts, self._facts_sequence, self._are_facts_heard = facts, 0, False
            self.urge(now_ms)

    def set_measurements(self, measurements: Measurements) -> None:
        """What the node uses; told with the next exchange, whenever that is."""
        self._measurements = measurements

    def begin_session(self) -> None:
        """Another life of the server has heard nothing yet."""
        self._facts_sequence, self._are_facts_heard = 0, False
        for slot in self._slots.values():
            self.mark_unheard(slot)

    def heard(self, sequence: int) -> list[str]:
        """The server has answered exchange `sequence`: the slots that it has now heard of."""
        if 0 < self._facts_sequence <= sequence:
            self._are_facts_heard = True
        known = []
        for name in sorted(self._unheard):
            slot = self._slots.get(name)
            if slot is None or 0 < slot.reported <= sequence:
                self._unheard.discard(name)
                known += [name] if slot is not None else []
        return known

    def refresh(self, now_ms: int) -> list[str]:
        """Work out the holdings of marked slots; the slots that can be forgotten."""
        needless: list[str] = []
        if not self._stale:
            return needless
        self._holding = self._offers = None
        for name in self._stale:
            slot = self._slots.get(name)
            if slot is None:
                continue
            before = slot.holdings
            slot.holdings = _holdings(slot, self._permit(slot))
            if slot.holdings != before:
                gap_ms = 0 if _is_urgent(before, slot.holdings) else self._news_gap_ms
                due_ms = now_ms + gap_ms
                self.news_ms = due_ms if self.news_ms is None else min(self.news_ms, due_ms)
            if slot.is_needless:
                needless.append(name)
        self._stale.clear()
        return needless

    def holding(self, now_ms: int) -> tuple[Holding, ...]:
        """What the node holds, by slot; `refresh` before."""
        if self._holding is not None:
            return self._holding
        holding = tuple(
            holding for name in sorted(self._slots) for holding in _timed(self._slots[name], now_ms)
        )
        if all(slot.retry_ms <= now_ms for slot in self._slots.values()):
            self._holding = holding  # no pause that runs: the same until something changes
        return holding

    def exchange(
        self,
        now_ms: int,
        session: Session,
        *,
        seen: int,
        is_complete: bool,
        runtime_error: str,
        silent_kinds: Mapping[str, str],
    ) -> Exchange:
        """The exchange that leaves now."""
        holding = self.holding(now_ms)
        for name in self._unheard:
            slot = self._slots.get(name)
            if slot is not None and slot.reported == 0:
                slot.reported = session.sequence
        facts = None
        if session.incarnation and not self._are_facts_heard and self._facts is not None:
            facts = self._facts
            self._facts_sequence = self._facts_sequence or session.sequence
        if self._offers is None:
            self._offers = relocating.offers(self._slots.values())
        measurements, self._measurements = self._measurements, None
        self.news_ms = None
        return Exchange(
            session=session,
            sent_ms=now_ms,
            seen=seen,
            complete=is_complete and len(holding) <= HOLDING_MAX,
            holding=holding[:HOLDING_MAX],
            runtime_error=runtime_error,
            silent_kinds=silent_kinds if len(holding) <= HOLDING_MAX else {},
            offers=self._offers,
            facts=facts,
            measurements=measurements,
        )


def _holdings(slot: Slot, permit: Permit) -> tuple[Holding, ...]:
    bootstrap = told(slot) if slot.labels is not None else {}
    return holdings.holdings(slot, permit, copy=relocating.told(slot), bootstrap=bootstrap)


def _timed(slot: Slot, now_ms: int) -> Iterable[Holding]:
    if slot.retry_ms <= now_ms:
        return slot.holdings
    return (replace(holding, retry_ms=slot.retry_ms - now_ms) for holding in slot.holdings)


def _is_urgent(before: Iterable[Holding], after: tuple[Holding, ...]) -> bool:
    """Whether somebody waits for it: an end that was reached, or something that has gone."""
    generations = {holding.generation for holding in after}
    return any(holding.generation not in generations for holding in before) or any(
        holding.phase in URGENT_PHASES or holding.copy in URGENT_COPIES for holding in after
    )
