"""What an application container offers and keeps: ports of its node, and volumes."""

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from pathfinder.model.errors import DefinitionWrong

PORTS_MAX: Final = 64
MOUNTS_MAX: Final = 64
PATH_LENGTH_MAX: Final = 1024
VOLUME: Final = re.compile(r"[a-z0-9]([a-z0-9_.-]{0,61}[a-z0-9])?")
SHORT_PORT: Final = re.compile(r"([0-9]{1,5}):([0-9]{1,5})(?:/(tcp|udp))?")
CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """A port of the node that leads to one of the container."""

    host: int
    container: int
    protocol: Literal["tcp", "udp"] = "tcp"

    @property
    def taken(self) -> str:
        """What it takes of its node, of which there is one: `8080/tcp`."""
        return f"{self.host}/{self.protocol}"

    def document(self) -> dict[str, Any]:
        """JSON-ready, whole; `ports_from` gives it back."""
        return {"host": self.host, "container": self.container, "protocol": self.protocol}


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """A volume of the container's own under a path: it outlives each making of the container."""

    volume: str
    path: str
    read_only: bool = False

    def document(self) -> dict[str, Any]:
        """JSON-ready, without defaults; `mounts_from` gives it back."""
        document: dict[str, Any] = {"volume": self.volume, "path": self.path}
        return {**document, "read_only": True} if self.read_only else document


def ports_from(value: object, place: str) -> tuple[Port, ...]:
    """A list of `{host: 8080, container: 80, protocol: tcp}` or of `"8080:80/tcp"`."""
    ports: list[Port] = []
    for index, entry in enumerate(_entries(value, place, PORTS_MAX)):
        port = _port(entry, f"{place}[{index}]")
        if any(port.taken == other.taken for other in ports):
            raise DefinitionWrong(f"{place}[{index}]", f"host port {port.taken} is there twice")
        ports.append(port)
    return tuple(ports)


def mounts_from(value: object, place: str) -> tuple[Mount, ...]:
    """A list of `{volume: data, path: /srv/data, read_only: false}`."""
    mounts: list[Mount] = []
    for index, entry in enumerate(_entries(value, place, MOUNTS_MAX)):
        mount = _mount(entry, f"{place}[{index}]")
        if any(mount.path == other.path for other in mounts):
            raise DefinitionWrong(f"{place}[{index}].path", f"{mount.path} is there twice")
        mounts.append(mount)
    return tuple(mounts)


def _port(entry: object, place: str) -> Port:
    if isinstance(entry, str):
        match = SHORT_PORT.fullmatch(entry)
        if match is None:
            raise DefinitionWrong(place, f"{entry!r} is not like 8080:80 or 8080:80/udp")
        entry = {"host": int(match[1]), "container": int(match[2]), "protocol": match[3] or "tcp"}
    fields = _fields(entry, place, ("host", "container", "protocol"))
    protocol = fields.get("protocol", "tcp")
    if protocol not in ("tcp", "udp"):
        raise DefinitionWrong(f"{place}.protocol", f"{protocol!r} is not one of tcp, udp")
    return Port(
        host=port_number(fields.get("host"), f"{place}.host"),
        container=port_number(fields.get("container"), f"{place}.container"),
        protocol="udp" if protocol == "udp" else "tcp",
    )


def _mount(entry: object, place: str) -> Mount:
    fields = _fields(entry, place, ("volume", "path", "read_only"))
    volume, path = fields.get("volume"), fields.get("path")
    if not isinstance(volume, str) or not VOLUME.fullmatch(volume):
        raise DefinitionWrong(
            f"{place}.volume",
            f"{volume!r} cannot be a volume's name",
            hint="up to 63 of a-z, 0-9, _, . and -; directories of the node cannot be mounted",
        )
    is_path = isinstance(path, str) and path.startswith("/") and not CONTROL.search(path)
    if not is_path or len(str(path)) > PATH_LENGTH_MAX or ":" in str(path):
        raise DefinitionWrong(f"{place}.path", f"{path!r} is not an absolute path")
    plain = posixpath.normpath(str(path))
    if plain == "/" or ".." in str(path).split("/"):
        raise DefinitionWrong(f"{place}.path", f"{path!r}: name a directory below /, without ..")
    read_only = fields.get("read_only", False)
    if not isinstance(read_only, bool):
        raise DefinitionWrong(f"{place}.read_only", "is either true or false")
    return Mount(volume=volume, path=plain, read_only=read_only)


def port_number(value: object, place: str) -> int:
    """A number from 1 to 65535."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < 65_536:
        raise DefinitionWrong(place, f"{value!r} is not a port from 1 to 65535")
    return value


def _entries(value: object, place: str, most: int) -> list[Any] | tuple[Any, ...]:
    if value is None:
        return ()
    if not isinstance(value, (list, tuple)) or len(value) > most:
        raise DefinitionWrong(place, f"must be a list of at most {most}")
    return value


def _fields(entry: object, place: str, known: tuple[str, ...]) -> Mapping[str, Any]:
    if not isinstance(entry, Mapping):
        raise DefinitionWrong(place, f"must be a mapping of {', '.join(known)}")
    for key in entry:
        if key not in known:
            raise DefinitionWrong(f"{place}.{key}", f"is not one of {', '.join(known)}")
    return entry
