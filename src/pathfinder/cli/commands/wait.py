"""`pfi wait`: until something is ready, deleted, or in a phase."""

import click

from pathfinder.cli.command import Command
from pathfinder.cli.completing import complete_kind
from pathfinder.cli.session import Session, with_session


@click.command(cls=Command)
@click.argument(
    "words", metavar="KIND/NAME...", nargs=-1, required=True, shell_complete=complete_kind
)
@click.option(
    "--for",
    "wanted",
    default="ready",
    show_default=True,
    metavar="CONDITION",
    help="ready, deleted, moved (nowhere on its way), drained, or phase=PHASE.",
)
@click.option(
    "--timeout", "timeout_s", type=float, default=120.0, show_default=True, metavar="SECONDS"
)
@with_session
def command(session: Session, words: tuple[str, ...], *, wanted: str, timeout_s: float) -> None:
    """Wait until something is ready, deleted, or in a phase; exit code 7 when it is not in time."""
    from pathfinder.cli.kinds import thing_called
    from pathfinder.cli.waiting import condition
    from pathfinder.cli.watching import Awaited, wait_for
    from pathfinder.client.kinds import EVENT, KINDS

    among = tuple(kind for kind in KINDS if kind is not EVENT)
    if any("/" in word for word in words):
        things = [thing_called((word,), among) for word in words]
    else:
        things = [thing_called(words, among)]
    wait_for(
        session,
        [
            Awaited(kind=kind, cluster=session.cluster, name=name, wanted=condition(wanted, kind))
            for kind, name in things
        ],
        since=session.client.version().get("revision", 0),
        timeout_s=timeout_s,
    )
