"""The state as a file to plan on: everything that decisions are made of, and no secret of ours.

A line that names the form, then frames: each a 32-bit big-endian length and so many bytes of zlib.
The first frame is JSON (`Header`), the others are chunks as in a snapshot. Left out are users,
credentials and remembered answers; hashes and digests of secrets are empty. Definitions are whole,
with what people have put into their environment: such a file is to be kept as those are.
"""

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import replace as replace_fields
from typing import Final

import msgspec
from msgspec.structs import replace

from pathfinder.control.codec import UnknownVersion, encode_snapshot, load_snapshot
from pathfinder.control.life import Life, NodeStatus
from pathfinder.control.objects import Answered, Cluster, Node, Token, User
from pathfinder.control.placing import view_for_scheduler
from pathfinder.control.queries import Twin
from pathfinder.control.state import State
from pathfinder.model.errors import Malformed
from pathfinder.model.resources import NOTHING, Resources

FORM: Final = b"pathfinder-state "  # followed by its number
MAGIC: Final = FORM + b"1\n"
LENGTH_BYTES: Final = 4
LEVEL: Final = 1  # a tenth of the size already, and ten times as fast as the best
FRAME_BYTES_MAX: Final = 256 << 20
SECRET_KINDS: Final = (Token, User, Answered)
HINT: Final = "write one with pfi export FILE"
NEWER_HINT: Final = "or plan where it was exported"


class Measured(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a node's measurements came to: see `NodeView`."""

    lent: Resources = NOTHING
    why_full: str = ""


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """What is not part of the state but of the moment, by node key; and how many things follow."""

    revision: int
    count: int
    time_ms: int
    statuses: dict[str, NodeStatus]
    measured: dict[str, Measured]


def exported(twin: Twin, time_ms: int) -> Iterator[bytes]:
    """The file, piece by piece, of a copy of the state, which is spent by it."""
    state = twin.state
    measured = {}
    for node in state.all(Node):
        view = state.fleet.view(node.key)
        if view is not None and (view.lent != NOTHING or view.why_full):
            measured[node.key] = Measured(lent=view.lent, why_full=view.why_full)
    for kind in SECRET_KINDS:
        state.things[kind.KIND].clear()
    for cluster in list(state.all(Cluster)):
        state.set(cluster.KIND, cluster.key, replace(cluster, password_hash="", extra={}))
    for node in list(state.all(Node)):
        state.set(node.KIND, node.key, replace(node, secret_digest="", extra={}))
    header = Header(
        revision=state.revision,
        count=_count(state),
        time_ms=time_ms,
        statuses=twin.statuses,
        measured=measured,
    )
    yield MAGIC
    yield _frame(msgspec.json.encode(header))
    for chunk in encode_snapshot(state):
        yield _frame(chunk)


def _count(state: State) -> int:
    return sum(len(things) for things in state.things.values())


def _frame(content: bytes) -> bytes:
    packed = zlib.compress(content, LEVEL)
    return len(packed).to_bytes(LENGTH_BYTES, "big") + packed


def load_export(content: bytes) -> tuple[Twin, int]:
    """What `exported` wrote, and of when it is.

    Malformed when it is not that, or not whole, or in the form of a newer version.
    """
    if content.startswith(FORM) and not content.startswith(MAGIC):
        raise Malformed(
            "the exported state is in a form that this version does not read: upgrade Pathfinder",
            hint=NEWER_HINT,
        )
    if not content.startswith(MAGIC):
        raise Malformed("this is not a state that Pathfinder has exported", hint=HINT)
    frames = _frames(content)
    try:
        header = msgspec.json.decode(next(frames), type=Header)
        state = load_snapshot(frames)
    except (StopIteration, zlib.error, msgspec.DecodeError, msgspec.ValidationError):
        raise Malformed("the exported state is damaged or cut short", hint=HINT) from None
    except UnknownVersion as error:
        raise Malformed(f"the exported state is {error}", hint=NEWER_HINT) from None
    if (state.revision, _count(state)) != (header.revision, header.count):
        raise Malformed("the exported state is cut short", hint=HINT)
    show_nodes(state, header.statuses, header.measured)
    return Twin(state, header.statuses), header.time_ms


def _frames(content: bytes) -> Iterator[bytes]:
    at = len(MAGIC)
    while at < len(content):
        length = int.from_bytes(content[at : at + LENGTH_BYTES], "big")
        packed = content[at + LENGTH_BYTES : at + LENGTH_BYTES + length]
        unpacking = zlib.decompressobj()
        frame = unpacking.decompress(packed, FRAME_BYTES_MAX)
        if not unpacking.eof:
            raise zlib.error("incomplete")
        yield frame
        at += LENGTH_BYTES + length


def earlier(state: State) -> Twin:
    """A state that a journal told, with its nodes as its events say that they were."""
    statuses: dict[str, NodeStatus] = {node.key: "ready" for node in state.all(Node)}
    for event in state.events:
        key = f"{event.cluster}/{event.name}"
        if event.kind == Node.KIND and event.action in ("lost", "ready") and key in statuses:
            statuses[key] = "lost" if event.action == "lost" else "ready"
    show_nodes(state, statuses, {})
    return Twin(state, statuses)


def show_nodes(
    state: State, statuses: Mapping[str, NodeStatus], measured: Mapping[str, Measured]
) -> None:
    """Let the scheduler of a state that was just read see its nodes."""
    life = Life(epoch=0, incarnation="", began_ms=0, base_revision=state.revision)
    for node in state.all(Node):
        life.node(node.key).status = statuses.get(node.key, "new")
        told = measured.get(node.key, Measured())
        view = view_for_scheduler(state, node, life)
        seen = replace_fields(view, lent=told.lent, why_full=told.why_full)
        state.fleet.set_node(node.key, seen)
