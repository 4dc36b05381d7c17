"""A node of a simulated world: the production core of the agent over the scripted runtime.

The runtime outlives the agent, and calls that were under way when the agent died may still happen.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from pathfinder.agent.conversation import Checkpoint
from pathfinder.agent.core import AgentCore
from pathfinder.agent.effects import (
    Acting,
    Bootstrap,
    Call,
    Create,
    Effect,
    Failed,
    Inspect,
    ListAll,
    OpenStream,
    Result,
    Take,
    perform,
)
from pathfinder.agent.notes import Note
from pathfinder.agent.programs import ChefSettings
from pathfinder.agent.trying import Bench, attempt
from pathfinder.runtimes.jobs import Listener
from pathfinder.runtimes.port import Change
from pathfinder.runtimes.scripted import ScriptedRuntime
from pathfinder.simulation.faults import Faults
from pathfinder.simulation.slips import Slipping
from pathfinder.simulation.timeline import Timeline
from pathfinder.wire.messages import Exchange, Facts, Reply

CALL_MS = (5, 400)
TAKE_MS = (50, 4_000)
TIMEOUT_MS = 8_000
CHECKPOINT_MS = 3_000
MEASURE_MS = 30_000  # half as often as agents do
NEVER_MS = 1 << 62


class Forgetful:
    """Keeps no output of a bootstrap: nobody reads it here."""

    offset = 0

    def take(self, data: bytes) -> None:
        """Forget it."""

    def last_line(self) -> str:
        """Nothing."""
        return ""

    def end_round(self, note: Note) -> None:
        """Forget it."""


@dataclass(slots=True)
class Node:
    """One machine. `life` 0: no agent runs. `rate`: how fast its clock goes."""

    name: str
    timeline: Timeline
    runtime: ScriptedRuntime
    faults: Faults
    facts: Facts
    send: Callable[["Node", Exchange, Callable[[Reply], None]], None]
    on_runtime: Callable[["Node", Acting], Callable[[], None]]
    on_job: Callable[["Node", str], None]
    cluster: str = "c"
    rate: float = 1.0
    offset_ms: int = 0
    wall_jump_ms: int = 0  # by how much its wall clock has been set forward or back
    core: AgentCore | None = None
    checkpoint: Checkpoint | None = None
    life: int = 0
    lives: int = 0
    daemon_up: bool = True
    daemon_life: int = 1
    cut_until_ms: int = 0
    deaf_until_ms: int = 0
    hurt: bool = True
    due_ms: int = 0  # when the core wants to be asked next, if nothing happens before
    alarm_ms: int = NEVER_MS  # of the earliest timer that is set for it
    save_ms: int = 0  # not before this moment the checkpoint is written again
    unanswered: deque[tuple[int, int]] = field(default_factory=deque)  # sequence, given up when

    def __post_init__(self) -> None:
        self.runtime.wall_ms = self.wall_ms

    def local_ms(self) -> int:
        """The node's clock of durations."""
        return self.offset_ms + int(self.timeline.now_ms * self.rate)

    def wall_ms(self) -> int:
        """The node's wall clock."""
        return 1_700_000_000_000 + self.timeline.now_ms + self.wall_jump_ms

    def has_lease(self) -> bool:
        """Whether its agent acts on what it was told, however long nobody is reached."""
        return self.core is not None and self.core.lease_valid(self.local_ms())

    def start_agent(self) -> None:
        """A new agent process, with the checkpoint of the last one."""
        assert self.life == 0
        self.lives += 1
        self.life = self.lives
        self.core = AgentCore(self.cluster, self.name, self.checkpoint)
        self.core.on_facts(self.local_ms(), self.facts)
        self.save_ms = 0
        self._measure()
        self.drive()

    def kill_agent(self) -> None:
        """`kill -9` of the agent; containers run on."""
        self.life, self.core = 0, None
        self.alarm_ms = NEVER_MS
        self.unanswered.clear()

    def kill_daemon(self) -> None:
        """The container daemon dies; what runs, runs on; calls under way are in doubt."""
        self.daemon_up = False
        self.daemon_life += 1

    def start_daemon(self) -> None:
        """The daemon is back; its event stream begins with a gap."""
        self.daemon_up = True
        self._change("")

    def reboot(self) -> None:
        """Power off and on: no agent, nothing runs, the boot's clock begins anew."""
        self.kill_agent()
        self.kill_daemon()
        for instance in self.runtime.list_instances(self.cluster):
            self.runtime.stop(instance.name, grace_s=0)
        self.checkpoint = None
        self.offset_ms = -int(self.timeline.now_ms * self.rate)

    def drive(self) -> None:
        """What the shell's main loop does after each message."""
        core = self.core
        if core is None:
            return
        now_ms = self.local_ms()
        for effect in core.effects(now_ms):
            self._begin(effect)
        if (request := core.request(now_ms)) is not None:
            self._exchange(request)
        due_ms = self.timeline.now_ms
        if due_ms >= self.save_ms:
            self.checkpoint, self.save_ms = core.checkpoint(), due_ms + CHECKPOINT_MS
        due_ms += max(1, int((core.wake_ms(now_ms) - now_ms) / self.rate) + 1)
        if self.unanswered and self.unanswered[0][1] < due_ms:
            due_ms = self.unanswered[0][1]
        self.due_ms = due_ms
        self._set_alarm()

    def _set_alarm(self) -> None:
        """Only the core's last word counts: a timer that it has overtaken is set anew."""
        if self.due_ms >= self.alarm_ms:
            return
        life, moment_ms = self.life, self.due_ms
        self.alarm_ms = moment_ms

        def ring() -> None:
            if life != self.life or moment_ms != self.alarm_ms:
                return
            self.alarm_ms = NEVER_MS
            if self.due_ms <= self.timeline.now_ms:
                self._give_up()
                self.drive()
            else:
                self._set_alarm()

        self.timeline.after(moment_ms - self.timeline.now_ms, ring)

    def _in_life(self, action: Callable[[], None]) -> Callable[[], None]:
        life = self.life

        def act() -> None:
            if life == self.life and self.core is not None:
                action()

        return act

    def _exchange(self, request: Exchange) -> None:
        sequence = request.session.sequence

        life = self.life

        def respond(reply: Reply) -> None:
            if life == self.life and self.core is not None:
                self.core.on_reply(self.local_ms(), sequence, reply)
                self._give_up()
                self.drive()

        self.unanswered.append((sequence, self.timeline.now_ms + TIMEOUT_MS))
        self.send(self, request, respond)

    def _give_up(self) -> None:
        """Wait no longer for what was answered, or has been under way for too long."""
        assert self.core is not None
        while self.unanswered:
            sequence, until_ms = self.unanswered[0]
            if self.core.conversation.is_awaited(sequence):
                if until_ms > self.timeline.now_ms:
                    return
                self.core.on_unreachable(self.local_ms(), sequence)
            self.unanswered.popleft()

    def _begin(self, effect: Effect) -> None:
        if isinstance(effect, OpenStream):
            return
        if isinstance(effect, Bootstrap):
            self._try_out(effect)
            return
        timeline = self.timeline
        life, daemon_life = self.life, self.daemon_life
        call: Call = effect

        def deliver(result: Result) -> None:
            if life == self.life and self.core is not None:
                self.core.on_finished(self.local_ms(), call, result)
                self.drive()

        def happen() -> None:
            died = daemon_life != self.daemon_life
            if life != self.life and timeline.luck.random() < 0.5:
                return
            result = self._perform(call, interrupted=died)
            timeline.after(timeline.between(1, 30), lambda: deliver(result))

        takes_ms = TAKE_MS if isinstance(call, Take) else CALL_MS
        timeline.after(timeline.between(*takes_ms), happen)

    def _try_out(self, effect: Bootstrap) -> None:
        """The production code of one try, a step at a time; its process dies with the agent."""
        between = self.timeline.between
        bench = Bench(
            runtime=Slipping(self.runtime, self._loses_answer),
            chef=ChefSettings(),
            keeper=lambda *_: Forgetful(),
            now_ms=self.local_ms,
            listener=lambda keeper: Listener(take=keeper.take),
        )
        trying = attempt(bench, effect)

        def deliver(result: Result) -> None:
            assert self.core is not None
            self.core.on_finished(self.local_ms(), effect, result)
            self.drive()

        def step() -> None:
            self.runtime.is_down = not self.daemon_up
            try:
                next(trying)
            except StopIteration as stop:
                deliver(stop.value)
                return
            finally:
                self.runtime.is_down = False
                self.on_job(self, effect.slot)
            self.timeline.after(between(50, 400), self._in_life(step))

        self.timeline.after(between(*CALL_MS), self._in_life(step))

    def _loses_answer(self, part: float) -> bool:
        """Whether one of the calls of a try is not answered."""
        chance = self.faults.slip / 8 * self.hurt * part
        return bool(chance) and self.timeline.strikes("slip", chance, self.name)

    def _perform(self, call: Call, *, interrupted: bool) -> Result:
        luck = self.timeline.luck
        reads = isinstance(call, (ListAll, Inspect))
        if not self.daemon_up and not interrupted:
            return Failed(code="runtime_down", message="the daemon does not answer")
        if interrupted:
            if not reads and luck.random() < 0.5:
                self._do(call)
            return Failed(code="runtime_down", message="the daemon went away")
        if self.hurt and self.timeline.strikes("slip", self.faults.slip, self.name):
            return Failed(code="runtime_failed", message="the daemon refused")
        is_hurt = self.hurt and not reads
        if is_hurt and self.timeline.strikes("doubt", self.faults.doubt, self.name):
            if luck.random() < 0.5:
                self._do(call)
            else:
                self.timeline.after(self.timeline.between(100, 3_000), lambda: self._late(call))
            return Failed(code="outcome_unknown", message="no answer in time")
        return self._do(call)

    def _late(self, call: Call) -> None:
        """A call that was given up happens after all, when its daemon still lives."""
        if self.daemon_up and isinstance(call, Create):
            self._do(call)

    def _do(self, call: Call) -> Result:
        if isinstance(call, (ListAll, Inspect)):
            return perform(self.runtime, call)
        check = self.on_runtime(self, call)
        result = perform(self.runtime, call)
        check()
        self._change(call.slot)
        return result

    def _change(self, name: str) -> None:
        def notice() -> None:
            if self.core is not None and self.daemon_up:
                self.core.on_change(self.local_ms(), Change(name=name))
                self.drive()

        self.timeline.after(self.timeline.between(1, 100), notice)

    def _measure(self) -> None:
        """What runs is asked how it is reached; the answers come later, as all answers do."""
        assert self.core is not None
        running = self.core.running()
        usages = self.runtime.usages(running.names) if self.daemon_up else {}
        if usages:

            def tell() -> None:
                assert self.core is not None
                self.core.on_usages(self.local_ms(), usages, running.event)
                self.drive()

            self.timeline.after(self.timeline.between(*CALL_MS), self._in_life(tell))
        self.timeline.after(MEASURE_MS, self._in_life(self._measure))

    def dies(self, name: str) -> None:
        """A container's first process ends by itself."""
        self.runtime.stop(name, grace_s=0)
        self._change(name)
