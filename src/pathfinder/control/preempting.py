"""Making room for a container of higher priority, within what others may be asked to give up."""

from typing import Final

from msgspec.structs import replace

from pathfinder.control.life import Life
from pathfinder.control.objects import Cluster, Container, Copy, Deployment
from pathfinder.control.state import State
from pathfinder.control.transaction import Transaction
from pathfinder.control.workloads import begin_anew
from pathfinder.scheduler.fit import Request, feasible
from pathfinder.scheduler.preempt import Occupant, preempt

NAMES_SHOWN_MAX: Final = 5


def make_room(tx: Transaction, life: Life, container: Container, request: Request) -> bool:
    """Let others go so that a container fits once they have; False: there is nobody who may go."""
    state, priority = tx.state, tx.state.priority_of(container)
    cluster = state.get(Cluster, container.cluster)
    if not priority or cluster is None or cluster.policy.preemption == "none":
        return False
    with_stateful = cluster.policy.preemption == "all"
    there: dict[str, list[Container]] = {}

    def occupants(node: str) -> list[Occupant]:
        there[node] = state.on_node(f"{container.cluster}/{node}")
        return [
            occupant
            for each in there[node]
            for occupant in _occupants(
                state, life, each, node, priority, with_stateful=with_stateful
            )
        ]

    found = preempt(
        feasible(state.fleet, request), occupants, lambda group: spare(state, life, group)
    )
    if found is None:
        return False
    for one in found.taken:
        victim = next(each for each in there[found.node] if each.name == one.name)
        why = f"makes room for {container.name}, of priority {priority} (its own: {one.priority})"
        tx.happened("preempted", victim, why=why)
        begin_anew(tx, victim, victim.spec, why=why)
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
    return True


def spare(state: State, life: Life, group: str) -> int:
    """How many ready replicas a deployment can do without now; less than 1: none."""
    deployment = state.get(Deployment, group)
    floor = min(deployment.min_available, deployment.replicas) if deployment else 0
    return sum(life.is_ready(each) for each in state.replicas(group)) - floor


def _occupants(
    state: State, life: Life, each: Container, node: str, priority: int, *, with_stateful: bool
) -> list[Occupant]:
    """What a container has on a node: copies that are going, and one that may have to."""
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
    own, is_stateful = state.priority_of(each), each.spec.type == "STATEFUL"
    if each.node != node or not each.wanted or each.arriving is not None or own >= priority:
        return found
    if with_stateful or not is_stateful:
        found.append(
            Occupant(
                name=each.name,
                priority=own,
                need=each.spec.resources,
                group=each.group,
                stateful=is_stateful,
                ports=each.spec.host_ports,
                is_available=life.is_ready(each),
            )
        )
    return found


def waiting(state: State, container: Container, node: str) -> str:
    """What a container waits for, for which room is being made."""
    there = state.on_node(f"{container.cluster}/{node}")
    names = [each.name for each in there if any(_is_going(copy, node) for copy in each.leaving)]
    more = f" and {len(names) - NAMES_SHOWN_MAX} more" if names[NAMES_SHOWN_MAX:] else ""
    return f"waits for {', '.join(names[:NAMES_SHOWN_MAX]) or 'others'}{more} to leave {node}"


def is_room_being_made(state: State, container: Container, node: str) -> bool:
    """Whether something is still on its way out of the node that it waits for."""
    there = state.on_node(f"{container.cluster}/{node}")
    return any(_is_going(copy, node) for each in there for copy in each.leaving)


def _is_going(copy: Copy, node: str) -> bool:
    return copy.node == node and not copy.arriving
