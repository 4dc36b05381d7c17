"""What a deployment's replicas go through next: create, change, delete, or wait, and why."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from pathfinder.model.definitions import REPLICAS_MAX
from pathfinder.model.names import replica_name

NAMES_SHOWN_MAX = 3
Change = Literal["none", "rebootstrap", "replace"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What people ask of a deployment.

    min_available: a rollout leaves at least so many replicas ready.
    """

    name: str
    replica_count: int
    min_available: int


class Replica(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One replica as it is.

    change: what would make it what the definition, rendered for this replica, says; `why` is the
    reason. held: why it is not changed for the moment, "" when it may be. stuck: why it will not be
    ready by waiting alone, and what would help, "" when it may be. leaving: its deletion is
    wanted already. replacing: its new generation, or its new round of bootstrap, is not ready yet.
    """

    name: str
    ordinal: int
    change: Change = "none"
    why: str = ""
    ready: bool
    leaving: bool = False
    replacing: bool = False
    held: str = ""
    stuck: str = ""

    @property
    def is_available(self) -> bool:
        """Whether it counts towards `min_available`."""
        return self.ready and not self.leaving and not self.replacing


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """What is safe to do now; ask again after the world has moved.

    create: ordinals. replace, rebootstrap, delete: names. why: the reason of each of these, by
    replica name. updated: how many of the wanted replicas need no change.
    blocked: why no further replica may be replaced and what would let it, "" when nothing blocks.
    waiting: what has to happen by itself before there can be a next step, "" when nothing has.
    done: there are exactly the wanted replicas, all up to date and ready.
    """

    create: tuple[int, ...] = ()
    replace: tuple[str, ...] = ()
    rebootstrap: tuple[str, ...] = ()
    delete: tuple[str, ...] = ()
    why: Mapping[str, str] = field(default_factory=dict)
    blocked: str = ""
    waiting: str = ""
    progress: str = ""
    updated: int = 0
    done: bool = False


def deployment_steps(deployment: Wanted, replicas: Sequence[Replica]) -> Steps:
    """The steps that are safe now, each with its reason.

    No step takes an available replica away when that would leave fewer than `min_available` (or
    than all, when fewer replicas are wanted). What is not ready is changed and deleted freely. A
    place is filled again only when its last holder is gone. The order of `replicas` does not
    matter: equal input gives equal steps.
    """
    ordered = sorted(replicas, key=lambda replica: (replica.ordinal, replica.name))
    live = [replica for replica in ordered if not replica.leaving]
    kept = [r for r in live if 1 <= r.ordinal <= deployment.replica_count]
    surplus = [r for r in live if not 1 <= r.ordinal <= deployment.replica_count]
    outdated = [r for r in kept if r.change != "none"]
    taken = {replica.ordinal for replica in ordered}
    create = [n for n in range(1, deployment.replica_count + 1) if n not in taken]

    quota = _quota(deployment, live)
    changeable = [replica for replica in outdated if not replica.held]
    change = _freely_then_within(quota, changeable)
    # A rollout has the first claim on the quota: surplus replicas that are still ready are what
    # lets it go on when every one of the remaining has to stay ready.
    quota -= sum(replica.is_available for replica in change)
    delete = _freely_then_within(quota, surplus[::-1])

    touched = {replica.name for replica in (*change, *delete)}
    blocked = ""
    if any(r.is_available and r.name not in touched for r in changeable):
        blocked = _blocked(deployment, surplus)
        if not blocked and not create:
            blocked = _blocked_by_stuck(deployment, live, touched)
    waiting = (
        next((replica.held for replica in outdated if replica.held), "")
        or _waiting(deployment, kept, create, touched)
        or _still_leaving(ordered)
    )
    return Steps(
        create=tuple(create),
        replace=tuple(r.name for r in change if r.change == "replace"),
        rebootstrap=tuple(r.name for r in change if r.change == "rebootstrap"),
        delete=tuple(replica.name for replica in delete),
        why=_reasons(deployment, change, delete),
        blocked=blocked,
        waiting=waiting,
        progress=_progress(deployment, kept),
        updated=len(kept) - len(outdated),
        done=not (create or surplus or outdated or waiting),
    )


def _quota(deployment: Wanted, live: Sequence[Replica]) -> int:
    """How many available replicas may be taken away now."""
    floor = min(deployment.min_available, deployment.replica_count)
    return max(sum(replica.is_available for replica in live) - floor, 0)


def _freely_then_within(quota: int, replicas: Sequence[Replica]) -> list[Replica]:
    """Those that are not available, then as many of the available as the quota allows, in order."""
    available = [replica for replica in replicas if replica.is_available]
    return [r for r in replicas if not r.is_available] + available[:quota]


def _blocked(deployment: Wanted, surplus: Sequence[Replica]) -> str:
    """Why an outdated replica can never be replaced as things are, or "" when waiting will do."""
    count, floor = deployment.replica_count, deployment.min_available
    if floor < count or any(replica.is_available for replica in surplus):
        return ""
    who = "its only replica" if count == 1 else f"all {count} replicas"
    remedy = f"lower min_available to {count - 1}"
    if count < REPLICAS_MAX:
        remedy += f" or raise replicas to {count + 1}"
    return (
        f"{deployment.name}: {who} must stay ready (min_available {floor}): "
        f"no replica may be replaced; {remedy}"
    )


def _blocked_by_stuck(deployment: Wanted, live: Sequence[Replica], touched: set[str]) -> str:
    """The same when what uses up the quota is not ready, and will not be by waiting alone."""
    ready = [replica for replica in live if replica.is_available]
    stuck = [replica for replica in live if replica.stuck and not replica.is_available]
    goes_on = any(replica.name in touched for replica in ready)
    if goes_on or not stuck or len(ready) + len(stuck) < len(live):
        return ""
    names = _named({replica.name for replica in stuck})
    verb = "is" if len(stuck) == 1 else "are"
    return (
        f"{deployment.name}: the {len(ready)} ready must stay so (min_available "
        f"{deployment.min_available}) while {names} {verb} not ready ({stuck[0].stuck}); "
        f"or lower min_available to {len(ready) - 1}"
    )


def _waiting(
    deployment: Wanted, kept: Sequence[Replica], create: Sequence[int], touched: set[str]
) -> str:
    """Which of the wanted replicas are not ready once the steps are made."""
    unready = {r.name for r in kept if not r.is_available or r.name in touched}
    unready |= {replica_name(deployment.name, ordinal) for ordinal in create[:NAMES_SHOWN_MAX]}
    hidden = len(create[NAMES_SHOWN_MAX:])
    return f"waiting for {_named(unready, hidden)} to be ready" if unready else ""


def _still_leaving(replicas: Sequence[Replica]) -> str:
    leaving = {replica.name for replica in replicas if replica.leaving}
    return f"waiting for {_named(leaving)} to be gone" if leaving else ""


def _named(names: set[str], hidden: int = 0) -> str:
    """The first of them; there are `hidden` more that come later."""
    shown = sorted(names)[:NAMES_SHOWN_MAX]
    more = len(names) + hidden - len(shown)
    if more:
        return f"{', '.join(shown)} and {more} more"
    return ", ".join(shown)


def _reasons(
    deployment: Wanted,
    change: Sequence[Replica],
    delete: Sequence[Replica],
) -> dict[str, str]:
    count = deployment.replica_count
    wanted = f"{deployment.name} has {count} {'replica' if count == 1 else 'replicas'}"
    reasons = {}
    for replica in change:
        state = "" if replica.is_available else "; it was not ready"
        reasons[replica.name] = replica.why + state
    reasons.update({replica.name: f"surplus: {wanted}" for replica in delete})
    return reasons


def _progress(deployment: Wanted, kept: Sequence[Replica]) -> str:
    updated = sum(replica.change == "none" for replica in kept)
    ready = sum(replica.is_available for replica in kept)
    return f"{updated} of {deployment.replica_count} updated, {ready} ready"
