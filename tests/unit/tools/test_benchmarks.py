"""A benchmark's result is one line: for a person, or as JSON with exactly the promised fields."""

import json

import pytest

from tools import benchmarks
from tools.trouble import Trouble

RESULT = {
    "name": "apply to running",
    "value": 301.5,
    "unit": "ms",
    "floor": 280.25,
    "ratio": 1.076,
    "runs": 20,
}


def test_json_line_has_the_promised_fields_in_order() -> None:
    shown = json.loads(benchmarks.json_line(dict(reversed(RESULT.items()))))

    assert list(shown.items()) == list(RESULT.items())


def test_person_sees_value_floor_and_ratio() -> None:
    shown = " ".join(benchmarks.line(RESULT).split())

    assert shown == "apply to running 302 ms floor 280 1.08 times 20 runs"


def test_value_without_a_floor_stands_alone() -> None:
    shown = " ".join(benchmarks.line({**RESULT, "floor": None, "ratio": None}).split())

    assert shown == "apply to running 302 ms 20 runs"


def test_result_with_a_missing_field_is_a_bug() -> None:
    with pytest.raises(AssertionError):
        benchmarks.json_line({"name": "x", "value": 1.0})


def test_unknown_benchmark_is_refused_with_what_there_is() -> None:
    with pytest.raises(Trouble, match="no benchmark is called nonsense"):
        benchmarks.run_benchmarks(["nonsense"], as_json=True)
