"""The original's source, bootstrappers and container types, and our definitions, either way.

What our definition has no field for (`source_type` other than image, a `mode` that does not follow
from the remote) is kept in the definition as it was given, and shown again.
"""

from collections.abc import Mapping
from typing import Any, Final

from pathfinder.api.original.envelope import Invalid
from pathfinder.api.original.parameters import Bag, part, text
from pathfinder.control.objects import Remote

KEPT: Final = "original_source"  # the field of a definition that keeps what only API v2 knows
SOURCE_TYPES: Final = ("image", "migration", "copy")
MODES: Final = ("local", "pull")
PROTOCOLS: Final = {"lxd": "daemon", "simplestreams": "simplestreams"}
AUTH_TYPES: Final = ("tls", "none")
TYPES: Final = ("STATEFUL", "STATELESS")
# How the original calls the fields of a step, and we: beside the two of chef-solo it has none.
STEP_FIELDS: Final = {
    "bootstrap_type": "type",
    "bootstrap_cookbooks_url": "cookbooks_url",
    "bootstrap_attributes": "attributes",
    "script": "script",
    "user_data": "user_data",
    "tries": "tries",
    "timeout_s": "timeout_s",
}
OF_TYPE: Final = {
    "chef-solo": ("bootstrap_cookbooks_url", "bootstrap_attributes"),
    "shell": ("script",),
    "cloud-init": ("user_data",),
}
# Only the agents of the original know what to do with the other source types.
NEEDS_POLLING: Final = "protocol=poll"


def container_type(given: Mapping[str, Any]) -> str:
    """STATEFUL unless it says another, in any case of letters."""
    said = text(given, "container_type").upper()
    if said and said not in TYPES:
        raise Invalid("Container", ("container_type", "is not included in the list"))
    return said or "STATEFUL"


def from_v1(given: Bag) -> dict[str, Any]:
    """The spec of a container that v1 describes: an image by its alias."""
    alias = text(given, "image") or text(given, "image_alias")
    if not alias:
        raise Invalid("Container", ("image", "can't be blank"))
    return {"type": container_type(given), "image": {"alias": alias}}


def from_v2(given: Bag) -> dict[str, Any]:
    """The spec of a container that v2 describes: a source and bootstrappers."""
    source = part(given, "source")
    if not source and (text(given, "image") or text(given, "image_alias")):
        return from_v1(given)
    return {
        "type": container_type(given),
        **_source(source),
        "bootstrap": steps(given.get("bootstrappers")),
    }


def _source(source: Bag) -> dict[str, Any]:
    """`image`, and what of the source has no place in it."""
    if not source:
        raise Invalid("Container", ("source", "must be present."))
    source_type = text(source, "source_type") or "image"
    mode = text(source, "mode") or "local"
    if source_type not in SOURCE_TYPES:
        raise Invalid("Source", ("source_type", "is not included in the list"))
    if mode not in MODES:
        raise Invalid("Source", ("mode", "is not included in the list"))
    remote = text(part(source, "remote"), "name")
    image = {
        "alias": text(source, "alias"),
        "fingerprint": text(source, "fingerprint"),
        "remote": remote,
    }
    if image["alias"]:
        image["fingerprint"] = ""  # the original's agents go by the alias, too
    spec: dict[str, Any] = {"image": {key: value for key, value in image.items() if value}}
    kept: dict[str, str] = {}
    if source_type != "image":
        kept["source_type"] = source_type
        spec["constraints"] = [NEEDS_POLLING]
    if mode != _mode_of(remote):
        kept["mode"] = mode
    if kept:
        spec[KEPT] = kept
    return spec


def _mode_of(remote: str) -> str:
    return "pull" if remote else "local"


def steps(given: object) -> list[dict[str, Any]]:
    """Bootstrappers as steps; unknown keys are ignored, an unknown type is not."""
    if given in (None, "", {}):
        return []
    if not isinstance(given, list) or not all(isinstance(step, dict) for step in given):
        raise Invalid("Container", ("bootstrappers", "is not a list of bootstrappers"))
    found = []
    for step in given:
        type_ = text(step, "bootstrap_type")
        if type_ not in OF_TYPE:
            raise Invalid("Container", ("bootstrappers", f"has no type {type_!r}"))
        names = ("bootstrap_type", *OF_TYPE[type_], "tries", "timeout_s")
        found.append(
            {STEP_FIELDS[name]: step[name] for name in names if step.get(name) is not None}
        )
    return found


def remote_document(cluster: str, given: Bag) -> dict[str, Any] | None:
    """A remote that stands in a source with its server, as a document; None without one."""
    name, server = text(given, "name"), text(given, "server")
    if not name or not server:
        return None
    protocol = text(given, "protocol") or "lxd"
    auth_type = text(given, "auth_type") or "none"
    if protocol not in PROTOCOLS:
        raise Invalid("Remote", ("protocol", "is not included in the list"))
    if auth_type not in AUTH_TYPES:
        raise Invalid("Remote", ("auth_type", "is not included in the list"))
    certificate = text(given, "certificate") if auth_type == "tls" else ""
    return {
        "kind": "Remote",
        "cluster": cluster,
        "name": name,
        "server": server,
        "protocol": PROTOCOLS[protocol],
        **({"certificate": certificate} if certificate else {}),
    }


def bootstrappers(spec: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Steps as the original shows them."""
    shown = []
    for step in spec.get("bootstrap", ()):
        type_ = step["type"]
        made: dict[str, Any] = {"bootstrap_type": type_}
        for name in OF_TYPE[type_]:
            made[name] = step.get(STEP_FIELDS[name], {} if name == "bootstrap_attributes" else "")
        shown.append(made)
    return shown


def source_fields(spec: Mapping[str, Any]) -> dict[str, Any]:
    """source_type, mode, fingerprint and alias of a definition, as the original shows them."""
    image, kept = spec["image"], spec.get(KEPT, {})
    return {
        "source_type": kept.get("source_type", "image"),
        "mode": kept.get("mode", _mode_of(image.get("remote", ""))),
        "fingerprint": image.get("fingerprint", ""),
        "alias": image.get("alias", ""),
    }


def remote_fields(remote: Remote | None) -> dict[str, Any]:
    """name, server, protocol and auth_type of a remote; null without one."""
    if remote is None:
        return {"name": None, "server": None, "protocol": None, "auth_type": None}
    return {
        "name": remote.extra.get("original_name", remote.name),
        "server": remote.server,
        "protocol": "lxd" if remote.protocol == "daemon" else remote.protocol,
        "auth_type": "tls" if remote.certificate else "none",
    }
