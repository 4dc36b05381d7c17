"""What bootstraps write, kept on the node: one bounded file for each container.

Each try begins with a line that says which it is, and a round ends with one that says how. A try
that a new agent follows goes on where the last agent had read to.
"""

import os
import re
import time
from collections.abc import Iterable
from typing import Final

from pathfinder.agent.notes import Note, last_line, tries_of
from pathfinder.model.bootstrap import BootstrapStep
from pathfinder.runtimes.qualified import plain_name

OUTPUT_BYTES_MAX: Final = 1 << 20  # of one container; then the older half goes
KEPT_S: Final = 3_600.0  # how long the output of a container that has gone is kept
TAIL_BYTES: Final = 4 << 10
FOOTER_BYTES_MAX: Final = 200
SLOT: Final = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9-]{0,254}")  # a container's name, and no path
SUFFIX: Final = ".log"
FOOTER: Final = re.compile(rb"== round ([0-9]+) ends: [a-z]+ ==\n\Z")


class Output:
    """The output of one try, as it comes. `offset`: how much of it is here."""

    def __init__(self, path: str, which: str, said: str) -> None:
        self._path = path
        content = read_bytes(path)
        start = content.rfind(which.encode())
        if start >= 0:
            content = content[content.find(b"\n", start) + 1 :]
            self.offset, self._tail = len(content), content[-TAIL_BYTES:]
        else:
            self.offset, self._tail = 0, content[-1:]
            self._say(f"{which}{said}==")

    def take(self, data: bytes) -> None:
        """More of it."""
        self.offset += len(data)
        self._tail = (self._tail + data)[-TAIL_BYTES:]
        self._append(data)

    def last_line(self) -> str:
        """The last line that says something."""
        return last_line(self._tail) if self.offset else ""

    def end_round(self, note: Note) -> None:
        """Nothing more comes of this round."""
        self._say(f"== round {note.round} ends: {note.state} ==")

    def _say(self, line: str) -> None:
        begins_line = not self._tail or self._tail.endswith(b"\n")
        self._append((b"" if begins_line else b"\n") + line.encode() + b"\n")

    def _append(self, data: bytes) -> None:
        with open(self._path, "ab", opener=_private) as file:
            file.write(data)
            size = file.tell()
        if size > OUTPUT_BYTES_MAX:
            _halve(self._path)


class Outputs:
    """All of them, in one directory, which is made when needed."""

    def __init__(self, directory: str) -> None:
        self._directory = directory

    def open(self, slot: str, note: Note, step: BootstrapStep | None, step_count: int) -> Output:
        """The output of the try that `note` tells of; OSError when nothing can be kept."""
        os.makedirs(self._directory, mode=0o700, exist_ok=True)
        which = f"== round {note.round}, step {note.step}, try {note.attempt} "
        if step is None:
            return Output(self._path(slot), which, "")
        said = f"({step.type}; steps: {step_count}, tries: {tries_of(step)}) "
        return Output(self._path(slot), which, said)

    def read(self, slot: str) -> bytes:
        """What is kept of a container; b"" when nothing is."""
        return read_bytes(self._path(slot))

    def stamp(self, slot: str) -> tuple[int, int, int]:
        """Differs when `read` would say something else."""
        try:
            found = os.stat(self._path(slot))
        except FileNotFoundError:
            return 0, 0, 0
        return found.st_ino, found.st_size, found.st_mtime_ns

    def sweep(self, kept: Iterable[str]) -> None:
        """Forget containers that are not among `kept`, some time after their last word."""
        names = set(kept)
        try:
            entries = list(os.scandir(self._directory))
        except FileNotFoundError:
            return
        for entry in entries:
            name, dot, _ = entry.name.partition(".")
            is_old = time.time() - entry.stat().st_mtime > KEPT_S
            if dot and name not in names and is_old:
                os.unlink(entry.path)

    def _path(self, slot: str) -> str:
        name = plain_name(slot)
        assert SLOT.fullmatch(name), slot
        return os.path.join(self._directory, f"{name}{SUFFIX}")


def has_ended(content: bytes, round_awaited: int) -> bool:
    """Whether the last word of a container's output is that the round has ended."""
    found = FOOTER.search(content[-FOOTER_BYTES_MAX:])
    return found is not None and int(found[1]) >= round_awaited


def read_bytes(path: str) -> bytes:
    """A file's content; b"" when there is none."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return b""


def _halve(path: str) -> None:
    content = read_bytes(path)[-OUTPUT_BYTES_MAX // 2 :]
    beside = f"{path}.new"
    with open(beside, "wb", opener=_private) as file:
        file.write(content[content.find(b"\n") + 1 :])
    os.replace(beside, path)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, 0o600)
