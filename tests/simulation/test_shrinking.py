"""A seed that breaks becomes a short story: the few faults that it takes."""

import pytest

from pathfinder.simulation.checks import Broken
from pathfinder.simulation.shrinking import shrink
from pathfinder.simulation.world import World

BOTH = {"cut", "server_crash"}
SEEDS_MAX = 100


def break_with_both(world: World) -> None:
    """As if some rule were broken by a node that is cut off and a server that crashes."""
    world.run()
    if {fault.kind for fault in world.timeline.struck} >= BOTH:
        raise Broken("promise 0: both have happened")


@pytest.fixture(scope="module")
def seed() -> int:
    """One in which more of both happens than it takes, and other things."""
    for seed in range(SEEDS_MAX):
        world = World(seed)
        world.run()
        kinds = [fault.kind for fault in world.timeline.struck]
        if all(kinds.count(kind) > 1 for kind in BOTH) and set(kinds) > BOTH:
            return seed
    raise AssertionError("no such seed")


@pytest.mark.slow
def test_only_the_faults_that_matter_are_left(seed: int) -> None:
    story = shrink(seed, run=break_with_both)

    assert story is not None
    assert sorted(fault.kind for fault in story.faults) == sorted(BOTH)
    assert story.faults_before > 2
    lines = list(story.lines())
    assert lines[0].startswith(f"2 of {story.faults_before} faults are enough")
    assert lines[-1].endswith("promise 0: both have happened")

    # What is told can be replayed: the same world without the others breaks in the same way.
    again = World(seed, only=story.names)
    with pytest.raises(Broken, match="both have happened"):
        break_with_both(again)
    assert tuple(again.timeline.struck) == story.faults


def test_a_seed_that_holds_has_no_story() -> None:
    assert shrink(7) is None


def test_leaving_nothing_out_changes_nothing() -> None:
    whole = World(7)
    trace = whole.run().trace
    every = frozenset(fault.name for fault in whole.timeline.struck)

    assert World(7, only=every).run().trace == trace
