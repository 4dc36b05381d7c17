"""Waiting for things while a person or a log watches."""

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self

import click

from pathfinder.cli.changes import Changes
from pathfinder.cli.errors import WaitedInVain
from pathfinder.cli.output import note
from pathfinder.cli.session import Session
from pathfinder.cli.text import age, aligned, safe
from pathfinder.cli.waiting import DELETED, Progress, progress
from pathfinder.client.kinds import Kind
from pathfinder.model.errors import NotFound

REFRESH_PER_S: Final = 8
TICK_S: Final = 0.5  # how often elapsed time is redrawn


@dataclass(frozen=True, slots=True, kw_only=True)
class Awaited:
    """One thing and what is waited for: see `waiting.condition`."""

    kind: Kind
    cluster: str
    name: str
    wanted: str

    @property
    def title(self) -> str:
        """kind/name."""
        return f"{self.kind.name}/{self.name}"


class Screen:
    """Lines that are redrawn in place on a terminal (rich, loaded only then)."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.live import Live

        self._live = Live(
            console=Console(file=sys.stdout),
            refresh_per_second=REFRESH_PER_S,
            vertical_overflow="ellipsis",
            auto_refresh=False,
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.stop()

    def show(self, lines: Sequence[str]) -> None:
        """These lines instead of the ones before; each is cut at the terminal's width."""
        from rich.text import Text

        text = Text.from_ansi("\n".join(lines))
        text.no_wrap, text.overflow = True, "ellipsis"
        self._live.update(text, refresh=True)


def wait_for(session: Session, things: Sequence[Awaited], *, since: int, timeout_s: float) -> None:
    """Return when all are as wanted; WaitedInVain after `timeout_s`, saying what is missing."""
    clusters = {thing.cluster for thing in things}
    cluster = clusters.pop() if len(clusters) == 1 else ""
    changes = Changes(session, since=since, cluster=cluster)
    try:
        if session.is_on_terminal and not session.is_for_programs:
            with Screen() as screen:
                _wait(session, things, changes, timeout_s, screen)
        else:
            _wait(session, things, changes, timeout_s, None)
    finally:
        changes.stop()


def _wait(
    session: Session,
    things: Sequence[Awaited],
    changes: Changes,
    timeout_s: float,
    screen: Screen | None,
) -> None:
    started_s = time.monotonic()
    states: dict[Awaited, Progress] = {}
    looked_s = 0.0
    has_news = True
    while True:
        now_s = time.monotonic()
        if has_news or now_s - looked_s >= 2.0:
            looked_s = now_s
            for thing in things:
                _look(session, thing, states, is_quiet=screen is not None)
        missing = [thing for thing in things if not states[thing].is_done]
        elapsed_s = time.monotonic() - started_s
        if screen is not None:
            screen.show(_lines(things, states, elapsed_s))
        if not missing:
            return
        if elapsed_s >= timeout_s:
            raise _in_vain(missing, states, timeout_s)
        pause_s = TICK_S if screen is not None else 2.0
        has_news = bool(changes.wait(max(0.01, min(pause_s, timeout_s - elapsed_s))))


def _look(
    session: Session, thing: Awaited, states: dict[Awaited, Progress], *, is_quiet: bool
) -> None:
    before = states.get(thing)
    if before is not None and before.is_done:
        return
    item: dict[str, Any] | None = None
    try:
        item = session.client.get(thing.kind, thing.name, cluster=thing.cluster)
    except NotFound:
        if thing.wanted != DELETED:
            raise
    states[thing] = now = progress(thing.kind, item, thing.wanted)
    if not is_quiet and (before is None or now.text != before.text):
        note(f"{thing.title}: {safe(now.text)}")


def _lines(
    things: Sequence[Awaited], states: dict[Awaited, Progress], elapsed_s: float
) -> list[str]:
    rows = []
    for thing in things:
        state = states[thing]
        sign = click.style("✓", fg="green") if state.is_done else click.style("…", fg="yellow")
        rows.append([sign, thing.title, safe(state.text)])
    done = sum(state.is_done for state in states.values())
    total = f"{done} of {len(things)} after {age(int(elapsed_s * 1000))}"
    return [*aligned(rows), click.style(total, dim=True)]


def _in_vain(
    missing: Sequence[Awaited], states: dict[Awaited, Progress], timeout_s: float
) -> WaitedInVain:
    first = missing[0]
    state = states[first]
    others = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
    return WaitedInVain(
        f"{first.title}{others} is not {first.wanted} after {timeout_s:g} s: {safe(state.text)}",
        hint=state.hint or f"pfi describe {first.kind.name} {first.name}",
    )
