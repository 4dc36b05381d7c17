"""A runtime whose answers get lost: what was asked may have been done all the same.

Only the verbs that a try of a bootstrap uses: it makes several calls one after another, and each of
them may be the last that happens.
"""

from collections.abc import Callable
from typing import Final, TypeVar

from pathfinder.runtimes.port import Instance, OutcomeUnknown, Session, Terminal
from pathfinder.runtimes.scripted import ScriptedRuntime

Answer = TypeVar("Answer")
HALF: Final = 0.5  # of the chance: before it is done, or after


class Slipping(ScriptedRuntime):
    """The verbs of `real`; answers get lost."""

    def __init__(self, real: ScriptedRuntime, strikes: Callable[[float], bool]) -> None:
        """strikes: whether an answer is lost, of so many parts of the chance that one is."""
        super().__init__()
        self._real = real
        self._strikes = strikes

    def inspect(self, name: str) -> Instance | None:
        """As the real one."""
        return self._lossy(lambda: self._real.inspect(name))

    def set_note(self, name: str, note: str) -> None:
        """As the real one."""
        self._lossy(lambda: self._real.set_note(name, note))

    def read_file(self, name: str, path: str) -> bytes:
        """As the real one."""
        return self._lossy(lambda: self._real.read_file(name, path))

    def write_file(self, name: str, path: str, content: bytes, *, mode: int = 0o644) -> None:
        """As the real one."""
        self._lossy(lambda: self._real.write_file(name, path, content, mode=mode))

    def open_session(self, name: str, terminal: Terminal) -> Session:
        """As the real one."""
        return self._lossy(lambda: self._real.open_session(name, terminal))

    def _lossy(self, ask: Callable[[], Answer]) -> Answer:
        if self._strikes(HALF):
            raise OutcomeUnknown("not done, and not answered")
        answer = ask()
        if self._strikes(HALF):
            raise OutcomeUnknown("done, and not answered")
        return answer
