"""Whose turn it is to have room looked for: of a crowd that waits, so many that no node waits.

Looking for room for one container costs up to some milliseconds, and a thousand of them together
would keep every node unanswered for as long. So all that is looked for within `TURN_MS` costs no
more than a fixed work, and who is left over comes in the next ticks: by priority, and by how
long it has waited. Whatever changes meanwhile, everybody is looked at once before anybody is looked
at again, so that nobody is passed over for ever. Work is counted, not timed: a decision must not
depend on how fast a machine is.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Final

WORK_MAX: Final = 60_000  # occupants and nodes looked at: about 0.1 s
ENDLESS: Final = 1 << 62  # for questions, which are answered as a whole
TURN_MS: Final = 400  # less than from one tick to the next
TOGETHER_MAX: Final = 200  # so many are placed anew in one tick
IN_TURN: Final = "whose place it could take is looked for in its turn"


@dataclass(slots=True, kw_only=True)
class Turns:
    """Who is still to be looked at, by key, and how much work is left. Never stored.

    now: those who come next. later: those who have been looked at since these began to wait, and
    are to be looked at again. is_behind: others were left over before this transaction.
    """

    work_max: int = WORK_MAX
    left: int = WORK_MAX
    since_ms: int = 0
    now: set[str] = field(default_factory=set)
    later: set[str] = field(default_factory=set)
    is_behind: bool = False

    def begun(self, now_ms: int) -> "Turns":
        """The same for one transaction, which may be taken back."""
        is_due = now_ms - self.since_ms >= TURN_MS
        return replace(
            self,
            left=self.work_max if is_due else self.left,
            since_ms=now_ms if is_due else self.since_ms,
            now=set(self.now),
            later=set(self.later),
            is_behind=bool(self.now),
        )

    def refill(self) -> None:
        """As if time had passed: for plans, which follow the turns to their end."""
        self.left, self.is_behind = self.work_max, bool(self.now)

    def take(self, key: str, *, is_new: bool) -> bool:
        """Whether somebody may be looked at; who may not is kept for its turn.

        is_new: it has never been looked at, and so does not come after all who have been.
        """
        if self.is_behind and not is_new and key not in self.now:
            self.later.add(key)
            return False
        if self.left <= 0:
            self.now.add(key)
            return False
        self.done(key)
        return True

    def waiting(self) -> set[str]:
        """All who are still to be looked at."""
        return self.now | self.later

    def done(self, key: str) -> None:
        """What there is to say of it is known."""
        self.now.discard(key)
        self.later.discard(key)

    def close(self, waiting: Iterable[str]) -> None:
        """Forget who waits no longer; when all have been looked at, it begins anew."""
        self.now.intersection_update(waiting)
        self.later.intersection_update(waiting)
        if not self.now:
            self.now, self.later = self.later, set()
