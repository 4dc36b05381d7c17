"""One node as a machine: on, off, frozen, and the programs that run in it."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from pathfinder.lab import delay, kernel, network, programs
from pathfinder.lab.layout import NodeLayout
from pathfinder.lab.trouble import Trouble

DIRECTORIES: Final = ("log", "run", "lxd", "agent", "over/etc")
STOP_S_MAX: Final = 15.0
INIT: Final = "init"
INSIDE: Final = "pathfinder.lab.inside"


class Node:
    """One node, wherever it stands: every method may be called at any time, and again."""

    def __init__(self, layout: NodeLayout) -> None:
        self.layout = layout
        self.name = layout.name
        self._group = kernel.Group(layout.cgroup)

    def pid(self, program: str) -> int | None:
        """The number of a program of the node that runs, as the machine knows it."""
        run = self.layout.directory / "run"
        try:
            pid = int((run / f"{program}.pid").read_text())
            is_ours = (
                str(Path(f"/proc/{pid}/ns/pid").readlink()) == (run / "pid-namespace").read_text()
            )
        except (OSError, ValueError):
            return None
        return pid if is_ours and kernel.state_of(pid) not in "ZX" else None

    @property
    def is_on(self) -> bool:
        """Whether the machine is on."""
        return self.pid(INIT) is not None

    def switch_on(self) -> None:
        """Cable, namespaces, process 1: a machine that has just been switched on."""
        for name in DIRECTORIES:
            (self.layout.directory / name).mkdir(parents=True, exist_ok=True)
        for path in (self.layout.directory, self.layout.directory / "lxd"):
            path.chmod(0o711)
        network.lay_cable(self.layout)
        if not self.is_on:
            self._group.kill()
            for stale in (self.layout.directory / "run").glob("*.pid"):
                stale.unlink()
            self._inside(INIT)

    def switch_off(self) -> None:
        """A power cut: everything in the node ends at once, and with it its cable."""
        delay.speed_up(self.layout)
        with suppress(OSError, ValueError):
            pid = int((self.layout.directory / "run/init.pid").read_text())
            if self.pid(INIT) == pid:
                os.kill(pid, signal.SIGKILL)
                self._group.kill()
                kernel.wait_until(
                    lambda: kernel.state_of(pid) in "ZX", f"process 1 of {self.name} has ended"
                )
        self._group.kill()
        self._group.remove()
        network.take_cable(self.layout)

    def freeze(self, *, thaw: bool = False) -> None:
        """Stop everything in the node where it is, or let it go on."""
        self._require_on()
        self._group.freeze(thaw=thaw)

    def start(self, program: str, argv: Sequence[str]) -> int:
        """Start a program in the node, unless it runs; its number."""
        self._require_on()
        if (pid := self.pid(program)) is not None:
            return pid
        return int(self._inside("spawn", program, "--", *argv))

    def kill(self, program: str) -> None:
        """End a program as `kill -9` does; Trouble when it does not run."""
        pid = self._require(program)
        os.kill(pid, signal.SIGKILL)
        kernel.wait_until(lambda: kernel.state_of(pid) in "ZX", f"{program} has ended")

    def stop(self, program: str) -> None:
        """Ask a program to end, and wait until it has; nothing when it does not run."""
        pid = self.pid(program)
        if pid is None:
            return
        os.kill(pid, signal.SIGTERM)
        kernel.wait_until(
            lambda: kernel.state_of(pid) in "ZX", f"{program} has ended", bound_s=STOP_S_MAX
        )

    def command(self, argv: Sequence[str]) -> list[str]:
        """The command line that runs another one in the node."""
        init = self._require(INIT)
        enter = ["nsenter", "-t", str(init), "-m", "-u", "-i", "-n", "-p", "-C"]
        return [*enter, "--", *argv]

    def execute(self, argv: Sequence[str]) -> int:
        """Run a command in the node with this terminal; its exit code."""
        self._group.join()
        surroundings = {**programs.environment(), "LXD_DIR": str(self.layout.directory / "lxd")}
        return subprocess.run(self.command(argv), env=surroundings, check=False).returncode

    def log(self, program: str) -> Path:
        """Where what a program says is kept."""
        return self.layout.directory / "log" / f"{program}.log"

    def remove(self) -> None:
        """Switch it off and take all its files away."""
        self.switch_off()
        detach_loops(self.layout.directory)
        shutil.rmtree(self.layout.directory, ignore_errors=True)

    def _require_on(self) -> None:
        self._require(INIT)

    def _require(self, program: str) -> int:
        pid = self.pid(program)
        if pid is None:
            what = "is off" if program == INIT else f"runs no {program}"
            raise Trouble(f"{self.name} {what}", hint=f"pathfinder lab start {self.name}")
        return pid

    def _inside(self, *arguments: str) -> str:
        directory = str(self.layout.lab.directory)
        argv = [sys.executable, "-m", INSIDE, directory, self.name, *arguments]
        ended = subprocess.run(
            argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        if ended.returncode:
            raise Trouble(f"{self.name}: {programs.tail(ended.stderr).strip()}")
        return ended.stdout.strip()


def detach_loops(directory: Path) -> None:
    """Storage pools on files hold loop devices, also when whoever made them is gone."""
    for line in programs.run("losetup", "-nlO", "NAME,BACK-FILE").splitlines():
        device, _, file = line.partition(" ")
        if file.strip().startswith(f"{directory}/"):
            programs.succeeds("losetup", "-d", device)
