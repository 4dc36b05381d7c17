"""A command in a container, on this terminal or in this pipe.

One thread, nothing blocks but the wait itself: what is typed goes in as far as the line takes it,
what arrives is written out, and a changed window is told.
"""

import fcntl
import os
import select
import signal
import struct
import sys
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from pathfinder.client.terminal import STDOUT, Ended, Terminal

INPUT_BYTES: Final = 32 << 10
WINDOW: Final = struct.Struct("HHHH")  # struct winsize: rows, columns, and two unused


def window_size() -> tuple[int, int]:
    """(columns, rows) of the terminal on standard output."""
    packed = fcntl.ioctl(sys.stdout.fileno(), termios.TIOCGWINSZ, bytes(WINDOW.size))
    rows, columns, _, _ = WINDOW.unpack(packed)
    return columns or 80, rows or 24


def attach(terminal: Terminal, *, has_input: bool, is_tty: bool) -> int:
    """Connect this process's input and output to the command; its exit code when it has ended."""
    with (
        terminal,
        window_changes(is_wanted=is_tty) as window_fd,
        raw_input(is_wanted=is_tty),
    ):
        return _pump(terminal, _Input(is_open=has_input), window_fd)


class _Input:
    """Standard input, until it ends."""

    def __init__(self, *, is_open: bool) -> None:
        self.fd = sys.stdin.fileno() if is_open else -1
        self.is_open = is_open

    def read(self) -> bytes:
        try:
            data = os.read(self.fd, INPUT_BYTES)
        except OSError:
            data = b""  # the terminal went away
        self.is_open = bool(data)
        return data


def _pump(terminal: Terminal, stdin: _Input, window_fd: int) -> int:
    if not stdin.is_open:
        terminal.end_input()
    while True:
        readers: list[Terminal | int] = [terminal]
        if stdin.is_open and terminal.has_room:
            readers.append(stdin.fd)
        if window_fd >= 0:
            readers.append(window_fd)
        writers = [terminal] if terminal.has_backlog else []
        timeout_s = 0 if terminal.has_early else None
        ready, _, _ = select.select(readers, writers, [], timeout_s)
        if window_fd in ready:
            os.read(window_fd, 64)
            terminal.resize(*window_size())
        if stdin.fd in ready:
            if data := stdin.read():
                terminal.write(data)
            else:
                terminal.end_input()
        terminal.flush()
        for item in terminal.receive():
            if isinstance(item, Ended):
                return item.exit_code
            _write(
                sys.stdout.fileno() if item.channel == STDOUT else sys.stderr.fileno(), item.data
            )


def _write(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(fd, view) :]
        except BlockingIOError:  # a terminal that somebody has made non-blocking
            select.select([], [fd], [])


@contextmanager
def raw_input(*, is_wanted: bool) -> Iterator[None]:
    """Every key goes to the command as it is, Ctrl-C too; afterwards all is as before."""
    if not is_wanted:
        yield
        return
    fd = sys.stdin.fileno()
    before = termios.tcgetattr(fd)
    try:
        tty.setraw(fd)
        yield
    finally:
        termios.tcsetattr(fd, termios.TCSADRAIN, before)


@contextmanager
def window_changes(*, is_wanted: bool) -> Iterator[int]:
    """A descriptor that becomes readable when the window's size changes; -1 when not wanted."""
    if not is_wanted:
        yield -1
        return
    reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    before = signal.getsignal(signal.SIGWINCH)
    signal.signal(signal.SIGWINCH, lambda *_: None)
    woken_before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    try:
        yield reader
    finally:
        signal.set_wakeup_fd(woken_before)
        signal.signal(signal.SIGWINCH, before)
        os.close(reader)
        os.close(writer)
