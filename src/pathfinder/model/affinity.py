"""Where a container wants to be beside others: spread, affinity, anti-affinity, preferences.

Each is over a node label: nodes with the same value of it are one *domain* (a rack, a zone; over
`node`, each node is its own). With a weight it is a wish, without one a must.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from pathfinder.model import names, selectors
from pathfinder.model.errors import DefinitionWrong

WEIGHT_MAX: Final = 100
SKEW_MAX: Final = 99
WISHES_MAX: Final = 16
NODE: Final = "node"
FORMS: Final = {
    "spread": "[{over: rack, max_skew: 1}], or without max_skew a wish: [{over: rack, weight: 1}]",
    "affinity": "[{deployment: cache, over: rack}], with weight a wish",
    "anti_affinity": "[{deployment: web, over: node}], with weight a wish",
    "preferences": '[{label: "disk = ssd", weight: 5}]',
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Evenly over the domains of a label.

    max_skew: so many more than the domain with the fewest at the most; 0: a wish, by its weight.
    """

    over: str
    max_skew: int = 0
    weight: int = 0

    def document(self) -> dict[str, Any]:
        """As it is written."""
        return _plain(over=self.over, max_skew=self.max_skew, weight=self.weight)


@dataclass(frozen=True, slots=True, kw_only=True)
class Affinity:
    """In a domain that has, or (anti-affinity) has not, a replica of a deployment.

    weight 0: a must.
    """

    deployment: str
    over: str = NODE
    weight: int = 0

    def document(self) -> dict[str, Any]:
        """As it is written."""
        return _plain(deployment=self.deployment, over=self.over, weight=self.weight)


@dataclass(frozen=True, slots=True, kw_only=True)
class Preference:
    """Rather on a node that meets a requirement."""

    label: str
    weight: int = 1

    def document(self) -> dict[str, Any]:
        """As it is written."""
        return _plain(label=self.label, weight=self.weight)


def spread_from(value: object, place: str) -> tuple[Spread, ...]:
    """A list of `{over, max_skew | weight}`."""
    found = []
    for fields, at in _entries(value, place, "spread", ("over", "max_skew", "weight")):
        skew = _number(fields.get("max_skew", 0), f"{at}.max_skew", SKEW_MAX)
        weight = _number(fields.get("weight", 0), f"{at}.weight", WEIGHT_MAX)
        if skew and weight:
            raise DefinitionWrong(at, "is a must by max_skew or a wish by weight, not both")
        found.append(
            Spread(
                over=_over(fields, at, required=True),
                max_skew=skew,
                weight=weight or (0 if skew else 1),
            )
        )
    return tuple(found)


def affinity_from(value: object, place: str, form: str) -> tuple[Affinity, ...]:
    """A list of `{deployment, over, weight}`."""
    return tuple(
        Affinity(
            deployment=names.name(fields.get("deployment"), f"{at}.deployment"),
            over=_over(fields, at),
            weight=_number(fields.get("weight", 0), f"{at}.weight", WEIGHT_MAX),
        )
        for fields, at in _entries(value, place, form, ("deployment", "over", "weight"))
    )


def preferences_from(value: object, place: str) -> tuple[Preference, ...]:
    """A list of `{label, weight}`."""
    return tuple(
        Preference(
            label=selectors.requirement(fields.get("label"), f"{at}.label").text(),
            weight=_number(fields.get("weight", 1), f"{at}.weight", WEIGHT_MAX) or 1,
        )
        for fields, at in _entries(value, place, "preferences", ("label", "weight"))
    )


def _entries(
    value: object, place: str, form: str, known: tuple[str, ...]
) -> list[tuple[Mapping[str, Any], str]]:
    if value is None:
        return []
    if not isinstance(value, (list, tuple)) or len(value) > WISHES_MAX:
        raise DefinitionWrong(
            place, f"must be a list of at most {WISHES_MAX}", hint=f"write {FORMS[form]}"
        )
    for index, fields in enumerate(value):
        at = f"{place}[{index}]"
        if not isinstance(fields, Mapping):
            raise DefinitionWrong(at, "must be a mapping", hint=f"write {FORMS[form]}")
        for key in fields:
            if key not in known:
                raise DefinitionWrong(
                    f"{at}.{key}", "is not known here", hint=f"fields are {', '.join(known)}"
                )
    return [(fields, f"{place}[{index}]") for index, fields in enumerate(value)]


def _over(fields: Mapping[str, Any], at: str, *, required: bool = False) -> str:
    if required and "over" not in fields:
        raise DefinitionWrong(f"{at}.over", "is missing", hint="name a node label, or node")
    return selectors.key(fields.get("over", NODE), f"{at}.over")


def _number(value: object, place: str, most: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
        raise DefinitionWrong(place, f"must be a whole number from 0 to {most}")
    return value


def _plain(**fields: Any) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if value}
