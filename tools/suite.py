"""`./dev test [PART]`: the tests, with everything on the machine that they need."""

import os
import subprocess
from pathlib import Path
from typing import Final

from tools import browser, container_daemon, environment
from tools.console import Console
from tools.trouble import Trouble

TESTS: Final = environment.ROOT / "tests"
# These folders need nothing but Python; every other part may start a container daemon of its own.
PURE_PARTS: Final = ("unit", "property", "golden", "simulation", "pages")
SLOWEST_SHOWN: Final = 10
# Where nobody watches: what is broken for good fails in time to be read, not after hours of waits.
FAILURES_MAX: Final = 8
# File by file, so that tests which share a server or a daemon stay with it. Each of the two starts
# an LXD of its own; more would only wait for the same cores.
TWO_FILES_AT_A_TIME: Final = ("-n", "2", "--dist", "loadfile")


def run_tests(console: Console, parts: list[str]) -> int:
    """Run the tests of `parts` (folders, files, or words of their names; none: all)."""
    if not parts or not set(parts) <= set(PURE_PARTS):
        container_daemon.install_if_allowed(console)
        browser.install_if_allowed(console)
    argv = ["pytest", *(() if parts else TWO_FILES_AT_A_TIME), *selection(parts)]
    if os.environ.get("CI"):
        argv += [f"--durations={SLOWEST_SHOWN}", "--durations-min=1.0", f"--maxfail={FAILURES_MAX}"]
    # pytest takes over this terminal: its closing line is the last thing that is said.
    return subprocess.run(
        argv, cwd=environment.ROOT, env=environment.program_environment(), check=False
    ).returncode


def selection(parts: list[str]) -> list[str]:
    """Pytest's arguments for what a person typed."""
    paths: list[Path] = []
    words: list[str] = []
    for part in parts:
        found = _paths(part)
        paths += found
        words += [] if found else [part]
    if words and not all(word.isidentifier() for word in words):
        raise Trouble(f"no tests are called {' '.join(words)}", hint=f"parts are {_known_parts()}")
    return [*map(str, paths), *(("-k", " or ".join(words)) if words else ())]


def _paths(part: str) -> list[Path]:
    """The folder, the file, or the files test_PART.py that `part` names."""
    file = part.partition("::")[0]
    for base in (TESTS, environment.ROOT):
        if (base / file).exists():
            return [base / part]
    return sorted(TESTS.rglob(f"test_{part}.py"))


def _known_parts() -> str:
    return ", ".join(sorted(path.name for path in TESTS.iterdir() if path.is_dir()))
