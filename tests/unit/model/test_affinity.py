"""Spread, affinity, anti-affinity and preferences as people write them."""

from typing import Any

import pytest

from pathfinder.model.affinity import Affinity, Preference, Spread
from pathfinder.model.definitions import container_spec
from pathfinder.model.errors import DefinitionWrong


def document(**fields: Any) -> dict[str, Any]:
    return {"image": "busybox", **fields}


def test_wishes_are_read_and_written_back() -> None:
    spec = container_spec(
        document(
            spread=[{"over": "rack", "max_skew": 1}, {"over": "zone"}],
            affinity=[{"deployment": "cache", "over": "rack", "weight": 5}],
            anti_affinity=[{"deployment": "web"}],
            preferences=[{"label": "disk=ssd", "weight": 3}],
        )
    )

    assert spec.spread == (Spread(over="rack", max_skew=1), Spread(over="zone", weight=1))
    assert spec.affinity == (Affinity(deployment="cache", over="rack", weight=5),)
    assert spec.anti_affinity == (Affinity(deployment="web", over="node"),)
    assert spec.preferences == (Preference(label="disk = ssd", weight=3),)
    assert container_spec(spec.document()) == spec


def test_definition_without_wishes_keeps_its_digest() -> None:
    assert container_spec(document()).digest() == "b186e1661dc7b088"


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"spread": {"over": "rack"}}, "spec.spread"),
        ({"spread": [{"max_skew": 1}]}, "spec.spread[0].over"),
        ({"spread": [{"over": "rack", "max_skew": 1, "weight": 1}]}, "spec.spread[0]"),
        ({"spread": [{"over": "rack", "skew": 1}]}, "spec.spread[0].skew"),
        ({"spread": [{"over": "rack", "max_skew": -1}]}, "spec.spread[0].max_skew"),
        ({"spread": [{"over": "a rack"}]}, "spec.spread[0].over"),
        ({"affinity": ["cache"]}, "spec.affinity[0]"),
        ({"affinity": [{"over": "rack"}]}, "spec.affinity[0].deployment"),
        ({"anti_affinity": [{"deployment": "web", "weight": 101}]}, "spec.anti_affinity[0].weight"),
        ({"preferences": [{"weight": 1}]}, "spec.preferences[0].label"),
        ({"preferences": [{"label": "x"}] * 17}, "spec.preferences"),
    ],
)
def test_what_makes_no_sense_is_refused_at_its_place(fields: dict[str, Any], place: str) -> None:
    with pytest.raises(DefinitionWrong) as refused:
        container_spec(document(**fields))

    assert refused.value.message.startswith(f"{place}:")
