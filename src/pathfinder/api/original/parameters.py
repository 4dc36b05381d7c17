"""What a request of the original's clients says: path, query and body as one bag.

A path outweighs the query, and the query the body. A body is JSON when it says so, with any method;
otherwise it is a form, also when it does not say what it is: so the Go clients send theirs.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec

from pathfinder.model.errors import Malformed, TooMuch

FIELDS_MAX: Final = 1_000
DEPTH_MAX: Final = 16
KEY: Final = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")
Bag = dict[str, Any]


def merged(path: Mapping[str, str], query: bytes, body: bytes, content_type: str) -> Bag:
    """All parameters of a request; Malformed when the body is not what it says it is."""
    return {**_body(body, content_type), **_form(query.decode("latin-1")), **path}


def _body(body: bytes, content_type: str) -> Bag:
    if not body.strip():
        return {}
    if "json" in content_type.lower():
        return _json(body)
    return _form(body.decode(errors="replace"))


def _json(body: bytes) -> Bag:
    try:
        document = msgspec.json.decode(body)
    except msgspec.DecodeError as error:
        raise Malformed(f"the body is not JSON: {error}") from None
    except RecursionError:
        raise Malformed("the body is nested too deeply") from None
    return document if isinstance(document, dict) else {}


def _form(text: str) -> Bag:
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=FIELDS_MAX)
    except ValueError:
        raise TooMuch(f"more than {FIELDS_MAX} parameters") from None
    return nested(pairs)


def nested(pairs: Iterable[tuple[str, str]]) -> Bag:
    """`a[b][c]=v` as `{"a": {"b": {"c": "v"}}}`, and `a[]=v` as a list; what fits not is left out.

    `a[][b]=v` fills the last mapping of the list, and begins another when it has a `b` already.
    """
    bag: Bag = {}
    for key, value in pairs:
        match = KEY.fullmatch(key)
        if match is None:
            continue
        names = [match[1], *re.findall(r"\[([^\[\]]*)\]", match[2])]
        if len(names) > DEPTH_MAX:
            raise Malformed(f"parameters are nested more than {DEPTH_MAX} deep")
        _place(bag, names, value)
    return bag


def _place(into: Bag, names: list[str], value: str) -> None:
    name, rest = names[0], names[1:]
    if not rest:
        into[name] = value
    elif rest[0] == "":
        items = into.setdefault(name, [])
        if isinstance(items, list):
            _append(items, rest[1:], value)
    else:
        inner = into.setdefault(name, {})
        if isinstance(inner, dict):
            _place(inner, rest, value)


def _append(items: list[Any], rest: list[str], value: str) -> None:
    if not rest:
        items.append(value)
        return
    is_new = not items or not isinstance(items[-1], dict)
    if is_new or (len(rest) == 1 and rest[0] in items[-1]):
        items.append({})
    _place(items[-1], rest, value)


def text(bag: Mapping[str, Any], name: str) -> str:
    """A parameter as text; "" when it is missing, null or something nested."""
    value = bag.get(name)
    if value is None or isinstance(value, (dict, list)):
        return ""
    return str(value)


def part(bag: Mapping[str, Any], name: str) -> Bag:
    """A nested parameter; empty when it is missing or something else."""
    value = bag.get(name)
    return value if isinstance(value, dict) else {}


def whole(bag: Mapping[str, Any], name: str) -> int | None:
    """A number, cut to a whole one: some clients measure in fractions; None when there is none."""
    found = number(bag, name)
    return None if found is None else int(found)


def number(bag: Mapping[str, Any], name: str) -> float | None:
    """A number, also one that is written as text; None when there is none."""
    value = bag.get(name)
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if abs(found) < 1e15 else None
