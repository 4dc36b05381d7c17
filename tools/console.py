"""What is under way, and for how long: a moving line on a terminal, plain lines in a pipe."""

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, TextIO

FRAMES: Final = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
REPAINT_S: Final = 0.1
# A pipe hears about a step that takes longer than this; a shorter one only says that it is done.
QUIET_S: Final = 1.0
CLEAR_LINE: Final = "\r\x1b[K"


@dataclass(slots=True, eq=False)
class Step:
    """One thing under way.

    `note` may change while it runs and ends up behind its name; `failed` marks it without a raise.
    """

    name: str
    began_s: float
    note: str = ""
    failed: bool = False
    is_announced: bool = False

    def elapsed_s(self) -> float:
        """Seconds since it began."""
        return time.monotonic() - self.began_s

    def text(self) -> str:
        """The name with its note."""
        return f"{self.name}: {self.note}" if self.note else self.name


@dataclass(slots=True)
class Console:
    """The person's terminal, or the log that it is piped into. Safe to use from several threads."""

    stream: TextIO = field(default_factory=lambda: sys.stderr)
    _steps: list[Step] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _frame: int = 0

    @contextmanager
    def step(self, name: str) -> Iterator[Step]:
        """Show `name` until the block ends, and then how long it took and whether it failed."""
        step = Step(name, time.monotonic())
        over = threading.Event()
        painter = threading.Thread(target=self._paint, args=(step, over), daemon=True)
        with self._lock:
            self._steps.append(step)
        painter.start()
        try:
            yield step
        except BaseException:
            step.failed = True
            raise
        finally:
            over.set()
            painter.join()
            with self._lock:
                self._steps.remove(step)
                mark = self.color("31", "✗") if step.failed else self.color("32", "✓")
                self._write(f"{mark} {step.text()} ({step.elapsed_s():.1f} s)")

    def say(self, text: str = "") -> None:
        """A line for the person."""
        with self._lock:
            self._write(text)

    def color(self, code: str, text: str) -> str:
        """The text in an ANSI colour where that is wanted."""
        return f"\x1b[{code}m{text}\x1b[0m" if self.is_terminal() else text

    def is_terminal(self) -> bool:
        """Whether a moving line makes sense."""
        return self.stream.isatty() and not os.environ.get("NO_COLOR")

    def _write(self, line: str) -> None:
        lead = CLEAR_LINE if self.is_terminal() else ""
        self.stream.write(f"{lead}{line}\n")
        self.stream.flush()

    def _paint(self, step: Step, over: threading.Event) -> None:
        while not over.wait(REPAINT_S):
            with self._lock:
                if self.is_terminal():
                    self._repaint(step)
                elif not step.is_announced and step.elapsed_s() > QUIET_S:
                    step.is_announced = True
                    self._write(f"… {step.name}")

    def _repaint(self, step: Step) -> None:
        # Each step has its painter; the oldest one paints for all.
        if self._steps and self._steps[0] is step:
            self._frame = (self._frame + 1) % len(FRAMES)
            names = ", ".join(other.text() for other in self._steps)
            line = f"{FRAMES[self._frame]} {names} ({step.elapsed_s():.0f} s)"
            width = os.get_terminal_size(self.stream.fileno()).columns
            self.stream.write(f"{CLEAR_LINE}{line[: max(width - 1, 20)]}")
            self.stream.flush()
