"""What was answered under an idempotency key: told again to who repeats it, and forgotten in time.

A repetition that comes after its answer was forgotten is done a second time. So no clock that jumps
may make an answer old: it is kept for a day by the clock of durations, and by the wall clock only
as far as a server that was started since then has kept it for an hour itself.
"""

from itertools import takewhile
from typing import Final

from pathfinder.control.commands import Request
from pathfinder.control.life import Life
from pathfinder.control.objects import Answered
from pathfinder.control.state import Change, State
from pathfinder.control.transaction import Transaction
from pathfinder.model.errors import Conflict, TooMuch

ANSWERED_MAX: Final = 100_000
ANSWERED_MS: Final = 24 * 3600 * 1000
ANSWERED_MS_MIN: Final = 3600 * 1000  # by the clock of durations, whatever the wall clock says


def before(state: State, request: Request) -> Answered | None:
    """What the same request was answered, if it came before; Conflict when it was another one."""
    if not request.idempotency_key or request.dry_run:
        return None
    answered = state.get(Answered, _key(request))
    if answered is not None and answered.request_digest != request.request_digest:
        raise Conflict(
            "this idempotency key belongs to another request",
            hint="use a new key for each new request",
        )
    return answered


def remember(
    tx: Transaction, life: Life, request: Request, body: bytes, *, refused: bool = False
) -> None:
    """Keep an answer; TooMuch when there are too many of them."""
    if tx.state.count(Answered) >= ANSWERED_MAX:
        raise TooMuch(
            f"more than {ANSWERED_MAX} requests with an idempotency key in 24 hours",
            hint="send requests without a key, or fewer of them",
        )
    key = _key(request)
    life.answered_ms[key] = life.now_ms
    tx.put(Answered(id=key, request_digest=request.request_digest, reply=body, refused=refused))


def forget_old(tx: Transaction, life: Life) -> None:
    """They are in order of insertion: the first young one ends the search."""
    old = takewhile(lambda each: _is_old(life, each, tx.now_ms), tx.state.all(Answered))
    for answered in list(old):
        life.answered_ms.pop(answered.id, None)
        tx.drop(answered)


def revert(life: Life, change: Change) -> None:
    """A change did not become durable: what it would have answered was not."""
    for key, (before, _) in change.things.get(Answered.KIND, {}).items():
        if before is None:
            life.answered_ms.pop(key, None)


def due_ms(state: State, life: Life, wall_ms: int) -> int | None:
    """By the clock of durations, when one is forgotten next; None: there is none.

    As the clocks are now: the wall clock may jump.
    """
    first = next(state.all(Answered), None)
    if first is None:
        return None
    since_ms = life.answered_ms.get(first.id, life.began_ms)
    by_wall_ms = life.now_ms + first.created_ms + ANSWERED_MS - wall_ms
    return min(since_ms + ANSWERED_MS, max(since_ms + ANSWERED_MS_MIN, by_wall_ms))


def _is_old(life: Life, answered: Answered, wall_ms: int) -> bool:
    kept_ms = life.now_ms - life.answered_ms.get(answered.id, life.began_ms)
    is_old = wall_ms - answered.created_ms > ANSWERED_MS and kept_ms >= ANSWERED_MS_MIN
    return is_old or kept_ms > ANSWERED_MS


def _key(request: Request) -> str:
    who = request.principal.token or request.principal.name
    return f"{who}/{request.idempotency_key}"
