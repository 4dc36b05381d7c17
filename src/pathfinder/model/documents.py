"""Which documents people may apply, and the fields of each besides `kind`, `cluster` and `name`."""

from collections.abc import Mapping
from typing import Final

FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    "Cluster": (
        "limits",
        "placement",
        "overcommit",
        "reserved",
        "quota",
        "preemption",
        "moves_per_hour",
    ),
    "Remote": ("server", "protocol", "certificate"),
    "Image": ("alias", "fingerprint", "remote", "kind_of_image"),
    "Deployment": ("labels", "replicas", "min_available", "priority", "spec"),
    "Container": ("labels", "priority", "spec"),
}
KINDS: Final = tuple(FIELDS)  # in an order in which each finds what it names
DOCUMENTS_MAX: Final = 1_000  # in one apply


def allowed_fields(kind: str) -> tuple[str, ...]:
    """All fields of a document of one kind; a cluster does not belong to one."""
    common = ("kind", "name") if kind == "Cluster" else ("kind", "cluster", "name")
    return (*common, *FIELDS[kind])
