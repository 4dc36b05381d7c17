"""Changes as journal records, the state as a snapshot, and back; fields of newer versions are kept.

A record holds the changes of one group of commands: `{"v": 2, "changes": [...]}` in MessagePack, or
where they are many `{"v": 2, "packed": ...}`, the same list by Zstandard (RFC 8878): replicas
differ in little, and a record of many is a fortieth of the bytes. Things travel as maps from field
names, so that versions can add fields. In a snapshot a container is told by what it differs in from
another one of its deployment: a million of them are a fifth of the bytes, read in a third of the
time, and what they have in common is in memory once.
"""

import types
import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, cast

import msgspec
import zstandard

from pathfinder.control.objects import THINGS, Container, Event, Thing
from pathfinder.control.state import Change, State
from pathfinder.model.definitions import ContainerSpec

EDITS_VERSION: Final = 1  # of a record that says each edit with its kind and key
RECORD_VERSION: Final = 2
PACKED_BYTES_MIN: Final = 4_096  # what is smaller gains less than it costs
SPECS_TOLD_MIN: Final = 8  # fewer are sooner written one by one
PACKED_LEVEL: Final = 1  # higher ones find little more in replicas, and take longer
CHUNK_VERSION: Final = 1
LIKE_VERSION: Final = 2  # of a chunk of containers that are told by what they differ in
CHUNK_THINGS: Final = 1_000
KINDS: Final = {kind.KIND: kind for kind in THINGS}
DECODERS: Final = {
    kind.KIND: msgspec.msgpack.Decoder(types.GenericAlias(list, (kind,))) for kind in THINGS
}
NAMES: Final = tuple(field.name for field in msgspec.structs.fields(Container))
# All fields of a container, none of which need be there.
_DIFFERENCE: Final[Any] = cast(Any, typing.TypedDict)(
    "_DIFFERENCE",
    {name: typing.get_type_hints(Container)[name] for name in NAMES},
    total=False,
)
DIFFERENCES: Final = msgspec.msgpack.Decoder(list[tuple[int, _DIFFERENCE]])
FIELDS: Final = {
    kind.KIND: frozenset(field.name for field in msgspec.structs.fields(kind)) for kind in THINGS
}


NONE: Final = msgspec.Raw(msgspec.msgpack.encode([]))


def _plain(value: object) -> Any:
    raise NotImplementedError(f"{type(value).__name__} has no form in the journal")


_ENCODER: Final = msgspec.msgpack.Encoder(enc_hook=_plain)


class _Edit(msgspec.Struct, frozen=True, gc=False, array_like=True):
    kind: str
    key: str
    after: dict[str, Any] | None


class _EditsChange(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A change of a record of the first form."""

    revision: int
    edits: tuple[_Edit, ...]
    events: tuple[Event, ...]


class _Change(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """What is there now, by kind; what is there no more, by kind, as keys; what happened."""

    revision: int
    put: dict[str, msgspec.Raw]
    dropped: dict[str, list[str]]
    events: tuple[Event, ...]


class _Record(msgspec.Struct, frozen=True, gc=False):
    v: int
    changes: msgspec.Raw = NONE
    packed: bytes = b""


class _Chunk(msgspec.Struct, frozen=True, gc=False):
    """Things of one kind, or events.

    like: containers; each of the things is then the number of one of them, and the values of those
    of `fields` in which it differs.
    """

    v: int
    revision: int
    kind: str
    things: msgspec.Raw
    events: tuple[Event, ...] = ()
    like: msgspec.Raw = NONE
    fields: frozenset[str] = frozenset()


class UnknownVersion(Exception):
    """A newer version wrote this in a form that this one cannot read."""


def encode_record(changes: Iterable[Change]) -> bytes:
    """One group's changes as the body of one journal record."""
    plain = _ENCODER.encode([_written(change) for change in changes])
    if len(plain) < PACKED_BYTES_MIN:
        return _ENCODER.encode({"v": RECORD_VERSION, "changes": msgspec.Raw(plain)})
    packed = zstandard.compress(plain, PACKED_LEVEL)
    return _ENCODER.encode({"v": RECORD_VERSION, "packed": packed})


def replay(state: State, body: bytes) -> None:
    """Make the changes of one record on the state that they were decided on."""
    for change in _changes_of(body):
        assert change.revision == state.revision + 1, (change.revision, state.revision)
        for kind, keys in change.dropped.items():
            for key in keys:
                state.set(kind, key, None)
        for kind, raw in change.put.items():
            things = _things(kind, raw)
            if kind == Container.KIND:
                state.set_all({thing.key: cast(Container, thing) for thing in things})
            else:
                for thing in things:
                    state.set(kind, thing.key, thing)
        state.events.extend(change.events)
        state.revision = change.revision


def describe_record(body: bytes) -> dict[str, Any]:
    """A record as JSON-ready data, without secrets' digests, for people who look at the journal."""
    return {
        "version": msgspec.msgpack.decode(body, type=_Record).v,
        "changes": [
            {
                "revision": change.revision,
                "edits": [
                    {"kind": kind, "key": key, "after": after}
                    for kind, key, after in _described(change)
                ],
                "events": msgspec.to_builtins(change.events),
            }
            for change in _changes_of(body)
        ],
    }


def _described(change: _Change) -> Iterator[tuple[str, str, dict[str, Any] | None]]:
    for kind, raw in change.put.items():
        documents = msgspec.msgpack.decode(raw, type=list[dict[str, Any]])
        for thing, document in zip(_things(kind, raw), documents, strict=True):
            yield kind, thing.key, _public(document)
    for kind, keys in change.dropped.items():
        for key in keys:
            yield kind, key, None


def _written(change: Change) -> tuple[Any, ...]:
    """A change as it is encoded."""
    put: dict[str, list[Any]] = {}
    dropped: dict[str, list[str]] = {}
    for kind, pairs in change.things.items():
        there: list[Any] = [after for _, after in pairs.values() if after is not None]
        if kind == Container.KIND and len(there) >= SPECS_TOLD_MIN:
            _tell_specs(there)
        there = [after if not after.extra else _fields_of(after) for after in there]
        if there:
            put[kind] = there
        if len(there) < len(pairs):
            dropped[kind] = [key for key, (_, after) in pairs.items() if after is None]
    return (change.revision, put, dropped, change.events)


def _tell_specs(containers: list[Any]) -> None:
    """Write each spec once, however many have it: it is the most of what is said of a container."""
    told: dict[int, msgspec.Raw] = {}
    replace = msgspec.structs.replace
    for number, container in enumerate(containers):
        spec = container.spec
        raw = told.get(id(spec))
        if raw is None:
            raw = told[id(spec)] = msgspec.Raw(_ENCODER.encode(spec))
        if not container.extra:
            containers[number] = replace(container, spec=raw)


def _changes_of(body: bytes) -> list[_Change]:
    record = msgspec.msgpack.decode(body, type=_Record)
    _check_version(record.v, EDITS_VERSION, RECORD_VERSION)
    if record.v == EDITS_VERSION:
        old = msgspec.msgpack.decode(record.changes, type=list[_EditsChange])
        return [_from_edits(change) for change in old]
    plain = zstandard.decompress(record.packed) if record.packed else record.changes
    return msgspec.msgpack.decode(plain, type=list[_Change])


def _from_edits(change: _EditsChange) -> _Change:
    """A change of the first form as one of the second."""
    put: dict[str, list[dict[str, Any]]] = {}
    dropped: dict[str, list[str]] = {}
    for edit in change.edits:
        if edit.after is None:
            dropped.setdefault(edit.kind, []).append(edit.key)
        else:
            put.setdefault(edit.kind, []).append(edit.after)
    raw = {kind: msgspec.Raw(msgspec.msgpack.encode(each)) for kind, each in put.items()}
    return _Change(change.revision, raw, dropped, change.events)


def encode_snapshot(state: State) -> Iterator[bytes]:
    """The whole state as it is now, in chunks of bounded size.

    They are encoded as they are taken, in any thread and whatever becomes of the state meanwhile.
    """
    tables = {kind: list(things.values()) for kind, things in state.things.items()}
    return _chunks(tables, list(state.events), state.revision)


def _chunks(
    tables: Mapping[str, list[Thing]], events: list[Event], revision: int
) -> Iterator[bytes]:
    for kind, values in tables.items():
        for start in range(0, len(values), CHUNK_THINGS):
            part = values[start : start + CHUNK_THINGS]
            if kind == Container.KIND:
                yield _chunk(revision, kind, **_told_apart(part))
            else:
                yield _chunk(revision, kind, things=[_fields(thing) for thing in part])
    for start in range(0, max(len(events), 1), CHUNK_THINGS):
        yield _chunk(revision, "", things=[], events=events[start : start + CHUNK_THINGS])


def _told_apart(containers: Sequence[Thing]) -> dict[str, Any]:
    """Containers by what they differ in from the first of their deployment and definition."""
    like: list[Any] = []
    values: list[tuple[Any, ...]] = []
    numbers: dict[tuple[str, ...], int] = {}
    things: list[tuple[int, dict[str, Any]]] = []
    fields: set[str] = set()
    for container in containers:
        assert isinstance(container, Container)
        if container.extra:
            like.append(_fields(container))
            values.append(())
            things.append((len(like) - 1, {}))
            continue
        which = (container.cluster, container.deployment, container.digest)
        number = numbers.get(which)
        own = msgspec.structs.astuple(container)
        if number is None:
            number = numbers[which] = len(like)
            like.append(container)
            values.append(own)
        difference = {
            name: value
            for name, value, common in zip(NAMES, own, values[number], strict=True)
            if value is not common and value != common
        }
        fields.update(difference)
        things.append((number, difference))
    return {"v": LIKE_VERSION, "like": like, "things": things, "fields": sorted(fields)}


def load_snapshot(chunks: Iterable[bytes]) -> State:
    """The state that `encode_snapshot` wrote."""
    state, sharing = State(), _Sharing()
    for data in chunks:
        chunk = msgspec.msgpack.decode(data, type=_Chunk)
        _check_version(chunk.v, CHUNK_VERSION, LIKE_VERSION)
        if chunk.kind == Container.KIND:
            containers = _containers(chunk, sharing)
            state.set_all({container.key: container for container in containers})
        else:
            for thing in _things(chunk.kind, chunk.things):
                state.set(chunk.kind, thing.key, thing)
        state.events.extend(chunk.events)
        state.revision = chunk.revision
    state.containers_of_node.pack()
    state.containers_of_deployment.pack()
    return state


def _things(kind: str, things: msgspec.Raw) -> list[Thing]:
    """Things of a chunk: all at once, unless a newer version has written some of them."""
    if not kind:
        return []
    if kind not in KINDS:
        raise UnknownVersion(f"with a kind of thing, {kind!r}, of a newer version")
    try:
        decoded: list[Thing] = DECODERS[kind].decode(things)
    except msgspec.ValidationError:
        documents = msgspec.msgpack.decode(things, type=list[dict[str, Any]])
        return [_thing(kind, document) for document in documents]
    return decoded


def _containers(chunk: _Chunk, sharing: "_Sharing") -> list[Container]:
    """The containers of a chunk, told apart or, by earlier versions, each in full."""
    is_told_apart = chunk.v == LIKE_VERSION
    like = _things(chunk.kind, chunk.like if is_told_apart else chunk.things)
    for container in like:
        assert isinstance(container, Container)
        sharing.share(container)
    if not is_told_apart:
        return cast(list[Container], like)
    if not chunk.fields <= FIELDS[Container.KIND]:
        return [_made_like(like[number], each) for number, each in _documents(chunk.things)]
    replace, told = msgspec.structs.replace, sharing.told
    return [
        cast(Container, replace(like[number], **told(each)) if each else like[number])
        for number, each in DIFFERENCES.decode(chunk.things)
    ]


def _documents(things: msgspec.Raw) -> list[tuple[int, dict[str, Any]]]:
    return msgspec.msgpack.decode(things, type=list[tuple[int, dict[str, Any]]])


def _made_like(like: Thing, difference: dict[str, Any]) -> Container:
    """The same where a newer version has written fields that this one does not know."""
    made = _thing(Container.KIND, {**_fields_of(like), **difference})
    assert isinstance(made, Container)
    return made


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

    def told(self, difference: dict[str, Any]) -> dict[str, Any]:
        """The same of what a container differs in."""
        if node := difference.get("node"):
            difference["node"] = self._texts.setdefault(node, node)
        if why := difference.get("why"):
            difference["why"] = self._texts.setdefault(why, why)
        addresses = difference.get("addresses")
        if addresses and addresses[0] == difference.get("address"):
            difference["address"] = addresses[0]
        return difference


def _chunk(revision: int, kind: str, **content: Any) -> bytes:
    chunk = {"v": CHUNK_VERSION, "revision": revision, "kind": kind, **content}
    return _ENCODER.encode(chunk)


def _fields(thing: Thing | None) -> Any:
    """A thing as it is encoded; unknown fields stand beside the known ones again."""
    return thing if thing is None or not thing.extra else _fields_of(thing)


def _fields_of(thing: Thing) -> dict[str, Any]:
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


def _read(kind: type, value: object) -> Any:
    raise NotImplementedError(f"{kind.__name__} cannot be read from {type(value).__name__}")


def _public(document: dict[str, Any]) -> dict[str, Any]:
    hidden = ("secret_digest", "password_hash", "used_by", "reply")
    return {key: "(hidden)" if key in hidden else value for key, value in document.items()}


def _check_version(version: int, *read: int) -> None:
    if version not in read:
        forms = " and ".join(map(str, read))
        raise UnknownVersion(
            f"written in form {version}, and this version reads {forms}: upgrade Pathfinder"
        )
