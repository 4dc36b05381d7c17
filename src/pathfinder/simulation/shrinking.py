"""From a seed that breaks to the few faults that it takes: a short story.

Whole kinds of faults are left out first, then parts of what is left that get smaller (Zeller,
"Simplifying and Isolating Failure-Inducing Input", 2002). What is left out changes what comes after
it, so each try is a world of its own: it counts when it breaks as well.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from pathfinder.simulation.timeline import Struck
from pathfinder.simulation.world import World

TRIES_MAX: Final = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """What broke, when, and the faults before it; how many there were at first."""

    broken: str
    at_ms: int
    faults: tuple[Struck, ...]
    faults_before: int = 0
    tries: int = 0

    @property
    def names(self) -> frozenset[str]:
        """What `World(seed, only=...)` needs to break in the same way."""
        return frozenset(fault.name for fault in self.faults)

    def lines(self) -> Iterator[str]:
        """As a person reads it."""
        count = len(self.faults)
        enough = "fault is enough" if count == 1 else "faults are enough"
        yield f"{count} of {self.faults_before} {enough} ({self.tries} tries):"
        for fault in self.faults:
            yield f"  {fault.at_ms:>7} ms  {fault.name} {fault.where}".rstrip()
        yield f"  {self.at_ms:>7} ms  {self.broken}"


def shrink(seed: int, *, run: Callable[[World], object] = World.run) -> Story | None:
    """The shortest story found of a seed that breaks; None when it holds."""
    first = _broken(World(seed), run)
    if first is None:
        return None
    tries, story = 1, first
    groups = [
        frozenset(fault.name for fault in first.faults if fault.kind == kind)
        for kind in sorted({fault.kind for fault in first.faults})
    ]
    part = len(first.faults)
    while tries < TRIES_MAX:
        shorter = None
        for left_out in groups:
            if not left_out & story.names:
                continue
            tries += 1
            only = story.names - left_out
            found = _broken(World(seed, only=only), run)
            if found is not None and found.names < story.names:
                shorter = story = found
        if shorter is None:
            part //= 2
        if not part or not story.faults:
            break
        ordered = [fault.name for fault in story.faults]
        groups = [
            frozenset(ordered[start : start + part]) for start in range(0, len(ordered), part)
        ]
    return replace(story, faults_before=len(first.faults), tries=tries)


def _broken(world: World, run: Callable[[World], object]) -> Story | None:
    try:
        run(world)
    except AssertionError as error:
        return Story(
            broken=str(error)[:600],
            at_ms=world.timeline.now_ms,
            faults=tuple(world.timeline.struck),
        )
    return None
