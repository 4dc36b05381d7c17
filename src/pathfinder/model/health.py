"""How it is found out whether what runs in a container works: readiness follows."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from pathfinder.model.errors import DefinitionWrong
from pathfinder.model.services import CONTROL, port_number

INTERVAL_S_DEFAULT: Final = 10
TIMEOUT_S_DEFAULT: Final = 3
RETRIES_DEFAULT: Final = 3
SECONDS_MAX: Final = 3_600
RETRIES_MAX: Final = 100
WORDS_MAX: Final = 128
TEXT_LENGTH_MAX: Final = 8192
FIELDS: Final = ("command", "http", "tcp", "interval_s", "timeout_s", "retries", "start_period_s")


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """One check, made each `interval_s` while the container runs.

    Exactly one of: `command` inside it ends with 0; `http_port` answers a GET of `http_path` with a
    status below 400; `tcp_port` takes a connection. A first success makes it healthy, `retries`
    failures in succession make it unhealthy; those within `start_period_s` do not count.
    """

    command: tuple[str, ...] = ()
    http_port: int = 0
    http_path: str = "/"
    tcp_port: int = 0
    interval_s: int = INTERVAL_S_DEFAULT
    timeout_s: int = TIMEOUT_S_DEFAULT
    retries: int = RETRIES_DEFAULT
    start_period_s: int = 0

    def document(self) -> dict[str, Any]:
        """JSON-ready, without defaults; `health_from` gives it back."""
        document: dict[str, Any] = {}
        if self.command:
            document["command"] = list(self.command)
        if self.http_port:
            document["http"] = {"port": self.http_port, "path": self.http_path}
        if self.tcp_port:
            document["tcp"] = {"port": self.tcp_port}
        for name, default in (
            ("interval_s", INTERVAL_S_DEFAULT),
            ("timeout_s", TIMEOUT_S_DEFAULT),
            ("retries", RETRIES_DEFAULT),
            ("start_period_s", 0),
        ):
            if (value := getattr(self, name)) != default:
                document[name] = value
        return document


def health_from(value: object, place: str) -> Health | None:
    """`{command: [...]}`, `{http: {port: 80, path: /up}}` or `{tcp: {port: 5432}}`, and paces."""
    if value is None:
        return None
    fields = _mapping(value, place, FIELDS)
    ways = [name for name in ("command", "http", "tcp") if fields.get(name) is not None]
    if len(ways) != 1:
        raise DefinitionWrong(place, "needs exactly one of command, http and tcp")
    http = _mapping(fields.get("http") or {}, f"{place}.http", ("port", "path"))
    tcp = _mapping(fields.get("tcp") or {}, f"{place}.tcp", ("port",))
    return Health(
        command=_command(fields.get("command"), f"{place}.command") if "command" in ways else (),
        http_port=port_number(http.get("port"), f"{place}.http.port") if "http" in ways else 0,
        http_path=_path(http.get("path", "/"), f"{place}.http.path"),
        tcp_port=port_number(tcp.get("port"), f"{place}.tcp.port") if "tcp" in ways else 0,
        interval_s=_whole(fields, "interval_s", place, 1, SECONDS_MAX, INTERVAL_S_DEFAULT),
        timeout_s=_whole(fields, "timeout_s", place, 1, SECONDS_MAX, TIMEOUT_S_DEFAULT),
        retries=_whole(fields, "retries", place, 1, RETRIES_MAX, RETRIES_DEFAULT),
        start_period_s=_whole(fields, "start_period_s", place, 0, SECONDS_MAX, 0),
    )


def _command(value: object, place: str) -> tuple[str, ...]:
    if not isinstance(value, (list, tuple)) or not 0 < len(value) <= WORDS_MAX:
        raise DefinitionWrong(place, f"must be a list of 1 to {WORDS_MAX} strings")
    for index, word in enumerate(value):
        if not isinstance(word, str) or "\0" in word or len(word) > TEXT_LENGTH_MAX:
            raise DefinitionWrong(f"{place}[{index}]", "must be a string without NUL")
    return tuple(value)


def _path(value: object, place: str) -> str:
    is_path = isinstance(value, str) and value.startswith("/") and value.isascii()
    if not is_path or CONTROL.search(str(value)) or " " in str(value) or len(str(value)) > 1024:
        raise DefinitionWrong(place, f"{value!r} is not a path like /up?deep=1")
    return str(value)


def _whole(
    fields: Mapping[str, Any], name: str, place: str, least: int, most: int, default: int
) -> int:
    value = fields.get(name, default)
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    if not is_whole or not least <= value <= most:
        raise DefinitionWrong(f"{place}.{name}", f"must be a whole number from {least} to {most}")
    return int(value)


def _mapping(value: object, place: str, known: tuple[str, ...]) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise DefinitionWrong(place, f"must be a mapping of {', '.join(known)}")
    for key in value:
        if key not in known:
            raise DefinitionWrong(f"{place}.{key}", f"is not one of {', '.join(known)}")
    return value
