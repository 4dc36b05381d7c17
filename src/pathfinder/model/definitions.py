"""What people ask for: a container's definition, parsed with the place of each error."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

from pathfinder.model import names, resources, selectors
from pathfinder.model.affinity import (
    Affinity,
    Preference,
    Spread,
    affinity_from,
    preferences_from,
    spread_from,
)
from pathfinder.model.bootstrap import BootstrapStep, steps_from
from pathfinder.model.errors import DefinitionWrong
from pathfinder.model.health import Health, health_from
from pathfinder.model.resources import NOTHING, Resources
from pathfinder.model.services import Mount, Port, mounts_from, ports_from

Kind = Literal["system", "application"]
Type = Literal["STATEFUL", "STATELESS"]
Network = Literal["default", "none"]
REPLICAS_MAX: Final = 99  # two digits in NAME-01
ENVIRONMENT_MAX: Final = 256
COMMAND_MAX: Final = 128
TEXT_LENGTH_MAX: Final = 8192
CONSTRAINTS_MAX: Final = 32
EXTRA_MAX: Final = 16
ALIAS: Final = re.compile(r"[a-zA-Z0-9]([a-zA-Z0-9._:/@+-]{0,254}[a-zA-Z0-9])?")
FINGERPRINT: Final = re.compile(r"[0-9a-f]{12,64}")
ENVIRONMENT_KEY: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]{0,127}")
CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSource:
    """An image by alias or by fingerprint, on the node itself ("") or from a remote by its name."""

    alias: str = ""
    fingerprint: str = ""
    remote: str = ""

    def text(self) -> str:
        """`remote:alias`, or the alias or fingerprint alone."""
        what = self.alias or self.fingerprint
        return f"{self.remote}:{what}" if self.remote else what

    def document(self) -> dict[str, str]:
        """The non-empty fields."""
        fields = {"alias": self.alias, "fingerprint": self.fingerprint, "remote": self.remote}
        return {key: value for key, value in fields.items() if value}


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerSpec:
    """Everything about a container that its node needs to make it and to set it up.

    What it is made from (`digest`) and how it is set up once it runs (`bootstrap_digest`) are told
    apart: with another bootstrap a container is bootstrapped again where it is, with anything else
    it is another one and replaced.
    `extra` keeps fields that this version does not know, so that they survive it.
    """

    kind: Kind = "system"
    type: Type = "STATEFUL"
    image: ImageSource
    resources: Resources = NOTHING
    environment: Mapping[str, str] = field(default_factory=dict)
    command: tuple[str, ...] = ()
    constraints: tuple[str, ...] = ()
    spread: tuple[Spread, ...] = ()
    affinity: tuple[Affinity, ...] = ()
    anti_affinity: tuple[Affinity, ...] = ()
    preferences: tuple[Preference, ...] = ()
    network: Network = "default"
    bootstrap: tuple[BootstrapStep, ...] = ()
    ports: tuple[Port, ...] = ()
    mounts: tuple[Mount, ...] = ()
    health: Health | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def host_ports(self) -> tuple[str, ...]:
        """What it takes of its node's ports: `8080/tcp`."""
        return tuple(port.taken for port in self.ports)

    def document(self) -> dict[str, Any]:
        """The spec as JSON-ready data, without defaults; `container_spec` gives it back."""
        document: dict[str, Any] = {
            "kind": self.kind,
            "type": self.type,
            "image": self.image.document(),
        }
        if amounts := self.resources.document():
            document["resources"] = amounts
        if self.environment:
            document["environment"] = dict(self.environment)
        if self.command:
            document["command"] = list(self.command)
        if self.constraints:
            document["constraints"] = list(self.constraints)
        for name in WISHES:
            if wishes := getattr(self, name):
                document[name] = [wish.document() for wish in wishes]
        if self.network != "default":
            document["network"] = self.network
        if self.bootstrap:
            document["bootstrap"] = [step.document() for step in self.bootstrap]
        if self.ports:
            document["ports"] = [port.document() for port in self.ports]
        if self.mounts:
            document["mounts"] = [mount.document() for mount in self.mounts]
        if self.health:
            document["health"] = self.health.document()
        return {**self.extra, **document}

    def digest(self) -> str:
        """Equal for specs that make equal instances: 16 hex digits over all but the bootstrap.

        User data of cloud-init counts here: it is read once, when an instance first starts.
        """
        document = self.document()
        steps = [step for step in document.pop("bootstrap", ()) if step["type"] == "cloud-init"]
        return _digest({**document, "bootstrap": steps} if steps else document)

    def bootstrap_digest(self) -> str:
        """Equal for specs that set up their container equally; "" for nothing to do."""
        return _digest([step.document() for step in self.bootstrap]) if self.bootstrap else ""


CANONICAL: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"))


def _digest(document: object) -> str:
    """16 hex digits of SHA-256 over the canonical JSON."""
    return hashlib.sha256(CANONICAL.encode(document).encode()).hexdigest()[:16]


SPEC_FIELDS: Final = (
    "kind", "type", "image", "resources", "environment", "command", "constraints", "network",
    "bootstrap", "ports", "mounts", "health", "spread", "affinity", "anti_affinity", "preferences",
)  # fmt: skip
WISHES: Final = ("spread", "affinity", "anti_affinity", "preferences")


# Nothing to us; kept as they were given, for clients of API v2.
KEPT_FIELDS: Final = ("original_source",)


def container_spec(document: object, place: str = "spec") -> ContainerSpec:
    """Parse what a person wrote, strictly: unknown fields are errors that name their place."""
    known = _mapping(document, place)
    for key in known:
        if key not in SPEC_FIELDS and key not in KEPT_FIELDS:
            raise DefinitionWrong(
                f"{place}.{key}", "is not a field of a container", hint=_nearest(key, SPEC_FIELDS)
            )
    steps_from(known.get("bootstrap"), f"{place}.bootstrap", strict=True)
    spec = spec_from_document(known, place)
    if spec.bootstrap and spec.kind != "system":
        raise DefinitionWrong(
            f"{place}.bootstrap",
            "is for system containers: an application container is set up by its image",
            hint="build it into the image, or leave out kind: application",
        )
    for name, why, hint in SYSTEM_LACKS:
        if spec.kind == "system" and getattr(spec, name):
            raise DefinitionWrong(f"{place}.{name}", why, hint=hint)
    return spec


# What a system container has no use for, why, and what to do instead.
SYSTEM_LACKS: Final = (
    (
        "ports",
        "are for application containers: a system container has an address of its own",
        "connect to its address, or add kind: application",
    ),
    (
        "mounts",
        "are for application containers: a system container keeps its data on its root disk",
        "leave them out, or add kind: application",
    ),
)


def spec_from_document(document: Mapping[str, Any], place: str = "spec") -> ContainerSpec:
    """Parse what a program wrote: unknown fields are kept in `extra`."""
    kind = _choice(document.get("kind", "system"), ("system", "application"), f"{place}.kind")
    command = document.get("command", ())
    return ContainerSpec(
        kind="application" if kind == "application" else "system",
        type=_type(document.get("type", "STATEFUL"), f"{place}.type"),
        image=image_source(document.get("image"), f"{place}.image"),
        resources=resources_from(document.get("resources"), f"{place}.resources"),
        environment=_environment(document.get("environment"), f"{place}.environment"),
        command=_texts(command, f"{place}.command", most=COMMAND_MAX),
        constraints=_constraints(document.get("constraints", ()), f"{place}.constraints"),
        spread=spread_from(document.get("spread"), f"{place}.spread"),
        affinity=affinity_from(document.get("affinity"), f"{place}.affinity", "affinity"),
        anti_affinity=affinity_from(
            document.get("anti_affinity"), f"{place}.anti_affinity", "anti_affinity"
        ),
        preferences=preferences_from(document.get("preferences"), f"{place}.preferences"),
        network="none"
        if _choice(document.get("network", "default"), ("default", "none"), f"{place}.network")
        == "none"
        else "default",
        bootstrap=steps_from(document.get("bootstrap"), f"{place}.bootstrap"),
        ports=ports_from(document.get("ports"), f"{place}.ports"),
        mounts=mounts_from(document.get("mounts"), f"{place}.mounts"),
        health=health_from(document.get("health"), f"{place}.health"),
        extra={key: value for key, value in document.items() if key not in SPEC_FIELDS},
    )


def with_parts(
    spec: ContainerSpec, *, environment: object, command: object, bootstrap: object
) -> ContainerSpec:
    """The spec with other texts, which are parsed as those of a whole definition are."""
    return replace(
        spec,
        environment=_environment(environment, "spec.environment"),
        command=_texts(command, "spec.command", most=COMMAND_MAX),
        bootstrap=steps_from(bootstrap, "spec.bootstrap"),
    )


def image_source(value: object, place: str) -> ImageSource:
    """`"debian"`, `"remote:alias"`, a fingerprint, or a mapping of the three fields."""
    if value is None or value == "":
        raise DefinitionWrong(place, "is missing", hint="name an image: pfi get images")
    if isinstance(value, str):
        remote, colon, alias = value.partition(":")
        value = {"remote": remote, "alias": alias} if colon else {"alias": value}
        if FINGERPRINT.fullmatch(value["alias"]) and len(value["alias"]) == 64:
            value = {"remote": value.get("remote", ""), "fingerprint": value["alias"]}
    fields = _mapping(value, place)
    for key in fields:
        if key not in ("alias", "fingerprint", "remote"):
            raise DefinitionWrong(f"{place}.{key}", "an image has alias, fingerprint and remote")
    alias, fingerprint = fields.get("alias") or "", fields.get("fingerprint") or ""
    if bool(alias) == bool(fingerprint):
        raise DefinitionWrong(place, "name either an alias or a fingerprint")
    if alias and not (isinstance(alias, str) and ALIAS.fullmatch(alias)):
        raise DefinitionWrong(f"{place}.alias", f"{alias!r} cannot be an image's alias")
    if fingerprint and not (isinstance(fingerprint, str) and FINGERPRINT.fullmatch(fingerprint)):
        raise DefinitionWrong(
            f"{place}.fingerprint", f"{fingerprint!r} is not 12 to 64 lower-case hex digits"
        )
    remote = fields.get("remote") or ""
    if remote:
        names.name(remote, f"{place}.remote")
    return ImageSource(alias=alias, fingerprint=fingerprint, remote=remote)


def resources_from(value: object, place: str) -> Resources:
    """`{cpu: 2, memory: 512MiB, disk: 4GiB, processes: 500}` or the exact fields."""
    if value is None:
        return NOTHING
    fields = dict(_mapping(value, place))
    extra = _extra_from(fields.pop("extra", None), f"{place}.extra")
    amounts = {
        "cpu_millis": resources.cpu_millis(fields.pop("cpu"), f"{place}.cpu")
        if "cpu" in fields
        else 0,
        "memory_mib": resources.size_mib(fields.pop("memory"), f"{place}.memory")
        if "memory" in fields
        else 0,
        "disk_mib": resources.size_mib(fields.pop("disk"), f"{place}.disk")
        if "disk" in fields
        else 0,
        "processes": 0,
    }
    for key, amount in fields.items():
        if key not in amounts:
            raise DefinitionWrong(
                f"{place}.{key}",
                "is not a resource",
                hint=f"resources are cpu, memory, disk and processes; or write extra: {{{key}: 1}}",
            )
        amounts[key] = resources.count(amount, f"{place}.{key}")
    return Resources(**amounts, extra=extra)


def _extra_from(value: object, place: str) -> tuple[tuple[str, int], ...]:
    """`{gpu: 2}`: amounts of what people have named, in the order of the names."""
    if value is None:
        return ()
    amounts = _mapping(value, place)
    if len(amounts) > EXTRA_MAX:
        raise DefinitionWrong(place, f"at most {EXTRA_MAX} resources of one's own")
    found = {
        names.name(key, f"{place}.{key}"): resources.count(amount, f"{place}.{key}")
        for key, amount in amounts.items()
    }
    return tuple(sorted((key, amount) for key, amount in found.items() if amount))


def _mapping(value: object, place: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise DefinitionWrong(place, f"must be a mapping, not {_kind_of(value)}")
    return value


def _choice(value: object, choices: tuple[str, ...], place: str) -> str:
    if not isinstance(value, str) or value not in choices:
        raise DefinitionWrong(place, f"{value!r} is not one of {', '.join(choices)}")
    return value


def _type(value: object, place: str) -> Type:
    upper = value.upper() if isinstance(value, str) else value
    choice = _choice(upper, ("STATEFUL", "STATELESS"), place)
    return "STATELESS" if choice == "STATELESS" else "STATEFUL"


def _texts(value: object, place: str, *, most: int) -> tuple[str, ...]:
    if not isinstance(value, (list, tuple)) or len(value) > most:
        raise DefinitionWrong(place, f"must be a list of at most {most} strings")
    for index, text in enumerate(value):
        if not isinstance(text, str) or "\0" in text or len(text) > TEXT_LENGTH_MAX:
            raise DefinitionWrong(f"{place}[{index}]", "must be a string without NUL")
    return tuple(value)


def _environment(value: object, place: str) -> dict[str, str]:
    if value is None:
        return {}
    pairs = _mapping(value, place)
    if len(pairs) > ENVIRONMENT_MAX:
        raise DefinitionWrong(place, f"at most {ENVIRONMENT_MAX} variables")
    for key, text in pairs.items():
        if not ENVIRONMENT_KEY.fullmatch(key):
            raise DefinitionWrong(f"{place}.{key}", "cannot be the name of a variable")
        # A line break in a value has injected configuration into a daemon before (CVE-2026-23953).
        if not isinstance(text, str) or CONTROL.search(text) or len(text) > TEXT_LENGTH_MAX:
            raise DefinitionWrong(
                f"{place}.{key}",
                "must be a string without control characters",
                hint="quote numbers and booleans",
            )
    return dict(sorted(pairs.items()))


def _constraints(value: object, place: str) -> tuple[str, ...]:
    texts = _texts(value, place, most=CONSTRAINTS_MAX)
    return tuple(
        selectors.requirement(text, f"{place}[{index}]").text() for index, text in enumerate(texts)
    )


def _nearest(key: str, choices: tuple[str, ...]) -> str:
    def shared(choice: str) -> int:
        pairs = zip(choice, key.lower(), strict=False)
        return next((place for place, (a, b) in enumerate(pairs) if a != b), len(key))

    nearest = max(choices, key=shared)
    if shared(nearest) >= 2:
        return f"did you mean {nearest}?"
    return f"fields are {', '.join(choices)}"


def _kind_of(value: object) -> str:
    if value is None:
        return "nothing"
    return {list: "a list", str: "a text", int: "a number", bool: "a boolean"}.get(
        type(value), type(value).__name__
    )
