"""`pfi plan`: what apply would do, and what would happen if nodes or numbers changed."""

import re
import time
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import click

from pathfinder.cli.command import Command
from pathfinder.cli.errors import Misused
from pathfinder.cli.session import Session, with_session

AGO: Final = re.compile(r"(\d{1,6})([smhd])(?: ago)?")
SECONDS_OF: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


@click.command(cls=Command)
@click.option(
    "-f",
    "--file",
    "paths",
    metavar="FILE",
    multiple=True,
    help="File, directory, or - for standard input. Several times: all together.",
)
@click.option(
    "--lose",
    "--lose-node",
    "lose",
    metavar="NODE|LABEL=VALUE",
    multiple=True,
    help="What if this node, or all nodes with this label, were lost?",
)
@click.option("--drain", metavar="NODE", multiple=True, help="What if this node were emptied?")
@click.option("--add-nodes", "add", metavar="N", type=int, help="What if there were N more nodes?")
@click.option("--like", metavar="NODE", help="The node that the added ones are like.")
@click.option(
    "--scale", metavar="DEPLOYMENT=N", multiple=True, help="What if it had so many replicas?"
)
@click.option(
    "--state",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="On a state that pfi export has written, without any server.",
)
@click.option(
    "--at", metavar="TIME", help="On the state as it was: 2026-11-28T10:00Z, or 90m, 6h, 2d ago."
)
@with_session
def command(
    session: Session,
    /,
    paths: tuple[str, ...],
    state: Path | None,
    at: str | None,
    **happens: Any,
) -> None:
    """Show what would happen, and do nothing.

    With files alone: what apply would do, step by step, and where each container would go. With a
    what-if option: what the cluster would come to, files included, when all of it has happened.
    """
    question = _question(**happens)
    if state is not None and at is not None:
        raise Misused("--state and --at exclude each other", hint="a file is of one moment")
    if question or state is not None or at is not None:
        _ask(session, question, paths, state=state, at_ms=moment_ms(at, time.time()) if at else 0)
    elif paths:
        from pathfinder.cli.commands.apply import apply

        apply(session, paths, dry_run=True)
    else:
        raise Misused(
            "say what to plan", hint="pfi plan -f FILE, or a what-if: pfi plan --lose-node n1"
        )


def _question(
    lose: tuple[str, ...],
    drain: tuple[str, ...],
    add: int | None,
    like: str | None,
    scale: tuple[str, ...],
) -> dict[str, Any]:
    """The fields of the question that the options ask; none when no option was given."""
    if (add is None) != (like is None):
        raise Misused("--add-nodes and --like go together", hint="pfi plan --add-nodes 2 --like n1")
    question: dict[str, Any] = {
        "lose": list(lose),
        "drain": list(drain),
        "add": [{"count": add, "like": like}] if add is not None else [],
        "scale": dict(_scaled(text) for text in scale),
    }
    return {field: value for field, value in question.items() if value}


def _scaled(text: str) -> tuple[str, int]:
    name, _, number = text.partition("=")
    if not name or not number.isdecimal():
        raise Misused(f"--scale {text}: is not DEPLOYMENT=N", hint="pfi plan --scale web=5")
    return name, int(number)


def moment_ms(text: str, now_s: float) -> int:
    """Milliseconds since 1970 of `2026-11-28T10:00Z` or of so long ago as `90m`."""
    if match := AGO.fullmatch(text.strip()):
        return round((now_s - int(match[1]) * SECONDS_OF[match[2]]) * 1000)
    try:
        told = datetime.fromisoformat(text.strip())
    except ValueError:
        raise Misused(
            f"--at {text}: is no time", hint="write 2026-11-28T10:00Z, or 90m, 6h, 2d ago"
        ) from None
    # Without a zone it is the clock on the wall of who asks.
    return round(told.timestamp() * 1000)


def _ask(
    session: Session,
    question: dict[str, Any],
    paths: tuple[str, ...],
    *,
    state: Path | None,
    at_ms: int,
) -> None:
    from pathfinder.cli.manifests import located_by_server, read_manifests
    from pathfinder.cli.offline import ask_offline
    from pathfinder.cli.output import print_answer
    from pathfinder.cli.whatif import what_if_lines
    from pathfinder.model.errors import DefinitionWrong

    manifests = read_manifests(paths, session.cluster) if paths else []
    question["documents"] = [manifest.document for manifest in manifests]
    try:
        if state is not None:
            answer = ask_offline(state, session.cluster, question)
        else:
            answer = session.client.what_if(question, at_ms=at_ms)
    except DefinitionWrong as error:
        if not manifests:
            raise
        raise located_by_server(error, manifests) from None
    print_answer(session, answer, *what_if_lines(answer))
