"""When is a thing as it was waited for, and what is it until then. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from pathfinder.cli.errors import Misused
from pathfinder.cli.kinds import nearest
from pathfinder.cli.text import age
from pathfinder.client.kinds import CONTAINER, DEPLOYMENT, NODE, Kind
from pathfinder.model.phases import Phase

Item = Mapping[str, Any]
READY: Final = "ready"
DELETED: Final = "deleted"
MOVED: Final = "moved"
DRAINED: Final = "drained"
PHASE: Final = "phase="


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """`text`: the present state. `hint`: what would help, when something is wrong."""

    is_done: bool
    text: str
    hint: str = ""


def condition(text: str, kind: Kind) -> str:
    """`ready`, `deleted`, `moved`, `drained` or `phase=NAME`, if the kind can be so; Misused."""
    lower = text.lower()
    if lower == MOVED and kind is CONTAINER:
        return MOVED
    if lower == DRAINED and kind is NODE:
        return DRAINED
    if lower == DELETED:
        return DELETED
    if lower == READY:
        if kind not in (CONTAINER, DEPLOYMENT, NODE):
            raise Misused(f"a {kind.name} is never ready: it is there or not")
        return READY
    if lower.startswith(PHASE):
        if kind is not CONTAINER:
            raise Misused(f"a {kind.name} has no phase", hint="containers have")
        name = text[len(PHASE) :].upper()
        if name not in Phase.__members__:
            near = nearest(name, tuple(Phase.__members__))
            known = ", ".join(Phase.__members__)
            raise Misused(
                f"{name} is not a phase",
                hint=f"did you mean {near}?" if near else f"phases are {known}",
            )
        return PHASE + name
    raise Misused(
        f"cannot wait for {text!r}", hint="write ready, deleted, moved, drained or phase=NAME"
    )


def progress(kind: Kind, item: Item | None, wanted: str) -> Progress:
    """How far it is. `item`: None when there is nothing with this name."""
    if item is None:
        return Progress(
            is_done=wanted == DELETED, text="gone" if wanted == DELETED else "not there"
        )
    state = _state(kind, item)
    hint = str(item.get("hint") or "") or _remedy(item)
    if wanted == READY:
        return Progress(is_done=_is_ready(kind, item), text=state, hint=hint)
    if wanted == MOVED:
        is_done = not item.get("relocation") and bool(item.get("ready") or item.get("hint"))
        return Progress(is_done=is_done, text=state, hint=hint)
    if wanted == DRAINED:
        return _drained(item)
    if wanted.startswith(PHASE):
        return Progress(is_done=item.get("phase") == wanted[len(PHASE) :], text=state, hint=hint)
    return Progress(is_done=False, text=state, hint=hint)


def _drained(item: Item) -> Progress:
    drain = item.get("drain")
    if not drain:
        hint = f"pfi drain {item.get('name')}"
        return Progress(is_done=False, text="is not drained", hint=hint)
    text, stays = drain_text(drain), drain["stays"]
    hint = f"{stays[0]['name']}: {stays[0]['hint']}" if stays and stays[0]["hint"] else ""
    return Progress(is_done=bool(drain["ended_ms"]), text=text, hint=hint)


def drain_text(drain: Item) -> str:
    """How far a drain is, and what holds it up."""
    if drain["ended_ms"]:
        return "drained"
    text = f"{drain['left']} of {drain['containers']} left, {drain['moving']} on their way"
    if drain["ends_in_ms"] is not None:
        text += f", for about {age(drain['ends_in_ms'])}"
    if stays := drain["stays"]:
        more = f" (and {len(stays) - 1} more)" if len(stays) > 1 else ""
        text += f"; {stays[0]['name']} stays: {stays[0]['why']}{more}"
    return text


def _is_ready(kind: Kind, item: Item) -> bool:
    if kind is DEPLOYMENT:
        numbers = {item.get(key) for key in ("ready", "updated", "current", "replicas")}
        return len(numbers) == 1
    if kind is NODE:
        return bool(item.get("status") == "ready")
    return bool(item.get("ready"))


def _state(kind: Kind, item: Item) -> str:
    if kind is DEPLOYMENT:
        text = str(item.get("progress") or f"{item.get('ready', 0)} ready")
        return f"{text}: {item['blocked']}" if item.get("blocked") else text
    if kind is NODE:
        return str(item.get("status"))
    if kind is CONTAINER:
        explanation = item.get("explanation") or {}
        why = explanation.get("text") or item.get("why") or ""
        text = "ready" if item.get("ready") else str(item.get("phase"))
        where = f"{text} on {item['node']}" if item.get("node") else text
        is_told = not item.get("ready") or item.get("relocation")
        return f"{where}: {why}" if why and is_told else where
    return "there"


def _remedy(item: Item) -> str:
    remedies = (item.get("explanation") or {}).get("remedies") or ()
    return str(remedies[0]) if remedies else ""
