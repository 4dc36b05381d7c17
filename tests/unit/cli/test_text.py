"""Words for durations and states, and lines that align."""

import click
import pytest

from pathfinder.cli.text import age, aligned, counted, safe, toned

SECOND, MINUTE, HOUR, DAY = 1000, 60_000, 3_600_000, 86_400_000


@pytest.mark.parametrize(
    ("duration_ms", "text"),
    [
        (-5, "0s"),
        (999, "0s"),
        (59 * SECOND, "59s"),
        (MINUTE, "1m"),
        (3 * MINUTE + 20 * SECOND, "3m20s"),
        (10 * MINUTE + 20 * SECOND, "10m"),
        (HOUR - 1, "59m"),
        (HOUR, "1h"),
        (5 * HOUR + 30 * MINUTE, "5h30m"),
        (23 * HOUR + 59 * MINUTE, "23h"),
        (DAY, "1d"),
        (3 * DAY + 4 * HOUR, "3d4h"),
        (40 * DAY + 4 * HOUR, "40d"),
    ],
)
def test_an_age_is_told_in_its_two_largest_units_at_most(duration_ms: int, text: str) -> None:
    assert age(duration_ms) == text


def test_columns_are_as_wide_as_their_widest_cell_and_styles_count_for_nothing() -> None:
    rows = [["NAME", "READY"], ["a-long-name", click.style("yes", fg="green")], ["b", "no"]]

    lines = [click.unstyle(line) for line in aligned(rows)]

    assert lines == ["NAME          READY", "a-long-name   yes", "b             no"]


def test_what_others_have_written_cannot_move_the_cursor() -> None:
    assert safe("why\x1b[2J\r\nnot\x9b1m") == "why [2J  not 1m"


def test_a_state_has_the_colour_of_its_first_word() -> None:
    assert toned("ready,cordoned") == click.style("ready,cordoned", fg="green")


def test_an_unknown_state_has_no_colour() -> None:
    assert toned("HIBERNATING") == "HIBERNATING"


def test_one_thing_is_not_many() -> None:
    assert (counted(1, "node"), counted(0, "node")) == ("1 node", "0 nodes")
