"""The threads that wait for others: lines to the server, calls to the runtime, its changes, meters.

None of them decides anything: each takes a task, blocks, and puts what came of it in the inbox.
"""

import threading
from collections.abc import Callable, Iterator
from queue import SimpleQueue
from typing import Final, Protocol

from pathfinder.agent import facts as node
from pathfinder.agent.effects import Bootstrap, Call, ListAll, perform
from pathfinder.agent.inbox import (
    Answered,
    Finished,
    Inbox,
    Measured,
    Unanswered,
    WentDown,
)
from pathfinder.agent.log import say
from pathfinder.agent.looking import Running
from pathfinder.agent.measure import Meter
from pathfinder.agent.membership import Membership
from pathfinder.agent.server import Server, ServerFailure, ServerRefused
from pathfinder.agent.trying import Bench, attempt
from pathfinder.runtimes.port import Change, Runtime, RuntimeFacts, RuntimeFailure
from pathfinder.runtimes.several import SeveralRuntimes
from pathfinder.wire.messages import Exchange, Facts

CHANGES_PAUSE_S: Final = 1.0
STACK_BYTES: Final = 512 << 10  # OpenSSL and json go deepest, and need a tenth of it
Clock = Callable[[], int]


class Crew:
    """Threads for one kind of task, made when needed and kept; at most `threads_max`.

    Whoever submits keeps the number of open tasks at or below that.
    """

    def __init__(self, name: str, threads_max: int) -> None:
        self._name = name
        self._threads_max = threads_max
        self._tasks: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._lock = threading.Lock()
        self._thread_count = 0
        self._open_count = 0

    def submit(self, task: Callable[[], None]) -> None:
        """Have a thread do it, soon."""
        with self._lock:
            self._open_count += 1
            is_needed = self._open_count > self._thread_count < self._threads_max
            self._thread_count += is_needed
        self._tasks.put(task)
        if is_needed:
            spawn(self._name, self._work)

    def _work(self) -> None:
        while True:
            task = self._tasks.get()
            task()
            with self._lock:
                self._open_count -= 1


def spawn(name: str, run: Callable[[], None]) -> None:
    """A thread that does not keep the process alive."""
    threading.Thread(target=run, name=name, daemon=True).start()


def converse(
    server: Server, membership: Membership, exchange: Exchange, heartbeat_ms: int, inbox: Inbox
) -> None:
    """Bring one exchange to the server and its answer to the inbox."""
    sequence = exchange.session.sequence
    try:
        membership.join_if_needed()
    except ServerFailure:
        inbox.put(Unanswered(sequence=sequence, error=""))  # membership says why
        return
    try:
        reply = server.exchange(membership.identity, exchange, heartbeat_ms)
    except ServerFailure as failure:
        if isinstance(failure, ServerRefused) and failure.status == 401:
            membership.on_unauthorized()
        inbox.put(Unanswered(sequence=sequence, error=str(failure)))
        return
    inbox.put(Answered(sequence=sequence, reply=reply))


def carry_out(runtime: Runtime, call: Call, inbox: Inbox, now_ms: Clock) -> None:
    """Make one call and bring its result to the inbox."""
    began_ms = now_ms()
    # One of several daemons is listed by itself: what it has is known while others are silent.
    lister = None
    if isinstance(call, ListAll) and isinstance(runtime, SeveralRuntimes):
        lister = runtime.members[call.daemon]
    result = perform(runtime, call, lister)
    inbox.put(Finished(effect=call, result=result, took_ms=now_ms() - began_ms))


def try_out(bench: Bench, effect: Bootstrap, inbox: Inbox) -> None:
    """Make one try of a bootstrap to its end, and bring its result to the inbox."""
    began_ms = bench.now_ms()
    trying = attempt(bench, effect)
    while True:
        try:
            next(trying)
        except StopIteration as stop:
            took_ms = bench.now_ms() - began_ms
            inbox.put(Finished(effect=effect, result=stop.value, took_ms=took_ms))
            return


class Changing(Protocol):
    """What has changes: a runtime, or one of several."""

    def changes(self, stopping: Callable[[], bool]) -> Iterator[Change]:
        """As in the port."""


def follow_changes(
    source: Changing, inbox: Inbox, stopping: threading.Event, daemon: str = ""
) -> None:
    """Bring a daemon's changes to the inbox until the agent stops, daemon or no daemon."""
    while not stopping.is_set():
        message = "its events have ended"
        try:
            for change in source.changes(stopping.is_set):
                inbox.put_change(change, stopping)
        except RuntimeFailure as failure:
            message = str(failure)
        if stopping.is_set():
            return
        inbox.put(WentDown(message=message, daemon=daemon))
        stopping.wait(CHANGES_PAUSE_S)


class Observer:
    """Keeps the node's facts, and measures once in `every_s`."""

    def __init__(
        self,
        runtime: Runtime,
        meter: Meter,
        address: Callable[[], str],
        *,
        every_s: int,
    ) -> None:
        self._runtime = runtime
        self._meter = meter
        self._address = address
        self._every_s = every_s
        self._runtime_facts: RuntimeFacts | None = None

    def facts(self) -> Facts:
        """The node's facts now, with the daemon's last word when it does not answer."""
        try:
            before, self._runtime_facts = self._runtime_facts, self._runtime.facts()
            for warning in self._runtime_facts.warnings:
                if before is None or warning not in before.warnings:
                    say("runtime_warning", warning=warning)
        except RuntimeFailure as failure:
            say("runtime_silent", error=failure, next=failure.hint)
        return node.node_facts(self._runtime_facts, self._address())

    def run(self, inbox: Inbox, stopping: threading.Event, running: Callable[[], Running]) -> None:
        """Measure the node and its `running` containers until the agent stops."""
        while not stopping.is_set():
            facts = self.facts()
            metered = self._meter.round(running(), self._runtime_facts)
            inbox.put(Measured(facts=facts, metered=metered))
            stopping.wait(self._every_s)
