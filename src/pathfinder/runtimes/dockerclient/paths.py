"""Paths of Docker's API, without their version, safe for any name and value. Pure."""

from pathfinder.runtimes.urls import path_of, quoted


def container_path(name: str, *parts: str, **query: str) -> str:
    """`/containers/NAME/PARTS?query`; a name or an id."""
    return path_of("containers", quoted(name), *parts, **query)


def image_path(reference: str, *parts: str, **query: str) -> str:
    """`/images/REFERENCE/PARTS?query`; Docker takes a reference's slashes as they are."""
    whole = "/".join(quoted(part) for part in reference.split("/"))
    return path_of("images", whole, *parts, **query)
