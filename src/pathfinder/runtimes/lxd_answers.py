"""What LXD answers, as Pathfinder's nouns. Pure."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from pathfinder.model.resources import MIB, Resources
from pathfinder.runtimes.lxd_requests import COPY_KEY, LABEL_PREFIX, NOTE_KEY, Ground
from pathfinder.runtimes.moments import moment_ms
from pathfinder.runtimes.port import Change, Instance, Labels, RuntimeFacts, State, Usage

Document = Mapping[str, Any]

STATES: Final[Mapping[str, State]] = {
    "Running": "running",
    "Starting": "starting",
    "Stopped": "stopped",
    "Stopping": "stopping",
    "Aborting": "stopping",
    "Freezing": "frozen",
    "Frozen": "frozen",
    "Thawed": "running",
}
NEVER: Final = ("1970-", "0001-")  # how LXD writes that something has not happened
MADE_NOTES: Final = frozenset({"volatile.apply_template", "volatile.idmap.current"})
CHANGES: Final = frozenset(
    f"instance-{what}"
    for what in (
        "created", "started", "stopped", "shutdown", "restarted", "deleted", "paused", "resumed",
        "renamed", "restored", "updated",
    )
)  # fmt: skip
INSTANCES: Final = "/1.0/instances/"
HTTPS_PORT: Final = "8443"
EVERYWHERE: Final = ("", "[::]", "0.0.0.0")  # noqa: S104 - read, never bound
# LXD has no codes for these: its words, in lower case, are what there is.
BUSY_WORDS: Final = ("is busy running", "a matching non-reusable operation")
IMAGE_WORDS: Final = (
    "image alias not found",
    "image not found",
    "image not provided",
    "remote image",
    "unable to fetch",
    "failed to connect to lxd server",
)
REFUSAL_WORDS: Final = (
    "invalid",
    "not allowed",
    "no root device",
    "failed to parse",
    "unknown configuration key",
)


def instance_from(document: Document) -> Instance:
    """One instance, with or without its `state` (which has the addresses).

    One whose making was interrupted for good, as by a daemon that was killed, is told by labels
    with an empty digest: it is ours, and it is not what was wished.
    """
    labels = labels_from(document["config"])
    if labels is not None and is_half_made(document):
        labels = replace(labels, digest="")
    last_used = str(document.get("last_used_at", ""))
    state = STATES.get(document["status"], "unknown")
    is_new = state == "stopped" and last_used.startswith(NEVER)
    return Instance(
        name=document["name"],
        labels=labels,
        state="created" if is_new else state,
        addresses=addresses_from(document.get("state") or {}),
        started_ms=moment_ms(last_used) if state in ("running", "frozen") else 0,
        note=str(document["config"].get(NOTE_KEY, "")),
    )


def is_half_made(document: Document) -> bool:
    """Whether LXD has not finished making it.

    Once the root disk is complete LXD notes that the templates are to be applied at the first
    start; before that, an instance that has never been started has no such note. The first start
    takes the note away, but has noted the map of user ids by then, also when it was interrupted.
    A copy from another node is marked until it is complete.
    """
    return COPY_KEY in document["config"] or (
        document["status"] == "Stopped"
        and str(document.get("last_used_at", "")).startswith(NEVER)
        and not MADE_NOTES & document["config"].keys()
    )


def labels_from(config: Mapping[str, str]) -> Labels | None:
    """Pathfinder's labels; None when they are not all there."""
    try:
        return Labels(
            cluster=config[f"{LABEL_PREFIX}cluster"],
            slot=config[f"{LABEL_PREFIX}slot"],
            generation=int(config[f"{LABEL_PREFIX}generation"]),
            digest=config[f"{LABEL_PREFIX}digest"],
        )
    except (KeyError, ValueError):
        return None


def addresses_from(state: Document) -> tuple[str, ...]:
    """Addresses that others can reach: IPv4 before IPv6, eth0 before other interfaces."""
    found: list[tuple[bool, bool, str, str]] = []
    for interface, network in (state.get("network") or {}).items():
        for address in network.get("addresses") or ():
            if address["scope"] == "global":
                is_six, is_other = address["family"] != "inet", interface != "eth0"
                found.append((is_six, is_other, interface, address["address"]))
    return tuple(address for *_, address in sorted(found))


def usage_from(state: Document) -> Usage:
    """Measurements from an instance's state; what LXD leaves out or gives as nothing is unknown."""
    root = (state.get("disk") or {}).get("root") or {}
    return Usage(
        cpu_ns=state["cpu"]["usage"] if "cpu" in state else -1,
        memory_mib=state["memory"]["usage"] // MIB if "memory" in state else -1,
        disk_mib=root["usage"] // MIB if "usage" in root else -1,
        processes=state.get("processes", -1),
        addresses=addresses_from(state) if state.get("network") else None,
    )


def ground_from(profile: Document, pools: Mapping[str, str]) -> Ground:
    """The default profile's root disk and nics. `pools`: their drivers by name."""
    devices: Mapping[str, Mapping[str, str]] = profile["devices"]
    nics = tuple(name for name, device in devices.items() if device["type"] == "nic")
    for name, device in devices.items():
        if device["type"] == "disk" and device.get("path") == "/":
            return Ground(
                root_name=name,
                root_device=dict(device),
                pool_driver=pools.get(device.get("pool", ""), ""),
                nic_names=nics,
            )
    return Ground(nic_names=nics)


def facts_from(
    server: Document, resources: Document, pool: Document, images: tuple[str, ...], ground: Ground
) -> RuntimeFacts:
    """What the daemon is. `pool`: the resources of the root disk's pool, {} when there is none."""
    environment = server["environment"]
    space = pool.get("space") or {}
    total_mib, used_mib = space.get("total", 0) // MIB, space.get("used", 0) // MIB
    return RuntimeFacts(
        runtime="lxd",
        version=environment["server_version"],
        kinds=("system",),
        architecture=environment["kernel_architecture"],
        capacity=Resources(
            cpu_millis=resources["cpu"]["total"] * 1000,
            memory_mib=resources["memory"]["total"] // MIB,
            disk_mib=total_mib,
        ),
        pool_total_mib=total_mib,
        pool_used_mib=used_mib,
        limits_missing=limits_missing(ground),
        images=images,
        copies_at=listening_at(server["config"].get("core.https_address", "")),
        takes_copies=True,
    )


def listening_at(address: str) -> str:
    """LXD's own way to say where it listens as "host:port"; host "" where that is everywhere."""
    if not address:
        return ""
    host, separator, port = address.rpartition(":")
    if not separator:
        host, port = address, HTTPS_PORT
    elif ":" in host and not host.endswith("]"):
        host, port = f"[{address}]", HTTPS_PORT
    return f"{'' if host in EVERYWHERE else host}:{port}"


def limits_missing(ground: Ground) -> dict[str, str]:
    """Which limits cannot be held here, and why."""
    if ground.has_disk_limit:
        return {}
    if not ground.root_device:
        return {"disk": "the default profile has no root disk"}
    pool, driver = ground.root_device.get("pool", ""), ground.pool_driver or "unknown"
    return {"disk": f"storage pool {pool} ({driver}) ignores sizes: use a btrfs or zfs pool"}


def says_busy(text: str) -> bool:
    """Whether LXD's error means: something else is being done with it just now."""
    return _has(text, BUSY_WORDS)


def says_name_in_use(text: str) -> bool:
    """Whether LXD's error means: there is an instance of this name."""
    return _has(text, ("already exists",))


def says_image_missing(text: str) -> bool:
    """Whether LXD's error means: the image cannot be had, here or from its server."""
    return _has(text, IMAGE_WORDS)


def says_refused(text: str) -> bool:
    """Whether LXD's error means: it will not do this, however often it is asked."""
    return _has(text, REFUSAL_WORDS)


def _has(text: str, words: tuple[str, ...]) -> bool:
    lower = text.lower()
    return any(word in lower for word in words)


def change_from(metadata: Document) -> Change | None:
    """The instance that a lifecycle event is about; None when it changes no instance."""
    if metadata.get("action") not in CHANGES:
        return None
    source = str(metadata.get("source", "")).partition("?")[0]
    if not source.startswith(INSTANCES):
        return None
    return Change(name=source.removeprefix(INSTANCES).partition("/")[0])
