"""What a node is answered: hello, nothing new, everything, or the difference."""

from dataclasses import replace
from typing import Any

from pathfinder.control.life import Life, NodeLife
from pathfinder.control.objects import Container, Copy, Image, Node, Remote
from pathfinder.control.state import State
from pathfinder.model.definitions import ContainerSpec, ImageSource
from pathfinder.wire.messages import (
    HEARTBEAT_MS,
    LEASE_MS,
    Assignment,
    Exchange,
    RelocationPart,
    Reply,
    Session,
    StreamRequest,
)


def hello(life: Life, request: Exchange, *, sequence: int = 0) -> Reply:
    """The answer to an exchange of another session, or one not newer than `sequence`."""
    return Reply(
        session=Session(
            epoch=life.epoch,
            incarnation=life.incarnation,
            sequence=max(request.session.sequence, sequence),
        ),
        sent_ms=request.sent_ms,
        kind="hello",
    )


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
        return _reply(request, streams=streams) if streams else None
    told = node_life.complete_at
    if told is not None and request.seen >= told:
        if node_life.news <= request.seen:
            return _reply(request, streams=streams) if streams else None
        return _difference(state, life, node, request, streams)
    node_life.complete_at = state.revision if told is None else told
    return _reply(
        request,
        kind="complete",
        revision=state.revision,
        assignments=tuple(_assignments(state, life, node, since=-1)),
        streams=streams,
    )


def nothing(request: Exchange) -> Reply:
    """The answer at the heartbeat, or to an exchange that a newer one has replaced."""
    return Reply(
        session=request.session, sent_ms=request.sent_ms, kind="nothing", lease_ms=LEASE_MS
    )


def _difference(
    state: State, life: Life, node: Node, request: Exchange, streams: tuple[StreamRequest, ...]
) -> Reply:
    released = [
        container.name
        for container in state.on_node(node.key)
        if container.node != node.name
        and any(
            c.node == node.name and c.revision > request.seen and not c.arriving
            for c in container.leaving
        )
        and not _is_kept_running(container, node)
    ]
    return _reply(
        request,
        kind="difference",
        base=request.seen,
        revision=state.revision,
        assignments=tuple(_assignments(state, life, node, since=request.seen)),
        released=tuple(released),
        streams=streams,
    )


def _reply(request: Exchange, **fields: Any) -> Reply:
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


def _assignments(state: State, life: Life, node: Node, *, since: int) -> list[Assignment]:
    wanted = [
        assignment(state, container)
        for container in state.on_node(node.key)
        if container.wanted and container.node == node.name and container.assigned > since
    ]
    arriving = [
        _arriving(state, life, container, container.arriving)
        for container in state.on_node(node.key)
        if container.wanted
        and container.arriving is not None
        and container.arriving.node == node.name
        and container.arriving.revision > since
    ]
    kept = [
        container.name
        for container in state.on_node(node.key)
        if _is_kept_running(container, node)
        and any(copy.node == node.name and copy.revision > since for copy in container.leaving)
    ]
    undecided = (slot for slot, orphan in node.orphans.items() if not orphan.is_deleted)
    return [*wanted, *arriving] + [
        Assignment(slot=slot, generation=0, hold=True) for slot in (*kept, *undecided)
    ]


def _is_kept_running(container: Container, node: Node) -> bool:
    """Whether the node keeps an abandoned copy until the one that is made elsewhere is ready."""
    return (
        container.wanted
        and container.node not in ("", node.name)
        and not container.ready
        and any(copy.node == node.name and copy.abandoned for copy in container.leaving)
    )


def assignment(state: State, container: Container) -> Assignment:
    """What the node is told: the definition with its image and remote resolved."""
    spec = resolved(state, container)
    remote = state.get(Remote, f"{container.cluster}/{spec.image.remote}")
    return Assignment(
        slot=container.name,
        generation=container.generation,
        digest=container.digest,
        round=container.round,
        relocation=_part(container),
        earlier=container.earlier,
        copy_number=_number(container),
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


def _part(container: Container) -> RelocationPart:
    """What the node that has a container does for its relocation."""
    if container.is_halted:
        return "halt"
    return "offer" if container.arriving is not None else ""


def _number(container: Container) -> int:
    """The copy that is to be offered; 0: none any more."""
    copy = container.arriving
    return copy.number if copy is not None and copy.stage != "starting" else 0


def _arriving(state: State, life: Life, container: Container, copy: Copy) -> Assignment:
    """What the node is told that a container is on its way to."""
    offered = life.offers.get(container.key)
    is_this = offered is not None and offered.number == copy.number and copy.stage != "starting"
    return replace(
        assignment(state, container),
        generation=copy.generation,
        relocation="arrive" if copy.stage == "starting" else "take",
        copy_number=copy.number,
        offer=offered if is_this else None,
        earlier=(),
    )


def resolved(state: State, container: Container) -> ContainerSpec:
    """The definition with a named image replaced by what the name stands for."""
    spec = container.spec
    named = (
        state.get(Image, f"{container.cluster}/{spec.image.alias}") if spec.image.alias else None
    )
    if named is None or spec.image.remote:
        return spec
    source = ImageSource(alias=named.alias, fingerprint=named.fingerprint, remote=named.remote)
    return replace(spec, image=source)
