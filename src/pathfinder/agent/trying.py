"""One try of one step of a bootstrap, from the note before it to the note after it.

`attempt` is a generator that pauses whenever it has looked for a while: a thread runs it to its
end, the simulation at its own pace. At any point its process may be killed: whoever makes the same
try again finds what has begun, and follows it.
"""

import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Final, Protocol

from pathfinder.agent.effects import Bootstrap, Failed, Result, Tried, failed
from pathfinder.agent.notes import End, Note, after
from pathfinder.agent.programs import ChefSettings, job_of
from pathfinder.model.bootstrap import TIMEOUT_S_MAX, BootstrapStep
from pathfinder.model.errors import PathfinderError
from pathfinder.runtimes import jobs
from pathfinder.runtimes.jobs import Listener, Standing
from pathfinder.runtimes.port import Runtime, RuntimeFailure, Session

GRACE_S: Final = 60  # a job ends itself at its limit; this long after it, it is ended from outside
SESSION_S_MAX: Final = jobs.SLICE_S + 40.0  # then a session hangs, and is broken off


class Keeper(Protocol):
    """Where the output of one try goes."""

    @property
    def offset(self) -> int:
        """How much of it is here."""

    def take(self, data: bytes) -> None:
        """More of it."""

    def last_line(self) -> str:
        """The last line that says something."""

    def end_round(self, note: Note) -> None:
        """Nothing more comes of this round."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What tries are made with. `keeper` is asked once a try, and may raise OSError."""

    runtime: Runtime
    chef: ChefSettings
    keeper: Callable[[str, Note, BootstrapStep | None, int], Keeper]
    now_ms: Callable[[], int]
    listener: Callable[[Keeper], Listener]


def attempt(bench: Bench, effect: Bootstrap) -> Generator[None, None, Result]:
    """Make or follow the try; what a runtime is expected to raise comes back as `Failed`."""
    try:
        return (yield from _attempt(bench, effect))
    except RuntimeFailure as failure:
        return failed(failure.code, str(failure), failure.hint)
    except PathfinderError as error:
        return failed(error.code, error.message, error.hint)
    except OSError as error:
        return failed(
            "output_not_kept",
            f"what the bootstrap writes cannot be kept on the node: {error}",
            "is the disk of the agent's --state-dir full?",
        )


def _attempt(bench: Bench, effect: Bootstrap) -> Generator[None, None, Result]:
    runtime, name, note, step = bench.runtime, effect.slot, effect.note, effect.step
    if step is None:
        standing = jobs.look(runtime, name, note.key)
    else:
        runtime.set_note(name, note.text())
        standing = jobs.begin(runtime, name, job_of(step, note.key, bench.chef))
    if standing == "busy":
        return failed("bootstrap_busy", "what an earlier bootstrap has begun still runs in it")
    end = End(how="interrupted")
    keeper = None
    if standing != "absent":
        keeper = bench.keeper(name, note, step, effect.step_count)
        standing = yield from _follow(bench, effect, keeper)
        end = replace(_end_of(runtime, name, note, standing), last_line=keeper.last_line())
    elif step is not None:
        raise RuntimeFailure(f"{name} has lost what was to run in it")
    concluded = _concluded(effect, end)
    instance = runtime.inspect(name)
    if instance is None or not instance.labels:
        return Failed(code="not_there", message=f"{name} has gone")
    if instance.labels.generation != effect.generation:
        return Failed(code="not_there", message=f"{name} is another one now")
    runtime.set_note(name, concluded.text())
    if keeper is not None and (concluded.has_ended or concluded.state == "left"):
        keeper.end_round(concluded)
    return Tried(note=concluded)


def _follow(bench: Bench, effect: Bootstrap, keeper: Keeper) -> Generator[None, None, Standing]:
    """Until it does not run any more."""
    runtime, name, key = bench.runtime, effect.slot, effect.note.key
    limit_s = effect.step.timeout_s if effect.step is not None else TIMEOUT_S_MAX
    last_ms = bench.now_ms() + 1000 * (limit_s + GRACE_S)
    listener = bench.listener(keeper)
    while True:
        standing = jobs.follow(runtime, name, key, offset=keeper.offset, listener=listener)
        if standing != "runs":
            return standing
        if bench.now_ms() > last_ms:
            jobs.end(runtime, name, key)
        yield


def _end_of(runtime: Runtime, name: str, note: Note, standing: Standing) -> End:
    if standing != "ended":
        return End(how="interrupted")
    found = jobs.outcome(runtime, name, note.key)
    if found.is_over_limit:
        return End(how="over limit", exit_code=found.exit_code)
    return End(how="ended", exit_code=found.exit_code)


def _concluded(effect: Bootstrap, end: End) -> Note:
    if effect.step is None:
        return replace(effect.note, state="left", exit_code=end.exit_code)
    return after(effect.note, effect.step, effect.step_count, end)


def listening(keeper: Keeper) -> Listener:
    """Keeps the output; breaks a session off that outlasts its slice, as of a frozen container."""

    @contextmanager
    def guard(session: Session) -> Iterator[None]:
        timer = threading.Timer(SESSION_S_MAX, session.close)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    return Listener(take=keeper.take, guard=guard)
