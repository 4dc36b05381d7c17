"""One slot of a node: what is wanted, what is there, and the one next step between the two.

Pure. A `Slot` is changed by the core only; `next_step` decides and changes nothing.
"""

import zlib
from dataclasses import dataclass, field
from typing import Final, Literal

from pathfinder.agent.effects import (
    Bootstrap,
    Call,
    Complete,
    Create,
    Failed,
    Relabel,
    Restore,
    Start,
    Stop,
    Take,
    failed,
)
from pathfinder.agent.health import Check, Verdict
from pathfinder.agent.notes import Note, note_from
from pathfinder.model.errors import DefinitionWrong
from pathfinder.model.health import Health, health_from
from pathfinder.runtimes.port import Instance, Labels, Offer, State
from pathfinder.runtimes.qualified import plain_name
from pathfinder.wire.messages import Assignment, Holding, RelocationPart

BACK_OFF_MS_MIN: Final = 500
BACK_OFF_MS_MAX: Final = 60_000
FORGIVEN_MS: Final = 300_000  # what has run this long is forgiven its earlier deaths
CRASH_LOOP_DEATHS: Final = 3  # so many in a row are a crash loop ...
STEADY_MS: Final = 10_000  # ... until it has run this long, and longer with each death more
STEADY_MS_MAX: Final = 60_000
LOOK_MS_MIN: Final = 50
LOOK_MS_MAX: Final = 30_000

Presence = Literal["unlisted", "absent", "ours", "foreign"]
Verb = Literal[
    "create",
    "start",
    "stop",
    "remove",
    "inspect",
    "hand over",
    "take",
    "complete",
    "restore",
    "relabel",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Restoring:
    """Somebody waits, until a moment, for it to be brought back to a snapshot."""

    snapshot: str
    until_ms: int


@dataclass(slots=True, kw_only=True)
class Slot:
    """All that the agent knows about one name.

    certain: `presence` and `state` are the daemon's word, and no call is in doubt.
    labels: of what is there, or of what a create that is under way or in doubt may have made.
    retry_ms: nothing is tried before this moment. look_ms: when to inspect next; None: no need.
    reported: the sequence of the first exchange that carried this holding in the session; 0: none.
    note: how far its bootstrap is. keeps_note: the look in hand may tell of an older one.
    offer: what is offered to another node, for copy `offered`. taken: the copy that was taken last;
    copy_failed: the one that failed, and why.
    """

    name: str
    wanted: Assignment | None = field(default=None, repr=False)  # it may hold secrets
    presence: Presence = "unlisted"
    certain: bool = False
    labels: Labels | None = None
    state: State = "unknown"
    addresses: tuple[str, ...] = ()
    started_ms: int = 0
    in_hand: Call | None = None
    touched: int = 0  # the core's event counter when this was last acted on or looked at
    listed: tuple[int, Instance | None] | None = None  # when the last list that told of it began
    failure: Failed | None = None
    attempt_count: int = 0
    retry_ms: int = 0
    look_ms: int | None = None
    look_gap_ms: int = LOOK_MS_MIN
    timer_ms: int | None = None  # the earliest moment at which the core will decide about it
    has_stop_failed: bool = False
    runs_since_ms: int | None = None
    has_died: bool = False
    death_count: int = 0  # in a row: since it was forgiven the last ones
    is_looping: bool = False  # it has died too often, and has not run for long enough since
    restart_count: int = 0
    ended: str = ""  # how its program ended last
    reported: int = 0
    checked: Health | None = None
    verdict: Verdict | None = None  # of the health of the run that began at its `life`
    note: Note | None = None
    keeps_note: bool = False
    bootstrapping: Bootstrap | None = None  # the try in hand
    bootstrap_failure: Failed | None = None
    bootstrap_faults: int = 0  # of the runtime, since the last try
    bootstrap_retry_ms: int = 0
    offer: Offer | None = field(default=None, repr=False)
    offered: int = 0
    taken: int = 0
    copy_failed: int = 0
    copy_failure: Failed | None = None
    restoring: Restoring | None = None
    holdings: tuple[Holding, ...] = ()

    @property
    def part(self) -> RelocationPart:
        """This node's part in a relocation of what is wanted."""
        return self.wanted.relocation if self.wanted is not None else ""

    @property
    def is_left_frozen(self) -> bool:
        """Whether its daemon may have frozen it to copy it, and died: what is offered runs on."""
        return self.state == "frozen" and self.part == "offer"

    @property
    def is_returned(self) -> bool:
        """Whether it has come back from a snapshot with the labels that it had when that was made.

        Else it would be a leftover of an earlier generation, and removed.
        """
        return (
            self.wanted is not None
            and self.labels is not None
            and self.labels.generation in self.wanted.earlier
        )

    @property
    def is_half_copy(self) -> bool:
        """Whether what is there is the copy that is to be taken here, and not whole yet."""
        wanted, labels = self.wanted, self.labels
        return (
            wanted is not None
            and labels is not None
            and wanted.relocation in ("take", "arrive")
            and (labels.generation, labels.digest) == (wanted.generation, "")
        )

    @property
    def is_matched(self) -> bool:
        """Whether what is there is what is wanted."""
        wanted, labels = self.wanted, self.labels
        return (
            wanted is not None
            and labels is not None
            and (labels.generation, labels.digest) == (wanted.generation, wanted.digest)
        )

    @property
    def is_crash_looping(self) -> bool:
        """Whether what is wanted dies again and again."""
        return self.is_looping and self.is_matched

    @property
    def may_be_there(self) -> bool:
        """Whether something of ours is there, under way, or in doubt."""
        is_known = self.certain and self.in_hand is None
        return self.presence == "ours" or (not is_known and self.presence != "unlisted")

    @property
    def is_needless(self) -> bool:
        """Whether nothing is wanted, there, under way or in doubt: the slot can be forgotten."""
        return (
            self.wanted is None
            and self.in_hand is None
            and self.bootstrapping is None
            and (self.presence == "foreign" or (self.certain and self.presence == "absent"))
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What to do next with a slot, and why."""

    verb: Verb
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Permit:
    """What the conversation allows now.

    may_act: the server has spoken in this life, and the daemon has answered a full list.
    may_remove: the server has heard, in its present session, that we hold this slot.
    may_make: no other daemon of the node has, or may have, something of ours under this name.
    """

    may_act: bool
    may_remove: bool
    may_make: bool = True


LOOKING: Final = Step(verb="inspect", why="looking")
UNKNOWN: Final = Step(verb="inspect", why="outcome unknown")
FOLLOWING: Final = Step(verb="inspect", why="following it")


def next_step(slot: Slot, now_ms: int, permit: Permit) -> Step | None:
    """The one step that is due now; None while a call is in hand, a pause runs, or all is well."""
    if slot.in_hand is not None or slot.retry_ms > now_ms:
        return None
    if not slot.certain:
        return UNKNOWN if slot.labels else LOOKING
    if permit.may_act and not (slot.wanted is not None and slot.wanted.hold):
        step = _acting_step(slot, permit)
        if step is not None:
            return step
    if slot.look_ms is not None and slot.look_ms <= now_ms:
        return FOLLOWING
    return None


def _acting_step(slot: Slot, permit: Permit) -> Step | None:
    if slot.presence == "foreign":
        return Step(verb="inspect", why="name occupied") if slot.wanted else None
    if slot.presence == "absent":
        if slot.part == "take":
            return _taking_step(slot, permit)
        is_due = slot.wanted is not None and permit.may_make and slot.part != "arrive"
        return Step(verb="create", why="assigned") if is_due else None
    if slot.presence != "ours":
        return None
    if slot.is_half_copy:
        if slot.part == "arrive":
            return Step(verb="complete", why="its copy is complete")
        return _taking_step(slot, permit)
    if slot.is_returned:
        return Step(verb="relabel", why="it has come back from a snapshot")
    if slot.is_matched:
        return _step_of_matched(slot, permit)
    if not permit.may_remove:
        return None
    why = "another generation is wanted" if slot.wanted else "not wanted"
    if slot.state in ("created", "stopped") or slot.has_stop_failed:
        return Step(verb="remove", why=why)
    return Step(verb="stop", why=why)


def _step_of_matched(slot: Slot, permit: Permit) -> Step | None:
    is_down = slot.state in ("created", "stopped")
    if slot.restoring is not None:
        why = f"it goes back to snapshot {slot.restoring.snapshot}"
        return Step(verb="restore" if is_down else "stop", why=why)
    if slot.part == "halt" and not is_down:
        return Step(verb="stop", why="it moves to another node")
    if slot.is_left_frozen:
        return Step(verb="start", why="its daemon froze it to copy it")
    if slot.part == "arrive" and is_down and slot.failure is not None and not slot.has_died:
        # The server is told, and lets it run where it was: what it wrote here would be lost.
        return None
    if slot.part != "halt" and is_down and permit.may_make:
        died = f"died: {slot.ended}" if slot.ended else "died"
        return Step(verb="start", why=died if slot.has_died else "assigned")
    if slot.part in ("offer", "halt"):
        assert slot.wanted is not None, slot
        number = slot.wanted.copy_number
        is_due = number not in (slot.offered, slot.copy_failed)
        return Step(verb="hand over", why="it moves to another node") if is_due else None
    return None


def _taking_step(slot: Slot, permit: Permit) -> Step | None:
    """Take the copy that is offered, once."""
    assert slot.wanted is not None, slot
    offer, number = slot.wanted.offer, slot.wanted.copy_number
    is_due = offer is not None and offer.number == number
    if not is_due or number in (slot.taken, slot.copy_failed) or not permit.may_make:
        return None
    return Step(verb="take", why="it moves here")


def wake_ms(slot: Slot, now_ms: int) -> int | None:
    """When `next_step` may say something else by the passing of time alone; None: never."""
    if slot.in_hand is not None:
        return None
    if slot.retry_ms > now_ms:
        return slot.retry_ms
    look_ms, until_ms = slot.look_ms, stable_ms(slot)
    if look_ms is None or until_ms is None:
        return until_ms if look_ms is None else look_ms
    return min(look_ms, until_ms)


def stable_ms(slot: Slot) -> int | None:
    """When it is no crash loop any more, or all is forgiven, if it runs until then; None: never."""
    if slot.runs_since_ms is None or not slot.death_count:
        return None
    if slot.is_looping:
        more = slot.death_count - CRASH_LOOP_DEATHS + 1
        return slot.runs_since_ms + min(STEADY_MS_MAX, STEADY_MS * more)
    return slot.runs_since_ms + FORGIVEN_MS


def observe(slot: Slot, instance: Instance | None, cluster: str, now_ms: int) -> None:
    """Take the daemon's word about the name. What ran and does not any more has died."""
    ran_since_ms = slot.runs_since_ms
    labels = labels_of(instance, cluster)
    is_same = labels is not None and labels == slot.labels
    if not is_same or (slot.bootstrapping is None and not slot.keeps_note):
        slot.note = note_from(instance.note) if labels is not None and instance else None
    if not is_same:
        slot.offer, slot.offered, slot.taken = None, 0, 0
    slot.keeps_note = False
    slot.certain = True
    slot.runs_since_ms = None
    if instance is None or labels is None:
        slot.presence = "absent" if instance is None else "foreign"
        slot.labels, slot.state = None, "unknown"
    else:
        slot.presence, slot.labels, slot.state = "ours", labels, instance.state
        slot.started_ms = instance.started_ms or slot.started_ms
        if instance.state == "running":
            slot.runs_since_ms = ran_since_ms if is_same and ran_since_ms is not None else now_ms
            return
    slot.addresses, slot.started_ms = (), 0
    is_meant = slot.part == "halt" or slot.restoring is not None
    if ran_since_ms is not None and slot.wanted is not None and not is_meant:
        slot.has_died = True
        slot.ended = instance.ended if instance is not None else ""
        if now_ms - ran_since_ms >= FORGIVEN_MS:
            stabilise(slot)
        elif slot.death_count:
            back_off(slot, now_ms)
        slot.death_count += 1
        slot.is_looping = slot.death_count >= CRASH_LOOP_DEATHS


def done(slot: Slot, call: Call, now_ms: int) -> None:
    """Take over what a call has brought about that has ended well."""
    slot.certain = True
    match call:
        case Create():
            slot.presence, slot.state, slot.note = "ours", "created", None
        case Start():
            slot.state, slot.runs_since_ms = "running", now_ms
            slot.failure, slot.has_died = None, False
            slot.addresses, slot.look_gap_ms = (), LOOK_MS_MIN
            schedule_look(slot, now_ms)
        case Take():
            # Its note came with it: nothing is done before a look at it.
            slot.presence, slot.taken, slot.certain = "ours", call.number, False
        case Complete():
            slot.labels = call.wish.labels
        case Relabel():
            slot.labels = call.labels
        case Restore():
            slot.restoring, slot.certain = None, False  # its note and its labels came with it
        case Stop():
            slot.state, slot.runs_since_ms, slot.addresses = "stopped", None, ()
        case _:
            slot.offer, slot.offered, slot.taken = None, 0, 0
            slot.presence, slot.labels, slot.state = "absent", None, "unknown"
            slot.runs_since_ms, slot.look_ms, slot.addresses = None, None, ()
            slot.has_stop_failed, slot.note = False, None
            slot.failure, slot.attempt_count = None, 0


def checked_by(assignment: Assignment | None) -> Health | None:
    """How its health is checked; None: it is not, or this agent does not understand how."""
    document = assignment.spec.get("health") if assignment is not None else None
    try:
        return health_from(document, "spec.health")
    except DefinitionWrong:
        return None  # making it fails for the same reason, and says so


def check_of(slot: Slot) -> Check | None:
    """How the present run is checked; None: nothing runs that is wanted."""
    life = slot.runs_since_ms
    if slot.checked is None or life is None or slot.state != "running" or not slot.is_matched:
        return None
    address = slot.addresses[0] if slot.addresses else ""
    return Check(name=slot.name, life=life, health=slot.checked, address=address)


def occupied(slot: Slot, now_ms: int) -> None:
    """What is wanted cannot be made here while something else has its name."""
    slot.failure = failed(
        "name_occupied",
        f"{plain_name(slot.name)}: something that is not this cluster's has this name on the node",
        "rename or remove it there, or give the container another name",
    )
    back_off(slot, now_ms)


def labels_of(instance: Instance | None, cluster: str) -> Labels | None:
    """The labels of an instance that this cluster's Pathfinder made; None for anything else.

    A copy that a person made of a container carries its labels under another name: theirs.
    """
    if instance is None or instance.labels is None:
        return None
    labels = instance.labels
    is_own = (labels.cluster, labels.slot) == (cluster, plain_name(instance.name))
    return labels if is_own else None


def call_failed(slot: Slot, call: Call, failure: Failed, now_ms: int) -> None:
    """Whether unknown or refused half-way: look before acting again, after a pause.

    The pause also gives what is still under way the time to happen.
    """
    slot.certain = False
    slot.failure = failure
    if isinstance(call, Stop) and failure.code != "outcome_unknown":
        slot.has_stop_failed = True
    back_off(slot, now_ms)


def back_off(slot: Slot, now_ms: int) -> None:
    """One more failed attempt: pause longer. Deterministic, and different for each slot."""
    slot.attempt_count += 1
    pause_ms = min(BACK_OFF_MS_MAX, BACK_OFF_MS_MIN << min(slot.attempt_count - 1, 10))
    slot.retry_ms = now_ms + spread(slot.name, slot.attempt_count, pause_ms)


def spread(name: str, attempt: int, pause_ms: int) -> int:
    """The pause and up to half of it more, so that many do not come back at once."""
    spread_ms = zlib.crc32(f"{name}/{attempt}".encode()) % (pause_ms // 2)
    return min(BACK_OFF_MS_MAX, pause_ms + spread_ms)


def stabilise(slot: Slot) -> None:
    """It has run for long enough: it is started at once when it dies, and is no crash loop."""
    slot.attempt_count = slot.death_count = 0
    slot.is_looping = False


def has_stabilised(slot: Slot, now_ms: int) -> bool:
    """Whether it has run for long enough by now to be no crash loop, or to be forgiven all."""
    until_ms = stable_ms(slot)
    if until_ms is None or until_ms > now_ms:
        return False
    if slot.is_looping:
        slot.is_looping = False
    else:
        stabilise(slot)
    return True


def forgive(slot: Slot) -> None:
    """What is wanted has changed: earlier failures say nothing about it."""
    slot.death_count = slot.restart_count = 0
    slot.is_looping = False
    slot.failure, slot.attempt_count, slot.retry_ms = None, 0, 0
    slot.ended = ""
    slot.has_stop_failed = slot.has_died = False
    slot.bootstrap_failure, slot.bootstrap_faults, slot.bootstrap_retry_ms = None, 0, 0
    slot.restoring = None


def schedule_look(slot: Slot, now_ms: int) -> None:
    """Set when to inspect next; never for what does not run and is not about to.

    Soon and then ever later until it runs with its address. From then on whoever measures it tells
    its addresses, the daemon's changes and lists the rest: nobody has to look.
    """
    is_up = slot.state in ("running", "frozen") and not lacks_address(slot)
    if slot.presence != "ours" or slot.state in ("created", "stopped") or is_up:
        slot.look_ms, slot.look_gap_ms = None, LOOK_MS_MIN
    else:
        slot.look_ms = now_ms + slot.look_gap_ms
        slot.look_gap_ms = min(LOOK_MS_MAX, slot.look_gap_ms * 2)


def lacks_address(slot: Slot) -> bool:
    """IPv6 alone often comes first; people wait for the other."""
    if slot.wanted is not None and slot.wanted.spec.get("network") == "none":
        return False
    if slot.state != "running":
        return False
    for address in slot.addresses:  # noqa: SIM110  a generator would cost more than all the rest
        if "." in address:
            return False
    return True
