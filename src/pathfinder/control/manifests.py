"""Documents that people apply: `kind`, `cluster`, `name` and the fields of that kind."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pathfinder.control import policies
from pathfinder.control.objects import Limits
from pathfinder.model import names, resources, selectors
from pathfinder.model.definitions import (
    REPLICAS_MAX,
    ContainerSpec,
    container_spec,
    image_source,
)
from pathfinder.model.documents import FIELDS, KINDS, allowed_fields
from pathfinder.model.errors import DefinitionWrong

PRIORITY_MAX = 1_000
LIMITS_MAX = {"memory_percent": 100, "containers": 100_000, "stateful": 100_000}


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedCluster:
    """A cluster that shall exist. `limits` None: as they are. policy: its fields that are given."""

    name: str
    limits: Limits | None = None
    policy: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedRemote:
    """An image server that definitions may name."""

    cluster: str
    name: str
    server: str
    protocol: Literal["daemon", "simplestreams", "registry"]
    certificate: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedImage:
    """A name for an image."""

    cluster: str
    name: str
    alias: str
    fingerprint: str
    remote: str
    kind: Literal["system", "application"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedDeployment:
    """A deployment as people want it."""

    cluster: str
    name: str
    labels: Mapping[str, str]
    replicas: int
    min_available: int
    spec: ContainerSpec
    priority: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedContainer:
    """A single container as people want it."""

    cluster: str
    name: str
    labels: Mapping[str, str]
    spec: ContainerSpec
    priority: int = 0


Wanted = WantedCluster | WantedRemote | WantedImage | WantedDeployment | WantedContainer


def wanted(document: object, place: str) -> Wanted:
    """One document, strictly; DefinitionWrong names the place of what is wrong."""
    if not isinstance(document, Mapping):
        raise DefinitionWrong(place, "must be a mapping with kind and name")
    kind = document.get("kind")
    if kind not in KINDS:
        near = [choice for choice in KINDS if str(kind).lower().startswith(choice.lower()[:4])]
        raise DefinitionWrong(
            f"{place}.kind",
            f"{kind!r} is not one of {', '.join(KINDS)}",
            hint=f"did you mean {near[0]}?" if near else "",
        )
    fields = {key: value for key, value in document.items() if key not in ("kind", "name")}
    if kind == "Cluster":
        _only(kind, fields, place)
        return WantedCluster(
            name=names.name(document.get("name"), f"{place}.name"),
            limits=_limits(fields["limits"], f"{place}.limits") if "limits" in fields else None,
            policy=policies.given(fields, place),
        )
    cluster = names.name(fields.pop("cluster", "default"), f"{place}.cluster")
    if kind in ("Deployment", "Container"):
        name = names.hostname(document.get("name"), f"{place}.name")
    else:
        name = names.name(document.get("name"), f"{place}.name")
    return _OF_KIND[kind](cluster, name, fields, place)


def _limits(value: object, place: str) -> Limits:
    """Up to where nodes take containers; what is not named has no limit."""
    if not isinstance(value, Mapping):
        raise DefinitionWrong(place, "must be a mapping")
    for key in value:
        if key not in LIMITS_MAX:
            raise DefinitionWrong(
                f"{place}.{key}", "is not a limit", hint=f"limits are {', '.join(LIMITS_MAX)}"
            )
    amounts = {
        key: resources.count(value.get(key, 0), f"{place}.{key}", most=most)
        for key, most in LIMITS_MAX.items()
    }
    return Limits(**amounts)


def _deployment(cluster: str, name: str, fields: Mapping[str, Any], place: str) -> Wanted:
    _only("Deployment", fields, place)
    if len(name) > names.HOSTNAME_LENGTH_MAX - 3:
        raise DefinitionWrong(f"{place}.name", f"{name!r} leaves no room for the replica's number")
    replicas = resources.count(fields.get("replicas", 1), f"{place}.replicas", most=REPLICAS_MAX)
    floor = fields.get("min_available", max(replicas - 1, 0))
    return WantedDeployment(
        cluster=cluster,
        name=name,
        labels=selectors.labels(fields.get("labels"), f"{place}.labels"),
        replicas=replicas,
        min_available=min_available(floor, replicas, f"{place}.min_available"),
        spec=container_spec(fields.get("spec"), f"{place}.spec"),
        priority=_priority(fields, place),
    )


def _priority(fields: Mapping[str, Any], place: str) -> int:
    return resources.count(fields.get("priority", 0), f"{place}.priority", most=PRIORITY_MAX)


def min_available(value: object, replicas: int, place: str) -> int:
    """The number of replicas that must stay ready: never more than there are."""
    floor = resources.count(value, place, most=REPLICAS_MAX)
    if floor > replicas:
        raise DefinitionWrong(
            place,
            f"{floor} cannot stay ready when there are {replicas} replicas",
            hint=f"write at most {max(replicas - 1, 0)}: one must be free to be replaced",
        )
    return floor


def _container(cluster: str, name: str, fields: Mapping[str, Any], place: str) -> Wanted:
    _only("Container", fields, place)
    return WantedContainer(
        cluster=cluster,
        name=name,
        labels=selectors.labels(fields.get("labels"), f"{place}.labels"),
        spec=container_spec(fields.get("spec"), f"{place}.spec"),
        priority=_priority(fields, place),
    )


def _remote(cluster: str, name: str, fields: Mapping[str, Any], place: str) -> Wanted:
    _only("Remote", fields, place)
    server = fields.get("server")
    if not isinstance(server, str) or not server.startswith("https://") or len(server) > 1024:
        raise DefinitionWrong(f"{place}.server", "must be a URL that begins with https://")
    protocol = fields.get("protocol", "daemon")
    if protocol not in ("daemon", "simplestreams", "registry"):
        raise DefinitionWrong(f"{place}.protocol", "is daemon, simplestreams or registry")
    certificate = fields.get("certificate", "")
    if not isinstance(certificate, str) or len(certificate) > 65536:
        raise DefinitionWrong(f"{place}.certificate", "must be a certificate in PEM")
    return WantedRemote(
        cluster=cluster, name=name, server=server, protocol=protocol, certificate=certificate
    )


def _image(cluster: str, name: str, fields: Mapping[str, Any], place: str) -> Wanted:
    _only("Image", fields, place)
    source = image_source(
        {key: fields[key] for key in ("alias", "fingerprint", "remote") if fields.get(key)}, place
    )
    kind = fields.get("kind_of_image", "system")
    if kind not in ("system", "application"):
        raise DefinitionWrong(f"{place}.kind_of_image", "is either system or application")
    return WantedImage(
        cluster=cluster,
        name=name,
        alias=source.alias,
        fingerprint=source.fingerprint,
        remote=source.remote,
        kind=kind,
    )


_OF_KIND = {
    "Deployment": _deployment,
    "Container": _container,
    "Remote": _remote,
    "Image": _image,
}


def _only(kind: str, fields: Mapping[str, Any], place: str) -> None:
    for key in fields:
        if key not in FIELDS[kind]:
            raise DefinitionWrong(
                f"{place}.{key}",
                f"is not a field of a {kind}",
                hint=f"fields are {', '.join(allowed_fields(kind))}",
            )
