"""Which health checks are due, and what their results come to. Pure.

The core says what runs and shall be checked, a thread makes the checks, and the core is told how
each run of a container stands. A first success is enough to be healthy. Failures count once in each
interval, however often it was tried to hear of a first success soon.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from pathfinder.model.health import Health
from pathfinder.wire.messages import HealthState

FIRST_MS: Final = 100  # between the first tries, then ever later until they succeed or count
WHY_LENGTH_MAX: Final = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One run of a container, and how it is checked. life: when that run was noticed."""

    name: str
    life: int
    health: Health
    address: str = ""

    @property
    def is_possible(self) -> bool:
        """Whether there is somebody to ask: a connection needs an address."""
        return bool(self.address) or bool(self.health.command)


@dataclass(slots=True, kw_only=True)
class _Standing:
    """How one run stands."""

    check: Check
    state: HealthState = "starting"
    due_ms: int
    gap_ms: int = FIRST_MS
    failures: int = 0
    counted_ms: int | None = None  # when a failure was last counted
    in_hand: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How a run stands now, and why when it is unhealthy."""

    name: str
    life: int
    state: Literal["starting", "healthy", "unhealthy"]
    why: str = ""


class Standings:
    """All runs that are checked."""

    def __init__(self) -> None:
        self._by_name: dict[str, _Standing] = {}

    def update(self, checks: Iterable[Check], now_ms: int) -> None:
        """What runs now: another run, or another check, begins anew; what has gone is forgotten."""
        before, self._by_name = self._by_name, {}
        for check in checks:
            standing = before.get(check.name)
            if standing is not None and _is_same(standing.check, check):
                standing.check = check
            else:
                standing = _Standing(check=check, due_ms=now_ms)
            self._by_name[check.name] = standing

    def due(self, now_ms: int) -> list[Check]:
        """The checks to make now; each is in hand until its result."""
        out = []
        for standing in self._by_name.values():
            if not standing.in_hand and standing.check.is_possible and standing.due_ms <= now_ms:
                standing.in_hand = True
                out.append(standing.check)
        return out

    def wake_ms(self) -> int | None:
        """When the next is due; None: never, as things are."""
        waiting = (
            each.due_ms
            for each in self._by_name.values()
            if not each.in_hand and each.check.is_possible
        )
        return min(waiting, default=None)

    def result(self, check: Check, why_not: str | None, now_ms: int) -> Verdict | None:
        """A check has ended. why_not "": it succeeded; None: nothing came of it. None: no news."""
        standing = self._by_name.get(check.name)
        if standing is None or not _is_same(standing.check, check):
            return None
        health, before = check.health, standing.state
        interval_ms = 1000 * health.interval_s
        standing.in_hand = False
        if why_not is None:
            standing.due_ms = now_ms + interval_ms
            return None
        if not why_not:
            standing.state, standing.failures, standing.counted_ms = "healthy", 0, None
            standing.due_ms = now_ms + interval_ms
        else:
            self._failed(standing, now_ms, interval_ms)
        if standing.state == before:
            return None
        why = why_not[:WHY_LENGTH_MAX]
        state: Literal["healthy", "unhealthy"] = "unhealthy" if why else "healthy"
        return Verdict(name=check.name, life=check.life, state=state, why=why)

    @staticmethod
    def _failed(standing: _Standing, now_ms: int, interval_ms: int) -> None:
        health = standing.check.health
        is_early = now_ms - standing.check.life < 1000 * health.start_period_s
        last_ms = standing.counted_ms
        is_counted = last_ms is None or now_ms - last_ms >= interval_ms
        if is_counted and not (is_early and standing.state == "starting"):
            standing.failures, standing.counted_ms = standing.failures + 1, now_ms
        if standing.failures >= health.retries:
            standing.state = "unhealthy"
        if standing.state == "starting":
            standing.due_ms = now_ms + min(standing.gap_ms, interval_ms)
            standing.gap_ms = min(2 * standing.gap_ms, interval_ms)
        else:
            standing.due_ms = now_ms + interval_ms


def _is_same(one: Check, other: Check) -> bool:
    """Whether both are of one run, checked in one way; its address may have come meanwhile."""
    return (one.life, one.health) == (other.life, other.health)
