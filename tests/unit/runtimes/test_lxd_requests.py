"""What Pathfinder wishes, as requests to LXD. tests/contract sends the same ones to a daemon.

Promise 9.
"""

import pytest

from pathfinder.model.definitions import ContainerSpec, ImageSource
from pathfinder.model.resources import Resources
from pathfinder.runtimes.lxd_requests import (
    Ground,
    LxdRequest,
    create_request,
    delete_request,
    image_document,
    start_request,
    stop_request,
    thaw_request,
)
from pathfinder.runtimes.port import Remote, Wish
from tests.support.lxd_cases import CASES, GROUND, LABELS, NAME, Case


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.what)
def test_wish_becomes_its_request(case: Case) -> None:
    request = create_request(case.wish, GROUND)

    assert request == LxdRequest(method="POST", path="/1.0/instances", body=case.body)


def test_disk_limit_is_left_out_where_the_pool_would_ignore_it() -> None:
    ground = Ground(root_device=GROUND.root_device, pool_driver="dir", nic_names=("eth0",))
    spec = ContainerSpec(image=ImageSource(alias="busybox"), resources=Resources(disk_mib=100))

    request = create_request(Wish(name=NAME, labels=LABELS, spec=spec), ground)

    assert request.body["devices"] == {}


def test_requests_about_an_instance() -> None:
    assert start_request("a") == LxdRequest(
        method="PUT", path="/1.0/instances/a/state", body={"action": "start", "timeout": 30}
    )
    assert thaw_request("a").body == {"action": "unfreeze", "timeout": 30}
    assert stop_request("a", grace_s=0).body == {"action": "stop", "force": True}
    assert stop_request("a", grace_s=2.5).body == {"action": "stop", "force": False, "timeout": 3}
    assert delete_request("a") == LxdRequest(method="DELETE", path="/1.0/instances/a")


def test_name_cannot_leave_its_place_in_the_path() -> None:
    assert delete_request("../images/x?y#z").path == "/1.0/instances/..%2Fimages%2Fx%3Fy%23z"


@pytest.mark.parametrize(
    ("image", "remote", "document"),
    [
        (ImageSource(alias="debian"), None, {"type": "image", "alias": "debian"}),
        (ImageSource(fingerprint="ab" * 32), None, {"type": "image", "fingerprint": "ab" * 32}),
        (
            ImageSource(alias="debian", remote="hub"),
            Remote(name="hub", server="https://hub:8443", certificate="PEM"),
            {
                "type": "image",
                "mode": "pull",
                "server": "https://hub:8443",
                "protocol": "lxd",
                "certificate": "PEM",
                "alias": "debian",
            },
        ),
        (
            ImageSource(alias="debian/12", remote="images"),
            Remote(name="images", server="https://images", protocol="simplestreams"),
            {
                "type": "image",
                "mode": "pull",
                "server": "https://images",
                "protocol": "simplestreams",
                "alias": "debian/12",
            },
        ),
    ],
    ids=["alias", "fingerprint", "another daemon", "simplestreams"],
)
def test_image_comes_from_where_it_is_said(
    image: ImageSource, remote: Remote | None, document: dict[str, str]
) -> None:
    assert image_document(image, remote) == document
