"""The server of a simulated world: the production controller over the memory store.

Commands and exchanges wait a moment, are decided one after another, appended as one record, and
answered: as the real shell does. It can be killed at any moment, with all that it had in hand.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from pathfinder.control import codec
from pathfinder.control.commands import Moment, Request
from pathfinder.control.controller import Controller
from pathfinder.control.leadership import Leadership
from pathfinder.control.state import Change, State
from pathfinder.model.errors import NotLeading, PathfinderError, StoreFull
from pathfinder.simulation.timeline import Timeline
from pathfinder.store.memory import MemoryStore
from pathfinder.store.port import Deposed, DiskFull, Record
from pathfinder.wire.messages import HEARTBEAT_MS, Exchange, Reply

GROUP_MS = 2
TICK_MS = 500
SNAPSHOT_RECORDS = 40
NEVER_MS = 1 << 62

Answer = Callable[[bytes | PathfinderError], None]
Respond = Callable[[Reply], None]
Finish = Callable[[], None]  # said once: what a function within a function says is worked out anew
Decide = Callable[[Controller], Finish]


@dataclass(slots=True)
class Parked:
    """An exchange that waits for news."""

    request: Exchange
    respond: Respond
    came_ms: int


@dataclass(slots=True)
class Server:
    """One process after another over one store. `life` 0: none runs."""

    timeline: Timeline
    on_change: Callable[[Change, Controller], None]
    on_decision: Callable[[Change, Controller], None] = lambda change, controller: None
    store: MemoryStore = field(default_factory=MemoryStore)
    disk_full: float = 0.0
    controller: Controller | None = None
    life: int = 0
    lives: int = 0
    restored: bool = False
    waiting: list[Decide] = field(default_factory=list)
    parked: dict[str, Parked] = field(default_factory=dict)
    group: list[Change] = field(default_factory=list)
    records_since_snapshot: int = 0
    last: Record | None = None
    lead_at_least: int = 0
    wall_jump_ms: int = 0  # by how much the wall clock has been set forward or back
    paused_until_ms: int = 0  # its process does nothing before
    leadership: Leadership = field(default_factory=lambda: Leadership(confirmed_ms=-1))
    was_recovering: bool = True
    began_ms: int = 0
    tick_ms: int = NEVER_MS  # of the next tick; those that have nothing to do are left out
    ticks_all: bool = False  # look whether those that could be left out have nothing to do indeed

    def start(self) -> None:
        """A new process: lead, load, replay, and hear the nodes."""
        assert self.life == 0
        self.lives += 1
        self.life = self.lives
        self._take_over(at_least=0)

    def _take_over(self, *, at_least: int) -> None:
        self.controller = self._recovered(self.store.lead(at_least=at_least).epoch)
        self.was_recovering = self.controller.life.recovering
        self.began_ms, self.tick_ms = self.timeline.now_ms, NEVER_MS
        self._set_tick(self.timeline.now_ms)

    def rival(self) -> "Server":
        """Another process over the same store takes the lead, while this one believes it leads."""
        other = replace(self, controller=None, life=0, waiting=[], parked={}, group=[])
        other.lead_at_least, other.paused_until_ms = 0, 0
        other.leadership = Leadership(confirmed_ms=-1)
        other.start()
        return other

    def kill(self) -> None:
        """`kill -9`: what was not durable is gone, and nobody is answered."""
        self.end()
        self.store = self.store.crash()

    def end(self) -> None:
        """The process ends; the store is that of another one."""
        self.life = 0
        self.controller = None
        self.waiting.clear()
        self.parked.clear()
        self.group.clear()
        self.lead_at_least = 0

    def command(self, request: Request, answer: Answer) -> None:
        """A person's request arrives."""
        if (
            self.paused_until_ms and self._waits(lambda: self.command(request, answer))
        ) or self.controller is None:
            return

        def decide(controller: Controller) -> Finish:
            try:
                outcome = controller.execute(request, self._moment())
            except PathfinderError as error:
                refusal = error
                return lambda: answer(refusal)
            self._decided(outcome.change, controller)
            return lambda: answer(outcome.refusal or outcome.body)

        self._enqueue(decide)

    def exchange(self, node_key: str, request: Exchange, respond: Respond) -> None:
        """A node's exchange arrives."""
        if self.paused_until_ms and self._waits(lambda: self.exchange(node_key, request, respond)):
            return
        came_ms = self.timeline.now_ms
        if self.controller is None or self.controller.state.things["node"].get(node_key) is None:
            return

        def decide(controller: Controller) -> Finish:
            heard = controller.hear(node_key, request, self._moment())
            self.lead_at_least = max(self.lead_at_least, heard.lead_at_least)
            self._decided(heard.change, controller)
            if not heard.believed:
                assert heard.reply is not None
                reply = heard.reply
                return lambda: respond(reply)
            return lambda: self._park(node_key, Parked(request, respond, came_ms))

        if self.waiting:
            self._enqueue(decide)
            return
        # As the real shell, where no record is on its way to the disk: heard at once.
        finish = decide(self.controller)
        if self.group or self.lead_at_least:
            self._enqueue(lambda controller: finish)
        else:
            finish()

    def _waits(self, action: Finish) -> bool:
        """Whether the process stands still; what comes to it happens when it goes on."""
        pause_ms = self.paused_until_ms - self.timeline.now_ms
        if pause_ms <= 0 or not self.life:
            return False
        self.timeline.after(pause_ms, action)
        return True

    def _enqueue(self, decide: Decide) -> None:
        self.waiting.append(decide)
        if len(self.waiting) == 1:
            life = self.life
            self.timeline.after(GROUP_MS, lambda: self._commit(life))

    def _decided(self, change: Change | None, controller: Controller) -> None:
        """It is appended with the others of its group; the state is what it was decided from."""
        if change is not None:
            self.group.append(change)
            self.on_decision(change, controller)

    def _commit(self, life: int) -> None:
        """Decide what waits, append it as one record, then answer and wake."""
        if self.paused_until_ms and self._waits(lambda: self._commit(life)):
            return
        if life != self.life or self.controller is None:
            return
        controller = self.controller
        waiting, self.waiting = self.waiting, []
        afterwards = [decide(controller) for decide in waiting]
        changes, self.group = self.group, []
        if self._append(controller, changes):
            if self.lead_at_least and not self._still_leads(self.timeline.now_ms):
                return  # the node knows another leader, not a later state
            if self.lead_at_least:
                # Nobody is answered: all ask again, of the leader that comes now.
                self._lead_again()
                return
            for finish in afterwards:
                finish()
            self._wake(controller, changes)
            self._snapshot()
        if self.life:
            self._set_tick(self.timeline.now_ms + 1)

    def _append(self, controller: Controller, changes: Sequence[Change]) -> bool:
        if not changes:
            return True
        if self.timeline.strikes("disk_full", self.disk_full):
            self.store.fail_next_append(DiskFull("no room"))
        try:
            self.last = self.store.append(
                controller.life.epoch, self._moment().wall_ms, codec.encode_record(changes)
            )
        except Deposed:
            self.end()  # nobody is answered, and who asked asks again
            return False
        except DiskFull:
            for change in reversed(changes):
                controller.revert(change)
            self._refuse()
            return False
        self.leadership.confirm(self.timeline.now_ms)
        for change in changes:
            self.on_change(change, controller)
        self.records_since_snapshot += 1
        return True

    def _refuse(self) -> None:
        """The group is refused as a whole; parked exchanges stay, the nodes ask again."""
        assert StoreFull.http_status == 507
        assert NotLeading.retry

    def _still_leads(self, came_ms: int) -> bool:
        """Whether what came then may be answered; one that another has deposed ends."""
        assert self.controller is not None
        if self.leadership.covers(came_ms):
            return True
        try:
            self.store.confirm(self.controller.life.epoch)
        except Deposed:
            self.end()
            return False
        self.leadership.confirm(self.timeline.now_ms)
        return True

    def _respond(self, parked: Parked, reply: Reply) -> None:
        """It renews the node's lease, so only one who leads may give it."""
        if self.life and self._still_leads(parked.came_ms):
            parked.respond(reply)

    def _park(self, node_key: str, parked: Parked) -> None:
        controller = self.controller
        if controller is None:
            return
        before = self.parked.pop(node_key, None)
        if before is not None:
            self._respond(before, controller.nothing(before.request))
        reply = controller.answer(node_key, parked.request)
        if reply is not None:
            self._respond(parked, reply)
            return
        self.parked[node_key] = parked
        life = self.life
        self.timeline.after(HEARTBEAT_MS, lambda: self._beat(life, node_key, parked))

    def _beat(self, life: int, node_key: str, parked: Parked) -> None:
        if self.paused_until_ms and self._waits(lambda: self._beat(life, node_key, parked)):
            return
        if life == self.life and self.parked.get(node_key) is parked and self.controller:
            del self.parked[node_key]
            self._respond(parked, self.controller.nothing(parked.request))

    def _wake(self, controller: Controller, changes: Sequence[Change]) -> None:
        """As the real shell: those whom changes concern; all of them when recovery has ended."""
        has_recovered = self.was_recovering and not controller.life.recovering
        self.was_recovering = controller.life.recovering
        concerned = {key for change in changes for key in change.nodes}
        for node_key in list(self.parked) if has_recovered or concerned else ():
            if not has_recovered and node_key not in concerned:
                continue
            parked = self.parked.get(node_key)
            reply = controller.answer(node_key, parked.request) if parked is not None else None
            if parked is not None and reply is not None:
                del self.parked[node_key]
                self._respond(parked, reply)

    def _set_tick(self, not_before_ms: int) -> None:
        """Plan the next tick: those come at equal intervals, and what is quiet needs none."""
        controller, life = self.controller, self.life
        assert controller is not None
        quiet_ms = 0 if self.ticks_all else controller.quiet_until_ms - GROUP_MS
        after_ms = max(not_before_ms, quiet_ms) - self.began_ms
        at_ms = self.began_ms + -(-after_ms // TICK_MS) * TICK_MS
        if at_ms < self.tick_ms:
            self.tick_ms = at_ms
            self.timeline.after(at_ms - self.timeline.now_ms, lambda: self._tick(life, at_ms))

    def _tick(self, life: int, at_ms: int) -> None:
        if self.paused_until_ms and self._waits(lambda: self._tick(life, at_ms)):
            return
        if life != self.life or at_ms != self.tick_ms or self.controller is None:
            return
        self.tick_ms = NEVER_MS
        moment = self._moment()
        if moment.uptime_ms + GROUP_MS >= self.controller.quiet_until_ms:
            self._enqueue(self._decide_tick)
        elif self.ticks_all:
            change = self.controller.tick(moment, is_full=True)
            assert change is None, f"a tick that could be left out did {change}"
        self._set_tick(self.timeline.now_ms + 1)

    def _decide_tick(self, controller: Controller) -> Finish:
        self._decided(controller.tick(self._moment()), controller)
        return lambda: None

    def _snapshot(self) -> None:
        if self.records_since_snapshot < SNAPSHOT_RECORDS or self.controller is None:
            return
        self.records_since_snapshot = 0
        last = self.last
        assert last is not None
        chunks = list(codec.encode_snapshot(self.controller.state))
        self.store.save_snapshot(self.controller.life.epoch, last.seq, last.hash, chunks)
        self.store.compact(self.controller.life.epoch, keep_after_ms=self.timeline.now_ms)

    def _lead_again(self) -> None:
        """A node has proved that this state is an old backup: lead under a higher epoch."""
        assert self.restored, "only a restored server may be told that it is one"
        at_least = self.lead_at_least
        self.end()  # the same process, over the same store
        self.lives += 1
        self.life = self.lives
        self._take_over(at_least=at_least)

    def _recovered(self, epoch: int) -> Controller:
        snapshot = self.store.read_snapshot()
        state = codec.load_snapshot(snapshot.chunks) if snapshot else State()
        for record in self.store.read(snapshot.seq if snapshot else 0):
            codec.replay(state, record.body)
        return Controller(
            state,
            epoch=epoch,
            incarnation=f"{self.timeline.luck.getrandbits(64):016x}",
            uptime_ms=self.timeline.now_ms,
        )

    def _moment(self) -> Moment:
        return Moment(
            wall_ms=1_700_000_000_000 + self.timeline.now_ms + self.wall_jump_ms,
            uptime_ms=self.timeline.now_ms,
        )
