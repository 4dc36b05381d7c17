"""Requirements on labels: what a placement demands of a node, and what a list is asked for.

Forms: `rack = r1`, `rack != r1`, `rack in (r1, r2)`, `rack notin (r1, r2)`, `rack`, `!rack`,
`cores > 4`, `cores < 64`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal

from pathfinder.model.errors import DefinitionWrong
from pathfinder.model.names import LABEL_KEY, LABEL_VALUE

Operator = Literal["in", "notin", "exists", "absent", ">", "<"]
SET: Final = re.compile(r"(\S+)\s+(in|notin|not in)\s+\(([^()]*)\)")
COMPARE: Final = re.compile(r"([^=!<>\s]+)\s*(==|=|!=|>|<)\s*(.*)")
HINT: Final = (
    "write 'rack = r1', 'rack != r1', 'rack in (r1, r2)', 'rack notin (r1)', "
    "'rack', '!rack' or 'cores > 4'"
)


@dataclass(frozen=True, slots=True)
class Requirement:
    """One demand on one label."""

    key: str
    operator: Operator
    values: tuple[str, ...] = ()

    def holds(self, labels: Mapping[str, str]) -> bool:
        """Whether `labels` meet it. A missing label meets only `absent` and `notin`."""
        value = labels.get(self.key)
        match self.operator:
            case "exists":
                return value is not None
            case "absent":
                return value is None
            case "in":
                return value in self.values
            case "notin":
                return value not in self.values
            case ">" | "<":
                try:
                    have, bound = float(value or "nan"), float(self.values[0])
                except ValueError:
                    return False
                return have > bound if self.operator == ">" else have < bound

    def text(self) -> str:
        """As people write it; `requirement(text)` gives it back."""
        match self.operator:
            case "exists":
                return self.key
            case "absent":
                return f"!{self.key}"
            case "in" if len(self.values) == 1:
                return f"{self.key} = {self.values[0]}"
            case "notin" if len(self.values) == 1:
                return f"{self.key} != {self.values[0]}"
            case ">" | "<":
                return f"{self.key} {self.operator} {self.values[0]}"
            case operator:
                return f"{self.key} {operator} ({', '.join(self.values)})"


@lru_cache(maxsize=4_096)  # a thousand replicas ask the same, one after another
def known_requirement(text: str) -> Requirement:
    """One requirement from a text that has been checked."""
    return requirement(text, "")


def requirement(text: object, place: str) -> Requirement:
    """One requirement from its text; DefinitionWrong otherwise."""
    if not isinstance(text, str):
        raise DefinitionWrong(place, f"{text!r} is not a requirement", hint=HINT)
    text = text.strip()
    if match := SET.fullmatch(text):
        values = tuple(sorted({value.strip() for value in match[3].split(",")}))
        operator: Operator = "in" if match[2] == "in" else "notin"
        return Requirement(key(match[1], place), operator, tuple(label(v, place) for v in values))
    if match := COMPARE.fullmatch(text):
        value = label(match[3].strip(), place)
        if match[2] in (">", "<"):
            try:
                float(value)
            except ValueError:
                raise DefinitionWrong(place, f"{value!r} is not a number", hint=HINT) from None
            return Requirement(key(match[1], place), ">" if match[2] == ">" else "<", (value,))
        return Requirement(key(match[1], place), "notin" if match[2] == "!=" else "in", (value,))
    if text.startswith("!"):
        return Requirement(key(text[1:], place), "absent")
    return Requirement(key(text, place), "exists")


def requirements(text: str, place: str) -> tuple[Requirement, ...]:
    """A comma-separated selector, as in `?selector=rack=r1,zone in (a,b)`; empty selects all."""
    parts = [part for part in re.split(r",(?![^()]*\))", text) if part.strip()]
    return tuple(requirement(part, place) for part in parts)


def key(value: object, place: str) -> str:
    """`value` when it can be a label's key; else DefinitionWrong."""
    if not isinstance(value, str) or not LABEL_KEY.fullmatch(value):
        raise DefinitionWrong(place, f"{value!r} cannot be a label's key", hint=HINT)
    return value


def label(value: object, place: str) -> str:
    """`value` when it can be a label's value; else DefinitionWrong."""
    if not isinstance(value, str) or not LABEL_VALUE.fullmatch(value):
        raise DefinitionWrong(
            place, f"{value!r} cannot be a label's value", hint="quote numbers and booleans"
        )
    return value


def labels(value: object, place: str) -> dict[str, str]:
    """A mapping of label keys to values, sorted; DefinitionWrong with the place otherwise."""
    if value is None:
        return {}
    if not isinstance(value, dict) or len(value) > 64:
        raise DefinitionWrong(place, "labels are a mapping of at most 64 keys to strings")
    return {key(k, place): label(v, f"{place}.{k}") for k, v in sorted(value.items(), key=str)}
