"""Texts that we write and read for LXD without the standard library's larger modules. Promise 9."""

from datetime import UTC, datetime, timedelta, timezone
from urllib.parse import parse_qs, unquote, urlsplit

from hypothesis import given
from hypothesis import strategies as st

from pathfinder.runtimes.lxdclient.paths import instance_path
from pathfinder.runtimes.moments import moment_ms
from pathfinder.runtimes.urls import quoted

TEXTS = st.text(alphabet=st.characters(exclude_categories=["Cs"]))
ZONES = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(TEXTS)
def test_quoted_text_is_one_part_of_a_path_and_gives_the_text_back(text: str) -> None:
    one = quoted(text)

    assert unquote(one) == text
    assert not set(one) & set("/?#&= ")


@given(name=TEXTS, path=TEXTS.filter(bool))
def test_name_and_query_arrive_as_they_were(name: str, path: str) -> None:
    parts = urlsplit(instance_path(name, "files", path=path))

    assert [unquote(part) for part in parts.path.split("/")[3:]] == [name, "files"]
    assert parse_qs(parts.query, strict_parsing=True) == {"path": [path]}


@given(
    moment=st.datetimes(min_value=datetime(1970, 1, 2), max_value=datetime(2200, 1, 1)),  # noqa: DTZ001 - the zone is drawn too
    zone=ZONES | st.just(UTC),
    nanos=st.integers(0, 999),
)
def test_moment_is_read_in_any_zone_and_to_the_millisecond(
    moment: datetime, zone: timezone, nanos: int
) -> None:
    aware = moment.replace(tzinfo=zone)
    text = f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond:06}{nanos:03}"
    offset = "Z" if zone is UTC else f"{aware:%z}"[:3] + ":" + f"{aware:%z}"[3:5]

    expected = (aware - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)

    assert moment_ms(text + offset) == expected


@given(st.text())
def test_what_is_no_moment_is_unknown(text: str) -> None:
    assert moment_ms(text) == 0
