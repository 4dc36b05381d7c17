"""The main loop: wait, tell the core, do what it says. One thread touches the core, this one."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Final

from pathfinder.agent.checkpoint import CheckpointFile
from pathfinder.agent.conversation import IN_FLIGHT_MAX, Checkpoint
from pathfinder.agent.core import AgentCore
from pathfinder.agent.effects import (
    Bootstrap,
    Create,
    Done,
    Effect,
    Failed,
    Inspect,
    ListAll,
    Listed,
    OpenStream,
    Restore,
    Result,
    Tried,
)
from pathfinder.agent.inbox import (
    Answered,
    Changed,
    Finished,
    Inbox,
    Measured,
    Message,
    Probed,
    RestoreAsked,
    Stopping,
    Unanswered,
    WentDown,
)
from pathfinder.agent.log import say
from pathfinder.agent.membership import Membership
from pathfinder.agent.outputs import Outputs
from pathfinder.agent.prober import Prober
from pathfinder.agent.server import Server
from pathfinder.agent.streams import Streams
from pathfinder.agent.trying import Bench
from pathfinder.agent.workers import Crew, carry_out, converse, try_out
from pathfinder.runtimes.port import Runtime
from pathfinder.runtimes.qualified import plain_name
from pathfinder.wire.messages import LEASE_MS, Exchange

WAIT_S_MAX: Final = 30.0
CHECKPOINT_MS: Final = LEASE_MS // 3
ENDED: Final = {
    "Create": "created",
    "Start": "started",
    "Stop": "stopped",
    "Remove": "removed",
    "HandOver": "offered",
    "Take": "copied",
    "Complete": "arrived",
    "Restore": "restored",
    "Relabel": "relabelled",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outside:
    """Everything that the loop hands work to."""

    runtime: Runtime
    server: Server
    membership: Membership
    streams: Streams
    prober: Prober
    bench: Bench
    outputs: Outputs


class Loop:
    """Joins the core with its threads. `run` returns when somebody wants the agent to end."""

    def __init__(
        self,
        core: AgentCore,
        inbox: Inbox,
        outside: Outside,
        checkpoint_file: CheckpointFile,
        now_ms: Callable[[], int],
    ) -> None:
        self.running = core.running()  # read by the observer's thread
        self._core = core
        self._inbox = inbox
        self._outside = outside
        self._checkpoint_file = checkpoint_file
        self._now_ms = now_ms
        self._lines = Crew("line", IN_FLIGHT_MAX)
        self._calls = Crew("call", core.settings.calls_max)
        self._tries = Crew("try", core.settings.bootstraps_max)
        self._saved: Checkpoint | None = None
        self._save_ms = 0
        self._was_lease_valid = False
        self._silence = ""
        self._runtime_error = ""
        self._restores: dict[str, SimpleQueue[Result]] = {}

    def run(self) -> str:
        """Run until told to stop; the reason why."""
        while True:
            now_ms = self._now_ms()
            self._act(now_ms)
            wait_s = (self._core.wake_ms(now_ms) - now_ms) / 1000
            for message in self._inbox.take(min(WAIT_S_MAX, wait_s)):
                if isinstance(message, Stopping):
                    self._save(self._now_ms())
                    return message.why
                self._tell(self._now_ms(), message)

    def _act(self, now_ms: int) -> None:
        core = self._core
        for effect in core.effects(now_ms):
            self._begin(now_ms, effect)
        if (exchange := core.request(now_ms)) is not None:
            self._send(exchange)
        self.running = core.running()
        self._outside.prober.tell(core.checks())
        self._say_changes(now_ms)
        if now_ms >= self._save_ms:
            self._save(now_ms)

    def _begin(self, now_ms: int, effect: Effect) -> None:
        if isinstance(effect, OpenStream):
            awaited = self._core.round_awaited(effect.request.slot)
            self._outside.streams.open(effect.request, round_awaited=awaited)
            self._core.on_finished(now_ms, effect, Done())
            return
        if isinstance(effect, Bootstrap):
            self._tries.submit(lambda: try_out(self._outside.bench, effect, self._inbox))
            return
        self._calls.submit(
            lambda: carry_out(self._outside.runtime, effect, self._inbox, self._now_ms)
        )

    def _send(self, exchange: Exchange) -> None:
        outside, heartbeat_ms = self._outside, self._core.heartbeat_ms
        self._lines.submit(
            lambda: converse(
                outside.server, outside.membership, exchange, heartbeat_ms, self._inbox
            )
        )

    def _tell(self, now_ms: int, message: Message) -> None:
        core = self._core
        match message:
            case Answered(sequence=sequence, reply=reply):
                self._say_answered()
                core.on_reply(now_ms, sequence, reply)
            case Unanswered(sequence=sequence, error=error):
                self._say_unanswered(error)
                core.on_unreachable(now_ms, sequence)
            case Finished(effect=effect, result=result, took_ms=took_ms):
                _say_finished(effect, result, took_ms)
                core.on_finished(now_ms, effect, result)
                if isinstance(effect, Restore):
                    self._restores.pop(plain_name(effect.slot)).put(result)
                if isinstance(result, Listed):
                    self._outside.outputs.sweep(core.names())
            case RestoreAsked():
                refusal = core.on_restore(now_ms, message.slot, message.snapshot)
                if refusal is not None:
                    message.answer.put(refusal)
                else:
                    self._restores[message.slot] = message.answer
            case Stopping():
                raise AssertionError(message)
            case _:
                self._tell_seen(now_ms, message)

    def _tell_seen(self, now_ms: int, message: Changed | WentDown | Probed | Measured) -> None:
        core = self._core
        match message:
            case Changed(change=change):
                core.on_change(now_ms, change)
            case WentDown(message=error, daemon=daemon):
                core.on_runtime_down(now_ms, error, daemon)
            case Probed(verdict=verdict):
                say("health", slot=verdict.name, state=verdict.state, error=verdict.why)
                core.on_health(verdict)
            case Measured(facts=facts, metered=metered):
                if facts is not None:
                    core.on_facts(now_ms, facts)
                core.on_measured(metered.measurements)
                core.on_usages(now_ms, metered.usages, metered.event)

    def _save(self, now_ms: int) -> None:
        self._save_ms = now_ms + CHECKPOINT_MS
        checkpoint = self._core.checkpoint()
        if checkpoint == self._saved:
            return
        try:
            self._checkpoint_file.save(checkpoint)
            self._saved = checkpoint
        except OSError as error:
            # Without it a restart asks for a new session and a new lease: slower, never wrong.
            say("checkpoint_failed", path=self._checkpoint_file.path, error=error)

    # What people are told; never more than once about the same.

    def _say_answered(self) -> None:
        if self._silence:
            say("server_answers")
        self._silence = ""

    def _say_unanswered(self, error: str) -> None:
        if error and error != self._silence:
            say("server_silent", error=error, containers="stay as they are")
        self._silence = error

    def _say_changes(self, now_ms: int) -> None:
        is_valid = self._core.lease_valid(now_ms)
        if is_valid != self._was_lease_valid:
            say("lease_holds" if is_valid else "lease_ended")
        self._was_lease_valid = is_valid
        error = self._core.runtime_error
        if error != self._runtime_error:
            say("runtime_down" if error else "runtime_answers", error=error)
        self._runtime_error = error


def _say_finished(effect: Effect, result: Result, took_ms: int) -> None:
    if isinstance(effect, (OpenStream, ListAll)):
        return
    verb = type(effect).__name__
    if isinstance(result, Failed):
        say(
            "failed",
            verb=verb.lower(),
            slot=effect.slot,
            took_ms=took_ms,
            code=result.code,
            error=result.message,
            next=result.hint,
        )
    elif isinstance(result, Tried):
        # Not what the step wrote: that may be anything, and is kept apart.
        note = effect.note if isinstance(effect, Bootstrap) else result.note
        say(
            "bootstrap_tried",
            slot=effect.slot,
            round=note.round,
            step=note.step,
            attempt=note.attempt,
            exit_code=result.note.exit_code,
            took_ms=took_ms,
            then=result.note.state,
        )
    elif not isinstance(effect, Inspect):
        generation = (
            effect.wish.labels.generation if isinstance(effect, Create) else effect.generation
        )
        say(ENDED[verb], slot=effect.slot, generation=generation, took_ms=took_ms, why=effect.why)


def follow_signals(inbox: Inbox, stopping: threading.Event) -> Callable[[int, object], None]:
    """A handler that ends the loop: the containers stay as they are."""

    def on_signal(number: int, _frame: object) -> None:
        stopping.set()
        inbox.put(Stopping(why=f"signal {number}"))

    return on_signal
