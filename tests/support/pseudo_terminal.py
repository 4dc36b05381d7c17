"""A program on a pseudo-terminal, typed at and read as a person would."""

import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

SHOWN_S_MAX: Final = 30.0
LOOK_S: Final = 0.05
# The terminal becomes the program's own, so that Ctrl-C and a new size reach it; whoever runs the
# tests in the background has made interrupts ignored, which is inherited.
ON_TERMINAL: Final = ("setsid", "--ctty", "--wait", "env", "--default-signal=INT")


class PseudoTerminal:
    """`screen` is everything that the program has written so far."""

    def __init__(self, process: subprocess.Popen[bytes], fd: int) -> None:
        self.process = process
        self.screen = b""
        self._fd = fd
        self._read_to = 0

    def type(self, text: str) -> None:
        """Press these keys."""
        os.write(self._fd, text.encode())

    def resize(self, columns: int, rows: int) -> None:
        """Change the window's size; the kernel tells the program."""
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read_until(self, wanted: str) -> str:
        """What was written since the last time, up to `wanted`; AssertionError in the end.

        What came together with `wanted`, after it, is for the next time.
        """
        start, deadline_s = self._read_to, time.monotonic() + SHOWN_S_MAX
        while (found := self.screen.find(wanted.encode(), start)) < 0:
            left_s = deadline_s - time.monotonic()
            assert left_s > 0, self.screen
            assert self._read(left_s), self.screen
        self._read_to = found + len(wanted.encode())
        return self.screen[start : self._read_to].decode("utf-8", "replace")

    def ends(self) -> int:
        """Read to the end; the exit code."""
        deadline_s = time.monotonic() + SHOWN_S_MAX
        # The terminal itself stays open, so there is no end of file to wait for.
        while self._read(LOOK_S) or self.process.poll() is None:
            assert time.monotonic() < deadline_s, self.screen
        return self.process.wait()

    def is_raw(self) -> bool:
        """Whether keys go to the program one by one, unedited."""
        return not termios.tcgetattr(self._fd)[3] & termios.ICANON

    def _read(self, wait_s_max: float) -> bool:
        ready, _, _ = select.select([self._fd], [], [], wait_s_max)
        if not ready:
            return False
        try:
            data = os.read(self._fd, 65536)
        except OSError:  # how a pseudo-terminal says that its other side has closed
            return False
        self.screen += data
        return bool(data)


@contextmanager
def on_terminal(
    command: Sequence[str], environ: Mapping[str, str], *, columns: int = 100, rows: int = 30
) -> Iterator[PseudoTerminal]:
    """Start a program on a terminal of this size; it is killed when it has not ended."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    with subprocess.Popen(
        [*ON_TERMINAL, *command],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**environ, "TERM": "xterm"},
    ) as process:
        # Kept open, so that the terminal's settings can be looked at after the program has ended.
        try:
            yield PseudoTerminal(process, ours)
        finally:
            process.kill()
            os.close(theirs)
            os.close(ours)
