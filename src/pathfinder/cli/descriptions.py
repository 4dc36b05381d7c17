"""Everything about one thing, for people. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import click

from pathfinder.cli.tables import NOTHING, Item, label_text, table
from pathfinder.cli.text import age, aligned, moment, safe, toned
from pathfinder.client.kinds import CONTAINER
from pathfinder.model.resources import cpu_text, size_text

STATES: Final = frozenset({"phase", "status", "ready"})
# Shown in sections of their own, or by another field.
ELSEWHERE: Final = frozenset(
    {"kind", "spec", "explanation", "ipaddress", "facts", "usage", "drain"}
)
LAST: Final = ("digest", "revision")
UNITS: Final = ("_mib", "_millis", "_permille", "_ms_ago", "_ms")  # the value says them
EMPTY: Final[tuple[object, ...]] = ("", None, [], {}, ())


def description(
    item: Item,
    containers: Sequence[Item] | None,
    events: Sequence[Item],
    now_ms: int,
) -> list[str]:
    """The fields, then what belongs to it, then what happened to it."""
    keys = sorted(item, key=LAST.__contains__)  # stable: otherwise in the API's order
    rows = [
        [f"{_label(key)}:", _value(key, item[key], now_ms)]
        for key in keys
        if key not in ELSEWHERE and item[key] not in EMPTY
    ]
    lines = aligned(rows)
    if item.get("drain"):
        lines += ["", _title("drain")]
        lines += [f"  {line}" for line in drain_lines(item["drain"], now_ms)]
    for key in ("spec", "facts", "usage"):
        if item.get(key):
            lines += ["", _title(key), *(f"  {line}" for line in tree_lines(item[key]))]
    if item.get("explanation"):
        lines += ["", _title("explanation")]
        lines += [f"  {line}" for line in explanation_lines(item, item["explanation"])]
    if containers is not None:
        lines += ["", _title("containers")]
        lines += [f"  {line}" for line in _containers(containers, now_ms)]
    lines += ["", _title("events"), *(f"  {line}" for line in _events(events, now_ms))]
    return lines


def explanation_lines(item: Item, explanation: Mapping[str, Any]) -> list[str]:
    """Why a container is where it is, or nowhere, and what would help."""
    told = explanation.get("explanation") or explanation
    where = f"on {item['node']}" if item.get("node") else "on no node"
    lines = [f"{CONTAINER.name}/{item['name']} is {toned(item['phase'])} {where}"]
    text = told.get("text") or explanation.get("why") or item.get("why")
    if text:
        lines.append(f"because: {safe(str(text))}")
    if explanation.get("placed"):
        lines.append(f"placed there because: {safe(str(explanation['placed']))}")
    if explanation.get("moved"):
        lines.append(f"moved or made anew because: {safe(str(explanation['moved']))}")
    if choices := explanation.get("choices"):
        lines.append("as things are now, the best nodes for it are:")
        rows = [
            [
                f"{'*' if each['is_here'] else ' '} {each['node']}",
                safe(each["why"]),
                _counts(each.get("counts") or ()),
            ]
            for each in choices
        ]
        lines += aligned(rows, indent="  ")
    if awaited := explanation.get("awaited"):
        lines.append("waits for what is on its way:")
        rows = [[each["name"], safe(each["what"]), _span(each)] for each in awaited]
        lines += aligned(rows, indent="  ")
    rows = [[f"{reason['count']}x", safe(reason["text"])] for reason in told.get("reasons") or ()]
    if rows:
        lines += [f"nodes that do not fit (of {told.get('nodes_total', '?')}):"]
        lines += aligned(rows, indent="  ")
    near = [_pair(entry) for entry in told.get("nearest") or ()]
    if near:
        lines += ["nearest:", *aligned(near, indent="  ")]
    remedies = list(told.get("remedies") or ())
    if hint := explanation.get("hint") or item.get("hint"):
        remedies.append(hint)
    if remedies:
        lines += ["what would help:", *(f"  - {safe(str(remedy))}" for remedy in remedies)]
    return lines


def drain_lines(drain: Mapping[str, Any], now_ms: int) -> list[str]:
    """How far a node's drain is, why containers stay, and what would help them."""
    since = f"since {moment(drain['since_ms'])} ({age(now_ms - drain['since_ms'])} ago)"
    lines = [since + (f": {safe(drain['reason'])}" if drain["reason"] else "")]
    if drain["ended_ms"]:
        return [*lines, f"empty since {moment(drain['ended_ms'])}"]
    left, count = drain["left"], drain["containers"]
    text = f"{left} of {count} containers left, {drain['moving']} on their way"
    if drain["ends_in_ms"] is not None:
        text += f"; done in about {age(drain['ends_in_ms'])}, if it goes on like this"
    lines.append(text)
    for each in drain["stays"]:
        lines.append(f"{each['name']} stays: {safe(each['why'])}")
        lines += [f"  - {safe(each['hint'])}"] if each["hint"] else []
    return lines


def _counts(counts: Sequence[Mapping[str, Any]]) -> str:
    """What each wish counts on a node: 0 is the best."""
    return ", ".join(f"{safe(each['wish'])}: {each['count']}" for each in counts)


def _span(awaited: Mapping[str, Any]) -> str:
    """Since when, and about until when."""
    since, until = awaited["since_ms"], awaited["until_ms"]
    began = f"on {awaited['node']}" + (f" since {moment(since)}" if since else "")
    return f"{began}, as before until about {moment(until)}" if until else began


def tree_lines(value: Any, indent: str = "") -> Iterator[str]:
    """Nested data as indented `key: value` lines."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if isinstance(inner, (Mapping, list)) and inner:
                yield f"{indent}{key}:"
                yield from tree_lines(inner, indent + "  ")
            elif inner not in EMPTY:
                yield f"{indent}{_label(key)}: {_amount(str(key), inner)}"
    elif isinstance(value, list):
        for inner in value:
            yield f"{indent}- {_entry(inner)}"


def _value(key: str, value: object, now_ms: int) -> str:
    if key.endswith("_ms") and isinstance(value, int):
        return f"{moment(value)} ({age(now_ms - value)} ago)" if value else NOTHING
    if key == "heard_ms_ago" and isinstance(value, int):
        return f"{value / 1000:.1f}s ago"
    if key == "labels" and isinstance(value, dict):
        return safe(label_text(value))
    if isinstance(value, bool):
        text = "yes" if value else "no"
        return toned(text) if key in STATES else text
    if isinstance(value, Mapping):
        parts = [_part(name, part) for name, part in value.items() if _has_content(part)]
        return ", ".join(parts) or NOTHING
    if isinstance(value, list):
        return ", ".join(_entry(entry) for entry in value)
    text = safe(str(value))
    return toned(text) if key in STATES else text


def _part(name: str, part: object) -> str:
    if isinstance(part, Mapping):
        inner = (_part(key, each) for key, each in part.items() if _has_content(each))
        return f"{_label(name)} ({', '.join(inner)})"
    return f"{_label(name)} {_amount(name, part)}"


def _has_content(part: object) -> bool:
    return any(map(_has_content, part.values())) if isinstance(part, Mapping) else bool(part)


def _label(key: object) -> str:
    text = str(key)
    for unit in UNITS:
        text = text.removesuffix(unit)
    return text.replace("_", " ")


def _entry(entry: object) -> str:
    if isinstance(entry, Mapping):
        return ", ".join(f"{_label(key)} {_amount(str(key), part)}" for key, part in entry.items())
    return safe(str(entry))


def _pair(entry: object) -> list[str]:
    if isinstance(entry, Mapping):
        return [safe(str(value)) for value in entry.values()][:2]
    if isinstance(entry, (list, tuple)):
        return [safe(str(value)) for value in entry][:2]
    return [safe(str(entry)), ""]


def _amount(key: str, value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        if value < 0:
            return "not known"
        if key.endswith("_mib"):
            return size_text(value)
        if key.endswith("_permille"):
            return f"{value / 1000:g} times"
        if key.endswith("_millis"):
            return f"{cpu_text(value) or '0'} cores"
    return safe(str(value))


def _containers(containers: Sequence[Item], now_ms: int) -> list[str]:
    if not containers:
        return ["none"]
    return table(CONTAINER.name, containers, now_ms=now_ms, is_wide=False)


def _events(events: Sequence[Item], now_ms: int) -> list[str]:
    if not events:
        return ["none"]
    return aligned(
        [
            [
                f"{age(now_ms - event.get('time_ms', 0))} ago",
                safe(event.get("action", "")),
                safe(event.get("node") or ""),
                safe(event.get("why") or ""),
                f"by {safe(event['who'])}" if event.get("who") else "",
            ]
            for event in events
        ]
    )


def _title(text: str) -> str:
    return click.style(f"{text}:", bold=True)
