"""Wishes become requests to Docker: asserted as data. Promise 9."""

import pytest

from pathfinder.model.definitions import ImageSource
from pathfinder.model.resources import Resources
from pathfinder.runtimes.docker_requests import (
    create_request,
    limit_document,
    reference_of,
    stop_request,
)
from pathfinder.runtimes.port import Remote
from tests.support.docker_cases import CASES, NAME, Case


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.what)
def test_wish_becomes_this_request(case: Case) -> None:
    request = create_request(case.wish, has_disk_limit=False)

    assert (request.method, request.path) == ("POST", f"/containers/create?name={NAME}")
    assert request.body == case.body


def test_disk_limit_is_asked_for_where_it_is_held() -> None:
    limits = limit_document(Resources(disk_mib=100), has_disk_limit=True)

    assert limits == {"StorageOpt": {"size": "100M"}}


@pytest.mark.parametrize(
    ("image", "server", "reference"),
    [
        (ImageSource(alias="web"), "", "web"),
        (
            ImageSource(alias="team/web:2"),
            "https://hub.example:5000/",
            "hub.example:5000/team/web:2",
        ),
        (ImageSource(fingerprint="a" * 64), "", "a" * 64),
    ],
)
def test_image_is_named_below_its_registry(image: ImageSource, server: str, reference: str) -> None:
    remote = Remote(name="hub", server=server, protocol="registry") if server else None

    assert reference_of(image, remote) == reference


def test_grace_is_rounded_up_to_whole_seconds() -> None:
    assert stop_request("x", grace_s=0.2).path == "/containers/x/stop?t=1"
    assert stop_request("x", grace_s=0).path == "/containers/x/stop?t=0"
