"""Messages to JSON-ready data and back, for any of the dataclasses in `messages`.

Defaults are left out, unknown fields land in `extra` and are written back. Only dataclasses,
tuples, mappings and scalars occur; a wrong type is `Malformed` with the place.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, Final, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from pathfinder.model.errors import Malformed

Message = TypeVar("Message")
# What a node sends is stored: nothing may come in that the journal cannot hold.
INTEGER_MAX: Final = (1 << 63) - 1
DEPTH_MAX: Final = 16
SCALARS: Final = frozenset({str, int, bool, float, NoneType})
# One for all messages: `json.dumps` would make one for each.
COMPACT: Final = json.JSONEncoder(separators=(",", ":"))


def encode(message: object) -> bytes:
    """A message as compact JSON."""
    return COMPACT.encode(document(message)).encode()


def decode(kind: type[Message], data: bytes) -> Message:
    """A message from JSON; Malformed with the place when it is none."""
    try:
        value = json.loads(data)
        if b"\\u" in data:
            json.dumps(value, ensure_ascii=False).encode()  # half a surrogate pair is no text
    except (ValueError, RecursionError):
        raise Malformed(f"{kind.__name__}: not JSON") from None
    return parse(kind, value)


def document(message: object) -> dict[str, Any]:
    """A message as JSON-ready data, without defaults."""
    out: dict[str, Any] = dict(getattr(message, "extra", ()))
    cached: type = type(message)
    for name, default in _defaults(cached):
        value = getattr(message, name)
        if value != default:
            out[name] = _plain(value)
    return out


def parse(kind: type[Message], value: object, place: str = "") -> Message:
    """A message from JSON-ready data; Malformed with the place when it does not fit."""
    place = place or kind.__name__
    if not isinstance(value, Mapping):
        raise Malformed(f"{place}: must be an object")
    cached: type = kind
    readers = _readers(cached)
    known: dict[str, Any] = {}
    extra: dict[str, Any] = {}
    for name, item in value.items():
        reader = readers.get(name)
        if reader is None:
            extra[name] = _anything(item, f"{place}.{name}")
        else:
            known[name] = reader(item, f"{place}.{name}")
    if extra and "extra" in readers:
        known["extra"] = extra
    try:
        return kind(**known)
    except TypeError as error:
        raise Malformed(f"{place}: {error}") from None


def _plain(value: object) -> Any:
    if type(value) in SCALARS:
        return value
    if is_dataclass(value):
        return document(value)
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return value


@cache
def _defaults(kind: type) -> tuple[tuple[str, object], ...]:
    def default(field: Any) -> object:
        if field.default is not MISSING:
            return field.default
        return field.default_factory() if field.default_factory is not MISSING else MISSING

    return tuple((field.name, default(field)) for field in fields(kind) if field.name != "extra")


Reader = Callable[[object, str], Any]


@cache
def _readers(kind: type) -> dict[str, Reader]:
    return {name: _reader(hint) for name, hint in get_type_hints(kind).items()}


def _reader(hint: Any) -> Reader:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        (inner,) = (item for item in arguments if item is not NoneType)
        read = _reader(inner)
        return lambda value, place: None if value is None else read(value, place)
    if origin is Literal:
        return lambda value, place: _one_of(arguments, value, place)
    if origin is tuple:
        read = _reader(arguments[0])
        return lambda value, place: tuple(
            read(item, f"{place}[{index}]") for index, item in enumerate(_list(value, place))
        )
    if isinstance(origin, type) and issubclass(origin, Mapping):
        read = _reader(arguments[1])
        return lambda value, place: {
            key: read(item, f"{place}.{key}") for key, item in _object(value, place).items()
        }
    if hint is Any:
        return _anything
    if is_dataclass(hint) and isinstance(hint, type):
        return lambda value, place: parse(hint, value, place)
    if hint is int:
        return _whole
    accepted = (int, float) if hint is float else hint
    return lambda value, place: _scalar(accepted, value, place)


def _one_of(choices: tuple[Any, ...], value: object, place: str) -> object:
    if value not in choices:
        raise Malformed(f"{place}: {value!r} is not one of {', '.join(map(str, choices))}")
    return value


def _list(value: object, place: str) -> list[Any]:
    if not isinstance(value, list):
        raise Malformed(f"{place}: must be a list")
    return value


def _object(value: object, place: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise Malformed(f"{place}: must be an object")
    return value


def _whole(value: object, place: str) -> object:
    if not isinstance(value, int) or isinstance(value, bool):
        raise Malformed(f"{place}: must be int, not {type(value).__name__}")
    if not -INTEGER_MAX <= value <= INTEGER_MAX:
        raise Malformed(f"{place}: must fit into 64 bits")
    return value


def _anything(value: object, place: str, depth: int = DEPTH_MAX) -> object:
    """What has no type of its own, within the bounds of what can be stored."""
    if depth == 0:
        raise Malformed(f"{place}: more than {DEPTH_MAX} levels deep")
    if isinstance(value, list):
        for item in value:
            _anything(item, place, depth - 1)
    elif isinstance(value, Mapping):
        for item in value.values():
            _anything(item, place, depth - 1)
    elif isinstance(value, int) and not isinstance(value, bool):
        _whole(value, place)
    return value


def _scalar(accepted: Any, value: object, place: str) -> object:
    if not isinstance(value, accepted) or (isinstance(value, bool) and accepted is not bool):
        wanted = accepted.__name__ if isinstance(accepted, type) else "number"
        raise Malformed(f"{place}: must be {wanted}, not {type(value).__name__}")
    return value
