"""`get --watch` and `events --follow`: what changes, while it changes."""

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

import click

from pathfinder.cli.changes import Changes
from pathfinder.cli.output import say, yaml_text
from pathfinder.cli.session import Session
from pathfinder.cli.tables import columns_of, row, table
from pathfinder.cli.text import aligned
from pathfinder.cli.watching import Screen
from pathfinder.client.kinds import EVENT, Kind

LOOK_S = 2.0
TICK_S = 1.0  # ages move on


def watch_items(
    session: Session, kind: Kind, names: Sequence[str], filters: Mapping[str, str]
) -> None:
    """Show the list and keep it true until the person has seen enough.

    On a terminal it is redrawn in place; in a pipe each change is one line (or one document).
    """
    page = session.client.page(kind, **filters)
    changes = Changes(
        session, since=page.get("revision", 0), cluster=session.cluster if kind.clustered else ""
    )
    try:
        if session.is_on_terminal and not session.is_for_programs:
            _redraw(session, kind, names, filters, changes)
        else:
            _append(session, kind, names, filters, changes)
    finally:
        changes.stop()


def follow_events(
    session: Session, items: Sequence[dict[str, Any]], query: Mapping[str, object]
) -> None:
    """The events so far, then each as it happens, one line (or one document) each."""
    columns = columns_of(EVENT.name, is_wide=session.output == "wide")
    last_id = f"{items[-1]['revision']}.{items[-1]['index']}" if items else ""
    if not session.is_for_programs:
        if items:
            lines = table(
                EVENT.name, items, now_ms=session.now_ms(), is_wide=session.output == "wide"
            )
            say(session, *lines)
        else:
            say(session, *aligned([[column.title for column in columns]]))
    else:
        for item in items:
            print_one(session, item)
    for event in session.client.follow_events(last_id=last_id, **query):
        if session.is_for_programs:
            print_one(session, event)
        else:
            cells = row(columns, event, session.now_ms())
            say(session, "   ".join(cells))


def print_one(session: Session, item: Mapping[str, Any]) -> None:
    """One document of a stream: a line of JSON, or a YAML document."""
    text = f"---\n{yaml_text(item)}" if session.output == "yaml" else json.dumps(item) + "\n"
    click.echo(text, nl=False)


def _listed(
    session: Session, kind: Kind, names: Sequence[str], filters: Mapping[str, str]
) -> list[dict[str, Any]]:
    items = session.client.items(kind, **filters)
    return [item for item in items if not names or item["name"] in names]


def _redraw(
    session: Session,
    kind: Kind,
    names: Sequence[str],
    filters: Mapping[str, str],
    changes: Changes,
) -> None:
    is_wide = session.output == "wide"
    items: list[dict[str, Any]] = []
    looked_s, has_news = 0.0, True
    with Screen() as screen:
        while True:
            if has_news or time.monotonic() - looked_s >= LOOK_S:
                items = _listed(session, kind, names, filters)
                looked_s = time.monotonic()
            lines = table(kind.name, items, now_ms=session.now_ms(), is_wide=is_wide)
            screen.show(lines if items else [f"no {kind.plural} yet"])
            has_news = bool(changes.wait(TICK_S))


def _append(
    session: Session,
    kind: Kind,
    names: Sequence[str],
    filters: Mapping[str, str],
    changes: Changes,
) -> None:
    columns = columns_of(kind.name, is_wide=session.output == "wide")
    shown: dict[str, int] = {}
    widths: list[int] = []
    while True:
        items = {_key(item): item for item in _listed(session, kind, names, filters)}
        news = [item for name, item in items.items() if shown.get(name) != item["revision"]]
        gone = [name for name in shown if name not in items]
        if session.is_for_programs:
            for item in news:
                print_one(session, item)
        else:
            rows = [row(columns, item, session.now_ms()) for item in news]
            if not shown and not widths:
                rows.insert(0, [column.title for column in columns])
            widths = _print_rows(session, rows, widths)
            for name in gone:
                say(session, f"{kind.name}/{name} is gone")
        shown = {name: item["revision"] for name, item in items.items()}
        changes.wait(LOOK_S)


def _key(item: Mapping[str, Any]) -> str:
    """Names are unique, but for tokens, which have identifiers."""
    return str(item.get("id") or item["name"])


def _print_rows(session: Session, rows: list[list[str]], widths: list[int]) -> list[int]:
    """Print the rows in columns that only ever grow; the new widths."""
    if not rows:
        return widths
    found = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    widths = [max(pair) for pair in zip(found, widths or found, strict=True)]
    for cells in rows:
        padded = [cell.ljust(width) for cell, width in zip(cells, widths, strict=True)]
        say(session, "   ".join(padded).rstrip())
    return widths
