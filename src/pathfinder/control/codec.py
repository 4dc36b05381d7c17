"""Changes as journal records, the state as a snapshot, and back; fields of newer versions are kept.

A record holds the changes of one group of commands: `{"v": 1, "changes": [...]}` in MessagePack.
Things travel as maps from field names, so that versions can add fields.
"""

import types
from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec

from pathfinder.control.objects import THINGS, Container, Event, Thing
from pathfinder.control.state import Change, State
from pathfinder.model.definitions import ContainerSpec

VERSION: Final = 1
CHUNK_THINGS: Final = 1_000
KINDS: Final = {kind.KIND: kind for kind in THINGS}
DECODERS: Final = {
    kind.KIND: msgspec.msgpack.Decoder(types.GenericAlias(list, (kind,))) for kind in THINGS
}
FIELDS: Final = {
    kind.KIND: frozenset(field.name for field in msgspec.structs.fields(kind)) for kind in THINGS
}


class _Edit(msgspec.Struct, frozen=True, gc=False, array_like=True):
    kind: str
    key: str
    after: dict[str, Any] | None


class _Change(msgspec.Struct, frozen=True, gc=False, array_like=True):
    revision: int
    edits: tuple[_Edit, ...]
    events: tuple[Event, ...]


class _Record(msgspec.Struct, frozen=True, gc=False):
    v: int
    changes: tuple[_Change, ...]


class _Chunk(msgspec.Struct, frozen=True, gc=False):
    v: int
    revision: int
    kind: str
    things: msgspec.Raw
    events: tuple[Event, ...] = ()


class UnknownVersion(Exception):
    """A newer version wrote this in a form that this one cannot read."""


def encode_record(changes: Iterable[Change]) -> bytes:
    """One group's changes as the body of one journal record."""
    record = {
        "v": VERSION,
        "changes": [
            [
                change.revision,
                [[edit.kind, edit.key, _fields(edit.after)] for edit in change.edits],
                change.events,
            ]
            for change in changes
        ],
    }
    return msgspec.msgpack.encode(record, enc_hook=_plain)


def replay(state: State, body: bytes) -> None:
    """Make the changes of one record on the state that they were decided on."""
    record = msgspec.msgpack.decode(body, type=_Record)
    _check_version(record.v)
    for change in record.changes:
        assert change.revision == state.revision + 1, (change.revision, state.revision)
        for edit in change.edits:
            after = _thing(edit.kind, edit.after) if edit.after is not None else None
            state.set(edit.kind, edit.key, after)
        state.events.extend(change.events)
        state.revision = change.revision


def describe_record(body: bytes) -> dict[str, Any]:
    """A record as JSON-ready data, without secrets' digests, for people who look at the journal."""
    record = msgspec.msgpack.decode(body, type=_Record)
    return {
        "version": record.v,
        "changes": [
            {
                "revision": change.revision,
                "edits": [
                    {
                        "kind": edit.kind,
                        "key": edit.key,
                        "after": _public(edit.after) if edit.after is not None else None,
                    }
                    for edit in change.edits
                ],
                "events": msgspec.to_builtins(change.events),
            }
            for change in record.changes
        ],
    }


def encode_snapshot(state: State) -> Iterator[bytes]:
    """The whole state in chunks of bounded size."""
    for kind, things in state.things.items():
        values = list(things.values())
        for start in range(0, len(values), CHUNK_THINGS):
            part = [_fields(thing) for thing in values[start : start + CHUNK_THINGS]]
            yield _chunk(state, kind, part, ())
    events = list(state.events)
    for start in range(0, max(len(events), 1), CHUNK_THINGS):
        yield _chunk(state, "", [], tuple(events[start : start + CHUNK_THINGS]))


def load_snapshot(chunks: Iterable[bytes]) -> State:
    """The state that `encode_snapshot` wrote."""
    state, sharing = State(), _Sharing()
    for data in chunks:
        chunk = msgspec.msgpack.decode(data, type=_Chunk)
        _check_version(chunk.v)
        things = _things(chunk)
        containers = [thing for thing in things if isinstance(thing, Container)]
        for container in containers:
            sharing.share(container)
        state.set_all({container.key: container for container in containers})
        for thing in things if not containers else ():
            state.set(chunk.kind, thing.key, thing)
        state.events.extend(chunk.events)
        state.revision = chunk.revision
    return state


def _things(chunk: _Chunk) -> list[Thing]:
    """The things of a chunk: all at once, unless a newer version has written some of them."""
    if not chunk.kind:
        return []
    if chunk.kind not in KINDS:
        raise UnknownVersion(f"with a kind of thing, {chunk.kind!r}, of a newer version")
    try:
        decoded: list[Thing] = DECODERS[chunk.kind].decode(chunk.things)
    except msgspec.ValidationError:
        documents = msgspec.msgpack.decode(chunk.things, type=list[dict[str, Any]])
        return [_thing(chunk.kind, document) for document in documents]
    return decoded


class _Sharing:
    """Lets a million containers that are just read have one copy of what many of them say.

    Nothing that a thing consists of is ever changed in place, so that sharing cannot be noticed.
    """

    def __init__(self) -> None:
        self._specs: dict[tuple[str, str], ContainerSpec] = {}
        self._texts: dict[str, str] = {}
        self._labels: dict[tuple[tuple[str, str], ...], dict[str, str]] = {}
        self._nothing: dict[str, Any] = {}

    def share(self, container: Container) -> None:
        """Replace parts of a container by equal ones that were met before."""
        digests = (container.digest, container.bootstrap_digest)
        put = msgspec.structs.force_setattr
        put(container, "spec", self._specs.setdefault(digests, container.spec))
        labels = tuple(container.labels.items())
        put(container, "labels", self._labels.setdefault(labels, container.labels))
        for name in ("extra", "explanation"):
            if not getattr(container, name):
                put(container, name, self._nothing)
        for name in ("cluster", "deployment", "node", "digest", "bootstrap_digest", "why"):
            text = getattr(container, name)
            put(container, name, self._texts.setdefault(text, text))


def _chunk(state: State, kind: str, things: list[Any], events: tuple[Event, ...]) -> bytes:
    chunk = {
        "v": VERSION,
        "revision": state.revision,
        "kind": kind,
        "things": things,
        "events": events,
    }
    return msgspec.msgpack.encode(chunk, enc_hook=_plain)


def _fields(thing: Thing | None) -> Any:
    """A thing as it is encoded; unknown fields stand beside the known ones again."""
    if thing is None or not thing.extra:
        return thing
    document = msgspec.to_builtins(thing, enc_hook=_plain, builtin_types=(bytes,))
    extra = document.pop("extra", {})
    return {**extra, **document}


def _thing(kind: str, document: dict[str, Any]) -> Thing:
    """A thing from its fields; those that this version does not know are kept in `extra`."""
    known = FIELDS[kind]
    if not document.keys() <= known:
        extra = {key: value for key, value in document.items() if key not in known}
        document = {key: value for key, value in document.items() if key in known}
        document["extra"] = {**document.get("extra", {}), **extra}
    thing: Thing = msgspec.convert(document, KINDS[kind], dec_hook=_read, builtin_types=(bytes,))
    return thing


def _plain(value: object) -> Any:
    raise NotImplementedError(f"{type(value).__name__} has no form in the journal")


def _read(kind: type, value: object) -> Any:
    raise NotImplementedError(f"{kind.__name__} cannot be read from {type(value).__name__}")


def _public(document: dict[str, Any]) -> dict[str, Any]:
    hidden = ("secret_digest", "password_hash", "used_by", "reply")
    return {key: "(hidden)" if key in hidden else value for key, value in document.items()}


def _check_version(version: int) -> None:
    if version != VERSION:
        raise UnknownVersion(
            f"written in form {version}, and this version reads {VERSION}: upgrade Pathfinder"
        )
