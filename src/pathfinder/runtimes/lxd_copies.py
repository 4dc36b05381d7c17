"""Copies of LXD's instances between daemons, and snapshots, as requests to LXD and their answers.

Pure. The target fetches (pull mode): the secrets of the source's operation authorise it and the
source's certificate pins it, so that the daemons need no trust in each other. What a copy that was
interrupted leaves is marked from its first moment by a key of its configuration.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from pathfinder.model.resources import MIB
from pathfinder.runtimes.lxd_requests import (
    COPY_KEY,
    Ground,
    LxdRequest,
    device_document,
    label_config,
)
from pathfinder.runtimes.lxdclient.paths import instance_path
from pathfinder.runtimes.moments import moment_ms
from pathfinder.runtimes.port import InstanceSnapshot, Labels, Offer, Refused, Wish
from pathfinder.runtimes.urls import path_of, quoted

RUNTIME: Final = "lxd"
BASE_IMAGE_KEY: Final = "volatile.base_image"
# LXD's words, in lower case, when the target does not get through to the source.
UNREACHED_WORDS: Final = ("dial tcp", "i/o timeout", "no route to host", "connection refused")


def offer_request(name: str) -> LxdRequest:
    """Be ready to hand an instance over, with its snapshots, as a copy of its disk alone."""
    body = {
        "name": name,
        "migration": True,
        "live": False,
        "instance_only": False,
        # Else LXD freezes what runs for as long as it is copied. Only what is stopped counts.
        "allow_inconsistent": True,
    }
    return LxdRequest(method="POST", path=instance_path(name), body=body)


def offer_from(
    document: Mapping[str, Any],
    server: Mapping[str, Any],
    operation_path: str,
    secrets: Mapping[str, str],
    address: str,
) -> Offer:
    """What the target needs of the source. document: the instance; server: what LXD is."""
    details = {
        "operation": f"https://{address}{operation_path}",
        "address": address,
        "certificate": server["environment"]["certificate"],
        "secrets": dict(secrets),
        "architecture": document["architecture"],
        "config": travelling(document["config"]),
    }
    return Offer(runtime=RUNTIME, details=details)


def travelling(config: Mapping[str, str]) -> dict[str, str]:
    """The configuration that goes with a copy: all but what LXD keeps about this very instance."""
    return {
        key: value
        for key, value in config.items()
        if not key.startswith("volatile.") or key == BASE_IMAGE_KEY
    }


def pull_request(wish: Wish, offer: Offer, ground: Ground, *, is_there: bool) -> LxdRequest:
    """Take a copy, or with `is_there` only what has changed since the copy that is there.

    Devices are those of the wish on this node: root disk and network are the target's own.
    """
    if offer.runtime != RUNTIME:
        raise Refused(f"LXD takes no copies from a daemon of the kind {offer.runtime}")
    details = offer.details
    config = dict(details["config"])
    body = {
        "name": wish.name,
        "type": "container",
        "architecture": details["architecture"],
        "profiles": ["default"],
        "config": {**config, **label_config(wish.labels), COPY_KEY: "incomplete"},
        "devices": device_document(wish, ground),
        "ephemeral": False,
        "source": {
            "type": "migration",
            "mode": "pull",
            "operation": details["operation"],
            "certificate": details["certificate"],
            "secrets": dict(details["secrets"]),
            "base-image": config.get(BASE_IMAGE_KEY, ""),
            "instance_only": False,
            "live": False,
            "refresh": is_there,
        },
    }
    return LxdRequest(method="POST", path="/1.0/instances", body=body)


def complete_request(wish: Wish) -> LxdRequest:
    """Take the mark of a copy that is not complete away."""
    body = {"config": {COPY_KEY: ""}}
    return LxdRequest(method="PATCH", path=instance_path(wish.name), body=body)


def relabel_request(name: str, labels: Labels) -> LxdRequest:
    """Other labels on an instance."""
    body = {"config": label_config(labels)}
    return LxdRequest(method="PATCH", path=instance_path(name), body=body)


def says_unreached(text: str) -> bool:
    """Whether LXD failed because it did not get through to the source."""
    return any(words in text.lower() for words in UNREACHED_WORDS)


def snapshots_path(name: str) -> str:
    """All of an instance's snapshots, whole."""
    return instance_path(name, "snapshots", recursion="1")


def snapshot_path(name: str, snapshot: str) -> str:
    """One snapshot."""
    return path_of("1.0", "instances", quoted(name), "snapshots", quoted(snapshot))


def snapshots_from(documents: Iterable[Mapping[str, Any]]) -> list[InstanceSnapshot]:
    """Snapshots, oldest first. A pool that does not count what a snapshot takes says -1."""
    found = [
        InstanceSnapshot(
            name=str(document["name"]).rpartition("/")[2],
            made_ms=moment_ms(str(document["created_at"])),
            size_mib=document["size"] // MIB if document.get("size", -1) >= 0 else -1,
        )
        for document in documents
    ]
    return sorted(found, key=lambda one: (one.made_ms, one.name))


def make_request(name: str, snapshot: str) -> LxdRequest:
    """Make a snapshot of the disk alone."""
    body = {"name": snapshot, "stateful": False}
    return LxdRequest(method="POST", path=instance_path(name, "snapshots"), body=body)


def restore_request(name: str, snapshot: str) -> LxdRequest:
    """Bring an instance back to a snapshot."""
    return LxdRequest(method="PUT", path=instance_path(name), body={"restore": snapshot})
