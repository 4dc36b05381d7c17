"""Other programs, run with their output kept for the moment when it is needed."""

import os
import shlex
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from pathfinder.lab.trouble import Trouble

# Debian gives ordinary users a PATH without the places where daemons and file system tools live.
SYSTEM_PATH: Final = "/usr/local/sbin:/usr/sbin:/sbin"
TAIL_LINES: Final = 15
SHOWN_LENGTH_MAX: Final = 80


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment with the system directories on PATH, and `extra`."""
    path = f"{os.environ.get('PATH', '/usr/bin:/bin')}:{SYSTEM_PATH}"
    return {**os.environ, "PATH": path, **(extra or {})}


def find(program: str) -> str | None:
    """The full path of a program, or None."""
    return shutil.which(program, path=environment()["PATH"])


def run(
    *argv: str | Path,
    cwd: Path | None = None,
    extra: Mapping[str, str] | None = None,
    hint: str = "",
    given: str = "",
) -> str:
    """Standard output of a program that must succeed; Trouble with the end of what it said.

    given: its standard input.
    """
    arguments = [str(word) for word in argv]
    try:
        ended = subprocess.run(
            arguments,
            cwd=cwd,
            env=environment(extra),
            input=given,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
    except FileNotFoundError:
        raise Trouble(f"{arguments[0]} is not installed", hint=hint) from None
    if ended.returncode:
        said = tail(f"{ended.stdout}\n{ended.stderr}")
        raise Trouble(f"{_shown(arguments)} failed ({ended.returncode}):\n{said}", hint=hint)
    return ended.stdout


def succeeds(*argv: str | Path) -> bool:
    """Whether a program ends well; what it says does not matter."""
    arguments = [str(word) for word in argv]
    ended = subprocess.run(
        arguments, env=environment(), stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    return ended.returncode == 0


def _shown(arguments: list[str]) -> str:
    line = shlex.join(arguments)
    return line if len(line) <= SHOWN_LENGTH_MAX else f"{line[: SHOWN_LENGTH_MAX - 1]}…"


def tail(text: str) -> str:
    """The last lines that say something, indented."""
    spoken = [line for line in text.splitlines() if line.strip()]
    return "\n".join(f"    {line}" for line in spoken[-TAIL_LINES:])


def is_root() -> bool:
    """Whether namespaces, packages and daemons are ours to handle."""
    return os.geteuid() == 0
