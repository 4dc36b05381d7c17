"""What Docker answers, as Pathfinder's nouns. Pure."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

from pathfinder.model.resources import MIB, Resources
from pathfinder.runtimes.docker_requests import DRIVERS_WITH_SIZE, LABEL_PREFIX
from pathfinder.runtimes.dockerclient.images import Image
from pathfinder.runtimes.moments import moment_ms
from pathfinder.runtimes.port import Instance, Labels, RuntimeFacts, State, Usage

Document = Mapping[str, Any]

STATES: Final[Mapping[str, State]] = {
    "created": "created",
    "running": "running",
    "paused": "frozen",
    "restarting": "starting",
    "removing": "stopping",
    "exited": "stopped",
    "dead": "stopped",
}
EXITED: Final = re.compile(r"Exited \(([0-9]+)\)")
NEVER: Final = "0001-"  # how Docker writes that something has not happened
LATEST: Final = ":latest"
SIGNALS_FROM: Final = 128  # an exit code above is 128 and the signal's number
# Docker has no codes for these: its words, in lower case, are what there is.
IMAGE_WORDS: Final = (
    "no such image",
    "manifest unknown",
    "not found",
    "pull access denied",
    "repository does not exist",
    "requested access to the resource is denied",
    "invalid reference format",
)
PORT_WORDS: Final = ("port is already allocated", "address already in use")
LIVE_RESTORE_OFF: Final = (
    "dockerd runs without live-restore: when it ends or is upgraded, its containers end with it"
    ' (set "live-restore": true in /etc/docker/daemon.json)'
)


def listed_from(document: Document) -> Instance:
    """One instance of a list, which has no addresses."""
    labels = labels_from(document.get("Labels") or {})
    return Instance(
        name=own_name(document.get("Names") or ()),
        labels=_as_far_as_made(labels, document["State"]),
        state=STATES.get(document["State"], "unknown"),
        ended=_ended_in_words(document),
    )


def instance_from(document: Document) -> Instance:
    """One instance with its addresses, as inspected."""
    now = document["State"]
    state = STATES.get(now["Status"], "unknown")
    labels = labels_from(document["Config"].get("Labels") or {})
    return Instance(
        name=str(document["Name"]).removeprefix("/"),
        labels=_as_far_as_made(labels, now["Status"]),
        state=state,
        addresses=addresses_from(document["NetworkSettings"]),
        started_ms=moment_ms(now["StartedAt"]) if state in ("running", "frozen") else 0,
        ended=how_ended(now) if now["Status"] == "exited" else "",
    )


def how_ended(state: Document) -> str:
    """How a container's program ended, in words."""
    code = state["ExitCode"]
    if state.get("OOMKilled"):
        return f"was killed for want of memory (exit code {code})"
    if state.get("Error"):
        return f"did not start: {state['Error']}"
    return in_words(code)


def in_words(code: int) -> str:
    """An exit code; above 128 it is that and a signal's number."""
    if code > SIGNALS_FROM:
        return f"was ended by signal {code - SIGNALS_FROM} (exit code {code})"
    return f"ended with exit code {code}"


def _ended_in_words(document: Document) -> str:
    """The same from a list, which has the code in a sentence alone."""
    match = EXITED.match(document.get("Status", ""))
    return in_words(int(match[1])) if match is not None else ""


def _as_far_as_made(labels: Labels | None, status: str) -> Labels | None:
    """What Docker calls dead is half removed: it is ours, and can only be removed."""
    return replace(labels, digest="") if labels is not None and status == "dead" else labels


def own_name(names: Iterable[str]) -> str:
    """The container's own name among those that links have given it."""
    return next((name[1:] for name in names if name.count("/") == 1), "")


def labels_from(labels: Mapping[str, str]) -> Labels | None:
    """Pathfinder's labels; None when they are not all there."""
    try:
        return Labels(
            cluster=labels[f"{LABEL_PREFIX}cluster"],
            slot=labels[f"{LABEL_PREFIX}slot"],
            generation=int(labels[f"{LABEL_PREFIX}generation"]),
            digest=labels[f"{LABEL_PREFIX}digest"],
        )
    except (KeyError, ValueError):
        return None


def addresses_from(settings: Document) -> tuple[str, ...]:
    """Addresses that others can reach: IPv4 before IPv6, the default network before others."""
    networks = settings.get("Networks") or {}
    order = sorted(networks, key=lambda name: (name != "bridge", name))
    four = [networks[name].get("IPAddress") for name in order]
    six = [networks[name].get("GlobalIPv6Address") for name in order]
    return tuple(address for address in (*four, *six) if address)


def usage_from(document: Document) -> Usage | None:
    """Measurements; None: it does not run. Docker cannot say what a layer takes without a walk."""
    if str(document.get("read", NEVER)).startswith(NEVER):
        return None
    memory = document.get("memory_stats") or {}
    stats = memory.get("stats") or {}
    # What the kernel can take back at any moment is not used: as Docker's own `stats` shows it.
    cache = stats.get("total_inactive_file", stats.get("inactive_file", 0))
    return Usage(
        cpu_ns=document["cpu_stats"]["cpu_usage"]["total_usage"],
        memory_mib=max(0, memory["usage"] - cache) // MIB if "usage" in memory else -1,
        processes=(document.get("pids_stats") or {}).get("current", -1),
    )


def facts_from(info: Document, images: Iterable[Image], pool: tuple[int, int]) -> RuntimeFacts:
    """What the daemon is. `pool`: MiB where its data is, all and used; 0: unknown."""
    total_mib, used_mib = pool
    return RuntimeFacts(
        runtime="docker",
        version=info["ServerVersion"],
        kinds=("application",),
        architecture=info["Architecture"],
        capacity=Resources(
            cpu_millis=info["NCPU"] * 1000,
            memory_mib=info["MemTotal"] // MIB,
            disk_mib=total_mib,
        ),
        pool_total_mib=total_mib,
        pool_used_mib=used_mib,
        limits_missing=limits_missing(info),
        images=tags_of(images),
        warnings=() if info.get("LiveRestoreEnabled") else (LIVE_RESTORE_OFF,),
    )


def tags_of(images: Iterable[Image]) -> tuple[str, ...]:
    """What people call the images: NAME:TAG, and NAME alone for the tag that Docker adds."""
    return tuple(sorted(tag.removesuffix(LATEST) for image in images for tag in image.tags))


def has_disk_limit(info: Document) -> bool:
    """Whether the size of a container's own layer can be held."""
    return info["Driver"] in DRIVERS_WITH_SIZE


def limits_missing(info: Document) -> dict[str, str]:
    """Which limits cannot be held here, and why."""
    missing = {}
    if not has_disk_limit(info):
        missing["disk"] = f"storage driver {info['Driver']} holds no sizes: use btrfs or zfs"
    for limit, key in (
        ("memory", "MemoryLimit"),
        ("cpu", "CpuCfsQuota"),
        ("processes", "PidsLimit"),
    ):
        if not info.get(key, True):
            missing[limit] = "the kernel's control groups do not offer it to Docker"
    return missing


def says_image_missing(text: str) -> bool:
    """Whether Docker's error means: the image cannot be had, here or from its registry."""
    return _has(text, IMAGE_WORDS)


def says_port_taken(text: str) -> bool:
    """Whether Docker's error means: another program has the host's port."""
    return _has(text, PORT_WORDS)


def _has(text: str, words: tuple[str, ...]) -> bool:
    lower = text.lower()
    return any(word in lower for word in words)
