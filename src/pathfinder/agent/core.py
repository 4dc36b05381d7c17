"""The agent's core: answers, listings and results go in; effects and exchanges come out.

Pure: no clock, no luck, no I/O. Every method takes the time, in milliseconds of a clock that only
measures durations (it never goes back and runs while the machine sleeps). Whoever drives it tells
it what happened (`on_...`), then takes `effects`, then `request`, then waits until `wake_ms` or the
next event. Each effect comes back through `on_finished` exactly once.

Promises, which the property test checks
- Never two calls in hand for one slot; never more than `calls_max` calls in hand. Tries of a
  bootstrap are counted apart: never two of one slot, never more than `bootstraps_max`.
- A round of bootstrap that has ended is not run again, and no try is made twice.
- What does not carry our labels, or another cluster's, is never started, stopped or removed.
- Nothing is made, started, stopped or removed before the first valid answer of this life, before
  its daemon has answered a full list, or under a `hold`; nothing is stopped or removed before the
  server has heard, in its present session, that we hold it.
- Late and repeated answers change nothing.
- When failures end, what is there becomes what is wanted.
"""

from collections.abc import Mapping
from functools import partial
from heapq import heappop, heappush
from typing import Final

from pathfinder.agent import relocating, restoring, slots
from pathfinder.agent.bootstrapping import Bootstraps, round_awaited
from pathfinder.agent.bounds import CoreSettings
from pathfinder.agent.calls import Room, call_for, made_labels, version
from pathfinder.agent.conversation import Checkpoint, Conversation
from pathfinder.agent.daemons import ONE_FOR_ALL, Daemon, Daemons
from pathfinder.agent.effects import (
    Bootstrap,
    Call,
    Create,
    Done,
    Effect,
    Failed,
    HandedOver,
    HandOver,
    Inspect,
    Inspected,
    ListAll,
    Listed,
    OpenStream,
    Restore,
    Result,
    Start,
    Take,
    Tried,
    failed,
)
from pathfinder.agent.health import Check, Verdict
from pathfinder.agent.looking import Running, seen, take_list, take_usages
from pathfinder.agent.permits import permit
from pathfinder.agent.reporting import Reporting
from pathfinder.agent.slots import Slot
from pathfinder.runtimes.port import Change, Instance, Usage
from pathfinder.runtimes.qualified import plain_name
from pathfinder.wire.messages import (
    HOLDING_MAX,
    Assignment,
    Exchange,
    Facts,
    Holding,
    Measurements,
    Reply,
    StreamRequest,
)

SLOTS_MAX: Final = 2 * HOLDING_MAX


class AgentCore:
    """One node of one cluster. See the module's text for how it is driven.

    daemons: the kinds of container of each, by its name ("" when it is the only one).
    """

    def __init__(
        self,
        cluster: str,
        node: str,
        checkpoint: Checkpoint | None = None,
        settings: CoreSettings | None = None,
        daemons: Mapping[str, tuple[str, ...]] = ONE_FOR_ALL,
    ) -> None:
        self.cluster = cluster
        self.conversation = Conversation(node, checkpoint)  # to be read only
        self.settings = settings or CoreSettings()
        self._daemons = Daemons(daemons)
        self._slots: dict[str, Slot] = {}
        self._effect_id = 0
        self._event = 0
        self.in_hand: dict[int, Effect] = {}
        self._room = Room(self.settings)
        self._streams: list[StreamRequest] = []
        self._ready: dict[str, None] = {}  # slots to decide about, in order of arrival
        self._timers: list[tuple[int, str]] = []
        self._permit = partial(permit, self.conversation, self._daemons, self._slots)
        self._bootstraps = Bootstraps(self._slots, self._permit, most=self.settings.bootstraps_max)
        self._reporting = Reporting(
            self._slots, self._permit, news_gap_ms=self.settings.news_gap_ms
        )

    # What happened.

    def on_reply(self, now_ms: int, sequence: int, reply: Reply) -> None:
        """The server answered exchange `sequence`."""
        conversation = self.conversation
        session, was_directed = conversation.session_key, conversation.directed
        taken = conversation.on_reply(now_ms, sequence, reply)
        if session != conversation.session_key:
            self._reporting.begin_session()
        if taken is None:
            return
        for name in sorted(taken.changed):
            self._on_wanted(name, conversation.wanted.get(name))
        for name in self._reporting.heard(taken.sequence):
            self._touch(self._slots[name])
        if conversation.directed and not was_directed:
            relocating.doubt(self._slots.values())
            self._touch_all()
        if taken.unclear:
            self._reporting.urge(now_ms)
        self._streams.extend(reply.streams[: self.settings.streams_max - len(self._streams)])

    def on_unreachable(self, now_ms: int, sequence: int) -> None:
        """Exchange `sequence` failed: no answer in time, or one that is no `Reply`."""
        self.conversation.on_unreachable(now_ms, sequence)

    def on_finished(self, now_ms: int, effect: Effect, result: Result) -> None:
        """An effect has ended, well or not."""
        del self.in_hand[effect.id]
        self._room.give_back(effect)
        self._event += 1
        match effect:
            case OpenStream():
                return
            case ListAll():
                self._on_list_finished(now_ms, self._daemons.named(effect.daemon), result)
                return
            case Bootstrap():
                self._on_tried(now_ms, effect, result)
                return
            case _:
                slot = self._slots[effect.slot]
        assert slot.in_hand is not None, effect
        assert slot.in_hand.id == effect.id, effect
        slot.in_hand = None
        slot.touched = self._event
        match result:
            case Failed():
                self._on_failed(now_ms, slot, effect, result)
            case Inspected():
                before = seen(slot)
                self._on_observed(now_ms, slot, result.instance)
                if seen(slot) == before:
                    self._ready[slot.name] = None  # for its next look: there is nothing new
                    return
            case HandedOver():
                relocating.handed_over(slot, effect, result)
            case Done():
                slots.done(slot, effect, now_ms)
            case Listed() | Tried():
                raise AssertionError(effect)
        self._touch(slot)

    def on_change(self, now_ms: int, change: Change) -> None:
        """The daemon says that something happened to an instance, or ("") that we missed some."""
        is_bounded = len(self._slots) < SLOTS_MAX or change.name in self._slots
        if not plain_name(change.name) or not is_bounded:
            self._daemons.of(change.name).list_ms = now_ms
            return
        slot = self._slot(change.name)
        if slot.presence != "unlisted":
            # Mostly the echo of our own call: what follows that call looks anyway.
            soon_ms = now_ms + slots.LOOK_MS_MIN
            slot.look_ms = soon_ms if slot.look_ms is None else min(slot.look_ms, soon_ms)
        self._touch(slot)

    def on_runtime_down(self, now_ms: int, message: str, daemon: str = "") -> None:
        """A daemon does not answer. Nothing of it is done or believed until it lists again."""
        error = failed("", message or "the daemon does not answer").message
        if self._daemons.named(daemon).went_down(now_ms, error):
            self._reporting.urge(now_ms)

    def on_restore(self, now_ms: int, name: str, snapshot: str) -> Failed | None:
        """Bring a container back to a snapshot, by a `Restore` that is yet to end; or why not."""
        found = (self._slots.get(each) for each, _ in self._daemons.names(name))
        if (slot := restoring.ask(found, snapshot, now_ms)) is None:
            return restoring.NOT_NOW
        self._touch(slot)
        return None

    def on_health(self, verdict: Verdict) -> None:
        """How a run of a container stands by its health checks."""
        slot = self._slots.get(verdict.name)
        if slot is not None and slot.runs_since_ms == verdict.life:
            slot.verdict = verdict
            self._reporting.mark(slot.name)

    def on_facts(self, now_ms: int, facts: Facts) -> None:
        """What the node is; sent in each session's first exchange and when it changes."""
        self._reporting.set_facts(now_ms, facts)

    def on_measured(self, measurements: Measurements) -> None:
        """What the node uses; travels with the next exchange, whenever that is."""
        self._reporting.set_measurements(measurements)

    def on_usages(self, now_ms: int, usages: Mapping[str, Usage], event: int) -> None:
        """What a daemon said of what ran at `event` (see `Running`): how it is reached."""
        for slot in take_usages(self._slots, usages, event):
            slots.schedule_look(slot, now_ms)
            self._touch(slot)

    # What to do.

    def effects(self, now_ms: int) -> list[Effect]:
        """What to do now; each is in hand until `on_finished`."""
        if not self._is_any_due(now_ms):
            return []  # the usual case: a heartbeat was answered
        out: list[Effect] = [
            self._take(OpenStream(id=self._next_id(), request=request, why="the server asks"))
            for request in self._streams
        ]
        self._streams.clear()
        for daemon in self._daemons if self._daemons.is_any_due(now_ms) else ():
            if daemon.is_due(now_ms) and self._room.is_any():
                daemon.take_for_listing(self._event)
                out.append(self._take(daemon.listing(self._next_id(), self.cluster)))
        if not self._daemons.is_any_complete:
            return out  # the list will tell what is there; nothing is asked about before
        while self._timers and self._timers[0][0] <= now_ms:
            self._wake(heappop(self._timers))
        blocked: dict[str, None] = {}
        while self._ready and self._room.is_any():
            name = next(iter(self._ready))
            del self._ready[name]
            slot = self._slots.get(name)
            if slot is not None and self._daemons.of(name).is_complete:
                self._decide(now_ms, slot, out, blocked)
        if blocked:
            self._ready = {**blocked, **self._ready}
        if self._bootstraps.is_any_due(now_ms):
            for effect in self._bootstraps.due(now_ms, self._next_id):
                self._reporting.mark(effect.slot)
                out.append(self._take(effect))
        return out

    def request(self, now_ms: int) -> Exchange | None:
        """The exchange that shall leave now, at most one; None: none. Take `effects` before."""
        self._refresh(now_ms)
        conversation = self.conversation
        send_ms = conversation.send_ms(self._reporting.news_ms)
        if send_ms is None or send_ms > now_ms:
            return None
        return self._reporting.exchange(
            now_ms,
            conversation.send(now_ms),
            seen=conversation.seen,
            is_complete=self._daemons.is_complete,
            runtime_error=self.runtime_error,
            silent_kinds=self._daemons.silent_kinds(),
        )

    def wake_ms(self, now_ms: int) -> int:
        """The latest moment to call `effects` and `request` again, if nothing happens before."""
        wake_ms, lease_ms = now_ms + self.settings.relist_ms, self.conversation.lease_until_ms
        if now_ms < lease_ms < wake_ms:
            wake_ms = lease_ms
        knows = self._daemons.is_any_complete
        for moment_ms in (
            self.conversation.send_ms(self._reporting.news_ms),
            self._daemons.list_ms() if self._room.is_any() else None,
            self._bootstraps.wake_ms() if knows else None,
            self._timers[0][0] if knows and self._timers else None,
        ):
            if moment_ms is not None and moment_ms < wake_ms:
                wake_ms = moment_ms
        return max(now_ms, wake_ms)

    def lease_valid(self, now_ms: int) -> bool:
        """Whether the server certainly still counts on this node."""
        return now_ms < self.conversation.lease_until_ms

    def checkpoint(self) -> Checkpoint:
        """What the next process of this node must know."""
        return self.conversation.checkpoint()

    def holding(self, now_ms: int) -> tuple[Holding, ...]:
        """What the node holds now, by slot."""
        self._refresh(now_ms)
        return self._reporting.holding(now_ms)

    @property
    def runtime_error(self) -> str:
        """Why a daemon does not answer; "" when all do."""
        return self._daemons.error

    def running(self) -> Running:
        """Our running containers: what is measured."""
        names = sorted(n for n, s in self._slots.items() if s.runs_since_ms is not None)
        return Running(names=tuple(names), event=self._event)

    def names(self) -> set[str]:
        """The names of all that is here, wanted, under way or in doubt."""
        return {plain_name(name) for name in self._slots}

    def round_awaited(self, name: str) -> int:
        """The round of bootstrap that our container has not ended yet; 0: none, -1: not here."""
        found = (self._slots.get(each) for each, _ in self._daemons.names(name))
        ours = [slot for slot in found if slot is not None and slot.presence == "ours"]
        return max((round_awaited(slot) for slot in ours), default=-1)

    def checks(self) -> tuple[Check, ...]:
        """What runs as it is wanted and shall be checked."""
        found = (slots.check_of(slot) for slot in self._slots.values() if slot.checked is not None)
        return tuple(check for check in found if check is not None)

    @property
    def heartbeat_ms(self) -> int:
        """After how long the server answers an exchange at the latest."""
        return self.conversation.heartbeat_ms

    # Answers.

    def _on_wanted(self, plain: str, assignment: Assignment | None) -> None:
        """It is wanted of the daemon that runs its kind, and of no other."""
        home = None
        if assignment is not None:
            home = self._daemons.of_kind(assignment.spec.get("kind", "system"))
        for name, daemon in self._daemons.names(plain):
            if daemon is home:
                self._want(name, assignment)
            elif name in self._slots:
                self._want(name, None)

    def _want(self, name: str, assignment: Assignment | None) -> None:
        is_new = name not in self._slots
        slot = self._slot(name)
        if is_new and self._daemons.of(name).is_complete:
            # The daemon's full list did not have it, and no change has named it since.
            slot.presence, slot.certain = "absent", True
        before = slot.wanted
        slot.wanted, slot.checked = assignment, slots.checked_by(assignment)
        if before is None or assignment is None or version(before) != version(assignment):
            slots.forgive(slot)
        self._touch(slot)

    # Results.

    def _on_list_finished(self, now_ms: int, daemon: Daemon, result: Result) -> None:
        if isinstance(result, Failed):
            self.on_runtime_down(now_ms, result.message, daemon.name)
            daemon.refused(now_ms)
            return
        assert isinstance(result, Listed), result
        is_news = daemon.answered(now_ms, self.settings.relist_ms)
        if is_news:
            self._reporting.urge(now_ms)
        there = {instance.name: instance for instance in result.instances}
        for name, instance in there.items():
            if name not in self._slots and slots.labels_of(instance, self.cluster):
                self._slot(name).touched = daemon.listing_event
        own = (slot for name, slot in self._slots.items() if self._daemons.of(name) is daemon)
        observe = partial(self._on_observed, now_ms, is_listing=True)
        for slot in take_list(own, daemon, there, observe):
            self._touch(slot)
        if is_news:
            self._touch_all()  # nothing was done while it was not known what is there

    def _on_observed(
        self, now_ms: int, slot: Slot, instance: Instance | None, *, is_listing: bool = False
    ) -> None:
        labels = slot.labels
        was_doubtful = not slot.certain
        slots.observe(slot, instance, self.cluster, now_ms)
        if slot.labels != labels:
            self._reporting.mark_unheard(slot)
        if instance is not None and not is_listing:
            slot.addresses = instance.addresses if slot.state == "running" else ()
        if slot.state == "running" and slot.failure is not None and slot.is_matched:
            slot.failure = None
        if slot.presence == "foreign" and slot.wanted is not None:
            slots.occupied(slot, now_ms)
        if not is_listing or slot.look_ms is None or was_doubtful:
            slots.schedule_look(slot, now_ms)

    def _on_failed(self, now_ms: int, slot: Slot, call: Call, failure: Failed) -> None:
        if isinstance(call, (HandOver, Take)):
            relocating.failed(slot, call, failure)
        if failure.code == "runtime_down":
            # It may have happened or not; the listing that follows, or a look, will tell.
            slot.certain = False
            self.on_runtime_down(now_ms, failure.message, self._daemons.of(slot.name).name)
            return
        if isinstance(call, (HandOver, Take)):
            return
        if isinstance(call, Restore):
            restoring.failed(slot)
            return
        slots.call_failed(slot, call, failure, now_ms)

    def _on_tried(self, now_ms: int, effect: Bootstrap, result: Result) -> None:
        slot = self._slots[effect.slot]
        slot.touched = self._event
        self._bootstraps.finished(now_ms, slot, effect, result)
        if isinstance(result, Failed) and result.code == "runtime_down":
            self.on_runtime_down(now_ms, result.message, self._daemons.of(effect.slot).name)
        self._touch(slot)

    # Decisions.

    def _decide(self, now_ms: int, slot: Slot, out: list[Effect], blocked: dict[str, None]) -> None:
        restoring.expire(slot, now_ms)
        if slots.has_stabilised(slot, now_ms):
            self._reporting.mark(slot.name)
        step = slots.next_step(slot, now_ms, self._permit(slot))
        if step is None:
            wake_ms = slots.wake_ms(slot, now_ms)
            if wake_ms is not None and (slot.timer_ms is None or wake_ms < slot.timer_ms):
                slot.timer_ms = wake_ms
                heappush(self._timers, (wake_ms, slot.name))
            return
        if not self._room.has(step):
            blocked[slot.name] = None
            return
        call = call_for(
            slot,
            step,
            effect_id=self._next_id(),
            cluster=self.cluster,
            stop_grace_s=self.settings.stop_grace_s,
            copies_at=self._reporting.copies_at,
        )
        if isinstance(call, Failed):
            slot.failure = call
            slots.back_off(slot, now_ms)
            self._touch(slot)
            return
        slot.in_hand = call
        slot.touched = self._event = self._event + 1
        slot.look_ms = None
        if isinstance(call, (Create, Take)):
            slot.labels = made_labels(call)
            self._reporting.mark_unheard(slot)
        elif isinstance(call, Start) and slot.has_died:
            slot.restart_count += 1
            slot.has_died = False
        if not isinstance(call, Inspect):  # a look is nothing to tell
            self._reporting.mark(slot.name)
        out.append(self._take(call))

    # Bookkeeping.

    def _refresh(self, now_ms: int) -> None:
        for name in self._reporting.refresh(now_ms):
            del self._slots[name]

    def _is_any_due(self, now_ms: int) -> bool:
        """Whether there may be something to do."""
        if self._ready or self._streams or self._bootstraps.is_any_due(now_ms):
            return True
        if self._timers and self._timers[0][0] <= now_ms:
            return True
        return self._daemons.is_any_due(now_ms)

    def _slot(self, name: str) -> Slot:
        slot = self._slots.get(name)
        if slot is None:
            slot = self._slots[name] = Slot(name=name, touched=self._event)
            self._reporting.mark_unheard(slot)
        return slot

    def _touch(self, slot: Slot) -> None:
        for name, _ in self._daemons.names(plain_name(slot.name)):
            self._ready[name] = None
        self._bootstraps.consider(slot.name)
        self._reporting.mark(slot.name)

    def _touch_all(self) -> None:
        for slot in self._slots.values():
            self._touch(slot)

    def _wake(self, timer: tuple[int, str]) -> None:
        due_ms, name = timer
        if (slot := self._slots.get(name)) is not None:
            self._ready[name] = None
            if slot.timer_ms == due_ms:
                slot.timer_ms = None

    def _next_id(self) -> int:
        self._effect_id += 1
        return self._effect_id

    def _take(self, effect: Effect) -> Effect:
        self.in_hand[effect.id] = effect
        self._room.take(effect)
        return effect
