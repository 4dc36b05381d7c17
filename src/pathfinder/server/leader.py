"""The one writer: commands and reports in, one record for each group, answers when it is durable.

Between deciding a change and its record being on disk, the state holds what could still be lost.
Whoever wants to see the state waits for the end of that time (`look`), so nobody ever sees what
is then taken back.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar

import structlog

from pathfinder.control.codec import encode_record
from pathfinder.control.commands import Request
from pathfinder.control.controller import Controller, Heard
from pathfinder.control.state import Change, State
from pathfinder.model.errors import NotLeading, PathfinderError, StoreFull, TooBusy, TooMuch
from pathfinder.server.clock import Clock
from pathfinder.server.confirming import BUSY_HINT, Confirming
from pathfinder.server.journal import Journal
from pathfinder.store.port import RECORD_BYTES_MAX, Deposed, DiskFull, StoreFailure
from pathfinder.wire.messages import Exchange

T = TypeVar("T")
WAITING_MAX: Final = 4_096  # commands and reports that wait for their turn
LOOKS_MAX: Final = 4_096  # questions that wait for a record to be on disk
GROUP_COMMANDS_MAX: Final = 512
GROUP_EDITS_MAX: Final = 20_000
TICK_S: Final = 0.5
STALL_MS_MAX: Final = 5_000  # questions are not kept waiting for a disk for longer
LEAP_MAX: Final = 1 << 20  # epochs; a node that claims more to have passed is not believed
RELEAD_PAUSE_MS: Final = 60_000
BUGS: Final = (AssertionError, ArithmeticError, LookupError, TypeError, ValueError)


@dataclass(slots=True)
class _Asked:
    """A command, and who waits for its answer."""

    request: Request
    answer: asyncio.Future[bytes]


@dataclass(slots=True)
class _Reported:
    """An exchange, and who waits for what it did."""

    node_key: str
    exchange: Exchange
    answer: asyncio.Future[Heard]


@dataclass(slots=True)
class _Look(Generic[T]):
    """A question about the state, and who waits for its answer."""

    query: Callable[[Controller, int], T]
    answer: asyncio.Future[T]


@dataclass(slots=True)
class _Group:
    """What becomes durable together, and the answers that wait for it."""

    changes: list[Change] = field(default_factory=list)
    answers: list[tuple[asyncio.Future[bytes], bytes | PathfinderError]] = field(
        default_factory=list
    )
    edits: int = 0

    def add(self, change: Change) -> None:
        """Take a change in, in the order of decision."""
        self.changes.append(change)
        self.edits += change.edit_count


class Leader:
    """Owns the controller and the journal. Everything but `begin` and `stop` is quick.

    on_durable: told of each group's changes, once nobody can lose them any more.
    on_failure: told why this server can lead no longer; it must be started anew.
    """

    def __init__(
        self,
        *,
        journal: Journal,
        clock: Clock,
        new_incarnation: Callable[[], str],
        on_durable: Callable[[Sequence[Change]], None],
        on_failure: Callable[[str], None],
    ) -> None:
        self._journal = journal
        self._clock = clock
        self._new_incarnation = new_incarnation
        self._on_durable = on_durable
        self._on_failure = on_failure
        self._controller: Controller | None = None
        self._waiting: deque[_Asked | _Reported] = deque()
        self._looks: list[_Look[Any]] = []
        self._group = _Group()
        self._is_appending = False
        self._append_began_ms = 0
        self._is_tick_due = False
        self._was_recovering = True
        self._wake = asyncio.Event()
        self._is_open = False
        self._task: asyncio.Task[None] | None = None
        self._ticker: asyncio.Task[None] | None = None
        self._lead_at_least = 0
        self._relead_not_before_ms = 0
        self._confirming = Confirming(journal, clock, self._on_deposed)
        self._deposed: Deposed | None = None
        self._is_disk_full = False
        self._log = structlog.get_logger("leader")

    async def begin(self) -> None:
        """Lead: rebuild the state and begin to decide. StoreFailure when that cannot be."""
        await self._take_over(at_least=0)
        self._is_open = True
        self._task = asyncio.create_task(self._lead())
        self._ticker = asyncio.create_task(self._tick())

    async def stop(self) -> None:
        """Decide what has been accepted, save the state, let go of the store."""
        was_open, self._is_open = self._is_open, False
        if self._ticker is not None:
            self._ticker.cancel()
        await self._confirming.stop()
        if self._task is not None:
            self._wake.set()
            await self._task
        if self._controller is not None:
            await self._journal.close(
                self.controller.state, wall_ms=self._clock.now().wall_ms, is_leading=was_open
            )

    def state_at(self, time_ms: int) -> State:
        """The state as it was; from any thread. As `Journal.state_at`."""
        return self._journal.state_at(time_ms)

    @property
    def controller(self) -> Controller:
        """State and life. Who reads the state goes through `look`."""
        assert self._controller is not None, "leading begins with begin()"
        return self._controller

    @property
    def is_leading(self) -> bool:
        """Whether commands are taken."""
        return self._is_open

    @property
    def is_durable(self) -> bool:
        """Whether everything in the state is on disk."""
        return not self._is_appending and not self._group.changes

    async def submit(self, request: Request) -> bytes:
        """The answer to a command, when what it did is durable; PathfinderError."""
        self._check_open()
        if len(self._waiting) >= WAITING_MAX:
            raise TooBusy(f"{WAITING_MAX} requests are waiting already", hint=BUSY_HINT)
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Asked(request, answer))
        self._wake.set()
        return await answer

    async def hear(self, node_key: str, exchange: Exchange) -> Heard:
        """Take a node's exchange. What it changed may not be durable yet: ask `is_durable`.

        A report without news is taken also while a record is on its way to a slow disk: a lease
        must not end for lack of it.
        """
        self._check_open()
        moment = self._clock.now()
        if not self._is_appending and not self._lead_at_least:
            heard = self.controller.hear(node_key, exchange, moment)
            self._take_heard(heard)
            return heard
        if self.controller.is_without_news(node_key, exchange):
            return self.controller.hear(node_key, exchange, moment)
        if len(self._waiting) >= WAITING_MAX:
            raise TooBusy(f"{WAITING_MAX} reports are waiting already", hint=BUSY_HINT)
        answer: asyncio.Future[Heard] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Reported(node_key, exchange, answer))
        self._wake.set()
        return await answer

    def now_ms(self) -> int:
        """By the clock of durations."""
        return self._clock.now().uptime_ms

    async def confirm_since(self, heard_ms: int) -> None:
        """Before a lease is renewed for what came then: as `Confirming.since`."""
        await self._confirming.since(heard_ms)

    async def look(self, query: Callable[[Controller, int], T]) -> T:
        """What `query(controller, uptime_ms)` gives on a state that is durable as a whole."""
        if self.is_durable:
            return query(self.controller, self._clock.now().uptime_ms)
        if len(self._looks) >= LOOKS_MAX:
            raise TooBusy(f"{LOOKS_MAX} questions are waiting already", hint=BUSY_HINT)
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._looks.append(_Look(query, answer))
        return await answer

    async def _lead(self) -> None:
        """The outermost loop: decide a group, make it durable, answer; until told to stop."""
        try:
            while self._is_open or self._waiting or self._group.changes:
                await self._wake.wait()
                self._wake.clear()
                await self._step()
                if not self._is_open:
                    self._wake.set()
        except StoreFailure as error:
            self._fail(f"{type(error).__name__}: {error}")
        except Exception:  # noqa: BLE001 - the outermost loop: what was decided may be half done
            self._log.exception("the leader failed")
            self._fail("a bug; the log has its trace")

    def _on_deposed(self, error: Deposed) -> None:
        self._deposed = error
        self._wake.set()

    async def _step(self) -> None:
        if self._deposed is not None:
            raise self._deposed
        if self._lead_at_least and self.is_durable:
            await self._take_over(at_least=self._lead_at_least)
        if self._is_tick_due:
            self._is_tick_due = False
            self._add_change(self.controller.tick(self._clock.now()))
        self._decide()
        if self._group.changes:
            await self._make_durable()
        else:
            self._answer(self._group, ())
        if self._waiting:
            self._wake.set()

    def _decide(self) -> None:
        group = self._group
        count = 0
        while self._waiting and count < GROUP_COMMANDS_MAX and group.edits < GROUP_EDITS_MAX:
            count += 1
            match self._waiting.popleft():
                case _Asked() as asked:
                    self._decide_command(asked)
                case _Reported(node_key=key, exchange=exchange, answer=answer):
                    self._decide_report(key, exchange, answer)

    def _decide_command(self, asked: _Asked) -> None:
        if asked.answer.done():
            return  # who asked has gone
        try:
            outcome = self.controller.execute(asked.request, self._clock.now())
        except PathfinderError as error:
            # Said with the group's answers: what it was refused for may not be durable yet.
            self._group.answers.append((asked.answer, error))
            return
        except BUGS as error:
            # Its edits were taken back, so that a command which meets a bug harms no other.
            asked.answer.set_exception(error)
            return
        self._add_change(outcome.change)
        self._group.answers.append((asked.answer, outcome.refusal or outcome.body))

    def _decide_report(
        self, node_key: str, exchange: Exchange, answer: asyncio.Future[Heard]
    ) -> None:
        try:
            heard = self.controller.hear(node_key, exchange, self._clock.now())
        except (PathfinderError, *BUGS) as error:
            if not answer.done():
                answer.set_exception(error)
            return
        self._take_heard(heard)
        if not answer.done():
            answer.set_result(heard)

    def _add_change(self, change: Change | None) -> None:
        if change is not None:
            self._group.add(change)
            self._wake.set()

    def _take_heard(self, heard: Heard) -> None:
        self._add_change(heard.change)
        if heard.lead_at_least:
            self._consider_leading_again(heard.lead_at_least)

    async def _make_durable(self) -> None:
        group, self._group = self._group, _Group()
        body = encode_record(group.changes)
        if len(body) > RECORD_BYTES_MAX:
            self._take_back(group, TooMuch(f"more than {RECORD_BYTES_MAX >> 20} MiB of changes"))
            return
        try:
            await self._append(body)
        except DiskFull as error:
            self._note_full(str(error))
            hint = "then repeat the change; reads and running containers go on meanwhile"
            self._take_back(group, StoreFull(str(error), hint=hint))
        except StoreFailure as error:
            # Whether it is durable may be open: only the next start can tell.
            for answer, _ in group.answers:
                _refuse(answer, _lost(str(error)))
            raise
        else:
            self._note_room()
            self._answer(group, group.changes)
        self._save_snapshot()

    async def _append(self, body: bytes) -> None:
        now = self._clock.now()
        self._is_appending, self._append_began_ms = True, now.uptime_ms
        try:
            await self._journal.append(now.wall_ms, body)
            self._confirming.confirm(now.uptime_ms)
        finally:
            self._is_appending = False

    def _save_snapshot(self) -> None:
        """When it is time; and while the disk is full, since compacting may make room."""
        now = self._clock.now()
        is_due = self._journal.is_snapshot_due(now.uptime_ms) or (
            self._is_disk_full and self._journal.may_make_room(now.uptime_ms)
        )
        if is_due and self.is_durable:
            self._journal.save_snapshot(
                self.controller.state,
                wall_ms=now.wall_ms,
                now_ms=now.uptime_ms,
                makes_room=self._is_disk_full,
            )

    def _answer(self, group: _Group, changes: Sequence[Change]) -> None:
        """Let everybody know. Questions first are asked of exactly what was made durable."""
        is_recovering = self.controller.life.recovering
        if changes or is_recovering != self._was_recovering:
            self._was_recovering = is_recovering
            self._on_durable(changes)
        for answer, body in group.answers:
            if isinstance(body, PathfinderError):
                _refuse(answer, body)
            elif not answer.done():
                answer.set_result(body)
        group.answers.clear()
        looks, self._looks = self._looks, []
        now_ms = self._clock.now().uptime_ms
        for look in looks:
            _answer_look(look, self.controller, now_ms)

    def _take_back(self, group: _Group, error: PathfinderError) -> None:
        """The group is not durable: the state is again what it was before."""
        for change in reversed(group.changes):
            self.controller.revert(change)
        answers, group.answers = group.answers, []
        for answer, _ in answers:
            _refuse(answer, error)
        self._answer(group, ())

    def _note_full(self, why: str) -> None:
        if not self._is_disk_full:
            self._is_disk_full = True
            self._log.error("the disk is full: changes are refused, all else goes on", why=why)

    def _note_room(self) -> None:
        if self._is_disk_full:
            self._is_disk_full = False
            self._log.warning("the disk has room again: changes are taken")

    def _consider_leading_again(self, at_least: int) -> None:
        now_ms = self._clock.now().uptime_ms
        epoch = self.controller.life.epoch
        if at_least > epoch + LEAP_MAX or now_ms < self._relead_not_before_ms:
            self._log.warning("a node claims a future that is not believed", epoch=at_least)
            return
        self._lead_at_least = at_least
        self._relead_not_before_ms = now_ms + RELEAD_PAUSE_MS
        self._wake.set()

    async def _take_over(self, *, at_least: int) -> None:
        if at_least:
            # Else one that another has deposed would take the lead back from it.
            await self._journal.confirm()
        recovered = await self._journal.lead(at_least=at_least)
        now = self._clock.now()
        self._controller = Controller(
            recovered.state,
            epoch=recovered.epoch,
            incarnation=self._new_incarnation(),
            uptime_ms=now.uptime_ms,
        )
        self._lead_at_least = 0
        self._was_recovering = self.controller.life.recovering
        if at_least:
            self._add_change(self.controller.doubt_all(now))
            self._log.warning(
                "nodes know a later state than this store: it was restored from a backup; "
                "what they hold is kept until a person decides",
                epoch=recovered.epoch,
            )
        self._log.info(
            "leading",
            epoch=recovered.epoch,
            revision=recovered.state.revision,
            records_replayed=recovered.records_replayed,
        )

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            self._is_tick_due = True
            self._wake.set()
            self._confirming.ask()
            self._watch_disk()

    def _watch_disk(self) -> None:
        """Nobody waits for ever to see what a disk that hangs may still take or lose."""
        waited_ms = self._clock.now().uptime_ms - self._append_began_ms
        if not self._is_appending or waited_ms < STALL_MS_MAX:
            return
        self._log.warning("the disk has not answered", waited_ms=waited_ms)
        looks, self._looks = self._looks, []
        for look in looks:
            _refuse(look.answer, TooBusy("the store's disk does not answer", hint=BUSY_HINT))

    def _fail(self, why: str) -> None:
        self._is_open = False
        error = _lost(why)
        for waiting in self._waiting:
            _refuse(waiting.answer, error)
        self._waiting.clear()
        for answer, _ in self._group.answers:
            _refuse(answer, error)
        for look in self._looks:
            _refuse(look.answer, error)
        self._looks.clear()
        self._log.error("this server can lead no longer", why=why)
        self._on_failure(why)

    def _check_open(self) -> None:
        if not self._is_open:
            raise NotLeading("this server is starting or stopping", hint=BUSY_HINT)


def _lost(why: str) -> NotLeading:
    return NotLeading(f"this server can lead no longer: {why}", hint="it has to be started anew")


def _refuse(answer: asyncio.Future[Any], error: PathfinderError) -> None:
    if not answer.done():
        answer.set_exception(error)


def _answer_look(look: _Look[Any], controller: Controller, now_ms: int) -> None:
    if look.answer.done():
        return
    try:
        look.answer.set_result(look.query(controller, now_ms))
    except PathfinderError as error:
        look.answer.set_exception(error)
