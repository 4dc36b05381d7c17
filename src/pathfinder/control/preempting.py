"""Making room for a container of higher priority, within what others may be asked to give up."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import replace as replace_fields
from typing import Final, Literal

from msgspec.structs import replace

from pathfinder.control.life import Life
from pathfinder.control.objects import Cluster, Container, Copy, Deployment, Node
from pathfinder.control.state import State
from pathfinder.control.transaction import Transaction
from pathfinder.control.workloads import MOVING, begin_anew
from pathfinder.model.errors import Conflict
from pathfinder.scheduler.fit import Request, feasible
from pathfinder.scheduler.holdings import Holdings
from pathfinder.scheduler.occupants import Occupant
from pathfinder.scheduler.preempt import NODES_TRIED_MAX, Answer, Known, preempt

NAMES_SHOWN_MAX: Final = 5
# After so many with no other place only what is STATELESS makes room: on that node, and at all.
REFUSED_ON_NODE_MAX: Final = 3
REFUSED_MAX: Final = 12
REFUSED_TOLD_MAX: Final = 2
SEARCH_WORK: Final = 100  # what any search costs, in occupants looked at
DESTINATION_WORK: Final = 100  # the same, of looking for another place


@dataclass(frozen=True, slots=True)
class Moving:
    """How a container goes elsewhere with its data: handed in, as that builds on placing.

    destination: where it could go now; Conflict with the reason when nowhere. begin: (container,
    node, why).
    """

    destination: Callable[[Transaction, Container], Node]
    begin: Callable[[Transaction, Container, str, str], None]


class Round:
    """Who is on which node and can go where, worked out once for all that wait, not for each.

    True for as long as nothing else changes what is on nodes than what it is told of.
    """

    def __init__(self, state: State, life: Life, moving: Moving) -> None:
        self.state, self.life, self.moving = state, life, moving
        self._there: dict[str, tuple[Occupant, ...]] = {}
        self._spare: dict[str, int] = {}
        self._holdings: dict[tuple[str, bool], Holdings] = {}
        self._nowhere: dict[str, Conflict] = {}
        # For what asks for the same, the first has found nobody to make room for the others too:
        # what others find after it leaves no more than there was.
        self.stuck: dict[_Asks, tuple[str, ...]] = {}
        self.work = 0  # how much has been looked at for one container

    def there(self, node_key: str) -> tuple[Occupant, ...]:
        """What is on a node, of any priority, and what is on its way out of it."""
        if node_key not in self._there:
            node = node_key.partition("/")[2]
            self._there[node_key] = tuple(
                occupant
                for each in self.state.on_node(node_key)
                for occupant in _occupants(self.state, self.life, each, node)
            )
        return self._there[node_key]

    def spare(self, group: str) -> int:
        """How many ready replicas a deployment can do without; less than 1: none."""
        if group not in self._spare:
            self._spare[group] = spare(self.state, self.life, group)
        return self._spare[group]

    def holdings(self, cluster: str, *, with_stateful: bool) -> Holdings:
        """What those hold who might be asked to go."""
        which = (cluster, with_stateful)
        if which not in self._holdings:
            names = self.state.fleet.columns(cluster).names

            def occupants(row: int) -> list[Occupant]:
                return [
                    one
                    for one in self.there(f"{cluster}/{names[row]}")
                    if not one.name or ((with_stateful or not one.stateful) and self._may_go(one))
                ]

            self._holdings[which] = Holdings(len(names), occupants)
        return self._holdings[which]

    def _may_go(self, one: Occupant) -> bool:
        return not (one.group and one.is_available) or self.spare(one.group) > 0

    def destination(self, tx: Transaction, victim: Container, *, is_first: bool) -> Node:
        """Where one could go with its data; Conflict when nowhere.

        Kept is what was refused to the first of several: for the others more is reserved already.
        """
        if is_first and victim.key in self._nowhere:
            raise self._nowhere[victim.key]
        self.work += DESTINATION_WORK
        try:
            return self.moving.destination(tx, victim)
        except Conflict as error:
            if is_first:
                self._nowhere[victim.key] = error
            raise

    def forget(self, node_keys: Iterable[str], groups: Iterable[str] = ()) -> None:
        """Something else is on these nodes now, or another number of these replicas is ready."""
        self._nowhere.clear()
        for group in groups:
            self._spare.pop(group, None)
        for key in node_keys:
            self._there.pop(key, None)
            cluster, _, node = key.partition("/")
            for (owner, _), holdings in self._holdings.items():
                if owner == cluster:
                    holdings.forget(self.state.fleet.columns(cluster).rows[node])


def make_room(
    tx: Transaction, around: Round, container: Container, request: Request, *, is_new: bool
) -> tuple[str, ...] | Literal["made", "later"]:
    """Let others go so that a container fits once they have; "made": they are on their way.

    What is STATEFUL goes with its data, or not at all. Else: what would let those go that could
    make room and have no other place; empty when there is nobody who may go. Or "later": it has to
    wait for its turn to be looked at. is_new: it has not been looked at before.
    """
    assert tx.turns is not None, "turns begin with placing"
    if not _may_take_a_place(tx.state, container):
        tx.turns.done(container.key)
        return ()
    asks = _Asks.of(tx.state, container, request)
    found = around.stuck.get(asks)
    if found is not None:
        tx.turns.done(container.key)
        return found
    if not tx.turns.take(container.key, is_new=is_new):
        return "later"
    around.work = SEARCH_WORK
    result = _search(tx, around, container, request)
    tx.turns.left -= around.work
    if isinstance(result, tuple):
        around.stuck[asks] = result
        return result
    _let_go(tx, around, container, result)
    return "made"


def _let_go(tx: Transaction, around: Round, container: Container, found: "_Room") -> None:
    state, priority = tx.state, tx.state.priority_of(container)
    victims, goals = found.victims, found.goals
    for victim in victims:
        own = state.priority_of(victim)
        why = f"makes room for {container.name}, of priority {priority} (its own: {own})"
        tx.happened("preempted", victim, why=why)
        if victim.name in goals:
            around.moving.begin(tx, victim, goals[victim.name], why)
        else:
            begin_anew(tx, victim, victim.spec, why=why)
    nodes = {f"{container.cluster}/{node}" for node in (found.node, *goals.values())}
    around.forget(nodes, {victim.group for victim in victims})
    text = waiting(state, container, found.node)
    tx.put(
        replace(
            container,
            nominated=found.node,
            why=text,
            explanation={"text": text},
            changed_ms=tx.now_ms,
        )
    )


def kept_from_making_room(
    tx: Transaction, around: Round, container: Container, request: Request
) -> tuple[str, ...]:
    """What would let those go that could make room, as `make_room` tells it; nobody goes."""
    if not _may_take_a_place(tx.state, container):
        return ()
    found = _search(tx, around, container, request)
    return found if isinstance(found, tuple) else ()


def _may_take_a_place(state: State, container: Container) -> bool:
    cluster = state.get(Cluster, container.cluster)
    is_allowed = cluster is not None and cluster.policy.preemption != "none"
    return is_allowed and bool(state.priority_of(container))


@dataclass(frozen=True, slots=True)
class _Asks:
    """What a search goes by: whoever asks for the same finds the same."""

    request: Request
    priority: int
    needed: frozenset[str]

    @staticmethod
    def of(state: State, container: Container, request: Request) -> "_Asks":
        """Neither its name nor what it would rather have matters, and its group to ties alone."""
        group = request.group if request.ties else ""
        like = replace_fields(request, name="", group=group, preferences=())
        needed = frozenset(_needed(state, container))
        return _Asks(like, state.priority_of(container), needed)


@dataclass(frozen=True, slots=True)
class _Room:
    """On which node room can be made, by whose going; goals: where those with data go."""

    node: str
    victims: Sequence[Container]
    goals: Mapping[str, str]


def _search(
    tx: Transaction, around: Round, container: Container, request: Request
) -> _Room | tuple[str, ...]:
    """Where to make room, or what would let those go that could and have no other place."""
    state, priority = tx.state, tx.state.priority_of(container)
    with_stateful = tx.need(Cluster, container.cluster).policy.preemption == "all"
    asked = _Asked(around, container, priority, with_stateful=with_stateful)
    feasibility = feasible(state.fleet, request)
    while True:
        around.work += min(feasibility.node_count(), NODES_TRIED_MAX)
        found = preempt(feasibility, asked.occupants, around.spare, asked.known())
        if found is None:
            return asked.told()
        victims = [tx.need(Container, f"{container.cluster}/{one.name}") for one in found.taken]
        goals, without = _destinations(tx, victims, around)
        if not without:
            return _Room(found.node, victims, goals)
        asked.refuse(found.node, without)


def _needed(state: State, container: Container) -> set[str]:
    """The deployments whose addresses its definition has, and those whose addresses they have.

    Taking their place would change what it is made with, so that it had to be made anew, give its
    place back, and take theirs again, for ever.
    """
    found: set[str] = set()
    ahead = [container.group] if container.deployment else []
    while ahead:
        deployment = state.get(Deployment, ahead.pop())
        for name in deployment.refers if deployment is not None else ():
            key = f"{container.cluster}/{name}"
            if key not in found:
                found.add(key)
                ahead.append(key)
    return found


class _Asked:
    """Who may be asked to make room for one container, and who has no other place to go to."""

    def __init__(
        self, around: Round, container: Container, priority: int, *, with_stateful: bool
    ) -> None:
        self._around, self._cluster = around, container.cluster
        self._priority, self._with_stateful = priority, with_stateful
        self._needed = _needed(around.state, container)
        self._answers: dict[str, Answer] = {}
        self._known: dict[bool, Known] = {}
        self._refused: dict[str, str] = {}
        self._refused_on: Counter[str] = Counter()

    def known(self) -> Known:
        """What those hold at most who may be asked, and who would go on nodes looked at before."""
        is_asked = self._with_stateful and len(self._refused) < REFUSED_MAX
        if is_asked not in self._known:
            held = self._around.holdings(self._cluster, with_stateful=is_asked)
            self._known[is_asked] = Known(held, self._priority, self._answers)
        return self._known[is_asked]

    def occupants(self, node: str) -> list[Occupant]:
        """Of a node: who may go, and what is going."""
        may_be_stateful = (
            self._with_stateful
            and len(self._refused) < REFUSED_MAX
            and self._refused_on[node] < REFUSED_ON_NODE_MAX
        )
        there = self._around.there(f"{self._cluster}/{node}")
        self._around.work += len(there)
        return [
            one
            for one in there
            if not one.name
            or (
                one.priority < self._priority
                and one.name not in self._refused
                and one.group not in self._needed
                and (may_be_stateful or not one.stateful)
            )
        ]

    def refuse(self, node: str, why: Mapping[str, str]) -> None:
        """These have no other place: ask others. why: by name, what would give them one."""
        self._refused.update(why)
        self._refused_on[node] += len(why)
        if len(self._refused) < REFUSED_MAX:
            self._answers.pop(node, None)
        else:
            self._answers.clear()

    def told(self) -> tuple[str, ...]:
        """What would let some of those go that could have made room."""
        return tuple(self._refused.values())[:REFUSED_TOLD_MAX]


def keeps_data(container: Container) -> bool:
    """Whether beginning it anew would delete data: it is STATEFUL, and not in volumes that stay."""
    spec = container.spec
    is_in_volumes = spec.kind == "application" and bool(spec.mounts)
    return spec.type == "STATEFUL" and not is_in_volumes


def _destinations(
    tx: Transaction, victims: Sequence[Container], around: Round
) -> tuple[dict[str, str], dict[str, str]]:
    """Where those go that keep their data, all of them together; and what keeps the others."""
    goals: dict[str, str] = {}
    refused: dict[str, str] = {}
    moved: list[tuple[str, Container]] = []
    for victim in victims:
        if not keeps_data(victim):
            continue
        try:
            node = around.destination(tx, victim, is_first=not moved)
        except Conflict as error:
            refused[victim.name] = (
                f"a place elsewhere for {victim.name}, which is STATEFUL on {victim.node} and goes "
                f"nowhere without its data: {error.message}; {error.hint}"
            )
            continue
        goals[victim.name] = node.name
        moved.append((node.key, victim))
        _count(tx.state.fleet.reserve, node.key, victim)  # for those that come after it
    for node_key, victim in moved:
        _count(tx.state.fleet.release, node_key, victim)
    return goals, refused


def _count(change: Callable[..., None], node_key: str, container: Container) -> None:
    spec = container.spec
    is_stateful = spec.type == "STATEFUL"
    change(node_key, spec.resources, container.group, stateful=is_stateful, ports=spec.host_ports)


def spare(state: State, life: Life, group: str) -> int:
    """How many ready replicas a deployment can do without now; less than 1: none.

    One that moves is ready for the moment, and will be stopped for a while.
    """
    deployment = state.get(Deployment, group)
    floor = min(deployment.min_available, deployment.replicas) if deployment else 0
    stay = (
        life.is_ready(each) and each.arriving is None and each.phase not in MOVING
        for each in state.replicas(group)
    )
    return sum(stay) - floor


def _occupants(state: State, life: Life, each: Container, node: str) -> list[Occupant]:
    """What a container has on a node: copies that are going, and one that may have to."""
    found = _going(each, node)
    is_there = each.node == node and each.wanted and not _is_moving_away(each, node)
    if is_there:
        found.append(
            Occupant(
                name=each.name,
                priority=state.priority_of(each),
                need=each.spec.resources,
                group=each.group,
                stateful=each.spec.type == "STATEFUL",
                ports=each.spec.host_ports,
                is_available=life.is_ready(each),
            )
        )
    return found


def occupants_going(state: State, node_key: str) -> list[Occupant]:
    """What is on its way out of a node."""
    node = node_key.partition("/")[2]
    return [one for each in state.on_node(node_key) for one in _going(each, node)]


def _going(each: Container, node: str) -> list[Occupant]:
    found = [
        Occupant(
            name="",
            priority=0,
            need=copy.resources,
            stateful=copy.stateful,
            ports=copy.ports,
        )
        for copy in each.leaving
        if _is_going(copy, node)
    ]
    if _is_moving_away(each, node):
        found.append(
            Occupant(
                name="",
                priority=0,
                need=each.spec.resources,
                stateful=each.spec.type == "STATEFUL",
                ports=each.spec.host_ports,
            )
        )
    return found


def waiting(state: State, container: Container, node: str) -> str:
    """What a container waits for, for which room is being made."""
    names = [
        f"{each.name} ({what})" if _is_moving_away(each, node) else each.name
        for each in state.on_node(f"{container.cluster}/{node}")
        if (what := going(each, node))
    ]
    more = f" and {len(names) - NAMES_SHOWN_MAX} more" if names[NAMES_SHOWN_MAX:] else ""
    return f"waits for {', '.join(names[:NAMES_SHOWN_MAX]) or 'others'}{more} to leave {node}"


def is_room_being_made(state: State, container: Container, node: str) -> bool:
    """Whether something is still on its way out of the node that it waits for."""
    there = state.on_node(f"{container.cluster}/{node}")
    return any(going(each, node) for each in there)


def going(container: Container, node: str) -> str:
    """How a container is on its way out of a node, as a predicate; "" when it is not."""
    if container.arriving is not None and _is_moving_away(container, node):
        return f"moves to {container.arriving.node} with its data"
    is_going = any(_is_going(copy, node) for copy in container.leaving)
    return "is stopped and let go" if is_going else ""


def _is_moving_away(container: Container, node: str) -> bool:
    return container.wanted and container.node == node and container.arriving is not None


def _is_going(copy: Copy, node: str) -> bool:
    return copy.node == node and not copy.arriving
