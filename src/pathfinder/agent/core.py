"""The agent's core: answers, listings and results go in; effects and exchanges come out.

Pure: no clock, no luck, no I/O. Every method takes the time, in milliseconds of a clock that only
measures durations (it never goes back and runs while the machine sleeps). Whoever drives it tells
it what happened (`on_...`), then takes `effects`, then `request`, then waits until `wake_ms` or the
next event. Each effect comes back through `on_finished` exactly once.

Promises, which the property test checks
- Never two calls in hand for one slot; never more than `calls_max` calls in hand.
- What does not carry our labels, or another cluster's, is never started, stopped or removed.
- Nothing is made, started, stopped or removed before the first valid answer of this life, before
  the daemon has answered a full list, or under a `hold`; nothing is stopped or removed before the
  server has heard, in its present session, that we hold it.
- Late and repeated answers change nothing.
- When failures end, what is there becomes what is wanted.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from heapq import heappop, heappush
from typing import Final

from pathfinder.agent import slots
from pathfinder.agent.conversation import Checkpoint, Conversation, Taken
from pathfinder.agent.effects import (
    Call,
    Create,
    Done,
    Effect,
    Failed,
    Inspect,
    Inspected,
    ListAll,
    Listed,
    OpenStream,
    Remove,
    Result,
    Start,
    Stop,
    failed,
)
from pathfinder.agent.slots import Permit, Slot, Step
from pathfinder.model.definitions import spec_from_document
from pathfinder.model.errors import PathfinderError
from pathfinder.runtimes.port import Change, Instance, Labels, Remote, Wish
from pathfinder.wire import codec
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

LIST_RETRY_MS_MIN: Final = 500
LIST_RETRY_MS_MAX: Final = 10_000
LOOK_SPACING_MS: Final = 500  # settled containers are inspected at most this often, all together
SLOTS_MAX: Final = 2 * HOLDING_MAX
URGENT_PHASES: Final = frozenset({"running", "stopped", "failed", "unknown"})


@dataclass(frozen=True, slots=True, kw_only=True)
class CoreSettings:
    """Bounds and paces.

    calls_max: calls in hand at once; of these at most makes_max create or start, and at most
    removals_max stop or remove, so that slow ones of a kind leave room for the others.
    relist_ms: how often the daemon's full list is taken when nothing calls for it; settled_ms: how
    often a running container's addresses are looked at. news_gap_ms: how long what nobody waits for
    (that a create has become a start) may wait for company.
    """

    calls_max: int = 8
    makes_max: int = 6
    removals_max: int = 4
    streams_max: int = 32
    stop_grace_s: float = 10.0
    relist_ms: int = 60_000
    settled_ms: int = 60_000
    news_gap_ms: int = 1_000

    def __post_init__(self) -> None:
        assert 0 < self.makes_max <= self.calls_max, self
        assert 0 < self.removals_max <= self.calls_max, self


class AgentCore:
    """One node of one cluster. See the module's text for how it is driven."""

    def __init__(
        self,
        cluster: str,
        node: str,
        checkpoint: Checkpoint | None = None,
        settings: CoreSettings | None = None,
    ) -> None:
        self.cluster = cluster
        self.settings = settings or CoreSettings()
        self.runtime_error = ""
        self._conversation = Conversation(node, checkpoint)
        self._slots: dict[str, Slot] = {}
        self._is_complete = False
        self._effect_id = 0
        self._event = 0
        self._in_hand: dict[int, Effect] = {}
        self._streams: list[StreamRequest] = []
        self._ready: dict[str, None] = {}  # slots to decide about, in order of arrival
        self._timers: list[tuple[int, str]] = []
        self._stale: dict[str, None] = {}  # slots whose holding may have changed
        self._unheard: set[str] = set()  # slots that the server may not have heard of
        self._list_ms: int | None = 0
        self._listing_event = 0
        self._list_failure_count = 0
        self._news_ms: int | None = None
        self._facts: Facts | None = None
        self._facts_sequence = 0  # the exchange that first carried them in this session
        self._are_facts_heard = False
        self._measurements: Measurements | None = None

    # What happened.

    def on_reply(self, now_ms: int, sequence: int, reply: Reply) -> None:
        """The server answered exchange `sequence`."""
        conversation = self._conversation
        session = (conversation.epoch, conversation.incarnation)
        was_directed = conversation.directed
        taken = conversation.on_reply(now_ms, sequence, reply)
        if session != (conversation.epoch, conversation.incarnation):
            self._on_new_session()
        if taken is None:
            return
        for name in sorted(taken.changed):
            self._on_wanted(name, conversation.wanted.get(name))
        self._on_heard(taken, everything=conversation.directed and not was_directed)
        if taken.unclear:
            self._news_ms = now_ms
        self._streams.extend(reply.streams[: self.settings.streams_max - len(self._streams)])

    def on_unreachable(self, now_ms: int, sequence: int) -> None:
        """Exchange `sequence` failed: no answer in time, or one that is no `Reply`."""
        self._conversation.on_unreachable(now_ms, sequence)

    def on_finished(self, now_ms: int, effect: Effect, result: Result) -> None:
        """An effect has ended, well or not."""
        del self._in_hand[effect.id]
        self._event += 1
        match effect:
            case OpenStream():
                return
            case ListAll():
                self._on_list_finished(now_ms, result)
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
                self._on_observed(now_ms, slot, result.instance)
            case Done():
                self._on_done(now_ms, slot, effect)
            case Listed():
                raise AssertionError(effect)
        self._touch(slot)

    def on_change(self, now_ms: int, change: Change) -> None:
        """The daemon says that something happened to an instance, or ("") that we missed some."""
        if change.name == "":
            self._list_ms = now_ms
            return
        if len(self._slots) >= SLOTS_MAX and change.name not in self._slots:
            self._list_ms = now_ms
            return
        slot = self._slot(change.name)
        if slot.presence != "unlisted":
            # Mostly the echo of our own call: what follows that call looks anyway.
            soon_ms = now_ms + slots.LOOK_MS_MIN
            slot.look_ms = soon_ms if slot.look_ms is None else min(slot.look_ms, soon_ms)
        self._touch(slot)

    def on_runtime_down(self, now_ms: int, message: str) -> None:
        """The daemon does not answer. Nothing is done or believed until it lists again."""
        if not self.runtime_error:
            self._news_ms = now_ms
        self.runtime_error = failed("", message or "the daemon does not answer").message
        self._is_complete = False
        retry_ms = now_ms + LIST_RETRY_MS_MIN
        self._list_ms = retry_ms if self._list_ms is None else min(self._list_ms, retry_ms)

    def on_facts(self, now_ms: int, facts: Facts) -> None:
        """What the node is; sent in each session's first exchange and when it changes."""
        if facts != self._facts:
            self._facts, self._facts_sequence, self._are_facts_heard = facts, 0, False
            self._news_ms = now_ms

    def on_measured(self, measurements: Measurements) -> None:
        """What the node uses; travels with the next exchange, whenever that is."""
        self._measurements = measurements

    # What to do.

    def effects(self, now_ms: int) -> list[Effect]:
        """What to do now; each is in hand until `on_finished`."""
        out: list[Effect] = [
            self._take(OpenStream(id=self._next_id(), request=request, why="the server asks"))
            for request in self._streams
        ]
        self._streams.clear()
        room = _Room(self._in_hand.values(), self.settings)
        if self._is_list_due(now_ms) and room.is_any():
            room.take_one()
            self._list_ms = None
            self._listing_event = self._event
            listing = ListAll(id=self._next_id(), cluster=self.cluster, why="what is there?")
            out.append(self._take(listing))
        if not self._is_complete:
            return out  # the list will tell what is there; nothing is asked about before
        while self._timers and self._timers[0][0] <= now_ms:
            self._wake(heappop(self._timers))
        blocked: dict[str, None] = {}
        while self._ready and room.is_any():
            name = next(iter(self._ready))
            del self._ready[name]
            slot = self._slots.get(name)
            if slot is not None:
                self._decide(now_ms, slot, room, out, blocked)
        self._ready = {**blocked, **self._ready}
        return out

    def request(self, now_ms: int) -> Exchange | None:
        """The exchange that shall leave now; None: not now. Take `effects` before."""
        self._refresh(now_ms)
        send_ms = self._conversation.send_ms(self._news_ms)
        if send_ms is None or send_ms > now_ms:
            return None
        return self._exchange(now_ms)

    def wake_ms(self, now_ms: int) -> int:
        """The latest moment to call `effects` and `request` again, if nothing happens before."""
        moments = [now_ms + self.settings.relist_ms]
        if self._is_lease_running(now_ms):
            moments.append(self._conversation.lease_until_ms)
        has_room = _Room(self._in_hand.values(), self.settings).is_any()
        if self._list_ms is not None and has_room and not self._is_listing():
            moments.append(self._list_ms)
        if self._timers and self._is_complete:
            moments.append(self._timers[0][0])
        send_ms = self._conversation.send_ms(self._news_ms)
        if send_ms is not None:
            moments.append(send_ms)
        return max(now_ms, min(moments))

    def lease_valid(self, now_ms: int) -> bool:
        """Whether the server certainly still counts on this node."""
        return self._is_lease_running(now_ms)

    def checkpoint(self) -> Checkpoint:
        """What the next process of this node must know."""
        return self._conversation.checkpoint()

    def holding(self, now_ms: int) -> tuple[Holding, ...]:
        """What the node holds now, by slot."""
        self._refresh(now_ms)
        return tuple(h for name in sorted(self._slots) for h in self._timed(now_ms, name))

    def running(self) -> tuple[str, ...]:
        """The names of our running containers, sorted: what is measured."""
        return tuple(sorted(n for n, s in self._slots.items() if s.runs_since_ms is not None))

    def is_held(self, name: str) -> bool:
        """Whether the name is a container of ours that is here."""
        slot = self._slots.get(name)
        return slot is not None and slot.presence == "ours"

    @property
    def heartbeat_ms(self) -> int:
        """After how long the server answers an exchange at the latest."""
        return self._conversation.heartbeat_ms

    # Answers.

    def _on_new_session(self) -> None:
        self._facts_sequence, self._are_facts_heard = 0, False
        for slot in self._slots.values():
            slot.reported = 0
        self._unheard = set(self._slots)

    def _on_wanted(self, name: str, assignment: Assignment | None) -> None:
        is_new = name not in self._slots
        slot = self._slot(name)
        if is_new and self._is_complete:
            # The daemon's full list did not have it, and no change has named it since.
            slot.presence, slot.certain = "absent", True
        before = slot.wanted
        slot.wanted = assignment
        if before is None or assignment is None or _version(before) != _version(assignment):
            slots.forgive(slot)
            slot.restart_count = 0
        self._touch(slot)

    def _on_heard(self, taken: Taken, *, everything: bool) -> None:
        for name in sorted(self._unheard):
            slot = self._slots.get(name)
            if slot is None or 0 < slot.reported <= taken.sequence:
                self._unheard.discard(name)
                if slot is not None:
                    self._touch(slot)
        if 0 < self._facts_sequence <= taken.sequence:
            self._are_facts_heard = True
        if everything:
            self._touch_all()

    # Results.

    def _on_list_finished(self, now_ms: int, result: Result) -> None:
        if isinstance(result, Failed):
            self.on_runtime_down(now_ms, result.message)
            pause_ms = LIST_RETRY_MS_MIN << min(self._list_failure_count, 10)
            self._list_failure_count += 1
            self._list_ms = now_ms + min(LIST_RETRY_MS_MAX, pause_ms)
            return
        assert isinstance(result, Listed), result
        if not self._is_complete or self.runtime_error:
            self._news_ms = now_ms
        self.runtime_error, self._list_failure_count = "", 0
        self._is_complete = True
        if self._list_ms is None:
            self._list_ms = now_ms + self.settings.relist_ms
        there = {instance.name: instance for instance in result.instances}
        for name, instance in there.items():
            if name not in self._slots and slots.labels_of(instance, self.cluster):
                self._slot(name).touched = self._listing_event
        for name, slot in self._slots.items():
            # What was acted on or looked at while the list was made is known better already.
            if slot.in_hand is None and slot.touched <= self._listing_event:
                self._on_observed(now_ms, slot, there.get(name), is_listing=True)
        self._touch_all()

    def _on_observed(
        self, now_ms: int, slot: Slot, instance: Instance | None, *, is_listing: bool = False
    ) -> None:
        labels = slot.labels
        was_doubtful = not slot.certain
        slots.observe(slot, instance, self.cluster, now_ms)
        if slot.labels != labels:
            slot.reported = 0
            self._unheard.add(slot.name)
        if instance is not None and not is_listing:
            slot.addresses = instance.addresses if slot.state == "running" else ()
        if slot.state == "running" and slot.failure is not None and slot.is_matched:
            slot.failure = None
        if slot.presence == "foreign" and slot.wanted is not None:
            self._on_occupied(now_ms, slot)
        if not is_listing or slot.look_ms is None or was_doubtful:
            slots.schedule_look(slot, now_ms, self._settled_ms())

    def _on_occupied(self, now_ms: int, slot: Slot) -> None:
        slot.failure = failed(
            "name_occupied",
            f"{slot.name}: something that is not this cluster's has this name on the node",
            "rename or remove it there, or give the container another name",
        )
        slots.back_off(slot, now_ms)

    def _on_failed(self, now_ms: int, slot: Slot, call: Call, failure: Failed) -> None:
        if failure.code == "runtime_down":
            # It may have happened or not; the listing that follows, or a look, will tell.
            slot.certain = False
            self.on_runtime_down(now_ms, failure.message)
            return
        # Whether unknown or refused half-way: look before acting again, after a pause that also
        # gives what is still under way the time to happen.
        slot.certain = False
        slot.failure = failure
        if isinstance(call, Stop) and failure.code != "outcome_unknown":
            slot.has_stop_failed = True
        slots.back_off(slot, now_ms)

    def _on_done(self, now_ms: int, slot: Slot, call: Call) -> None:
        slot.certain = True
        match call:
            case Create():
                slot.presence, slot.state = "ours", "created"
            case Start():
                slot.state, slot.runs_since_ms = "running", now_ms
                slot.failure, slot.has_died = None, False
                slot.addresses, slot.look_gap_ms = (), slots.LOOK_MS_MIN
                slots.schedule_look(slot, now_ms, self._settled_ms())
            case Stop():
                slot.state, slot.runs_since_ms, slot.addresses = "stopped", None, ()
            case _:
                slot.presence, slot.labels, slot.state = "absent", None, "unknown"
                slot.runs_since_ms, slot.look_ms, slot.addresses = None, None, ()
                slot.has_stop_failed = False
                slot.failure, slot.attempt_count = None, 0

    # Decisions.

    def _decide(
        self, now_ms: int, slot: Slot, room: "_Room", out: list[Effect], blocked: dict[str, None]
    ) -> None:
        step = slots.next_step(slot, now_ms, self._permit(slot))
        if step is None:
            wake_ms = slots.wake_ms(slot, now_ms)
            if wake_ms is not None and (slot.timer_ms is None or wake_ms < slot.timer_ms):
                slot.timer_ms = wake_ms
                heappush(self._timers, (wake_ms, slot.name))
            return
        if not room.has(step):
            blocked[slot.name] = None
            return
        call = self._call(slot, step)
        if isinstance(call, Failed):
            slot.failure = call
            slots.back_off(slot, now_ms)
            self._touch(slot)
            return
        room.take(step)
        slot.in_hand = call
        slot.touched = self._event = self._event + 1
        slot.look_ms = None
        self._stale[slot.name] = None
        out.append(self._take(call))

    def _call(self, slot: Slot, step: Step) -> Call | Failed:
        generation = slot.labels.generation if slot.labels else 0
        match step.verb:
            case "create":
                assert slot.wanted is not None, slot
                try:
                    wish = _wish(self.cluster, slot.wanted)
                except PathfinderError as error:
                    return failed(error.code, error.message, error.hint)
                slot.labels, slot.reported = wish.labels, 0
                self._unheard.add(slot.name)
                return Create(id=self._next_id(), slot=slot.name, wish=wish, why=step.why)
            case "start":
                if slot.has_died:
                    slot.restart_count += 1
                    slot.has_died = False
                return Start(
                    id=self._next_id(), slot=slot.name, generation=generation, why=step.why
                )
            case "stop":
                return Stop(
                    id=self._next_id(),
                    slot=slot.name,
                    generation=generation,
                    grace_s=self.settings.stop_grace_s,
                    why=step.why,
                )
            case "remove":
                return Remove(
                    id=self._next_id(), slot=slot.name, generation=generation, why=step.why
                )
            case "inspect":
                return Inspect(id=self._next_id(), slot=slot.name, why=step.why)

    def _permit(self, slot: Slot) -> Permit:
        conversation = self._conversation
        return Permit(
            may_act=conversation.directed and self._is_complete,
            may_remove=0 < slot.reported <= conversation.taken,
        )

    # Exchanges.

    def _exchange(self, now_ms: int) -> Exchange:
        conversation = self._conversation
        session = conversation.send(now_ms)
        holding = self.holding(now_ms)
        for name in self._unheard:
            slot = self._slots.get(name)
            if slot is not None and slot.reported == 0:
                slot.reported = session.sequence
        facts = None
        if conversation.has_session and not self._are_facts_heard and self._facts is not None:
            facts = self._facts
            self._facts_sequence = self._facts_sequence or session.sequence
        measurements, self._measurements = self._measurements, None
        self._news_ms = None
        return Exchange(
            session=session,
            sent_ms=now_ms,
            seen=conversation.seen,
            complete=self._is_complete and len(holding) <= HOLDING_MAX,
            holding=holding[:HOLDING_MAX],
            runtime_error=self.runtime_error,
            facts=facts,
            measurements=measurements,
        )

    def _refresh(self, now_ms: int) -> None:
        for name in self._stale:
            slot = self._slots.get(name)
            if slot is None:
                continue
            before = slot.holdings
            slot.holdings = slots.holdings(slot, self._permit(slot))
            if slot.holdings != before:
                gap_ms = 0 if _is_urgent(before, slot.holdings) else self.settings.news_gap_ms
                due_ms = now_ms + gap_ms
                self._news_ms = due_ms if self._news_ms is None else min(self._news_ms, due_ms)
            if slot.is_needless:
                del self._slots[name]
        self._stale.clear()

    def _timed(self, now_ms: int, name: str) -> Iterable[Holding]:
        slot = self._slots[name]
        if slot.retry_ms <= now_ms:
            return slot.holdings
        return (replace(holding, retry_ms=slot.retry_ms - now_ms) for holding in slot.holdings)

    # Bookkeeping.

    def _slot(self, name: str) -> Slot:
        slot = self._slots.get(name)
        if slot is None:
            slot = self._slots[name] = Slot(name=name, touched=self._event)
            self._unheard.add(name)
        return slot

    def _touch(self, slot: Slot) -> None:
        self._ready[slot.name] = None
        self._stale[slot.name] = None

    def _touch_all(self) -> None:
        for slot in self._slots.values():
            self._touch(slot)

    def _wake(self, timer: tuple[int, str]) -> None:
        due_ms, name = timer
        slot = self._slots.get(name)
        if slot is not None:
            self._ready[name] = None
            if slot.timer_ms == due_ms:
                slot.timer_ms = None

    def _next_id(self) -> int:
        self._effect_id += 1
        return self._effect_id

    def _take(self, effect: Effect) -> Effect:
        self._in_hand[effect.id] = effect
        return effect

    def _is_listing(self) -> bool:
        return any(isinstance(effect, ListAll) for effect in self._in_hand.values())

    def _is_list_due(self, now_ms: int) -> bool:
        return self._list_ms is not None and self._list_ms <= now_ms and not self._is_listing()

    def _is_lease_running(self, now_ms: int) -> bool:
        return now_ms < self._conversation.lease_until_ms

    def _settled_ms(self) -> int:
        return max(self.settings.settled_ms, LOOK_SPACING_MS * len(self._slots))


class _Room:
    """How many more calls of each kind may be in hand."""

    def __init__(self, in_hand: Iterable[Effect], settings: CoreSettings) -> None:
        self._free = settings.calls_max
        self._makes = settings.makes_max
        self._removals = settings.removals_max
        for effect in in_hand:
            if not isinstance(effect, OpenStream):
                self._free -= 1
            self._makes -= isinstance(effect, (Create, Start))
            self._removals -= isinstance(effect, (Stop, Remove))

    def is_any(self) -> bool:
        return self._free > 0

    def has(self, step: Step) -> bool:
        if step.verb in ("create", "start"):
            return self._free > 0 and self._makes > 0
        if step.verb in ("stop", "remove"):
            return self._free > 0 and self._removals > 0
        return self._free > 0

    def take_one(self) -> None:
        self._free -= 1

    def take(self, step: Step) -> None:
        self.take_one()
        self._makes -= step.verb in ("create", "start")
        self._removals -= step.verb in ("stop", "remove")


def _wish(cluster: str, assignment: Assignment) -> Wish:
    return Wish(
        name=assignment.slot,
        labels=Labels(
            cluster=cluster,
            slot=assignment.slot,
            generation=assignment.generation,
            digest=assignment.digest,
        ),
        spec=spec_from_document(assignment.spec),
        remote=None if assignment.remote is None else codec.parse(Remote, assignment.remote),
    )


def _version(assignment: Assignment) -> tuple[int, str]:
    return (assignment.generation, assignment.digest)


def _is_urgent(before: Iterable[Holding], after: tuple[Holding, ...]) -> bool:
    """Whether somebody waits for it: an end that was reached, or something that has gone."""
    known = {(holding.generation, holding.phase) for holding in before}
    generations = {holding.generation for holding in after}
    return any(generation not in generations for generation, _ in known) or any(
        holding.phase in URGENT_PHASES for holding in after
    )
