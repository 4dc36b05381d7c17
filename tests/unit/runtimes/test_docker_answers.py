"""Docker's answers become nouns: states, addresses, measurements, facts."""

from typing import Any

import pytest

from pathfinder.runtimes.docker_answers import (
    addresses_from,
    facts_from,
    instance_from,
    listed_from,
    usage_from,
)
from pathfinder.runtimes.dockerclient.images import Image
from pathfinder.runtimes.port import Labels
from tests.support.docker_cases import LABEL_DOCUMENT, LABELS, NAME

INFO = {
    "ServerVersion": "20.10.24",
    "Architecture": "x86_64",
    "NCPU": 2,
    "MemTotal": 4 << 30,
    "Driver": "overlay2",
    "LiveRestoreEnabled": True,
    "MemoryLimit": True,
    "CpuCfsQuota": True,
    "PidsLimit": True,
}


def inspected(status: str, labels: dict[str, str] | None = None, **state: Any) -> dict[str, Any]:
    return {
        "Name": f"/{NAME}",
        "Config": {"Labels": LABEL_DOCUMENT if labels is None else labels},
        "State": {
            "Status": status,
            "StartedAt": "2026-01-02T03:04:05.678901234Z",
            "ExitCode": 0,
            **state,
        },
        "NetworkSettings": {"Networks": {"bridge": {"IPAddress": "172.17.0.2"}}},
    }


@pytest.mark.parametrize(
    ("status", "state", "started_ms"),
    [
        ("created", "created", 0),
        ("running", "running", 1_767_323_045_678),
        ("paused", "frozen", 1_767_323_045_678),
        ("exited", "stopped", 0),
        ("removing", "stopping", 0),
        ("something new", "unknown", 0),
    ],
)
def test_status_becomes_a_state(status: str, state: str, started_ms: int) -> None:
    instance = instance_from(inspected(status))

    assert (instance.name, instance.labels, instance.state) == (NAME, LABELS, state)
    assert instance.started_ms == started_ms


def test_half_removed_container_is_ours_and_not_what_was_wished() -> None:
    listed = listed_from({"Names": [f"/{NAME}"], "State": "dead", "Labels": LABEL_DOCUMENT})
    foreign = listed_from({"Names": [f"/{NAME}"], "State": "dead", "Labels": {}})

    assert instance_from(inspected("dead")).labels == listed.labels
    assert listed.labels == Labels(
        cluster=LABELS.cluster, slot=NAME, generation=LABELS.generation, digest=""
    )
    assert foreign.labels is None


@pytest.mark.parametrize("missing", sorted(LABEL_DOCUMENT))
def test_container_without_all_labels_is_not_ours(missing: str) -> None:
    labels = {key: value for key, value in LABEL_DOCUMENT.items() if key != missing}

    assert instance_from(inspected("running", labels)).labels is None


def test_name_that_a_link_has_given_is_not_the_containers_own() -> None:
    listed = {"Names": ["/other/alias", f"/{NAME}"], "State": "running", "Labels": None}

    assert listed_from(listed).name == NAME


def test_ipv4_comes_first_and_the_default_network_before_others() -> None:
    networks = {
        "another": {"IPAddress": "10.1.0.2"},
        "bridge": {"IPAddress": "172.17.0.2", "GlobalIPv6Address": "fd00::2"},
        "host": {"IPAddress": ""},
    }

    assert addresses_from({"Networks": networks}) == ("172.17.0.2", "10.1.0.2", "fd00::2")


def test_what_the_kernel_can_take_back_is_not_used_memory() -> None:
    document = {
        "read": "2026-01-02T03:04:05Z",
        "cpu_stats": {"cpu_usage": {"total_usage": 17}},
        "memory_stats": {"usage": 10 << 20, "stats": {"inactive_file": 4 << 20}},
        "pids_stats": {"current": 3},
    }

    usage = usage_from(document)

    assert usage is not None
    assert (usage.cpu_ns, usage.memory_mib, usage.processes, usage.disk_mib) == (17, 6, 3, -1)


def test_container_that_does_not_run_has_no_measurements() -> None:
    assert usage_from({"read": "0001-01-01T00:00:00Z", "cpu_stats": {}}) is None


def test_facts_say_which_limits_cannot_be_held_and_why() -> None:
    image = Image(id="sha256:1", tags=("busybox:latest", "web:2"), size_bytes=1)

    facts = facts_from({**INFO, "MemoryLimit": False}, [image], (100, 40))

    assert facts.images == ("busybox", "web:2")
    assert (facts.capacity.cpu_millis, facts.capacity.memory_mib) == (2000, 4096)
    assert set(facts.limits_missing) == {"disk", "memory"}
    assert "overlay2" in facts.limits_missing["disk"]
    assert facts_from({**INFO, "Driver": "btrfs"}, [], (0, 0)).limits_missing == {}


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ({"ExitCode": 0}, "ended with exit code 0"),
        ({"ExitCode": 3}, "ended with exit code 3"),
        ({"ExitCode": 137}, "was ended by signal 9 (exit code 137)"),
        (
            {"ExitCode": 137, "OOMKilled": True},
            "was killed for want of memory (exit code 137)",
        ),
        ({"ExitCode": 127, "Error": "no such file"}, "did not start: no such file"),
    ],
)
def test_end_of_a_program_is_told_in_words(state: dict[str, Any], words: str) -> None:
    assert instance_from(inspected("exited", **state)).ended == words
    assert instance_from(inspected("running", **state)).ended == ""


def test_list_tells_the_exit_code_too() -> None:
    listed = {"Names": [f"/{NAME}"], "State": "exited", "Labels": None}

    assert listed_from({**listed, "Status": "Exited (3) 2 hours ago"}).ended == (
        "ended with exit code 3"
    )
    assert listed_from({**listed, "Status": "Created"}).ended == ""
