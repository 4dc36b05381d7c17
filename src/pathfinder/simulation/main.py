"""`./dev simulate`: run seeds; a failing one replays with `--seed N --say`."""

import argparse
import gc
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from typing import Final

from pathfinder.simulation.checks import Broken
from pathfinder.simulation.shrinking import shrink
from pathfinder.simulation.world import World

# What a seed leaves behind is a few megabytes, in circles: collected now and then, and not with
# each thousand of objects that are made.
OBJECTS_MAX: Final = 200_000


def run_seed(seed: int) -> tuple[int, str, Counter[str], int]:
    """(seed, what broke or "", the rare paths it reached, actions)."""
    world = World(seed)
    try:
        verdict = world.run()
    except AssertionError as error:
        return seed, f"{type(error).__name__}: {error}", world.reached, 0
    return seed, "", verdict.reached, verdict.actions


def _begin_worker() -> None:
    """The modules stay: nothing of them is to be looked through again and again."""
    gc.freeze()
    gc.set_threshold(OBJECTS_MAX, 10, 10)


def main() -> int:
    """Run the seeds that the command line names; 1 when one has failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=200, help="how many, from --first on")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int, help="replay this one alone")
    parser.add_argument("--say", action="store_true", help="print what happens, with --seed")
    parser.add_argument("--shrink", action="store_true", help="to the faults that it takes")
    parser.add_argument("--until-broken", action="store_true", help="end with the first failure")
    parser.add_argument("--jobs", type=int, default=2)
    arguments = parser.parse_args()
    if arguments.seed is not None and arguments.shrink:
        return _shrink(arguments.seed)
    if arguments.seed is not None:
        return _replay(arguments.seed, say=arguments.say)
    began = time.monotonic()
    seeds = range(arguments.first, arguments.first + arguments.seeds)
    failures: list[tuple[int, str]] = []
    reached: Counter[str] = Counter()
    actions = 0
    with ProcessPoolExecutor(arguments.jobs, initializer=_begin_worker) as pool:
        for seed, broken, paths, count in pool.map(run_seed, seeds, chunksize=4):
            reached += paths
            actions += count
            if broken and arguments.until_broken:
                print(f"seed {seed}: {broken[:600]}\n  replay: ./dev simulate {seed}", flush=True)
                pool.shutdown(cancel_futures=True)
                return 1
            if broken:
                failures.append((seed, broken))
                print(f"seed {seed}: {broken[:600]}\n  replay: ./dev simulate {seed}", flush=True)
    took_s = time.monotonic() - began
    print(
        f"{len(seeds)} seeds, {len(failures)} failed, {actions} actions, {took_s:.1f} s; reached "
        + ", ".join(f"{path} {count}" for path, count in sorted(reached.items()))
    )
    return 1 if failures else 0


def _shrink(seed: int) -> int:
    story = shrink(seed)
    if story is None:
        print(f"seed {seed} holds")
        return 0
    print(f"seed {seed}:")
    for line in story.lines():
        print(line)
    return 1


def _replay(seed: int, *, say: bool) -> int:
    world = World(seed, say=print if say else None)
    try:
        verdict = world.run()
    except Broken as error:
        print(f"seed {seed} at {world.timeline.now_ms} ms: {error}")
        return 1
    print(f"seed {seed} holds: {verdict.actions} actions, trace {verdict.trace}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
