"""The node's side of the conversation: sessions, sequences, lease, and what the server wants.

Pure: time is an argument, in milliseconds of a clock that only measures durations. Every rule here
was found necessary by simulation; each has a test of its own.
"""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from pathfinder.wire.messages import HEARTBEAT_MS, HOLDING_MAX, Assignment, Reply, Session

IN_FLIGHT_MAX: Final = 2  # one parked at the server, one that supersedes it
HEARTBEAT_SLACK_MS: Final = 1_000  # how late the server's answer may be before we ask once more
UNREACHABLE_MS_MIN: Final = 200
UNREACHABLE_MS_MAX: Final = 5_000
SEQUENCE_LEAP: Final = 1_000  # more than the exchanges that fit between two checkpoints
RATE_WINDOW_MS: Final = 1_000
RATE_MAX: Final = 50  # exchanges in a window: a server that never parks must not make us spin


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """What a restarted agent must know: it neither ends its lease nor extends it.

    `lease_until_ms` is on the boot's clock of durations; after another boot it is 0.
    """

    epoch: int
    incarnation: str
    sequence: int
    lease_until_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A valid answer to exchange `sequence`, and the slots whose assignment it changed.

    `unclear`: it builds on what we do not have; the next exchange must ask for everything.
    """

    sequence: int
    changed: frozenset[str] = frozenset()
    unclear: bool = False


class Conversation:
    """Which answers count, when to speak next, until when the lease runs, and what is wanted.

    `wanted` is the server's last word; `directed` is False until the first valid answer of this
    process's life, and until then nobody may act on `wanted`.
    """

    def __init__(self, node: str, checkpoint: Checkpoint | None) -> None:
        self.node = node
        self.epoch = checkpoint.epoch if checkpoint else 0
        self.incarnation = checkpoint.incarnation if checkpoint else ""
        self.sequence = checkpoint.sequence + SEQUENCE_LEAP if checkpoint else 0
        self.lease_until_ms = checkpoint.lease_until_ms if checkpoint else 0
        self.taken = self.sequence  # answers to an earlier process are not ours to take
        self.seen = 0
        self.heartbeat_ms = HEARTBEAT_MS
        self.directed = False
        self.wanted: dict[str, Assignment] = {}
        self._in_flight: dict[int, int] = {}  # sequence -> sent_ms
        self._newest = 0  # the sequence of the exchange that was sent last, at _sent_ms
        self._sent_ms = 0
        self._retry_ms = 0
        self._failure_count = 0
        self._window_ms = 0
        self._window_count = 0

    @property
    def session_key(self) -> tuple[int, str]:
        """Which life of which leader we talk to."""
        return (self.epoch, self.incarnation)

    @property
    def has_session(self) -> bool:
        """Whether a server has ever told us a session."""
        return self.incarnation != ""

    def is_awaited(self, sequence: int) -> bool:
        """Whether exchange `sequence` is under way: neither answered nor given up."""
        return sequence in self._in_flight

    def checkpoint(self) -> Checkpoint:
        """What to keep for the next process."""
        return Checkpoint(
            epoch=self.epoch,
            incarnation=self.incarnation,
            sequence=self.sequence,
            lease_until_ms=self.lease_until_ms,
        )

    def send_ms(self, news_ms: int | None) -> int | None:
        """When the next exchange may leave; None: not before an answer.

        At `news_ms` (None: no news), at once when the last one was answered, or when its answer
        is overdue.
        """
        if len(self._in_flight) >= IN_FLIGHT_MAX:
            return None
        if self._newest not in self._in_flight:
            due = self._sent_ms
        else:
            due = self._sent_ms + self.heartbeat_ms + HEARTBEAT_SLACK_MS
            due = due if news_ms is None else min(due, news_ms)
        due = max(due, self._retry_ms)
        if self._window_count >= RATE_MAX:
            due = max(due, self._window_ms + RATE_WINDOW_MS)
        return due

    def send(self, now_ms: int) -> Session:
        """The session of the exchange that leaves now."""
        assert len(self._in_flight) < IN_FLIGHT_MAX, self._in_flight
        if now_ms >= self._window_ms + RATE_WINDOW_MS:
            self._window_ms, self._window_count = now_ms, 0
        self._window_count += 1
        self.sequence += 1
        self._in_flight[self.sequence] = self._sent_ms = now_ms
        self._newest = self.sequence
        return Session(epoch=self.epoch, incarnation=self.incarnation, sequence=self.sequence)

    def on_unreachable(self, now_ms: int, sequence: int) -> None:
        """Exchange `sequence` had no answer. The pause grows, and is another on every node."""
        if self._in_flight.pop(sequence, None) is not None:
            self._back_off(now_ms)

    def on_reply(self, now_ms: int, sequence: int, reply: Reply) -> Taken | None:
        """Take the answer to exchange `sequence`.

        None when it is late, repeated, of another session, or only a hello.
        """
        sent_ms = self._in_flight.pop(sequence, None)
        if sent_ms is None:
            return None
        if reply.kind == "hello":
            self._on_hello(now_ms, reply.session)
            return None
        if not self._is_to(sequence, reply.session) or len(reply.assignments) > HOLDING_MAX:
            self._back_off(now_ms)
            return None
        if sequence <= self.taken:
            return None
        self.taken = sequence
        self._failure_count = 0
        self._retry_ms = 0
        # From OUR sending, never from its arrival: the server's clock of the lease began later.
        until_ms = sent_ms + reply.lease_ms
        self.lease_until_ms = max(self.lease_until_ms, until_ms)
        self.heartbeat_ms = max(1, reply.heartbeat_ms)
        return self._on_assignments(sequence, reply)

    def _is_to(self, sequence: int, session: Session) -> bool:
        """Whether an answer is that to exchange `sequence` of this session."""
        return (
            session.sequence == sequence
            and session.epoch == self.epoch
            and session.incarnation == self.incarnation
        )

    def _back_off(self, now_ms: int) -> None:
        self._failure_count = min(self._failure_count + 1, 10)
        ceiling = min(UNREACHABLE_MS_MAX, UNREACHABLE_MS_MIN << self._failure_count)
        spread = zlib.crc32(f"{self.node}/{self.sequence}".encode()) % (ceiling // 2)
        self._retry_ms = now_ms + ceiling - spread

    def _on_hello(self, now_ms: int, session: Session) -> None:
        known = (session.epoch, session.incarnation) == (self.epoch, self.incarnation)
        older = not known and self.has_session and session.epoch <= self.epoch
        is_idle = known and session.sequence <= self.sequence and not self._in_flight
        if older or is_idle:
            # An older leader learns of the newer one from our session; a hello that tells nothing
            # new answers an exchange that was overtaken. Neither may make us spin.
            self._back_off(now_ms)
            return
        if not known:
            self.epoch, self.incarnation = session.epoch, session.incarnation
            # Its revisions may mean something else (an old backup): begin with a complete list.
            self.seen = 0
        self._failure_count = 0
        self._retry_ms = 0
        # It may have heard a later life of ours (our checkpoint was lost or is old): go beyond.
        self.sequence = max(self.sequence, session.sequence)

    def _on_assignments(self, sequence: int, reply: Reply) -> Taken:
        if reply.kind == "nothing":
            return Taken(sequence=sequence)
        if reply.kind == "difference" and (not self.directed or reply.base != self.seen):
            self.seen = 0  # it builds on something we do not have: ask for everything
            return Taken(sequence=sequence, unclear=True)
        told = {assignment.slot: assignment for assignment in reply.assignments}
        if reply.kind == "difference":
            kept = {s: a for s, a in self.wanted.items() if s not in reply.released}
            told = {**kept, **told}
        changed = _changed(self.wanted, told)
        self.wanted = told
        self.seen = reply.revision
        self.directed = True
        return Taken(sequence=sequence, changed=changed)


def _changed(before: Mapping[str, Assignment], after: Mapping[str, Assignment]) -> frozenset[str]:
    return frozenset(s for s in before.keys() | after.keys() if before.get(s) != after.get(s))
