"""What a node's exchange changes, and what it is answered. The protocol's rules: `wire.messages`."""

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from pathfinder.control.life import Life, NodeLife
from pathfinder.control.objects import Container, Copy, Image, Node, Remote
from pathfinder.control.state import State
from pathfinder.control.transaction import Transaction
from pathfinder.control.workloads import finish_or_put, move
from pathfinder.model.definitions import ContainerSpec, ImageSource
from pathfinder.model.phases import Phase
from pathfinder.scheduler.fleet import NodeView
from pathfinder.wire.messages import (
    HEARTBEAT_MS,
    LEASE_MS,
    Assignment,
    Exchange,
    Holding,
    Reply,
    Session,
    StreamRequest,
)

STARTED = frozenset({Phase.PROVISIONED, Phase.BOOTSTRAPPED})
CONTAINERS_MAX = 1_000  # per node: what one daemon has been shown to carry
TEXT_MAX = 500


def is_current(life: Life, request: Exchange) -> bool:
    """Whether an exchange belongs to this life of the server."""
    session = request.session
    return session.epoch == life.epoch and session.incarnation == life.incarnation


def proves_restore(life: Life, state: State, request: Exchange) -> bool:
    """Whether a node has heard of a future that this state does not know."""
    session = request.session
    if session.epoch == 0:
        return False
    same_epoch = session.epoch == life.epoch and session.incarnation != life.incarnation
    return session.epoch > life.epoch or same_epoch or request.seen > state.revision


def hello(life: Life, request: Exchange) -> Reply:
    """The answer to an exchange of another session."""
    return Reply(
        session=Session(
            epoch=life.epoch,
            incarnation=life.incarnation,
            sequence=request.session.sequence,
        ),
        sent_ms=request.sent_ms,
        kind="hello",
    )


def changes_something(state: State, node: Node, life: NodeLife, request: Exchange) -> bool:
    """Whether a report needs a transaction: most do not, and cost next to nothing."""
    if request.facts is not None and request.facts != node.facts:
        return True
    if request.runtime_error[:TEXT_MAX] != node.runtime_error:
        return True
    if request.holding != life.holding or request.complete != life.complete:
        return True
    if request.seen == life.seen:
        return False
    return any(c.leaving for c in state.on_node(node.key))


def take(tx: Transaction, life: Life, node: Node, request: Exchange) -> None:
    """Bring the state to what the node says it holds."""
    node = _facts(tx, node, request)
    held = {holding.slot: holding for holding in request.holding}
    for container in tx.state.on_node(node.key):
        after = _let_go(tx, container, node, request, held.get(container.name))
        if after is None:
            continue
        if after.node == node.name and after.wanted:
            _follow(tx, after, request, held.get(after.name))
    if life.recovering:
        for holding in request.holding:
            _adopt(tx, life, node, holding)
    _orphans(tx, life, node, held, complete=request.complete)


def _facts(tx: Transaction, node: Node, request: Exchange) -> Node:
    error = request.runtime_error[:TEXT_MAX]
    facts = request.facts or node.facts
    if facts == node.facts and error == node.runtime_error:
        return node
    if error != node.runtime_error:
        tx.event(
            "runtime_down" if error else "runtime_up",
            kind="node",
            cluster=node.cluster,
            name=node.name,
            why=error,
        )
    tx.place_all = True
    return tx.put(replace(node, facts=facts, runtime_error=error))


def _let_go(
    tx: Transaction, container: Container, node: Node, request: Exchange, held: Holding | None
) -> Container | None:
    """Forget the copies that the node, knowing that it shall, no longer holds."""
    if not request.complete:
        return container

    def still_there(copy: Copy) -> bool:
        if copy.node != node.name or request.seen < copy.revision:
            return True
        return held is not None and held.generation <= copy.generation

    staying = tuple(copy for copy in container.leaving if still_there(copy))
    if len(staying) == len(container.leaving):
        return container
    after = replace(container, leaving=staying)
    tx.event(
        "released",
        kind="container",
        cluster=container.cluster,
        name=container.name,
        node=node.name,
    )
    finish_or_put(tx, after)
    tx.place_all = tx.place_all or bool(tx.state.pending)
    return tx.state.get(Container, container.key)


def _follow(
    tx: Transaction, container: Container, request: Exchange, held: Holding | None
) -> None:
    """Take over phase, readiness, addresses and errors of the current generation."""
    if held is None or held.generation != container.generation:
        if container.ready and request.complete and request.seen >= container.assigned:
            _become(tx, container, ready=False, addresses=(), why="its node no longer has it")
        return
    if held.phase == "running":
        _running(tx, container, held)
    elif held.phase == "failed":
        _failed(tx, container, held)
    elif held.phase in ("waiting", "creating", "starting", "stopped", "removing"):
        if container.ready:
            _become(tx, container, ready=False, why=held.error or f"is {held.phase} on its node")


def _running(tx: Transaction, container: Container, held: Holding) -> None:
    ready = bool(held.addresses) or container.spec.network == "none"
    began = container.phase in (Phase.SCHEDULED, Phase.PROVISION_ERROR)
    if began:
        container = move(container, Phase.BOOTSTRAPPED)
        tx.event(
            "running",
            kind="container",
            cluster=container.cluster,
            name=container.name,
            node=container.node,
        )
    became_ready = ready and not container.ready
    _become(
        tx,
        container,
        changed=began,
        ready=ready,
        addresses=held.addresses,
        started_ms=held.started_ms,
        restarts=held.restarts,
        why="" if ready else "runs; has no address yet",
        hint="",
        error_code="",
    )
    if became_ready:
        tx.event(
            "ready",
            kind="container",
            cluster=container.cluster,
            name=container.name,
            node=container.node,
            why=held.addresses[0] if held.addresses else "",
        )


def _failed(tx: Transaction, container: Container, held: Holding) -> None:
    began = container.phase == Phase.SCHEDULED
    why = held.error[:TEXT_MAX]
    if began:
        container = move(container, Phase.PROVISION_ERROR)
    if began or why != container.why:
        tx.event(
            "failed",
            kind="container",
            cluster=container.cluster,
            name=container.name,
            node=container.node,
            why=why,
        )
    _become(
        tx,
        container,
        changed=began,
        ready=False,
        why=why,
        hint=held.hint[:TEXT_MAX],
        error_code=held.error_code,
        restarts=held.restarts,
    )


def _become(
    tx: Transaction, container: Container, *, changed: bool = False, **fields: Any
) -> None:
    """Put the container when a field differs; a change of readiness concerns its deployment."""
    if not changed and all(getattr(container, name) == value for name, value in fields.items()):
        return
    if container.deployment:
        tx.deployments.add(container.group)
    tx.put(replace(container, changed_ms=tx.now_ms, **fields))


def _adopt(tx: Transaction, life: Life, node: Node, holding: Holding) -> None:
    """While recovering: a node that holds a newer generation than we know is right."""
    container = tx.state.get(Container, f"{node.cluster}/{holding.slot}")
    if container is None or holding.generation <= container.generation or not container.wanted:
        return
    leaving = container.leaving
    if container.node and container.node != node.name:
        old = Copy(
            node=container.node,
            generation=container.generation,
            resources=container.spec.resources,
            group=container.group,
            revision=tx.revision,
        )
        leaving = (*leaving, old)
        tx.nodes.add(container.node_key)
    leaving = tuple(copy for copy in leaving if copy.node != node.name)
    life.restored = True
    tx.put(
        replace(
            container,
            node=node.name,
            generation=holding.generation,
            digest=holding.digest or container.digest,
            phase=Phase.SCHEDULED,
            assigned=tx.revision,
            leaving=leaving,
            explanation={},
            why="taken over from its node, which knew of a newer generation",
            changed_ms=tx.now_ms,
        )
    )
    tx.nodes.add(node.key)
    tx.event(
        "adopted",
        kind="container",
        cluster=container.cluster,
        name=container.name,
        node=node.name,
        why="the server was restored from an older backup",
    )


def _orphans(
    tx: Transaction, life: Life, node: Node, held: Mapping[str, Holding], *, complete: bool
) -> None:
    """Containers that a restored state does not know are kept, for a person to decide."""
    node = tx.need(Node, node.key)
    unknown = {slot for slot in held if tx.state.get(Container, f"{node.cluster}/{slot}") is None}
    kept = {slot for slot in node.orphans if slot in held or not complete}
    found = unknown - kept if life.recovering and life.restored else set()
    after = tuple(sorted(kept | found))
    if after == node.orphans:
        return
    for slot in sorted(found):
        tx.event(
            "orphaned",
            kind="container",
            cluster=node.cluster,
            name=slot,
            node=node.name,
            why="the restored state does not know it: delete it, or apply its definition",
        )
    tx.nodes.add(node.key)
    tx.put(replace(node, orphans=after))


def answer(
    state: State,
    life: Life,
    node_life: NodeLife,
    node: Node,
    request: Exchange,
    streams: tuple[StreamRequest, ...] = (),
) -> Reply | None:
    """The reply, or None when there is nothing to say before the heartbeat."""
    if life.recovering:
        return _reply(life, request, streams=streams) if streams else None
    told = node_life.complete_at
    if told is not None and request.seen >= told:
        if node_life.news <= request.seen:
            return _reply(life, request, streams=streams) if streams else None
        return _difference(state, life, node, request, streams)
    node_life.complete_at = state.revision if told is None else told
    return _reply(
        life,
        request,
        kind="complete",
        revision=state.revision,
        assignments=tuple(_assignments(state, node, since=-1)),
        streams=streams,
    )


def nothing(life: Life, request: Exchange) -> Reply:
    """The answer at the heartbeat, or to an exchange that a newer one has replaced."""
    return _reply(life, request)


def _difference(
    state: State, life: Life, node: Node, request: Exchange, streams: tuple[StreamRequest, ...]
) -> Reply:
    released = [
        container.name
        for container in state.on_node(node.key)
        if container.node != node.name
        and any(c.node == node.name and c.revision > request.seen for c in container.leaving)
    ]
    return _reply(
        life,
        request,
        kind="difference",
        base=request.seen,
        revision=state.revision,
        assignments=tuple(_assignments(state, node, since=request.seen)),
        released=tuple(released),
        streams=streams,
    )


def _reply(life: Life, request: Exchange, **fields: Any) -> Reply:
    return Reply(
        **{
            "session": request.session,
            "sent_ms": request.sent_ms,
            "kind": "nothing",
            "lease_ms": LEASE_MS,
            "heartbeat_ms": HEARTBEAT_MS,
            **fields,
        }
    )


def _assignments(state: State, node: Node, *, since: int) -> list[Assignment]:
    wanted = [
        assignment(state, container)
        for container in state.on_node(node.key)
        if container.wanted and container.node == node.name and container.assigned > since
    ]
    orphans = [Assignment(slot=slot, generation=0, hold=True) for slot in node.orphans]
    return wanted + orphans


def assignment(state: State, container: Container) -> Assignment:
    """What the node is told: the definition with its image and remote resolved."""
    spec = resolved(state, container)
    remote = state.get(Remote, f"{container.cluster}/{spec.image.remote}")
    return Assignment(
        slot=container.name,
        generation=container.generation,
        digest=container.digest,
        spec=spec.document(),
        remote={
            "name": remote.name,
            "server": remote.server,
            "protocol": remote.protocol,
            "certificate": remote.certificate,
        }
        if remote
        else None,
    )


def resolved(state: State, container: Container) -> ContainerSpec:
    """The definition with a named image replaced by what the name stands for."""
    spec = container.spec
    named = state.get(Image, f"{container.cluster}/{spec.image.alias}") if spec.image.alias else None
    if named is None or spec.image.remote:
        return spec
    source = ImageSource(alias=named.alias, fingerprint=named.fingerprint, remote=named.remote)
    return ContainerSpec(
        kind=spec.kind,
        type=spec.type,
        image=source,
        resources=spec.resources,
        environment=spec.environment,
        command=spec.command,
        constraints=spec.constraints,
        network=spec.network,
        extra=spec.extra,
    )


def view_for_scheduler(node: Node, life: Life) -> NodeView:
    """A node as the scheduler sees it: durable facts and present liveness together."""
    status = life.status(node.key)
    why = node.runtime_error
    if status == "new":
        why = "has not been heard since the server started"
    elif status in ("suspect", "lost"):
        why = f"is {status}: its agent is silent"
    return NodeView(
        cluster=node.cluster,
        name=node.name,
        capacity=node.capacity(),
        kinds=node.facts.kinds,
        labels=_labels(node),
        cordoned=node.cordoned,
        available=status == "ready" and not node.runtime_error,
        why_unavailable=why,
        containers_max=CONTAINERS_MAX,
    )


def _labels(node: Node) -> dict[str, str]:
    """Labels that people gave, and facts under names that constraints can use."""
    facts = {
        "node": node.name,
        "architecture": node.facts.architecture,
        "runtime": node.facts.runtime,
        "cores": f"{node.capacity().cpu_millis / 1000:g}",
    }
    return {**{key: value for key, value in facts.items() if value}, **node.labels}
