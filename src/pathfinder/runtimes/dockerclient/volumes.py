"""Named volumes: directories that outlive the containers which mount them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pathfinder.runtimes.dockerclient.client import DockerClient
from pathfinder.runtimes.urls import path_of, quoted


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """One volume on this daemon's machine."""

    name: str
    driver: str
    labels: Mapping[str, str]


def create_volume(client: DockerClient, name: str, labels: Mapping[str, str]) -> Volume:
    """Make a volume; one that is there already is given as it is, with its own labels."""
    body = {"Name": name, "Labels": dict(labels)}
    return _volume(client.request("POST", "/volumes/create", body))


def get_volume(client: DockerClient, name: str) -> Volume:
    """One volume; NotFound without it."""
    return _volume(client.get(path_of("volumes", quoted(name))))


def list_volumes(client: DockerClient) -> list[Volume]:
    """All volumes."""
    return [_volume(document) for document in client.get("/volumes").get("Volumes") or ()]


def delete_volume(client: DockerClient, name: str) -> None:
    """Delete a volume with its data; Conflict while a container has it, NotFound without it."""
    client.request("DELETE", path_of("volumes", quoted(name)))


def _volume(document: Mapping[str, Any]) -> Volume:
    return Volume(
        name=document["Name"], driver=document["Driver"], labels=document.get("Labels") or {}
    )
