"""What Pathfinder wishes, as requests to Docker. Pure: the tests assert them as data.

Labels are kept as `pathfinder.*` labels of the container. Its restart is decided by the agent, so
Docker's own policy is "no".
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any, Final

from pathfinder.model.definitions import ImageSource
from pathfinder.model.resources import MIB, Resources
from pathfinder.model.services import Mount, Port
from pathfinder.runtimes.dockerclient.paths import container_path
from pathfinder.runtimes.port import Labels, Remote, Wish
from pathfinder.runtimes.urls import path_of

LABEL_PREFIX: Final = "pathfinder."
NANO_PER_MILLI: Final = 1_000_000
# Storage drivers that hold a size of a container's own layer. overlay2 does on XFS with project
# quotas alone, which Docker does not tell.
DRIVERS_WITH_SIZE: Final = frozenset({"btrfs", "zfs", "devicemapper"})
EVENTS: Final = (
    "create", "start", "die", "stop", "kill", "pause", "unpause", "rename", "destroy", "oom",
    "update", "health_status",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class DockerRequest:
    """One request in JSON; `body` None: none."""

    method: str
    path: str
    body: Mapping[str, Any] | None = None


def create_request(wish: Wish, *, has_disk_limit: bool) -> DockerRequest:
    """Make the container, stopped."""
    spec = wish.spec
    body: dict[str, Any] = {
        "Hostname": wish.name,
        "Image": reference_of(spec.image, wish.remote),
        "Labels": label_document(wish.labels),
        "Env": [f"{key}={value}" for key, value in spec.environment.items()],
        "HostConfig": {
            "RestartPolicy": {"Name": "no"},
            "NetworkMode": spec.network,
            **limit_document(spec.resources, has_disk_limit=has_disk_limit),
        },
    }
    if spec.ports:
        body["ExposedPorts"] = {_inner(port): {} for port in spec.ports}
        body["HostConfig"]["PortBindings"] = port_document(spec.ports)
    if spec.mounts:
        body["HostConfig"]["Mounts"] = [mount_document(mount, wish) for mount in spec.mounts]
    if spec.command:
        body["Cmd"] = list(spec.command)
    return DockerRequest(
        method="POST", path=path_of("containers", "create", name=wish.name), body=body
    )


def list_request(cluster: str) -> DockerRequest:
    """All containers with a cluster's label, running or not."""
    filters = json.dumps({"label": [f"{LABEL_PREFIX}cluster={cluster}"]})
    return DockerRequest(method="GET", path=path_of("containers", "json", all="1", filters=filters))


def start_request(container_id: str) -> DockerRequest:
    """Start it."""
    return DockerRequest(method="POST", path=container_path(container_id, "start"))


def thaw_request(container_id: str) -> DockerRequest:
    """Let a paused container go on."""
    return DockerRequest(method="POST", path=container_path(container_id, "unpause"))


def stop_request(container_id: str, *, grace_s: float) -> DockerRequest:
    """Ask it to stop, and kill it after `grace_s`."""
    path = container_path(container_id, "stop", t=str(ceil(grace_s)))
    return DockerRequest(method="POST", path=path)


def delete_request(container_id: str) -> DockerRequest:
    """Kill and delete it, with the volumes that have no name; those with one stay."""
    return DockerRequest(method="DELETE", path=container_path(container_id, force="1", v="1"))


def stats_request(container_id: str) -> DockerRequest:
    """One measurement, without the second that Docker would wait for another to compare with."""
    path = path_of("containers", container_id, "stats", **{"stream": "0", "one-shot": "1"})
    return DockerRequest(method="GET", path=path)


def reference_of(image: ImageSource, remote: Remote | None) -> str:
    """How Docker names the image: in its own store, or below the registry that it comes from."""
    if image.fingerprint:
        return image.fingerprint
    return f"{registry_host(remote.server)}/{image.alias}" if remote else image.alias


def registry_host(server: str) -> str:
    """The host and port of a registry's URL, and its path, as references begin."""
    return server.partition("://")[2].rstrip("/") if "://" in server else server.rstrip("/")


def label_document(labels: Labels) -> dict[str, str]:
    """Labels as Docker keeps them."""
    return {
        f"{LABEL_PREFIX}cluster": labels.cluster,
        f"{LABEL_PREFIX}slot": labels.slot,
        f"{LABEL_PREFIX}generation": str(labels.generation),
        f"{LABEL_PREFIX}digest": labels.digest,
    }


def port_document(ports: Iterable[Port]) -> dict[str, list[dict[str, str]]]:
    """Which of the node's ports lead to each of the container's."""
    bindings: dict[str, list[dict[str, str]]] = {}
    for port in ports:
        bindings.setdefault(_inner(port), []).append({"HostPort": str(port.host)})
    return bindings


def _inner(port: Port) -> str:
    return f"{port.container}/{port.protocol}"


def mount_document(mount: Mount, wish: Wish) -> dict[str, Any]:
    """A volume under a path; Docker makes the volume when it is not there."""
    labels = wish.labels
    return {
        "Type": "volume",
        "Source": volume_name(wish, mount.volume),
        "Target": mount.path,
        "ReadOnly": mount.read_only,
        "VolumeOptions": {
            "Labels": {
                f"{LABEL_PREFIX}cluster": labels.cluster,
                f"{LABEL_PREFIX}slot": labels.slot,
                f"{LABEL_PREFIX}volume": mount.volume,
            }
        },
    }


def volume_name(wish: Wish, volume: str) -> str:
    """A volume belongs to one name in one cluster, whatever is made under it, and to no other."""
    return f"{wish.labels.cluster}.{wish.labels.slot}.{volume}"


def limit_document(amounts: Resources, *, has_disk_limit: bool) -> dict[str, Any]:
    """Limits as part of Docker's HostConfig. 0: no limit, no key."""
    limits: dict[str, Any] = {}
    if amounts.cpu_millis:
        limits["NanoCpus"] = amounts.cpu_millis * NANO_PER_MILLI
    if amounts.memory_mib:
        limits["Memory"] = amounts.memory_mib * MIB
    if amounts.processes:
        limits["PidsLimit"] = amounts.processes
    if amounts.disk_mib and has_disk_limit:
        limits["StorageOpt"] = {"size": f"{amounts.disk_mib}M"}
    return limits
