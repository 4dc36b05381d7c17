"""Requests for copies and snapshots, as data."""

import pytest

from pathfinder.model.definitions import ContainerSpec, ImageSource
from pathfinder.runtimes.lxd_copies import (
    offer_from,
    pull_request,
    restore_request,
    snapshot_path,
    snapshots_from,
)
from pathfinder.runtimes.lxd_requests import Ground
from pathfinder.runtimes.port import InstanceSnapshot, Labels, Offer, Refused, Wish

LABELS = Labels(cluster="c", slot="db", generation=8, digest="0123456789abcdef")
WISH = Wish(name="db", labels=LABELS, spec=ContainerSpec(image=ImageSource(alias="busybox")))
DOCUMENT = {
    "architecture": "x86_64",
    "config": {
        "user.pathfinder.generation": "7",
        "user.pathfinder.note": "bootstrapped",
        "limits.cpu": "2",
        "volatile.base_image": "f00d",
        "volatile.eth0.hwaddr": "00:16:3e:00:00:01",
    },
}
SERVER = {"environment": {"certificate": "PEM"}}


def offered() -> Offer:
    secrets = {"control": "S1", "fs": "S2"}
    return offer_from(DOCUMENT, SERVER, "/1.0/operations/42", secrets, "10.0.0.1:8443")


def test_copy_is_fetched_from_the_source_by_secrets_and_pinned_certificate() -> None:
    source = pull_request(WISH, offered(), Ground(), is_there=True).body["source"]

    assert source == {
        "type": "migration",
        "mode": "pull",
        "operation": "https://10.0.0.1:8443/1.0/operations/42",
        "certificate": "PEM",
        "secrets": {"control": "S1", "fs": "S2"},
        "base-image": "f00d",
        "instance_only": False,
        "live": False,
        "refresh": True,
    }


def test_copy_has_the_new_generation_the_mark_and_nothing_of_the_old_ones_identity() -> None:
    config = pull_request(WISH, offered(), Ground(), is_there=False).body["config"]

    assert config == {
        "user.pathfinder.cluster": "c",
        "user.pathfinder.slot": "db",
        "user.pathfinder.generation": "8",
        "user.pathfinder.digest": "0123456789abcdef",
        "user.pathfinder.copy": "incomplete",
        "user.pathfinder.note": "bootstrapped",
        "limits.cpu": "2",
        "volatile.base_image": "f00d",
    }


def test_offer_of_another_kind_of_daemon_is_refused() -> None:
    with pytest.raises(Refused, match="of the kind docker"):
        pull_request(WISH, Offer(runtime="docker", details={}), Ground(), is_there=False)


def test_snapshots_are_told_by_age_with_a_size_where_it_is_known() -> None:
    documents = [
        {"name": "db/late", "created_at": "1970-01-01T00:00:02Z", "size": 3 << 20},
        {"name": "early", "created_at": "1970-01-01T00:00:01Z", "size": -1},
    ]

    assert snapshots_from(documents) == [
        InstanceSnapshot(name="early", made_ms=1000),
        InstanceSnapshot(name="late", made_ms=2000, size_mib=3),
    ]


def test_name_of_a_snapshot_stays_one_part_of_the_path() -> None:
    """Promise 9."""
    assert snapshot_path("db", "../x?y") == "/1.0/instances/db/snapshots/..%2Fx%3Fy"
    assert restore_request("db", "../x").body == {"restore": "../x"}
