"""Nodes whose agents speak API v1/v2: they register by a password, poll, and send measurements.

Such a node has no lease. It is never lost by the clock: a silent one is suspected, gets nothing
new, and what it has counts until its marks, or a person, say otherwise.
"""

from dataclasses import replace as replace_fields
from typing import Final

from msgspec.structs import replace

from pathfinder.control import access
from pathfinder.control.access import Principal
from pathfinder.control.commands import Measure, RegisterPolling
from pathfinder.control.life import POLL_SUSPECT_MS, Life, NodeLife
from pathfinder.control.objects import Cluster, Node
from pathfinder.control.reasons import NO_LEASE
from pathfinder.control.transaction import Transaction
from pathfinder.model import names
from pathfinder.model.errors import Conflict, Forbidden
from pathfinder.model.resources import AMOUNT_MAX
from pathfinder.wire.messages import Facts

NO_MEMORY: Final = "its agent reports a total memory of 0"
CORES_MAX: Final = AMOUNT_MAX // 1_000


def life_of(node: Node) -> NodeLife:
    """The beginning of a node's life in this process.

    A polling node never tells what it holds: its marks are in the state, and nothing is to be heard
    before containers may be placed.
    """
    polls = node.protocol == "poll"
    return NodeLife(polls=polls, was_complete=polls)


def register(tx: Transaction, life: Life, command: RegisterPolling, uptime_ms: int) -> Node:
    """A node joins, or comes back with a new credential."""
    tx.need(Cluster, command.cluster)
    name = names.hostname(command.name, "node_hostname")
    fresh = Node(
        cluster=command.cluster,
        name=name,
        secret_digest=command.token_digest,
        protocol="poll",
        address=command.address,
        facts=Facts(hostname=name, runtime="lxd", kinds=("system",)),
    )
    old = tx.state.get(Node, fresh.key)
    if old is None:
        tx.happened("joined", fresh, why=NO_LEASE)
        tx.place_all = True
        return tx.put(fresh)
    _check_take_over(life, old, command, uptime_ms)
    node = replace(old, secret_digest=command.token_digest, address=command.address or old.address)
    tx.happened("rejoined", node)
    return tx.put(node)


def _check_take_over(life: Life, old: Node, command: RegisterPolling, uptime_ms: int) -> None:
    if old.protocol != "poll":
        raise Conflict(
            f"{old.name!r} is a node of Pathfinder's own agent",
            hint=f"give this one another name; or, when the other is gone for good: "
            f"pfi delete node {old.name}",
        )
    if command.proof and access.is_secret(old.secret_digest, command.proof):
        return
    heard = life.node(old.key).heard_ms
    silent_ms = uptime_ms - (life.began_ms if heard is None else heard)
    if silent_ms <= POLL_SUSPECT_MS:
        raise Conflict(
            f"a node {old.name!r} was heard {silent_ms // 1000} s ago: it may be alive",
            hint=f"its own agent proves itself with its token; any other waits until it has been "
            f"silent for {POLL_SUSPECT_MS // 1000} s",
        )


def measure(tx: Transaction, life: Life, command: Measure) -> Node:
    """Keep what a node uses, and what it has when that is news."""
    node = tx.need(Node, command.node)
    life.node(node.key).measurements = command.measurements
    facts, error = node.facts, node.runtime_error
    if command.memory_total_mib is not None:
        error = "" if command.memory_total_mib > 0 else NO_MEMORY
        memory_mib = min(max(command.memory_total_mib, 0), AMOUNT_MAX)
        facts = replace_fields(facts, memory_mib=memory_mib)
    if command.cores is not None and 0 < command.cores <= CORES_MAX:
        facts = replace_fields(facts, cpu_millis=int(command.cores * 1_000))
    if facts == node.facts and error == node.runtime_error:
        return node
    if error != node.runtime_error:
        tx.happened("runtime_down" if error else "runtime_up", node, why=error)
    tx.place_all = True
    return tx.put(replace(node, facts=facts, runtime_error=error))


def itself(principal: Principal, node_key: str) -> None:
    """Forbidden for everybody but the node itself."""
    if principal.node != node_key:
        raise Forbidden("only the node itself may say this")
