"""Namespaces, mounts and control groups: the kernel's calls that Python has no words for."""

import ctypes
import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from pathfinder.lab.trouble import Trouble

# <linux/sched.h>
NAMESPACES: Final = {
    "mnt": 0x00020000, "cgroup": 0x02000000, "uts": 0x04000000,
    "ipc": 0x08000000, "pid": 0x20000000, "net": 0x40000000,
}  # fmt: skip
# <sys/mount.h>
BIND: Final = 4096
RECURSIVE: Final = 16384
SLAVE: Final = 1 << 19
LOOK_S: Final = 0.02
END_S_MAX: Final = 20.0
USUAL_OPTIONS: Final = ("rw", "relatime", "nosuid", "nodev", "noexec")
LIBC: Final = ctypes.CDLL(None, use_errno=True)


def call(name: str, *arguments: object) -> None:
    """One function of the C library that returns 0 when it succeeds; OSError."""
    if getattr(LIBC, name)(*arguments):
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def mount(
    source: str | Path, target: str | Path, kind: str = "", flags: int = 0, data: str = ""
) -> None:
    """Attach a file system; empty texts are NULL for the kernel."""
    texts = [os.fsencode(str(text)) or None for text in (source, target, kind)]
    call("mount", *texts, flags, os.fsencode(data) or None)


def enter(pid: int) -> None:
    """Move this process into another's namespaces; its children get the pid namespace too."""
    doors = [(os.open(f"/proc/{pid}/ns/{name}", os.O_RDONLY), f) for name, f in NAMESPACES.items()]
    for door, flag in doors:
        call("setns", door, flag)
        os.close(door)


def state_of(pid: int) -> str:
    """One letter as `ps` has it; X when there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "X"


def wait_until(look: Callable[[], bool], promise: str, bound_s: float = END_S_MAX) -> None:
    """Until it is so; Trouble when it never is."""
    deadline = time.monotonic() + bound_s
    while not look():
        if time.monotonic() > deadline:
            raise Trouble(f"{bound_s:.0f} s and not yet: {promise}")
        time.sleep(LOOK_S)


def end_all(pids: Iterable[int]) -> None:
    """End processes as `kill -9` does, and wait until they have ended."""
    ending = list(pids)
    for pid in ending:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    wait_until(lambda: all(state_of(pid) in "ZX" for pid in ending), "what was begun has ended")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hierarchy:
    """One mounted hierarchy of control groups. options: its controllers, in version 1."""

    root: Path
    kind: str
    options: tuple[str, ...]


def hierarchies() -> list[Hierarchy]:
    """All that this machine has mounted."""
    found = []
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, root, kind, options, *_ = line.split()
        if kind in ("cgroup", "cgroup2"):
            told = tuple(each for each in options.split(",") if each not in USUAL_OPTIONS)
            found.append(Hierarchy(root=Path(root), kind=kind, options=told))
    return found


class Group:
    """One control group, in every hierarchy."""

    def __init__(self, path: PurePosixPath) -> None:
        self.path = path

    def make(self) -> None:
        """Make it with all its parents."""
        only_second = all(each.kind == "cgroup2" for each in hierarchies())
        for hierarchy in hierarchies():
            here = hierarchy.root
            for part in self.path.parts:
                if only_second:
                    _delegate(here)
                here = here / part
                here.mkdir(exist_ok=True)
                if "cpuset" in hierarchy.options and here != hierarchy.root:
                    _inherit_cpus(here)

    def join(self) -> None:
        """Put this process into it."""
        for hierarchy in hierarchies():
            (hierarchy.root / self.path / "cgroup.procs").write_text(str(os.getpid()))

    def pids(self) -> set[int]:
        """All processes in it and below."""
        found: set[int] = set()
        for directory in self._directories():
            for here, _, files in os.walk(directory):
                if "cgroup.procs" in files:
                    with suppress(OSError):
                        found |= set(map(int, Path(here, "cgroup.procs").read_text().split()))
        return found - {0, os.getpid()}

    def freeze(self, *, thaw: bool = False) -> None:
        """Stop all its processes where they are, or let them go on."""
        for hierarchy in hierarchies():
            here = hierarchy.root / self.path
            with suppress(OSError):
                if "freezer" in hierarchy.options:
                    (here / "freezer.state").write_text("THAWED" if thaw else "FROZEN")
                elif (here / "cgroup.freeze").exists():
                    (here / "cgroup.freeze").write_text("0" if thaw else "1")

    def kill(self) -> None:
        """End all its processes, frozen or not."""
        self.freeze(thaw=True)
        deadline = time.monotonic() + END_S_MAX
        while (pids := self.pids()) and time.monotonic() < deadline:
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(LOOK_S)

    def remove(self) -> None:
        """Remove it with all below; it must be empty."""
        deadline = time.monotonic() + END_S_MAX
        while (left := list(self._directories())) and time.monotonic() < deadline:
            for directory in left:
                for here, _, _ in os.walk(directory, topdown=False):
                    with suppress(OSError):
                        Path(here).rmdir()
            time.sleep(LOOK_S)

    def _directories(self) -> Iterator[Path]:
        for hierarchy in hierarchies():
            directory = hierarchy.root / self.path
            if directory.exists():
                yield directory


def _delegate(directory: Path) -> None:
    """Version 2: what is below may use the controllers that are here."""
    for controller in (directory / "cgroup.controllers").read_text().split():
        with suppress(OSError):
            (directory / "cgroup.subtree_control").write_text(f"+{controller}")


def _inherit_cpus(directory: Path) -> None:
    """Version 1: a new cpuset has no processors, and takes no processes until it has some."""
    if (directory / "cpuset.cpus").read_text().strip():
        return
    for knob in ("cpuset.cpus", "cpuset.mems"):
        (directory / knob).write_text((directory.parent / knob).read_text())
    (directory / "cgroup.clone_children").write_text("1")
