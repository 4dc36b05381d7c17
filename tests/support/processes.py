"""What tests do to processes: wait for them, end them, and let them hang for certain."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

END_S_MAX: Final = 30.0
LOOK_S: Final = 0.02
DOES_NOT_RUN: Final = ("T", "t", "Z", "X")  # proc_pid_stat(5)


def wait_until(is_so: Callable[[], bool], s_max: float, what: str) -> None:
    """Return as soon as `is_so`; AssertionError after `s_max`."""
    deadline = time.monotonic() + s_max
    while not is_so():
        assert time.monotonic() < deadline, f"not within {s_max:.0f} s: {what}"
        time.sleep(LOOK_S)


@contextmanager
def frozen(pid: int) -> Iterator[None]:
    """Let a process hang for the time of the block, whatever happens in it.

    A signal stops the threads of a process one after the other: the block begins when the last one
    has stopped, so that nothing in it is still answered.
    """
    os.kill(pid, signal.SIGSTOP)
    try:
        wait_until(lambda: _is_stopped(pid), END_S_MAX, f"process {pid} has stopped")
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def _is_stopped(pid: int) -> bool:
    return all(_state(task) in DOES_NOT_RUN for task in Path(f"/proc/{pid}/task").iterdir())


def _state(task: Path) -> str:
    try:
        # The name of the program, which may hold anything, stands in brackets.
        return (task / "stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "X"  # this thread has ended meanwhile


def end_processes(directory: Path) -> None:
    """Kill what runs for a daemon in `directory`, and return when it has ended."""
    for pid in pids_of(directory):
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not pids_of(directory), END_S_MAX, f"the processes of {directory} end")


def pids_of(directory: Path) -> list[int]:
    """The processes of a daemon in `directory`: itself, its monitors, its dnsmasq."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            said = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
        except OSError:
            continue
        if str(directory).encode() in said:
            found.append(int(process.name))
    return found
