"""What Pathfinder wishes, as requests to LXD. Pure: the tests assert them as data.

Labels are kept as `user.pathfinder.*` keys of the instance's configuration.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import ceil
from typing import Any, Final

from pathfinder.model.bootstrap import BootstrapStep
from pathfinder.model.definitions import ImageSource
from pathfinder.model.resources import Resources
from pathfinder.runtimes.lxdclient.images import Source
from pathfinder.runtimes.lxdclient.paths import instance_path
from pathfinder.runtimes.port import Labels, Refused, Remote, Wish

LABEL_PREFIX: Final = "user.pathfinder."
NOTE_KEY: Final = "user.pathfinder.note"
COPY_KEY: Final = "user.pathfinder.copy"  # until it is complete; LXD keeps no empty values
POOLS_WITH_SIZE: Final = frozenset({"btrfs", "zfs", "lvm", "ceph"})
START_S_MAX: Final = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class LxdRequest:
    """One request in JSON."""

    method: str
    path: str
    body: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What the default profile gives to each instance: its root disk and its nics.

    A device of an instance replaces the profile's device of the same name as a whole, so that who
    wants to set the root disk's size has to repeat the rest of it.
    """

    root_name: str = "root"
    root_device: Mapping[str, str] = field(default_factory=dict)
    pool_driver: str = ""
    nic_names: tuple[str, ...] = ()

    @property
    def has_disk_limit(self) -> bool:
        """Whether a size of the root disk is enforced; a directory pool ignores it silently."""
        return bool(self.root_device) and self.pool_driver in POOLS_WITH_SIZE


def check_wish(wish: Wish) -> None:
    """Refused, with what to do, when LXD cannot run it."""
    if wish.spec.kind != "system":
        raise Refused("LXD runs system containers only", hint="ask for a node with another runtime")
    if wish.spec.command:
        raise Refused("a system container's command is its image's init", hint="leave out command")
    if wish.spec.ports or wish.spec.mounts:
        raise Refused(
            "LXD's containers have an address and a disk of their own, no ports or volumes",
            hint="leave out ports and mounts, or ask for kind: application",
        )
    if wish.remote is not None and wish.remote.protocol == "registry":
        raise Refused(
            f"remote {wish.remote.name} is a registry, whose images are for application containers",
            hint="LXD's images come from a remote with protocol: daemon or simplestreams",
        )


def create_request(wish: Wish, ground: Ground) -> LxdRequest:
    """Make the instance, stopped."""
    spec = wish.spec
    environment = {f"environment.{key}": value for key, value in spec.environment.items()}
    body = {
        "name": wish.name,
        "type": "container",
        "source": image_document(spec.image, wish.remote),
        "profiles": ["default"],
        "config": {
            **label_config(wish.labels),
            **limit_config(spec.resources),
            **environment,
            **user_data_config(spec.bootstrap),
        },
        "devices": device_document(wish, ground),
    }
    return LxdRequest(method="POST", path="/1.0/instances", body=body)


def start_request(name: str) -> LxdRequest:
    """Start it."""
    return _state_request(name, action="start", timeout=START_S_MAX)


def thaw_request(name: str) -> LxdRequest:
    """Let a frozen instance go on."""
    return _state_request(name, action="unfreeze", timeout=START_S_MAX)


def stop_request(name: str, *, grace_s: float) -> LxdRequest:
    """Ask its init to stop and fail after `grace_s`; 0: stop it by force."""
    if grace_s <= 0:
        return _state_request(name, action="stop", force=True)
    return _state_request(name, action="stop", force=False, timeout=ceil(grace_s))


def note_request(name: str, note: str) -> LxdRequest:
    """Leave a note; an empty one takes the key away."""
    return LxdRequest(method="PATCH", path=instance_path(name), body={"config": {NOTE_KEY: note}})


def delete_request(name: str) -> LxdRequest:
    """Delete a stopped instance with its root disk."""
    return LxdRequest(method="DELETE", path=instance_path(name))


def image_document(image: ImageSource, remote: Remote | None) -> dict[str, Any]:
    """The `source` of an instance made from an image."""
    what = {"alias": image.alias} if image.alias else {"fingerprint": image.fingerprint}
    if remote is None:
        return {"type": "image", **what}
    source = Source(
        server=remote.server,
        protocol="lxd" if remote.protocol == "daemon" else "simplestreams",
        certificate=remote.certificate,
    )
    return {"type": "image", **source.document(), **what}


def label_config(labels: Labels) -> dict[str, str]:
    """Labels as configuration keys."""
    return {
        f"{LABEL_PREFIX}cluster": labels.cluster,
        f"{LABEL_PREFIX}slot": labels.slot,
        f"{LABEL_PREFIX}generation": str(labels.generation),
        f"{LABEL_PREFIX}digest": labels.digest,
    }


def user_data_config(steps: Iterable[BootstrapStep]) -> dict[str, str]:
    """What cloud-init finds at the first start, by the image's templates or LXD's own source."""
    texts = [step.user_data for step in steps if step.type == "cloud-init"]
    return {"cloud-init.user-data": texts[0]} if texts else {}


def limit_config(amounts: Resources) -> dict[str, str]:
    """Limits of CPU, memory and processes as configuration keys. 0: no limit, no key."""
    config: dict[str, str] = {}
    if amounts.cpu_millis and amounts.cpu_millis % 1000 == 0:
        config["limits.cpu"] = str(amounts.cpu_millis // 1000)
    elif amounts.cpu_millis:
        config["limits.cpu.allowance"] = cpu_allowance(amounts.cpu_millis)
    if amounts.memory_mib:
        config["limits.memory"] = f"{amounts.memory_mib}MiB"
    if amounts.processes:
        config["limits.processes"] = str(amounts.processes)
    return config


def cpu_allowance(cpu_millis: int) -> str:
    """Thousandths of a core as a time slice in whole milliseconds, which is all that LXD takes.

    A short period stutters less, a long one is exact.
    """
    if cpu_millis % 10 == 0:
        return f"{cpu_millis // 10}ms/100ms"
    return f"{cpu_millis}ms/1000ms"


def device_document(wish: Wish, ground: Ground) -> dict[str, dict[str, str]]:
    """The devices in which the instance differs from the default profile."""
    devices: dict[str, dict[str, str]] = {}
    if wish.spec.resources.disk_mib and ground.has_disk_limit:
        size = f"{wish.spec.resources.disk_mib}MiB"
        devices[ground.root_name] = {**ground.root_device, "size": size}
    if wish.spec.network == "none":
        devices.update({name: {"type": "none"} for name in ground.nic_names})
    return devices


def _state_request(name: str, **body: Any) -> LxdRequest:
    return LxdRequest(method="PUT", path=instance_path(name, "state"), body=body)
