"""Placing in plain Python, node by node: the scheduler's arrays are checked against it.

Written from the rules alone, and slow on purpose: nothing is remembered between two containers.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from pathfinder.model.resources import NOTHING, Resources
from pathfinder.scheduler.fit import Request
from pathfinder.scheduler.fleet import NO_RULES, Fleet, NodeView, Rules
from pathfinder.scheduler.ties import UNLABELLED, Tie


@dataclass(frozen=True, slots=True)
class Reservation:
    """One container that counts on a node."""

    node: str
    need: Resources
    group: str
    stateful: bool = False
    ports: tuple[str, ...] = ()


@dataclass(slots=True)
class PlainNode:
    """A node and what counts on it."""

    view: NodeView
    used: Resources = NOTHING
    count: int = 0
    stateful_count: int = 0
    groups: Counter[str] = field(default_factory=Counter)
    ports: Counter[str] = field(default_factory=Counter)
    extras: Counter[str] = field(default_factory=Counter)
    rules: Rules = NO_RULES
    all_nodes: dict[str, "PlainNode"] = field(default_factory=dict, repr=False)

    def reserve(self, one: Reservation | Request) -> None:
        """Count one more container."""
        self.used = plus(self.used, one.need)
        self.count += 1
        self.stateful_count += one.stateful
        self.groups[one.group] += 1
        self.ports.update(one.ports)
        self.extras.update(dict(one.need.extra))

    def value(self, label: str) -> str | None:
        """Of a label; over `node` each node is its own domain."""
        return self.view.name if label == "node" else self.view.labels.get(label)

    def members(self, tie: Tie) -> dict[str, int]:
        """How many of the tie's group each domain has."""
        counts: Counter[str] = Counter()
        for node in self.all_nodes.values():
            if (value := node.value(tie.over)) is not None:
                counts[value] += node.groups[tie.group]
        return dict(counts)

    def least(self, tie: Tie, request: Request) -> int:
        """The members of the domain with the fewest, of those that have an open node."""
        counts = self.members(tie)
        open_values = {
            value
            for node in self.all_nodes.values()
            if not node.refusals(request) and (value := node.value(tie.over)) is not None
        }
        return min((counts[value] for value in open_values or counts), default=0)

    def breaks(self, tie: Tie, request: Request) -> bool:
        """Whether one more here would break a must."""
        value, counts = self.value(tie.over), self.members(tie)
        if value is None:
            return tie.kind != "far"
        if tie.kind == "spread":
            return counts[value] + 1 - self.least(tie, request) > tie.skew
        if tie.kind == "far":
            return counts[value] > 0
        is_first = tie.group == request.group and not any(counts.values())
        return not is_first and counts[value] == 0

    def penalty(self, request: Request) -> int:
        """Of the wishes that are not met here."""
        total = sum(
            weight
            for requirement, weight in request.preferences
            if not requirement.holds(self.view.labels)
        )
        for tie in set(request.ties):
            value, counts = self.value(tie.over), self.members(tie)
            if tie.kind == "spread":
                least = self.least(tie, request)
                members = UNLABELLED if value is None else counts[value] - least
                total += tie.weight * members
            elif tie.kind == "far":
                total += tie.weight * (counts[value] if value is not None else 0)
            else:
                total += tie.weight * (value is None or counts[value] == 0)
        return total

    def failures(self, request: Request) -> set[str]:
        """The codes of everything that keeps the container off this node."""
        broken = (tie for tie in request.ties if not tie.weight and self.breaks(tie, request))
        ties = {f"constraint:{tie.text()}" for tie in broken}
        return self.refusals(request) | ties | self.shortages(request) | self.over_quota(request)

    def over_quota(self, request: Request) -> set[str]:
        """The codes of what the whole cluster may have no more of."""
        if self.rules.quota == NO_RULES.quota:
            return set()
        used, count = NOTHING, 0
        for node in self.all_nodes.values():
            used, count = plus(used, node.used), count + node.count
        columns = (
            ("cpu", used.cpu_millis, request.need.cpu_millis),
            ("memory", used.memory_mib, request.need.memory_mib),
            ("disk", used.disk_mib, request.need.disk_mib),
            ("processes", used.processes, request.need.processes),
            ("containers_max", count, 1),
        )
        return {
            f"quota:{code}"
            for (code, total, need), most in zip(columns, self.rules.quota, strict=True)
            if most and need and total + need > most
        }

    def refusals(self, request: Request) -> set[str]:
        """The codes that do not depend on what runs there."""
        view = self.view
        codes = {
            f"constraint:{requirement.text()}"
            for requirement in request.constraints
            if not requirement.holds(view.labels)
        }
        if view.cordoned:
            codes.add("cordoned")
        if not view.available or request.kind in view.silent_kinds:
            codes.add("unavailable")
        if view.why_full:
            codes.add("memory_limit")
        if request.kind not in view.kinds:
            codes.add("kind")
        return codes

    def shortages(self, request: Request) -> set[str]:
        """The codes that depend on what runs there."""
        view, need = self.view, request.need
        codes = {f"port:{port}" for port in request.ports if self.ports[port]}
        if request.stateful and 0 < view.stateful_max <= self.stateful_count:
            codes.add("stateful_max")
        if view.containers_max and self.count >= view.containers_max:
            codes.add("containers_max")
        has = dict(view.capacity.extra)
        codes |= {
            f"extra:{name}"
            for name, amount in need.extra
            if self.extras[name] + amount > has.get(name, 0)
        }
        capacity = self.capacity()
        if lacks(capacity.cpu_millis, self.used.cpu_millis, need.cpu_millis, required=True):
            codes.add("cpu")
        if lacks(capacity.memory_mib, self.used.memory_mib, need.memory_mib, required=True):
            codes.add("memory")
        if lacks(view.capacity.disk_mib, self.used.disk_mib, need.disk_mib):
            codes.add("disk")
        if lacks(view.capacity.processes, self.used.processes, need.processes):
            codes.add("processes")
        return codes

    def capacity(self) -> Resources:
        """What may be reserved, with what it is lent."""
        return plus(self.view.capacity, self.view.lent)

    def preference(self, request: Request) -> tuple[int | str, ...]:
        """The smaller, the better."""
        capacity, after = self.capacity(), plus(self.used, request.need)
        shares = (
            1_000_000 * max(capacity.cpu_millis - after.cpu_millis, 0) // capacity.cpu_millis,
            1_000_000 * max(capacity.memory_mib - after.memory_mib, 0) // capacity.memory_mib,
        )
        members = self.groups[request.group] if request.group else 0
        if self.rules.packs:
            together = sum(shares)
            unlike = 1_000 * abs(shares[0] - shares[1]) // (together + 20_000)
            filled = (not self.count, unlike, together // 1_000)
            return (self.penalty(request), *filled, members, self.view.name)
        share = min(shares)
        return (self.penalty(request), members, -share, self.count, self.view.name)


def lacks(capacity: int, used: int, need: int, *, required: bool = False) -> bool:
    """Whether a resource is short; without a known capacity only when it is a required one."""
    if capacity == 0:
        return required
    return need > 0 and used + need > capacity


def plus(one: Resources, other: Resources) -> Resources:
    """The sum."""
    return Resources(
        cpu_millis=one.cpu_millis + other.cpu_millis,
        memory_mib=one.memory_mib + other.memory_mib,
        disk_mib=one.disk_mib + other.disk_mib,
        processes=one.processes + other.processes,
    )


def plain_nodes(
    views: Iterable[NodeView], reservations: Iterable[Reservation], rules: Rules = NO_RULES
) -> dict[str, PlainNode]:
    """Nodes by name, with what counts on them."""
    nodes = {view.name: PlainNode(view, rules=rules) for view in views}
    for node in nodes.values():
        node.all_nodes = nodes
    for reservation in reservations:
        nodes[reservation.node].reserve(reservation)
    return nodes


def plain_place(nodes: dict[str, PlainNode], requests: Sequence[Request]) -> list[str]:
    """The name of the node of each request, in order; "" where none fits. Reserves in `nodes`."""
    chosen = []
    for request in requests:
        fitting = [node for node in nodes.values() if not node.failures(request)]
        best = min(fitting, key=lambda node: node.preference(request), default=None)
        if best is not None:
            best.reserve(request)
        chosen.append(best.view.name if best else "")
    return chosen


def fleet_of(
    views: Iterable[NodeView], reservations: Iterable[Reservation], rules: Rules = NO_RULES
) -> Fleet:
    """The same as a fleet; all nodes belong to one cluster."""
    fleet = Fleet()
    cluster = "west"  # of those that have no nodes
    for view in views:
        cluster = view.cluster
        fleet.set_node(f"{view.cluster}/{view.name}", view)
    fleet.set_rules(cluster, rules)
    for reservation in reservations:
        fleet.reserve(
            f"{cluster}/{reservation.node}",
            reservation.need,
            reservation.group,
            stateful=reservation.stateful,
            ports=reservation.ports,
        )
    return fleet
