"""The columns of each kind's table. Titles are the words that the API uses."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import click

from pathfinder.cli.text import age, aligned, moment, safe, toned
from pathfinder.model.resources import cpu_text, size_text

Item = Mapping[str, Any]
NOTHING: Final = "-"


@dataclass(frozen=True, slots=True)
class Column:
    """`text` makes the cell of (item, now in ms). `wide`: only in the wide table."""

    title: str
    text: Callable[[Item, int], str]
    wide: bool = False
    is_state: bool = False


def field(title: str, key: str, *, wide: bool = False, is_state: bool = False) -> Column:
    """A column that shows one field as it is."""
    return Column(title, lambda item, _: str(item.get(key, "")), wide, is_state)


def since(title: str, key: str, *, wide: bool = False) -> Column:
    """A column that shows how long ago a moment was; nothing for 0."""
    return Column(title, lambda item, now: age(now - item[key]) if item.get(key) else "", wide)


def label_text(labels: Mapping[str, str] | None) -> str:
    """Labels as selectors have them: `app=web,tier=front`."""
    return ",".join(f"{key}={value}" for key, value in sorted((labels or {}).items()))


def _share(part: str, show: Callable[[int], str]) -> Callable[[Item, int], str]:
    def text(item: Item, _: int) -> str:
        have = (item.get("capacity") or {}).get(part, 0)
        reserved = (item.get("reserved") or {}).get(part, 0)
        return f"{show(reserved)}/{show(have)}" if have else show(reserved)

    return text


def _used(part: str, show: Callable[[int], str]) -> Callable[[Item, int], str]:
    def text(item: Item, _: int) -> str:
        amount = (item.get("usage") or {}).get(part, -1)
        return show(amount) if amount >= 0 else ""

    return text


def _why(item: Item, _: int) -> str:
    explanation = item.get("explanation") or {}
    return str(explanation.get("text") or item.get("why") or "")


def _node_status(item: Item, _: int) -> str:
    status = str(item.get("status", ""))
    silent_ms = item.get("heard_ms_ago")
    if status in ("suspect", "lost") and silent_ms is not None:
        status = f"{status} for {age(silent_ms)}"
    drain = item.get("drain")
    if drain:
        left = "drained" if drain["ended_ms"] else f"draining {drain['left']}/{drain['containers']}"
        return f"{status},{left}"
    return f"{status},cordoned" if item.get("cordoned") else status


def _heard(item: Item, _: int) -> str:
    heard = item.get("heard_ms_ago")
    return NOTHING if heard is None else f"{heard / 1000:.1f}s ago"


def _ready_of(item: Item, _: int) -> str:
    return f"{item.get('ready', 0)}/{item.get('replicas', 0)}"


def _image_of_spec(item: Item, _: int) -> str:
    image = (item.get("spec") or {}).get("image") or {}
    what = image.get("alias") or image.get("fingerprint", "")[:12]
    return f"{image['remote']}:{what}" if image.get("remote") else what


def _image_source(item: Item, _: int) -> str:
    what = item.get("alias") or item.get("fingerprint", "")[:12]
    return f"{item['remote']}:{what}" if item.get("remote") else str(what)


def _on_nodes(item: Item, _: int) -> str:
    return ",".join(item.get("nodes") or ())


def _progress(item: Item, _: int) -> str:
    return str(item.get("blocked") or item.get("progress") or "")


def _clusters(item: Item, _: int) -> str:
    return ",".join(item.get("clusters") or ()) or "all"


def _expires(item: Item, now: int) -> str:
    expires = item.get("expires_ms")
    if not expires:
        return "never"
    return f"in {age(expires - now)}" if expires > now else "expired"


def _flag(key: str) -> Callable[[Item, int], str]:
    return lambda item, _: "yes" if item.get(key) else "no"


def _runtime(item: Item, _: int) -> str:
    facts = item.get("facts") or {}
    return f"{facts.get('runtime', '')} {facts.get('runtime_version', '')}".strip()


def _fact(key: str) -> Callable[[Item, int], str]:
    return lambda item, _: str((item.get("facts") or {}).get(key, ""))


def _thing(item: Item, _: int) -> str:
    return f"{item.get('kind', '')}/{item.get('name', '')}"


AGE: Final = since("AGE", "created_ms")
LABELS: Final = Column("LABELS", lambda item, _: label_text(item.get("labels")), wide=True)

COLUMNS: Final[Mapping[str, Sequence[Column]]] = {
    "cluster": (
        field("NAME", "name"),
        field("NODES", "nodes"),
        field("DEPLOYMENTS", "deployments"),
        field("CONTAINERS", "containers"),
        Column("PASSWORD", _flag("has_password"), wide=True),
        AGE,
    ),
    "node": (
        field("NAME", "name"),
        Column("STATUS", _node_status, is_state=True),
        field("CONTAINERS", "containers"),
        Column("CPU", _share("cpu_millis", cpu_text)),
        Column("MEMORY", _share("memory_mib", size_text)),
        Column("DISK", _share("disk_mib", size_text)),
        field("ADDRESS", "address", wide=True),
        Column("RUNTIME", _runtime, wide=True),
        Column("KERNEL", _fact("kernel"), wide=True),
        Column("HEARD", _heard, wide=True),
        field("PROTOCOL", "protocol", wide=True),
        AGE,
        LABELS,
        field("ERROR", "runtime_error", wide=True),
    ),
    "deployment": (
        field("NAME", "name"),
        Column("READY", _ready_of),
        field("UPDATED", "updated"),
        field("MIN-AVAILABLE", "min_available", wide=True),
        Column("IMAGE", _image_of_spec),
        AGE,
        Column("PROGRESS", _progress),
        LABELS,
    ),
    "container": (
        field("NAME", "name"),
        field("PHASE", "phase", is_state=True),
        Column("READY", _flag("ready"), is_state=True),
        field("NODE", "node"),
        Column("ADDRESS", lambda item, _: item.get("ipaddress") or ""),
        field("IMAGE", "image"),
        AGE,
        field("DEPLOYMENT", "deployment", wide=True),
        field("RESTARTS", "restarts", wide=True),
        Column("CPU", _used("cpu_millis", cpu_text), wide=True),
        Column("MEMORY", _used("memory_mib", size_text), wide=True),
        LABELS,
        Column("WHY", _why, wide=True),
    ),
    "image": (
        field("NAME", "name"),
        Column("SOURCE", _image_source),
        Column("ON-NODES", _on_nodes),
        field("KIND", "kind_of_image", wide=True),
        AGE,
    ),
    "remote": (
        field("NAME", "name"),
        field("PROTOCOL", "protocol"),
        field("SERVER", "server"),
        AGE,
    ),
    "token": (
        field("ID", "id"),
        field("NAME", "name"),
        field("ROLE", "role"),
        Column("CLUSTERS", _clusters),
        Column("EXPIRES", _expires),
        Column("USED", _flag("used")),
        field("NODE", "node", wide=True),
        field("CREATED-BY", "created_by", wide=True),
        AGE,
    ),
    "user": (
        field("NAME", "name"),
        field("ROLE", "role"),
        Column("CLUSTERS", _clusters),
        Column("DISABLED", _flag("disabled")),
        since("PASSWORD", "password_ms", wide=True),
        field("CREATED-BY", "created_by", wide=True),
        AGE,
    ),
    "event": (
        Column("TIME", lambda item, _: moment(item.get("time_ms", 0))),
        Column("THING", _thing),
        field("ACTION", "action"),
        field("NODE", "node"),
        field("CLUSTER", "cluster", wide=True),
        field("REVISION", "revision", wide=True),
        field("WHO", "who", wide=True),
        field("WHY", "why"),
    ),
}


def columns_of(kind: str, *, is_wide: bool) -> list[Column]:
    """The columns that are shown."""
    return [column for column in COLUMNS[kind] if is_wide or not column.wide]


def row(columns: Sequence[Column], item: Item, now_ms: int) -> list[str]:
    """One item's cells."""
    cells = []
    for column in columns:
        text = safe(column.text(item, now_ms)) or NOTHING
        cells.append(toned(text) if column.is_state else text)
    return cells


def table(kind: str, items: Sequence[Item], *, now_ms: int, is_wide: bool) -> list[str]:
    """Title and rows, aligned."""
    columns = columns_of(kind, is_wide=is_wide)
    titles = [click.style(column.title, bold=True) for column in columns]
    return aligned([titles, *(row(columns, item, now_ms) for item in items)])
