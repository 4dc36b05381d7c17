"""The agent as a process of its own, as it is in life."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

END_S_MAX: Final = 10.0
LOOK_S: Final = 0.02


class AgentProcess:
    """One running agent; `output` is what it has said so far."""

    def __init__(self, arguments: list[str], output: Path, environment: Mapping[str, str]) -> None:
        self._output = output
        with output.open("ab") as file:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "pathfinder.agent.main", *arguments],
                # As installed: compiled once, not anew (and in memory) at each start.
                env={**os.environ, "PYTHONDONTWRITEBYTECODE": "", **environment},
                stdout=file,
                stderr=file,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def output(self) -> str:
        """What this agent, and those before it, have said."""
        return self._output.read_text()

    def wait_until_said(self, words: str, patience_s: float = END_S_MAX) -> None:
        """Return when the agent has said it; AssertionError when that takes too long."""
        deadline = time.monotonic() + patience_s
        while words not in self.output():
            assert time.monotonic() < deadline, self.output()
            time.sleep(LOOK_S)

    def kill(self) -> None:
        """End it as a power cut would."""
        self._process.kill()
        self._process.wait(END_S_MAX)

    def end(self, signal_number: int = signal.SIGTERM, patience_s: float = END_S_MAX) -> int:
        """Ask it to end; its exit status, AssertionError when it takes too long."""
        self._process.send_signal(signal_number)
        return self.status(patience_s)

    def status(self, patience_s: float = END_S_MAX) -> int:
        """Its exit status when it has ended by itself."""
        try:
            return self._process.wait(patience_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"the agent did not end: {self.output()[-2000:]}") from None


@contextmanager
def running_agent(
    directory: Path,
    server: str,
    *,
    socket: str,
    runtime: str = "lxd",
    join_token: str = "",
    environment: Mapping[str, str] | None = None,
    flags: tuple[str, ...] = (),
) -> Iterator[AgentProcess]:
    """An agent of node n1 in cluster west, killed at the end if it still runs.

    With `join_token` "" it joins with a cluster password.
    """
    secret = directory / ("token" if join_token else "password")
    secret.write_text((join_token or "correct horse battery staple") + "\n")
    flag = "--join-token-file" if join_token else "--cluster-password-file"
    arguments = ["--server", server, "--cluster", "west", flag, str(secret), "--name", "n1"]
    arguments += ["--runtime", runtime, "--socket", socket]
    arguments += ["--state-dir", str(directory / "state")]
    agent = AgentProcess([*arguments, *flags], directory / "agent.log", environment or {})
    try:
        yield agent
    finally:
        agent.kill()
