"""More seeds of the simulation, beside the file that plays the first ones and the mutants."""

import pytest

from pathfinder.simulation.main import run_seed

FIRST = 200
SEEDS = 800
PART = 100


@pytest.mark.slow
@pytest.mark.parametrize("first", range(FIRST, FIRST + SEEDS, PART))
def test_a_thousand_seeds_keep_every_promise(first: int) -> None:
    played = (run_seed(seed) for seed in range(first, first + PART))

    assert {seed: broken for seed, broken, _, _ in played if broken} == {}
