"""A cluster's policy: how its nodes are filled, and what may be lent of what nobody uses."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from pathfinder.control.life import NodeLife, Use
from pathfinder.control.objects import Cluster, Container, Node, Overcommit, Policy, Quota
from pathfinder.model.definitions import resources_from
from pathfinder.model.errors import DefinitionWrong
from pathfinder.model.resources import NOTHING, Resources, count, cpu_millis
from pathfinder.scheduler.fleet import NodeView

PERMILLE_MAX: Final = 100_000  # a hundred times what there is
CONTAINERS_MAX: Final = 1_000_000
MOVES_MAX: Final = 3_600
# Of the measurements that a node keeps, so many may have been higher than what is held to be used.
ABOVE: Final = 1
USES_KEPT: Final = 20  # with ABOVE: the 95th percentile, over five minutes at default settings
NO_OVERCOMMIT: Final = Overcommit()
CHOICES: Final = {"placement": ("spread", "pack"), "preemption": ("none", "stateless", "all")}


def given(fields: Mapping[str, Any], place: str) -> dict[str, Any]:
    """The fields of a policy that a document has; DefinitionWrong names what is wrong."""
    found: dict[str, Any] = {}
    for name, choices in CHOICES.items():
        if name in fields:
            if fields[name] not in choices:
                raise DefinitionWrong(
                    f"{place}.{name}", f"{fields[name]!r} is not one of {', '.join(choices)}"
                )
            found[name] = fields[name]
    if "overcommit" in fields:
        found["overcommit"] = _overcommit(fields["overcommit"], f"{place}.overcommit")
    if "reserved" in fields:
        found["reserved"] = resources_from(fields["reserved"], f"{place}.reserved")
        if found["reserved"].extra or found["reserved"].processes:
            raise DefinitionWrong(f"{place}.reserved", "is of cpu, memory and disk")
    if "quota" in fields:
        found["quota"] = _quota(fields["quota"], f"{place}.quota")
    if "moves_per_hour" in fields:
        found["moves_per_hour"] = count(
            fields["moves_per_hour"], f"{place}.moves_per_hour", most=MOVES_MAX
        )
    return found


def _overcommit(value: object, place: str) -> Overcommit:
    """`{cpu: 4, memory: 1.5}`: how many times what there is; not less than 1."""
    permille = {}
    for key, times in _mapping(value, place).items():
        if key not in ("cpu", "memory"):
            raise DefinitionWrong(f"{place}.{key}", "only cpu and memory can be over-committed")
        permille[key] = cpu_millis(times, f"{place}.{key}")
        if not 1_000 <= permille[key] <= PERMILLE_MAX:
            raise DefinitionWrong(
                f"{place}.{key}",
                f"{times!r} is not a factor from 1 to {PERMILLE_MAX // 1_000}",
                hint="1 reserves no more than there is",
            )
    return Overcommit(
        cpu_permille=permille.get("cpu", 1_000), memory_permille=permille.get("memory", 1_000)
    )


def _quota(value: object, place: str) -> Quota:
    """`{cpu: 200, memory: 1TiB, containers: 500}`; what is not named has no bound."""
    fields = dict(_mapping(value, place))
    containers = count(fields.pop("containers", 0), f"{place}.containers", most=CONTAINERS_MAX)
    amounts = resources_from(fields, place)
    if amounts.extra:
        raise DefinitionWrong(f"{place}.extra", "has no quota: nodes bound it")
    return Quota(
        cpu_millis=amounts.cpu_millis,
        memory_mib=amounts.memory_mib,
        disk_mib=amounts.disk_mib,
        processes=amounts.processes,
        containers=containers,
    )


def _mapping(value: object, place: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise DefinitionWrong(place, "must be a mapping")
    return value


def lent(policy: Policy, node: Node, heard: NodeLife, there: Iterable[Container]) -> Resources:
    """What may be reserved on a node beyond its capacity, as its containers do not use theirs.

    Borg and Autopilot call it reclaiming. What counts is the 95th percentile of what all of them
    used, over so many measurements that a burst shows; and only containers to which nothing has
    happened in that time are believed to go on as they did. So a crowd of new ones, which use
    nothing yet, opens no room for more: they count with all that they ask for.
    """
    if policy.overcommit == NO_OVERCOMMIT or len(heard.uses) < USES_KEPT:
        return NOTHING
    since = heard.uses[0].revision
    proven = [
        each.spec.resources
        for each in there
        if each.node == node.name and each.ready and each.revision <= since
    ]
    capacity = node.capacity(policy.reserved)
    return Resources(
        cpu_millis=_unused(
            capacity.cpu_millis,
            policy.overcommit.cpu_permille,
            sum(each.cpu_millis for each in proven),
            [use.cpu_millis for use in heard.uses],
        ),
        memory_mib=_unused(
            capacity.memory_mib,
            policy.overcommit.memory_permille,
            sum(each.memory_mib for each in proven),
            [use.memory_mib for use in heard.uses],
        ),
    )


def are_measured(cluster: Cluster) -> bool:
    """Whether what its nodes use decides what they take."""
    policy = cluster.policy
    is_lent = policy.overcommit != NO_OVERCOMMIT
    return bool(cluster.limits.memory_percent) or is_lent or bool(policy.moves_per_hour)


def note_use(heard: NodeLife, revision: int) -> None:
    """Keep what the newest measurement says of all containers together."""
    if heard.measurements is None:
        return
    each = heard.measurements.containers
    heard.uses.append(
        Use(
            revision,
            sum(max(use.cpu_millis, 0) for use in each),
            sum(max(use.memory_mib, 0) for use in each),
        )
    )
    while len(heard.uses) > USES_KEPT:
        heard.uses.popleft()


def lends_more(heard: NodeLife, view: NodeView) -> bool:
    """Whether what waits may fit now: a hundredth of the node more is lent than when last asked."""
    now, told = (view.lent.cpu_millis, view.lent.memory_mib), heard.lent_told
    steps = (view.capacity.cpu_millis // 100, view.capacity.memory_mib // 100)
    has_grown = any(a - b > step for a, b, step in zip(now, told, steps, strict=True))
    heard.lent_told = now if has_grown else (min(now[0], told[0]), min(now[1], told[1]))
    return has_grown


def _unused(capacity: int, permille: int, reserved: int, used: list[int]) -> int:
    high = sorted(used)[-1 - ABOVE]
    return min(max(reserved - high, 0), capacity * (permille - 1_000) // 1_000)
