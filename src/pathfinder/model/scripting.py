"""Calls in definitions: a text that begins with `$pf-meta:` becomes what its function gives.

`$pf-meta:FUNCTION?KEY=VALUE&KEY=VALUE`, at any depth, in the form that the original's users know;
the value takes the text's place, as the number or list that it is. The functions are a closed list:
nothing else can be called. Keys and values are percent-decoded, as in a query.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pathfinder.model.errors import DefinitionWrong
from pathfinder.model.names import HOSTNAME

PREFIX: Final = "$pf-meta:"
DEPTH_MAX: Final = 32
# The parameters of each function: those it must have, then those it may have.
FUNCTIONS: Final[Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "container_id": ((), ()),
    "deployment_ip_addresses": (("deployment_name",), ()),
    "deployment_host_sequences": (("host",), ("self_host",)),
    "passthrough": (("value",), ()),
}
HEX: Final = frozenset("0123456789abcdefABCDEF")


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call, and where it stands."""

    place: str
    function: str
    parameters: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the functions may know.

    ordinal: the replica's own number. replica_count: of its deployment. addresses: of a
    deployment's replicas that have one, in the order of their numbers.
    """

    ordinal: int
    replica_count: int
    addresses: Callable[[str], tuple[str, ...]]


def calls(document: object, place: str) -> Iterator[Call]:
    """Every call in JSON-like data; DefinitionWrong with the place of one that cannot be made."""
    yield from _calls(document, place, DEPTH_MAX)


def rendered(document: Any, surroundings: Surroundings) -> Any:
    """The data with every call replaced by its value; what has none is given back as it is."""
    if isinstance(document, str):
        if not document.startswith(PREFIX):
            return document
        return _value(_call(document, ""), surroundings)
    if isinstance(document, Mapping):
        return {key: rendered(value, surroundings) for key, value in document.items()}
    if isinstance(document, (list, tuple)):
        return [rendered(value, surroundings) for value in document]
    return document


def _calls(document: object, place: str, depth: int) -> Iterator[Call]:
    if depth == 0:
        raise DefinitionWrong(place, f"is more than {DEPTH_MAX} levels deep")
    if isinstance(document, str):
        if document.startswith(PREFIX):
            yield _call(document, place)
    elif isinstance(document, Mapping):
        for key, value in document.items():
            yield from _calls(value, f"{place}.{key}", depth - 1)
    elif isinstance(document, (list, tuple)):
        for index, value in enumerate(document):
            yield from _calls(value, f"{place}[{index}]", depth - 1)


def _call(text: str, place: str) -> Call:
    function, _, query = text.removeprefix(PREFIX).partition("?")
    if function not in FUNCTIONS:
        raise DefinitionWrong(
            place,
            f"{PREFIX}{function} is not a function",
            hint=f"functions are {', '.join(FUNCTIONS)}",
        )
    parameters = dict(_parameter(part, text, place) for part in query.split("&") if part)
    needed, possible = FUNCTIONS[function]
    for key in needed:
        if not parameters.get(key):
            raise DefinitionWrong(
                place, f"{function} needs {key}", hint=f"write {PREFIX}{function}?{key}=..."
            )
    for key in parameters:
        if key not in needed + possible:
            known = ", ".join(needed + possible) or "none"
            raise DefinitionWrong(
                place, f"{key} is not a parameter of {function}", hint=f"parameters are {known}"
            )
    name = parameters.get("deployment_name")
    if name is not None and not HOSTNAME.fullmatch(name):
        raise DefinitionWrong(place, f"{name!r} cannot be the name of a deployment")
    return Call(place=place, function=function, parameters=parameters)


def _parameter(part: str, text: str, place: str) -> tuple[str, str]:
    key, equals, value = part.partition("=")
    if not equals:
        raise DefinitionWrong(place, f"{text!r}: {part!r} is not KEY=VALUE")
    return _decoded(key), _decoded(value)


def _decoded(text: str) -> str:
    """`+` is a blank and `%41` an A; by hand, as the agent loads no library for it."""
    if "%" not in text and "+" not in text:
        return text
    out, rest = bytearray(), text.replace("+", " ").encode()
    while rest:
        digits = rest[1:3].decode(errors="replace")
        if rest[:1] == b"%" and len(digits) == 2 and HEX.issuperset(digits):
            out.append(int(digits, 16))
            rest = rest[3:]
        else:
            out += rest[:1]
            rest = rest[1:]
    return out.decode(errors="replace")


def _value(call: Call, surroundings: Surroundings) -> Any:
    given = call.parameters
    match call.function:
        case "container_id":
            return surroundings.ordinal
        case "deployment_ip_addresses":
            return list(surroundings.addresses(given["deployment_name"]))
        case "deployment_host_sequences":
            return [
                given["self_host"]
                if number == surroundings.ordinal and "self_host" in given
                else f"{number}.{given['host']}"
                for number in range(1, surroundings.replica_count + 1)
            ]
        case function:
            assert function == "passthrough", function
            return given["value"]
