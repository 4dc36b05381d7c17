"""Printing: JSON and YAML for programs, tables for people."""

import json
from collections.abc import Sequence
from typing import Any

import click

from pathfinder.cli.session import Session
from pathfinder.cli.tables import table
from pathfinder.client.kinds import Kind


def say(session: Session, *lines: str) -> None:
    """Lines for people; styles only where colours are welcome."""
    for line in lines:
        click.echo(line, color=session.is_coloured)


def note(text: str) -> None:
    """A remark that belongs to no output: on standard error."""
    click.echo(click.style(text, dim=True), err=True)


def print_document(session: Session, document: Any) -> None:
    """JSON or YAML, as asked for."""
    if session.output == "yaml":
        click.echo(yaml_text(document), nl=False)
    else:
        click.echo(json.dumps(document, indent=2, ensure_ascii=False))


def yaml_text(document: Any) -> str:
    """The document as YAML, fields in their order."""
    import yaml

    # The C emitter is ten times faster; a build of PyYAML without it is rare.
    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    text: str = yaml.dump(
        document, Dumper=dumper, sort_keys=False, default_flow_style=False, allow_unicode=True
    )
    return text


def print_table(session: Session, kind: Kind, items: Sequence[dict[str, Any]]) -> None:
    """A table; when there is nothing, a remark instead of a lonely title."""
    if not items:
        where = f" in cluster {session.cluster}" if kind.clustered else ""
        note(f"no {kind.plural}{where}")
        return
    is_wide = session.output == "wide"
    say(session, *table(kind.name, items, now_ms=session.now_ms(), is_wide=is_wide))


def print_answer(session: Session, answer: dict[str, Any], *lines: str) -> None:
    """The server's answer for programs, these lines for people."""
    if session.is_for_programs:
        print_document(session, answer)
    else:
        say(session, *lines)
