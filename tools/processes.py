"""Background programs of `./dev up`: found again by pid file, stopped in their own time."""

import os
import shutil
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tools import commands, environment
from tools.trouble import Trouble

STOP_S_MAX: Final = 20.0
LOOK_AGAIN_S: Final = 0.05
START_TIME_FIELD: Final = 19  # of /proc/PID/stat behind the program's name: field 22 in proc(5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """One background program, with its pid file and its log in the directory `state`."""

    name: str
    argv: tuple[str, ...]
    state: Path = environment.STATE

    @property
    def log(self) -> Path:
        """All it says."""
        return self.state / f"{self.name}.log"

    def is_running(self) -> bool:
        """Whether the process of the pid file lives, and is not another that got its number."""
        return self._pid() is not None

    def start(self) -> None:
        """Start it, unless it runs."""
        if self.is_running():
            return
        surroundings = environment.program_environment()
        program = shutil.which(self.argv[0], path=surroundings["PATH"])
        if program is None:
            raise Trouble(f"{self.argv[0]} is not installed")
        said = (os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        pid = os.posix_spawn(
            program,
            self.argv,
            surroundings,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, str(self.log), *said),
                (os.POSIX_SPAWN_DUP2, 1, 2),
            ],
            setsid=True,  # Ctrl-C in this terminal is for us, who stop it in good order
        )
        self._pid_file().write_text(f"{pid} {_started(pid)}\n")

    def stop(self) -> bool:
        """Ask it to end and wait until it has; by force when it takes too long. False: ran not."""
        pid = self._pid()
        if pid is None:
            self._pid_file().unlink(missing_ok=True)
            return False
        os.kill(pid, signal.SIGTERM)
        deadline_s = time.monotonic() + STOP_S_MAX
        while self.is_running():
            if time.monotonic() > deadline_s:
                os.kill(pid, signal.SIGKILL)
                deadline_s += STOP_S_MAX
            time.sleep(LOOK_AGAIN_S)
        self._pid_file().unlink(missing_ok=True)
        return True

    def require_running(self) -> None:
        """Trouble with the end of its log when it has ended."""
        if not self.is_running():
            said = commands.tail(self.log.read_text(errors="replace")) if self.log.exists() else ""
            raise Trouble(f"the {self.name} has ended:\n{said}", hint=f"its log is {self.log}")

    def _pid_file(self) -> Path:
        return self.state / f"{self.name}.pid"

    def _pid(self) -> int | None:
        try:
            pid, started = self._pid_file().read_text().split()
        except (OSError, ValueError):
            return None
        return int(pid) if started == _started(int(pid)) else None


def _started(pid: int) -> str:
    """When a process began, in ticks since boot; "" for one that is gone or a zombie."""
    # Our own child stays a zombie until it is asked for.
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        pass
    try:
        state, *rest = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if state in "ZX" else rest[START_TIME_FIELD - 1]
