"""`./dev check`: everything that can be known in a minute, before a commit."""

import os
import subprocess
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from tools import environment
from tools.console import Console

FAST: Final = "not slow and not system"
# Servers in the tests take a fifth of a second to stop, in which nothing is done.
THREE_FILES_AT_A_TIME: Final = ("-n", "3", "--dist", "loadfile")


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One program that must end with 0. `fix` says what to type when it does not."""

    name: str
    argv: tuple[str, ...]
    fix: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How a check ended, and all it said."""

    check: Check
    passed: bool
    took_s: float
    output: str


# What reads the sources only. `./dev test` holds the repository to the same list.
STATIC: Final = (
    Check(name="types", argv=("mypy",)),
    Check(name="rooms", argv=("lint-imports", "--no-cache")),
    Check(
        name="lint", argv=("ruff", "check", "--quiet", "--output-format=concise"), fix="./dev fix"
    ),
    Check(
        name="format",
        argv=("ruff", "format", "--check", "--quiet", "--output-format=concise"),
        fix="./dev fix",
    ),
    Check(name="tidy", argv=("python", "-m", "tools.tidy")),
)
# Their last line says how much was done. The tests of the simulation itself run the same seeds once
# more, and are left to `./dev test`.
TELLING: Final = (
    Check(
        name="tests",
        argv=(
            "env",
            "PROPERTY_EXAMPLES=20",
            "pytest",
            "-q",
            *THREE_FILES_AT_A_TIME,
            "-m",
            FAST,
            "--ignore=tests/simulation",
        ),
        fix="./dev test NAME",
    ),
    Check(
        name="100 seeds",
        argv=("python", "-m", "pathfinder.simulation.main", "--seeds", "100", "--jobs", "1"),
        fix="./dev simulate SEED",
    ),
)
FIXES: Final = (
    ("ruff", "check", "--fix", "--quiet", "--output-format=concise"),
    ("ruff", "format", "--quiet"),
    ("python", "-m", "tools.references"),
)
# The longest first, so that the short ones fill the other core.
ALL: Final = (*TELLING, *STATIC)


def check_all(console: Console) -> int:
    """Run all checks, two at a time; 0 when all pass."""
    began_s = time.monotonic()
    with ThreadPoolExecutor(max_workers=max(2, os.cpu_count() or 1)) as pool:
        verdicts = list(pool.map(lambda check: _shown(console, check), ALL))
    _summarise(console, verdicts, time.monotonic() - began_s)
    return 0 if all(verdict.passed for verdict in verdicts) else 1


def run_check(check: Check) -> Verdict:
    """Run one check to its end."""
    began_s = time.monotonic()
    ended = subprocess.run(
        check.argv,
        cwd=environment.ROOT,
        env=environment.program_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    took_s = time.monotonic() - began_s
    return Verdict(check=check, passed=not ended.returncode, took_s=took_s, output=ended.stdout)


def fix(console: Console) -> int:
    """Format, repair what the linter can repair, and make the pages that come from the code."""
    for argv in FIXES:
        verdict = run_check(Check(name=" ".join(argv), argv=argv))
        if not verdict.passed:
            console.say(verdict.output.rstrip())
    return 0


def _shown(console: Console, check: Check) -> Verdict:
    with console.step(check.name) as step:
        verdict = run_check(check)
        step.failed = not verdict.passed
        step.note = _closing_line(verdict)
    return verdict


def _closing_line(verdict: Verdict) -> str:
    lines = verdict.output.strip().splitlines()
    is_telling = verdict.check in TELLING and verdict.passed and lines
    return lines[-1].strip("= ").partition(";")[0] if is_telling else ""


def _summarise(console: Console, verdicts: Iterable[Verdict], took_s: float) -> None:
    failed = [verdict for verdict in verdicts if not verdict.passed]
    for verdict in failed:
        console.say(
            console.color("1", f"\n── {verdict.check.name}: {' '.join(verdict.check.argv)}")
        )
        console.say(verdict.output.rstrip())
        if verdict.check.fix:
            console.say(f"   try: {verdict.check.fix}")
    names = ", ".join(verdict.check.name for verdict in failed)
    outcome = console.color("31", f"failed: {names}") if failed else console.color("32", "all good")
    console.say(f"\n{outcome} ({took_s:.0f} s)")
