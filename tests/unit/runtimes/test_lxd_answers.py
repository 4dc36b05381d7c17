"""What LXD answers, as Pathfinder's nouns."""

from typing import Any

import pytest

from pathfinder.model.resources import Resources
from pathfinder.runtimes.lxd_answers import (
    addresses_from,
    change_from,
    facts_from,
    ground_from,
    instance_from,
    limits_missing,
    listening_at,
    says_busy,
    says_image_missing,
    says_name_in_use,
    says_refused,
    usage_from,
)
from pathfinder.runtimes.lxd_requests import Ground
from pathfinder.runtimes.moments import moment_ms
from pathfinder.runtimes.port import Change, Instance, Labels, State, Usage
from tests.support.lxd_cases import GROUND, LABEL_CONFIG, LABELS

NEVER = "1970-01-01T00:00:00Z"
STARTED = "2026-11-22T22:43:25.219230807Z"


def document(status: str = "Stopped", last_used_at: str = STARTED, **config: str) -> dict[str, Any]:
    keys = {key.replace("__", "."): value for key, value in config.items()}  # a.b_c: a__b_c
    return {
        "name": "case-01",
        "status": status,
        "last_used_at": last_used_at,
        "config": {**LABEL_CONFIG, **keys},
    }


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("Running", "running"),
        ("Stopped", "stopped"),
        ("Frozen", "frozen"),
        ("Stopping", "stopping"),
        ("Error", "unknown"),
        ("Something new", "unknown"),
    ],
)
def test_status_becomes_a_state(status: str, state: State) -> None:
    assert instance_from(document(status)).state == state


def test_running_instance_knows_when_it_started() -> None:
    assert instance_from(document("Running")) == Instance(
        name="case-01", labels=LABELS, state="running", started_ms=1_795_387_405_219
    )


def test_complete_instance_that_never_ran_is_created() -> None:
    instance = instance_from(document(last_used_at=NEVER, volatile__apply_template="create"))

    assert (instance.state, instance.labels) == ("created", LABELS)


def test_instance_whose_first_start_was_interrupted_is_complete() -> None:
    instance = instance_from(document(last_used_at=NEVER, volatile__idmap__current="[]"))

    assert (instance.state, instance.labels) == ("created", LABELS)


def test_half_made_instance_is_ours_but_not_what_was_wished() -> None:
    instance = instance_from(document(last_used_at=NEVER))

    assert instance.labels == Labels(cluster="cases", slot="case-01", generation=12, digest="")


@pytest.mark.parametrize(
    "config",
    [{}, {**LABEL_CONFIG, "user.pathfinder.generation": "x"}, {"user.pathfinder.slot": "a"}],
    ids=["none", "no number", "some"],
)
def test_instance_without_all_labels_is_not_ours(config: dict[str, str]) -> None:
    assert instance_from({**document(), "config": config}).labels is None


def test_addresses_are_ordered_by_family_then_interface() -> None:
    def address(family: str, text: str, scope: str = "global") -> dict[str, str]:
        return {"family": family, "address": text, "scope": scope}

    network = {
        "docker0": {"addresses": [address("inet", "172.17.0.1")]},
        "eth0": {
            "addresses": [
                address("inet6", "fd00::2"),
                address("inet6", "fe80::1", "link"),
                address("inet", "10.0.0.5"),
            ]
        },
        "lo": {"addresses": [address("inet", "127.0.0.1", "local")]},
        "wg0": {"addresses": None},
    }

    assert addresses_from({"network": network}) == ("10.0.0.5", "172.17.0.1", "fd00::2")
    assert addresses_from({"network": None}) == ()


def test_usage_says_what_is_not_known() -> None:
    state = {
        "cpu": {"usage": 5},
        "memory": {"usage": 3 << 20},
        "disk": {"root": {"usage": 7 << 20}},
        "processes": 4,
    }

    assert usage_from(state) == Usage(cpu_ns=5, memory_mib=3, disk_mib=7, processes=4)
    assert usage_from({"disk": {}}) == Usage()


def test_ground_is_what_the_default_profile_gives() -> None:
    profile = {
        "devices": {
            "data": {"type": "disk", "path": "/data", "pool": "slow"},
            "root": {"type": "disk", "path": "/", "pool": "default"},
            "eth0": {"type": "nic", "network": "lxdbr0"},
        }
    }

    assert ground_from(profile, {"default": "btrfs", "slow": "dir"}) == GROUND
    assert ground_from({"devices": {}}, {}) == Ground()


def test_limit_that_cannot_be_held_is_said_with_its_reason() -> None:
    directory = Ground(root_device=GROUND.root_device, pool_driver="dir")

    assert limits_missing(GROUND) == {}
    assert "storage pool default (dir) ignores sizes" in limits_missing(directory)["disk"]
    assert "no root disk" in limits_missing(Ground())["disk"]


def test_facts_are_in_our_units() -> None:
    facts = facts_from(
        {
            "environment": {"server_version": "5.0.2", "kernel_architecture": "x86_64"},
            "config": {"core.https_address": ":8443"},
        },
        {"cpu": {"total": 2}, "memory": {"total": 24 << 30}},
        {"space": {"total": 8 << 30, "used": 12_320_768}},
        ("busybox",),
        GROUND,
    )

    assert facts.capacity == Resources(cpu_millis=2000, memory_mib=24_576, disk_mib=8192)
    assert (facts.pool_total_mib, facts.pool_used_mib) == (8192, 11)
    assert (facts.copies_at, facts.takes_copies) == (":8443", True)


@pytest.mark.parametrize(
    ("address", "host_and_port"),
    [
        ("", ""),
        (":8443", ":8443"),
        ("[::]:9443", ":9443"),
        ("0.0.0.0", ":8443"),
        ("10.0.0.5", "10.0.0.5:8443"),
        ("10.0.0.5:443", "10.0.0.5:443"),
        ("[fd00::5]:443", "[fd00::5]:443"),
        ("fd00::5", "[fd00::5]:8443"),
    ],
)
def test_where_lxd_listens_is_a_host_and_a_port(address: str, host_and_port: str) -> None:
    assert listening_at(address) == host_and_port


@pytest.mark.parametrize(
    ("metadata", "change"),
    [
        ({"action": "instance-started", "source": "/1.0/instances/a"}, Change(name="a")),
        ({"action": "instance-deleted", "source": "/1.0/instances/a?project=p"}, Change(name="a")),
        ({"action": "instance-exec", "source": "/1.0/instances/a"}, None),
        ({"action": "image-created", "source": "/1.0/images/f"}, None),
        ({}, None),
    ],
)
def test_event_is_a_change_when_an_instance_changes(
    metadata: dict[str, str], change: Change | None
) -> None:
    assert change_from(metadata) == change


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ('This "instances" entry already exists', "in use"),
        ('Instance is busy running a "create" operation', "busy"),
        ("A matching non-reusable operation has now succeeded", "busy"),
        ("Image alias not found", "no image"),
        ("Image not provided for instance creation", "no image"),
        ("Failed getting remote image info: Image not found", "no image"),
        ('Failed to connect to LXD server "https://hub:8443": x509: unknown authority', "no image"),
        ("Unable to fetch https://images/image.tar.gz: 404 Not Found", "no image"),
        ("Failed creating instance record: Invalid allowance: 12ms", "refused"),
        ("Failed creating instance from image: no space left on device", ""),
        ("The instance is already running", ""),
    ],
)
def test_words_of_lxd_have_one_meaning(text: str, meaning: str) -> None:
    meanings = {
        "in use": says_name_in_use(text),
        "busy": says_busy(text),
        "no image": says_image_missing(text),
        "refused": says_refused(text),
    }

    assert [name for name, is_meant in meanings.items() if is_meant] == (
        [meaning] if meaning else []
    )


def test_moment_that_cannot_be_read_is_unknown() -> None:
    assert moment_ms("soon") == 0
