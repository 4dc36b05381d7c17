"""How far a container's bootstrap is, as the agent notes it on the instance. Pure.

The note is written before a try begins and after it has ended, so that an agent without memory goes
on where the last one was killed, and never runs a round again that has ended.
"""

import json
import re
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final, Literal

from pathfinder.model.bootstrap import BootstrapStep
from pathfinder.model.errors import Malformed
from pathfinder.wire import codec

State = Literal["running", "waiting", "done", "failed", "left"]
ERROR_LENGTH_MAX: Final = 400
LINE_LENGTH_MAX: Final = 200
UNPRINTABLE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Where a round of bootstrap is; `step` and `attempt` count from 1.

    running: this try may have begun. waiting: it comes next, and has not begun. done, failed: the
    round has ended. left: the try has ended, and its round is not wanted any more.
    exit_code: of the latest try that ended, -1 when it has none; error: why that one failed.
    """

    round: int
    state: State
    step: int = 1
    attempt: int = 1
    exit_code: int = -1
    error: str = ""

    @property
    def key(self) -> str:
        """The key of the try's job inside the instance."""
        return f"{self.round}-{self.step}-{self.attempt}"

    @property
    def has_ended(self) -> bool:
        """Whether nothing of the round is left to do."""
        return self.state in ("done", "failed")

    @property
    def tries_made(self) -> int:
        """Of the present step."""
        return self.attempt - 1 if self.state == "waiting" else self.attempt

    def text(self) -> str:
        """As it is kept on an instance."""
        document = codec.document(self)
        return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """How a try ended. how: by itself, at its limit, or with its container."""

    how: Literal["ended", "over limit", "interrupted"]
    exit_code: int = -1
    last_line: str = ""


@lru_cache(maxsize=1_024)
def note_from(text: str) -> Note | None:
    """What an instance's note says; None when it says nothing that can be understood."""
    if not text:
        return None
    try:
        return codec.parse(Note, json.loads(text))
    except (ValueError, RecursionError, Malformed):
        return None


def tries_of(step: BootstrapStep) -> int:
    """How often a step is tried. cloud-init has run before anybody asks: asking again is no use."""
    return 1 if step.type == "cloud-init" else step.tries


def after(note: Note, step: BootstrapStep, step_count: int, end: End) -> Note:
    """The note when the try that `note` tells of has ended."""
    assert note.state == "running", note
    if end.how == "ended" and end.exit_code == 0:
        if note.step >= step_count:
            return replace(note, state="done", exit_code=0, error="")
        return replace(note, state="waiting", step=note.step + 1, attempt=1, exit_code=0, error="")
    why = _why(note, step, end)
    tries = tries_of(step)
    if note.attempt >= tries:
        return replace(note, state="failed", exit_code=end.exit_code, error=why)
    return replace(
        note,
        state="waiting",
        attempt=note.attempt + 1,
        exit_code=end.exit_code,
        error=f"try {note.attempt} of {tries}: {why}"[:ERROR_LENGTH_MAX],
    )


def last_line(output: bytes) -> str:
    """The last line that says something, in one line of text."""
    text = output.decode("utf-8", "replace")
    lines = (UNPRINTABLE.sub(" ", line).strip() for line in reversed(text.splitlines()))
    return next(filter(None, lines), "")[-LINE_LENGTH_MAX:]


def _why(note: Note, step: BootstrapStep, end: End) -> str:
    said = f": {end.last_line}" if end.last_line else ""
    how = {
        "ended": f"ended with {end.exit_code}",
        "over limit": f"was not done within {step.timeout_s} s",
        "interrupted": "was interrupted: its container stopped, or it was killed",
    }[end.how]
    return f"step {note.step} ({step.type}) {how}{said}"[:ERROR_LENGTH_MAX]
