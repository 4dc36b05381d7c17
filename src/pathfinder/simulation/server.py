"""The server of a simulated world: the production controller over the memory store.

Commands and exchanges wait a moment, are decided one after another, appended as one record, and
answered: as the real shell does. It can be killed at any moment, with all that it had in hand.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from pathfinder.control import codec
from pathfinder.control.commands import Moment, Request
from pathfinder.control.controller import Controller
from pathfinder.control.state import Change, State
from pathfinder.model.errors import NotLeading, PathfinderError, StoreFull
from pathfinder.simulation.timeline import Timeline
from pathfinder.store.memory import MemoryStore
from pathfinder.store.port import DiskFull, Record
from pathfinder.wire.messages import HEARTBEAT_MS, Exchange, Reply

GROUP_MS = 2
TICK_MS = 500
SNAPSHOT_RECORDS = 40

Answer = Callable[[bytes | PathfinderError], None]
Respond = Callable[[Reply], None]


@dataclass(slots=True)
class Parked:
    """An exchange that waits for news."""

    request: Exchange
    respond: Respond


@dataclass(slots=True)
class Server:
    """One process after another over one store. `life` 0: none runs."""

    timeline: Timeline
    on_change: Callable[[Change, Controller], None]
    store: MemoryStore = field(default_factory=MemoryStore)
    disk_full: float = 0.0
    controller: Controller | None = None
    life: int = 0
    lives: int = 0
    restored: bool = False
    waiting: list[Callable[[Controller], Callable[[], None]]] = field(default_factory=list)
    parked: dict[str, Parked] = field(default_factory=dict)
    group: list[Change] = field(default_factory=list)
    records_since_snapshot: int = 0
    last: Record | None = None
    lead_at_least: int = 0

    def start(self) -> None:
        """A new process: lead, load, replay, and hear the nodes."""
        assert self.life == 0
        self.lives += 1
        self.life = self.lives
        self.controller = self._recovered(self.store.lead().epoch)
        self._tick(self.life)

    def kill(self) -> None:
        """`kill -9`: what was not durable is gone, and nobody is answered."""
        self.life = 0
        self.controller = None
        self.waiting.clear()
        self.parked.clear()
        self.group.clear()
        self.lead_at_least = 0
        self.store = self.store.crash()

    def command(self, request: Request, answer: Answer) -> None:
        """A person's request arrives."""
        if self.controller is None:
            return

        def decide(controller: Controller) -> Callable[[], None]:
            try:
                outcome = controller.execute(request, self._moment())
            except PathfinderError as error:
                refusal = error
                return lambda: answer(refusal)
            if outcome.change is not None:
                self.group.append(outcome.change)
            return lambda: answer(outcome.refusal or outcome.body)

        self._enqueue(decide)

    def exchange(self, node_key: str, request: Exchange, respond: Respond) -> None:
        """A node's exchange arrives."""
        if self.controller is None or self.controller.state.things["node"].get(node_key) is None:
            return

        def decide(controller: Controller) -> Callable[[], None]:
            heard = controller.hear(node_key, request, self._moment())
            self.lead_at_least = max(self.lead_at_least, heard.lead_at_least)
            if heard.change is not None:
                self.group.append(heard.change)
            if not heard.believed:
                assert heard.reply is not None
                reply = heard.reply
                return lambda: respond(reply)
            return lambda: self._park(node_key, Parked(request, respond))

        self._enqueue(decide)

    def _enqueue(self, decide: Callable[[Controller], Callable[[], None]]) -> None:
        self.waiting.append(decide)
        if len(self.waiting) == 1:
            life = self.life
            self.timeline.after(GROUP_MS, lambda: self._commit(life))

    def _commit(self, life: int) -> None:
        """Decide what waits, append it as one record, then answer and wake."""
        if life != self.life or self.controller is None:
            return
        controller = self.controller
        waiting, self.waiting = self.waiting, []
        afterwards = [decide(controller) for decide in waiting]
        if self._append(controller):
            if self.lead_at_least:
                # Nobody is answered: all ask again, of the leader that comes now.
                self._lead_again()
                return
            for finish in afterwards:
                finish()
            self._wake()
            self._snapshot()

    def _append(self, controller: Controller) -> bool:
        changes, self.group = self.group, []
        if not changes:
            return True
        if self.timeline.strikes("disk_full", self.disk_full):
            self.store.fail_next_append(DiskFull("no room"))
        try:
            self.last = self.store.append(
                controller.life.epoch, self._moment().wall_ms, codec.encode_record(changes)
            )
        except DiskFull:
            for change in reversed(changes):
                controller.revert(change)
            self._refuse()
            return False
        for change in changes:
            self.on_change(change, controller)
        self.records_since_snapshot += 1
        return True

    def _refuse(self) -> None:
        """The group is refused as a whole; parked exchanges stay, the nodes ask again."""
        assert StoreFull.http_status == 507
        assert NotLeading.retry

    def _park(self, node_key: str, parked: Parked) -> None:
        assert self.controller is not None
        before = self.parked.pop(node_key, None)
        if before is not None:
            before.respond(self.controller.nothing(before.request))
        reply = self.controller.answer(node_key, parked.request)
        if reply is not None:
            parked.respond(reply)
            return
        self.parked[node_key] = parked
        life = self.life
        self.timeline.after(HEARTBEAT_MS, lambda: self._beat(life, node_key, parked))

    def _beat(self, life: int, node_key: str, parked: Parked) -> None:
        if life == self.life and self.parked.get(node_key) is parked and self.controller:
            del self.parked[node_key]
            parked.respond(self.controller.nothing(parked.request))

    def _wake(self) -> None:
        assert self.controller is not None
        for node_key, parked in list(self.parked.items()):
            reply = self.controller.answer(node_key, parked.request)
            if reply is not None:
                del self.parked[node_key]
                parked.respond(reply)

    def _tick(self, life: int) -> None:
        if life != self.life:
            return

        def decide(controller: Controller) -> Callable[[], None]:
            change = controller.tick(self._moment())
            if change is not None:
                self.group.append(change)
            return lambda: None

        self._enqueue(decide)
        self.timeline.after(TICK_MS, lambda: self._tick(life))

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
        self.kill()
        self.lives += 1
        self.life = self.lives
        self.controller = self._recovered(self.store.lead(at_least=at_least).epoch)
        self._tick(self.life)

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
            wall_ms=1_700_000_000_000 + self.timeline.now_ms, uptime_ms=self.timeline.now_ms
        )
