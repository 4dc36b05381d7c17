"""All nodes as columns of whole numbers: the part of the state's index that placing reads.

Each cluster has its own columns, one row per node, in the order of the nodes' names whenever they
are read: of equally good rows the first is then that of the smallest name, whatever came first.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from pathfinder.model.resources import NOTHING, Resources
from pathfinder.model.selectors import Requirement
from pathfinder.scheduler.domains import Cells, Domains, Mask, Numbers, domains_from
from pathfinder.scheduler.sharing import Index, copied


@dataclass(frozen=True, slots=True)
class Taken:
    """What containers of one group, each of which needs the same, take: one more on each node."""

    need: Resources
    group: str
    is_stateful: bool
    nodes: list[str]


# Both tables begin with the four resources: `traits` has capacities, `amounts` what is used.
CPU: Final = 0
MEMORY: Final = 1
DISK: Final = 2
PROCESSES: Final = 3
COUNT: Final = 4  # in amounts: containers that count on the node
STATEFUL: Final = 5  # in amounts: those of them that are STATEFUL
CONTAINERS_MAX: Final = 4  # in traits; 0: no bound
STATEFUL_MAX: Final = 5  # in traits; 0: no bound
KNOWN: Final = 6  # in traits: 0 for a node with amounts that nobody has described yet
CORDONED: Final = 7
UNAVAILABLE: Final = 8
FULL: Final = 9  # its measured memory is above its cluster's limit
TRAITS: Final = 10
AMOUNTS: Final = 6
ROWS_MIN: Final = 16
DOMAINS_MAX: Final = 64  # labels whose domains are remembered
PORT_CODE: Final = "port:"  # followed by the host port
EXTRA_CODE: Final = "extra:"  # followed by the resource's name
MASKS_MAX: Final = 1024  # remembered answers of one cluster: 10 MiB with 10,000 nodes


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What holds for a whole cluster.

    packs: full nodes are filled up first, instead of all being filled alike. quota: what all
    containers of the cluster may reserve together, in the order of the columns (the four resources
    and the number of containers); 0: as much as they like.
    """

    packs: bool = False
    quota: tuple[int, ...] = (0, 0, 0, 0, 0)


NO_RULES: Final = Rules()


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeView:
    """What placing needs to know of a node.

    available: registered, heard of, and its runtime answers; else `why_unavailable` says why not.
    silent_kinds: kinds whose daemon alone does not answer, and why.
    capacity: 0 for disk or processes means unknown, and unlimited; 0 for CPU or memory means that
    the node cannot be used. containers_max, stateful_max: 0 means no bound. why_full: why its
    measured memory keeps it from new containers, "" when it does not. lent: CPU and memory that may
    be reserved beyond its capacity, as what it has leaves that much of their reservations unused.
    """

    cluster: str
    name: str
    capacity: Resources
    kinds: tuple[str, ...]
    labels: Mapping[str, str] = field(default_factory=dict)
    cordoned: bool = False
    available: bool = True
    why_unavailable: str = ""
    silent_kinds: Mapping[str, str] = field(default_factory=dict)
    containers_max: int = 0
    stateful_max: int = 0
    why_full: str = ""
    lent: Resources = NOTHING

    def why_silent(self, kind: str) -> str:
        """Why it is unavailable to containers of a kind."""
        return self.why_unavailable or self.silent_kinds.get(kind, "")


def numbers(amounts: Resources) -> tuple[int, int, int, int]:
    """The four amounts in the order of the columns."""
    return (amounts.cpu_millis, amounts.memory_mib, amounts.disk_mib, amounts.processes)


def resources(amounts: tuple[int, ...]) -> Resources:
    """The reverse of `numbers`."""
    cpu_millis, memory_mib, disk_mib, processes = amounts
    return Resources(
        cpu_millis=cpu_millis, memory_mib=memory_mib, disk_mib=disk_mib, processes=processes
    )


class Columns:
    """The nodes of one cluster. Read through `Fleet.columns`, which puts them in order first."""

    def __init__(self, rules: Rules = NO_RULES) -> None:
        self.names: list[str] = []
        self.rows: dict[str, int] = {}
        self.views: dict[str, NodeView] = {}
        self._traits: Numbers = np.zeros((TRAITS, ROWS_MIN), np.int64)
        self._amounts: Numbers = np.zeros((AMOUNTS, ROWS_MIN), np.int64)
        self._groups: Index[dict[str, int]] = Index(dict)
        self._claims: Index[dict[str, int]] = Index(dict)  # host port or extra -> node -> amount
        self._lent: dict[str, list[int]] = {}  # node -> CPU and memory beyond its capacity
        self.rules = rules
        self._masks: dict[str | Requirement, Mask] = {}
        self._domains: dict[str, Domains] = {}
        self._cells: dict[tuple[str, ...], Cells] = {}
        self._is_arranged = True

    def copy(self) -> "Columns":
        """The same nodes and amounts, to be changed apart."""
        return copied(self, Columns())

    @property
    def traits(self) -> Numbers:
        """What nodes are: capacities, bounds and flags, one row each, one column per node."""
        return self._traits[:, : len(self.names)]

    @property
    def amounts(self) -> Numbers:
        """What is used of them, and the number of containers."""
        return self._amounts[:, : len(self.names)]

    def describe(self, view: NodeView) -> None:
        """Put or replace what is known of a node; its amounts stay."""
        row = self.row(view.name)
        before = self.views.get(view.name)
        if before is None or _answers(before) != _answers(view):
            self._forget_answers()
        self.views[view.name] = view
        self._traits[:, row] = (
            *numbers(view.capacity), view.containers_max, view.stateful_max, 1,
            view.cordoned, not view.available, bool(view.why_full),
        )  # fmt: skip
        self._lent.pop(view.name, None)
        if view.lent != NOTHING:
            self._lent[view.name] = [view.lent.cpu_millis, view.lent.memory_mib]
            self._traits[CPU, row] += view.lent.cpu_millis
            self._traits[MEMORY, row] += view.lent.memory_mib

    def forget(self, name: str) -> None:
        """The node is no longer a candidate; amounts on it stay until they are released."""
        if self.views.pop(name, None) is not None:
            row = self.rows[name]
            self._traits[:, row] = 0
            self._lent.pop(name, None)
            self._drop_if_empty(name, row)

    def add(
        self,
        name: str,
        need: Resources,
        group: str,
        count: int,
        *,
        stateful: bool = False,
        ports: tuple[str, ...] = (),
    ) -> None:
        """Reserve (count 1) or release (count -1) what one container needs."""
        row = self.row(name)
        amounts = self._amounts
        for resource, amount in enumerate(numbers(need)):
            if amount:
                amounts[resource, row] += count * amount
        amounts[COUNT, row] += count
        if stateful:
            amounts[STATEFUL, row] += count
        assert amounts[COUNT, row] >= 0, f"released more on {name} than was reserved"
        if group:
            _add_to(self._groups, name, group, count)
        for code, amount in claims(need, ports):
            _add_to(self._claims, name, code, count * amount)
        if count < 0:
            if name in self._lent:
                self._call_in(name, row, need)
            self._drop_if_empty(name, row)

    def add_many(self, each: Sequence[Taken]) -> None:
        """Reserve for containers without claims; nodes by their names."""
        names = [name for taken in each for name in taken.nodes]
        for name in {*names}.difference(self.rows):
            self.row(name)
        at = np.array([self.rows[name] for name in names], np.intp)  # once all have one
        needs = np.array([(*numbers(taken.need), 1, taken.is_stateful) for taken in each], np.int64)
        amounts = needs.repeat([len(taken.nodes) for taken in each], axis=0).T
        for resource in range(AMOUNTS):
            np.add.at(self._amounts[resource], at, amounts[resource])
        for taken in each:
            if taken.group:
                counts = self._groups.to_change(taken.group)
                for name in taken.nodes:
                    counts[name] = counts.get(name, 0) + 1

    def _call_in(self, name: str, row: int, need: Resources) -> None:
        """What goes no longer leaves anything unused: how much that was is known when measured."""
        lent = self._lent[name]
        for resource, amount in ((CPU, need.cpu_millis), (MEMORY, need.memory_mib)):
            called_in = min(lent[resource], amount)
            lent[resource] -= called_in
            self._traits[resource, row] -= called_in

    def group_rows(self, group: str) -> dict[int, int]:
        """How many containers of a group which row has; those with none are not in it."""
        return {self.rows[name]: count for name, count in self._groups.get(group, {}).items()}

    def group_count(self, group: str, row: int) -> int:
        """How many containers of a group one row has."""
        nodes = self._groups.get(group)
        return nodes.get(self.names[row], 0) if nodes else 0

    def group_counts(self, group: str) -> Numbers:
        """How many containers of a group each node has; a new column."""
        return self._counts(self._groups.get(group, {}))

    def claim_left(self, code: str) -> Numbers:
        """How much of a host port, or of an extra resource, each node has left; a new column."""
        left: Numbers = self.claim_capacity(code) - self._counts(self._claims.get(code, {}))
        return left

    def extra_used(self, name: str) -> tuple[tuple[str, int], ...]:
        """What is taken on one node of resources that people have named."""
        taken = (
            (code.removeprefix(EXTRA_CODE), by_node[name])
            for code, by_node in self._claims.items()
            if code.startswith(EXTRA_CODE) and name in by_node
        )
        return tuple(sorted(taken))

    def claim_capacity(self, code: str) -> Numbers:
        """How much of it each node has: one of each host port; a new column."""
        if code.startswith(PORT_CODE):
            return np.ones(len(self.names), np.int64)
        name = code.removeprefix(EXTRA_CODE)
        views = self.views
        has = [dict(views[n].capacity.extra).get(name, 0) if n in views else 0 for n in self.names]
        return np.array(has, np.int64)

    def _counts(self, by_node: Mapping[str, int]) -> Numbers:
        counts: Numbers = np.zeros(len(self.names), np.int64)
        for name, count in by_node.items():
            counts[self.rows[name]] = count
        return counts

    def offers(self, kind: str) -> Mask:
        """The nodes that run containers of a kind. Remembered: not to be written to."""
        if kind not in self._masks:
            views = self.views
            self._remember(kind, [n in views and kind in views[n].kinds for n in self.names])
        return self._masks[kind]

    def silent(self, kind: str) -> Mask:
        """The nodes whose daemon for a kind does not answer. Remembered: not to be written to."""
        question = f"silent:{kind}"
        if question not in self._masks:
            views = self.views
            answers = [n in views and kind in views[n].silent_kinds for n in self.names]
            self._remember(question, answers)
        return self._masks[question]

    def meets(self, requirement: Requirement) -> Mask:
        """The nodes whose labels meet a requirement. Remembered: not to be written to."""
        if requirement not in self._masks:
            views = self.views
            self._remember(
                requirement, [n in views and requirement.holds(views[n].labels) for n in self.names]
            )
        return self._masks[requirement]

    def domains(self, label: str) -> Domains:
        """The nodes by their value of a label; `node`: each is its own. Remembered."""
        if label not in self._domains:
            if len(self._domains) == DOMAINS_MAX:
                self._domains.clear()
            values = [self._value(name, label) for name in self.names]
            self._domains[label] = domains_from(values)
        return self._domains[label]

    def cells(self, labels: tuple[str, ...]) -> Cells:
        """The nodes that none of these labels tells apart. Remembered."""
        if labels not in self._cells:
            if len(self._cells) == DOMAINS_MAX:
                self._cells.clear()
            self._cells[labels] = Cells([self.domains(label) for label in labels], len(self.names))
        return self._cells[labels]

    def _value(self, name: str, label: str) -> str | None:
        view = self.views.get(name)
        if view is None:
            return None
        return name if label == "node" else view.labels.get(label)

    def _forget_answers(self) -> None:
        self._masks.clear()
        self._domains.clear()
        self._cells.clear()

    def row(self, name: str) -> int:
        """The node's row, made when it has none; valid until the next `arrange`."""
        row = self.rows.get(name)
        if row is not None:
            return row
        if len(self.names) == self._traits.shape[1]:
            self.arrange()
            self._grow()
        self._forget_answers()
        if self.names and name < self.names[-1]:
            self._is_arranged = False
        self.names.append(name)
        self.rows[name] = len(self.names) - 1
        return self.rows[name]

    def arrange(self) -> None:
        """Put the rows in the order of names and drop those that nothing is known about."""
        if self._is_arranged and len(self.rows) == len(self.names):
            return
        names = sorted(self.rows)
        order = [self.rows[name] for name in names]
        for table in (self._traits, self._amounts):
            table[:, : len(order)] = table[:, order]
            table[:, len(order) :] = 0
        self.names = names
        self.rows = {name: row for row, name in enumerate(names)}
        self._forget_answers()
        self._is_arranged = True

    def _grow(self) -> None:
        if 2 * len(self.names) > self._traits.shape[1]:
            self._traits = np.hstack([self._traits, np.zeros_like(self._traits)])
            self._amounts = np.hstack([self._amounts, np.zeros_like(self._amounts)])

    def _drop_if_empty(self, name: str, row: int) -> None:
        if self._amounts[COUNT, row] == 0:
            assert not self._amounts[:, row].any(), f"amounts without containers on {name}"
            if name not in self.views:
                del self.rows[name]

    def _remember(self, question: str | Requirement, answers: list[bool]) -> None:
        if len(self._masks) == MASKS_MAX:
            self._masks.clear()
        self._masks[question] = np.array(answers, np.bool_)


def _answers(view: NodeView) -> tuple[object, ...]:
    """What the remembered masks depend on."""
    return (view.labels, view.kinds, view.silent_kinds)


def claims(need: Resources, ports: Sequence[str]) -> tuple[tuple[str, int], ...]:
    """What a container takes besides the four resources: how much of what."""
    if not need.extra and not ports:
        return ()
    extra = ((EXTRA_CODE + name, amount) for name, amount in need.extra)
    return (*((PORT_CODE + port, 1) for port in ports), *extra)


def _add_to(table: Index[dict[str, int]], name: str, what: str, count: int) -> None:
    nodes = table.to_change(what)
    nodes[name] = nodes.get(name, 0) + count
    assert nodes[name] >= 0, f"released more of {what} on {name} than was reserved"
    if not nodes[name]:
        del nodes[name]
    if not nodes:
        table.drop(what)


class Fleet:
    """All nodes of all clusters, and what is reserved on each: a mutable index of the state.

    Keys are "cluster/node". Amounts are kept by key: they may come before the node is described and
    stay after it is removed. Whole numbers throughout: releasing what was reserved is exact.
    """

    def __init__(self) -> None:
        self._clusters: dict[str, Columns] = {}
        self._rules: dict[str, Rules] = {}

    def copy(self) -> "Fleet":
        """The same nodes and amounts, to be changed apart."""
        return copied(self, Fleet())

    def set_rules(self, cluster: str, rules: Rules) -> None:
        """What holds for a whole cluster, from now on."""
        self._rules.pop(cluster, None)
        if rules != NO_RULES:
            self._rules[cluster] = rules
        if columns := self._clusters.get(cluster):
            columns.rules = rules

    def set_node(self, key: str, node: NodeView) -> None:
        """Describe a node anew."""
        assert key == f"{node.cluster}/{node.name}", (key, node)
        self._columns(node.cluster).describe(node)

    def remove_node(self, key: str) -> None:
        """The node is not there any more; nothing happens when it was not known."""
        cluster, _, name = key.partition("/")
        if columns := self._clusters.get(cluster):
            columns.forget(name)
            self._drop_if_empty(cluster, columns)

    def reserve(
        self,
        key: str,
        need: Resources,
        group: str,
        *,
        stateful: bool = False,
        ports: tuple[str, ...] = (),
    ) -> None:
        """Count one container on a node. `group` is "cluster/deployment", or "" for none."""
        cluster, _, name = key.partition("/")
        self._columns(cluster).add(name, need, group, 1, stateful=stateful, ports=ports)

    def reserve_many(self, cluster: str, each: Sequence[Taken]) -> None:
        """Count several containers that take nothing that has a name of its own."""
        self._columns(cluster).add_many(each)

    def release(
        self,
        key: str,
        need: Resources,
        group: str,
        *,
        stateful: bool = False,
        ports: tuple[str, ...] = (),
    ) -> None:
        """Take back one `reserve` with the same arguments."""
        cluster, _, name = key.partition("/")
        columns = self._columns(cluster)
        columns.add(name, need, group, -1, stateful=stateful, ports=ports)
        self._drop_if_empty(cluster, columns)

    def view(self, key: str) -> NodeView | None:
        """What is known of a node; None when nobody has described it."""
        cluster, _, name = key.partition("/")
        columns = self._clusters.get(cluster)
        return columns.views.get(name) if columns is not None else None

    def used(self, key: str) -> Resources:
        """What is reserved on a node."""
        columns, row = self._find(key)
        if row < 0:
            return NOTHING
        used = resources(tuple(columns.amounts[:COUNT, row].tolist()))
        return replace(used, extra=columns.extra_used(key.partition("/")[2]))

    def free(self, key: str) -> Resources:
        """What is left of a node's capacity, at least 0; 0 also where the capacity is unknown."""
        columns, row = self._find(key)
        if row < 0:
            return NOTHING
        left = columns.traits[:COUNT, row] - columns.amounts[:COUNT, row]
        return resources(tuple(max(amount, 0) for amount in left.tolist()))

    def count(self, key: str) -> int:
        """How many containers count on a node."""
        columns, row = self._find(key)
        return 0 if row < 0 else int(columns.amounts[COUNT, row])

    def columns(self, cluster: str) -> Columns:
        """A cluster's nodes in the order of their names, to read until the fleet next changes."""
        columns = self._clusters.get(cluster) or Columns(self._rules.get(cluster, NO_RULES))
        columns.arrange()
        return columns

    def _columns(self, cluster: str) -> Columns:
        columns = self._clusters.get(cluster)
        if columns is None:
            columns = self._clusters[cluster] = Columns(self._rules.get(cluster, NO_RULES))
        return columns

    def _find(self, key: str) -> tuple[Columns, int]:
        cluster, _, name = key.partition("/")
        columns = self._clusters.get(cluster) or Columns()
        return columns, columns.rows.get(name, -1)

    def _drop_if_empty(self, cluster: str, columns: Columns) -> None:
        if not columns.rows:
            del self._clusters[cluster]
