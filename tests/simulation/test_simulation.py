"""The whole platform under virtual time. Promises 1 to 8 of ARCHITECTURE.md."""

import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from pathfinder.simulation import checks
from pathfinder.simulation.main import run_seed
from pathfinder.simulation.world import World
from tests.simulation.mutants import MUTANTS, Mutant

SOURCES = Path(checks.__file__).parents[2]
SEEDS_MAX = 1_500  # a mutant that these do not notice has survived

RARE_PATHS = (
    "adopted", "given_up", "orphaned", "restored", "unplaced", "failed", "released", "lost",
    "repeated", "node_reboot", "one_way", "daemon_crash", "runtime_down", "unready", "recovered",
    "rival", "clock_jump", "node_clock_jump", "drained",
)  # fmt: skip

# Seeds that once failed, each with what it found. They replay another world after each change of
# the code, so what they found has tests of its own; they stay because they cost nothing.
REGRESSIONS = {
    2: "a late repetition of a refused request succeeded",
    15: "a restored server believed a node whose daemon was down",
    19: "an adopted container never became ready",
    46: "a container was made again while an orphan of its name ran",
    163: "a container made during recovery ran beside its forgotten namesake",
    20: "a target that could not start tried again, while the server let it run where it was",
    1019899: "room that a waiting container gave up was offered to nobody",
    3000760: "an orphan that somebody had deleted ran beside its namesake",
    3003214: "half of a copy from the future was waited for after it had gone",
    1001050: "a replica from the future kept a spec that was never its digest's",
    2006963: "replicas bootstrapped in the future were bootstrapped again, all at once",
    248: "a backup from the middle of a recovery did not wait for nodes that had been heard before",
}


@pytest.mark.slow
def test_two_hundred_seeds_keep_every_promise_and_reach_the_rare_paths() -> None:
    broken: dict[int, str] = {}
    reached: Counter[str] = Counter()
    for seed in range(200):
        _, said, paths, _ = run_seed(seed)
        reached += paths
        if said:
            broken[seed] = said

    assert broken == {}
    assert [path for path in RARE_PATHS if not reached[path]] == []


@pytest.mark.slow
@pytest.mark.parametrize("seed", REGRESSIONS)
def test_a_seed_that_once_failed_holds(seed: int) -> None:
    _, said, _, _ = run_seed(seed)

    assert said == ""


def test_equal_seeds_give_equal_worlds() -> None:
    first, second = World(7).run(), World(7).run()

    assert first.trace == second.trace
    assert first.actions == second.actions > 1000


@pytest.mark.slow
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_sown_mistake_is_noticed(mutant: Mutant, tmp_path: Path) -> None:
    shutil.copytree(SOURCES, tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    mutant.sow(tmp_path / "src")
    ended = _played(tmp_path / "src", "--first", str(mutant.seed), "--seeds", "1", "--jobs", "1")
    if ended.returncode == 0:
        ended = _played(tmp_path / "src", "--seeds", str(SEEDS_MAX))

    assert ended.returncode == 1, ended.stdout
    assert "replay: ./dev simulate" in ended.stdout, ended.stderr


def _played(sources: Path, *seeds: str) -> subprocess.CompletedProcess[str]:
    """The simulation of these sources, until a seed fails."""
    return subprocess.run(
        [sys.executable, "-m", "pathfinder.simulation.main", "--until-broken", *seeds],
        env={**os.environ, "PYTHONPATH": str(sources)},
        capture_output=True,
        text=True,
        check=False,
    )
