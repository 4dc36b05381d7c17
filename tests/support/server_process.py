"""`pathfinder server` as people start it: a process of its own on a data directory."""

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.support.running import Api

PROGRAM = (sys.executable, "-m", "pathfinder.server.main")
BEGIN_S_MAX = 60.0
END_S_MAX = 30.0


@dataclass(frozen=True)
class ServerProcess:
    """A server that listens."""

    process: subprocess.Popen[bytes]
    port: int
    token: str
    log: Path

    def api(self) -> Api:
        """A connection as administrator; the caller closes it."""
        return Api(self.port, self.token)

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal; the exit code."""
        self.process.send_signal(number)
        return self.process.wait(END_S_MAX)


def run_program(
    *arguments: str | Path, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run `pathfinder` to its end."""
    return subprocess.run(
        [*PROGRAM, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=BEGIN_S_MAX,
        env={**os.environ, **(environment or {})},
    )


def initialised(directory: Path) -> str:
    """Make a data directory; the administrator's token."""
    token_file = directory / "admin-token"
    ended = run_program("init", "--data-dir", directory, "--admin-token-file", token_file)
    assert ended.returncode == 0, ended.stderr
    return token_file.read_text().strip()


@contextlib.contextmanager
def server_process(
    directory: Path, token: str, *arguments: str | Path, preparation: tuple[str, ...] = ()
) -> Iterator[ServerProcess]:
    """A server on a port that the system chooses; killed at the end when it still runs."""
    log = directory / "server.log"
    with log.open("ab") as errors:
        process = subprocess.Popen(
            [
                *preparation,
                *PROGRAM,
                *("server", "--data-dir", str(directory), "--listen", "127.0.0.1:0"),
                *map(str, arguments),
            ],
            stdout=subprocess.PIPE,
            stderr=errors,
        )
    try:
        yield ServerProcess(process, _port(process, log), token, log)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(END_S_MAX)
        if process.stdout is not None:
            process.stdout.close()


def _port(process: subprocess.Popen[bytes], log: Path) -> int:
    """The port in the one line that it prints when it listens."""
    assert process.stdout is not None
    deadline = time.monotonic() + BEGIN_S_MAX
    said = b""
    while not said.endswith(b"\n"):
        left_s = deadline - time.monotonic()
        ready, _, _ = select.select([process.stdout], [], [], max(left_s, 0))
        part = os.read(process.stdout.fileno(), 4096) if ready else b""
        assert part, f"it does not listen: {log.read_text()[-2000:]}"
        said += part
    return int(said.decode().rstrip().rpartition(":")[2])
