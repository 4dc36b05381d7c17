"""What the instances of the scripted runtime say: steps of its verbs, and commands run in them."""

from collections.abc import Iterator
from typing import Final

from pathfinder.runtimes.port import OutcomeUnknown, Refused, RuntimeFailure, Terminal

ALWAYS: Final = "always"
STEPS: Final = frozenset(
    {
        "fail", "refused", "unknown", "unknown-not-done", "hang", "hang-done", "half", "dies", "ok",
    }
)  # fmt: skip
NOT_DONE: Final = frozenset({"fail", "refused", "unknown-not-done", "hang"})


class Hangs(OutcomeUnknown):
    """The call would not return: let time pass, then take it as an OutcomeUnknown."""


class ScriptedSession:
    """A command in a scripted instance. `ended`: (its output, its exit code), known before."""

    def __init__(self, terminal: Terminal, ended: tuple[bytes, int] | None = None) -> None:
        self._command = terminal.command
        self._ended = ended
        self._input = b""

    def frames(self) -> Iterator[tuple[int, bytes]]:
        """The whole output."""
        if self._ended is not None:
            if self._ended[0]:
                yield 1, self._ended[0]
            return
        match self._command:
            case ("cat",):
                if self._input:
                    yield 1, self._input
            case ("echo", *words):
                yield 1, " ".join(words).encode() + b"\n"
            case ("true",) | ("false",):
                pass
            case _:
                yield 2, b"Command not found\n"

    def write(self, data: bytes) -> None:
        """Kept for `cat`."""
        self._input += data

    def resize(self, columns: int, rows: int) -> None:
        """Nothing here has a size."""

    def exit_code(self) -> int:
        """127 for what it does not know."""
        if self._ended is not None:
            return self._ended[1]
        return {"cat": 0, "echo": 0, "true": 0, "false": 1}.get(self._command[0], 127)

    def close(self) -> None:
        """Nothing goes on."""


def step_at(script: str, number: int) -> str:
    """What the script says about the call of this number, counted from 0; ValueError: no script."""
    for text in filter(None, script.split(",")):
        what, _, times = text.strip().partition(":")
        if what not in STEPS:
            raise ValueError(f"{what!r} is not one of {', '.join(sorted(STEPS))}")
        if times == ALWAYS:
            return what
        number -= int(times or 1)
        if number < 0:
            return what
    return "ok"


def raise_for(step: str, what: str) -> None:
    """What a verb raises at this step of its script."""
    match step:
        case "fail":
            raise RuntimeFailure(f"{what}: the script says fail")
        case "refused":
            raise Refused(f"{what}: the script says refused")
        case "unknown" | "unknown-not-done" | "half":
            raise OutcomeUnknown(f"{what}: the script says {step}")
        case "hang" | "hang-done":
            raise Hangs(f"{what}: the script says {step}")
        case _:
            return
