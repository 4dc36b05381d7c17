"""Paths of LXD's API, safe for any name and value. Pure."""

from pathfinder.runtimes.urls import path_of, quoted


def instance_path(name: str, *parts: str, **query: str) -> str:
    """`/1.0/instances/NAME/PARTS?query`."""
    return path_of("1.0", "instances", quoted(name), *parts, **query)
