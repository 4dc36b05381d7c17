"""Scripted stories against real programs, as `./dev scenario` plays them. Promises 2, 3 and 6."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.lab import why_not

ROOT = Path(__file__).parents[2]


@pytest.mark.system
@pytest.mark.slow
@pytest.mark.skipif(bool(why_not()), reason=why_not())
def test_a_logging_stack_ends_with_every_replica_knowing_the_final_addresses() -> None:
    ended = subprocess.run(
        [sys.executable, "dev", "scenario", "logging-stack"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert ended.stdout.rstrip().endswith("everything held")
