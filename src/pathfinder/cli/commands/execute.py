"""`pfi exec`: a command in a container."""

import sys

import click

from pathfinder.cli.command import Command, plain_lines
from pathfinder.cli.completing import complete_container
from pathfinder.cli.session import Session, with_session

EXAMPLES = (
    "A shell:      pfi exec -it web-01 -- sh",
    "In a pipe:    pfi exec -i web-01 -- tar -xf - -C /srv < site.tar",
)


@click.command(
    "exec",
    cls=Command,
    epilog=plain_lines(EXAMPLES),
    # What follows the container belongs to the command, options too.
    context_settings={"allow_interspersed_args": False, "ignore_unknown_options": False},
)
@click.argument("name", metavar="CONTAINER", shell_complete=complete_container)
@click.argument("words", metavar="[--] COMMAND...", nargs=-1, type=click.UNPROCESSED)
@click.option("-i", "--stdin", "has_input", is_flag=True, help="Pass standard input on.")
@click.option("-t", "--tty", "is_tty", is_flag=True, help="Give the command this terminal.")
@with_session
def command(
    session: Session, name: str, words: tuple[str, ...], *, has_input: bool, is_tty: bool
) -> None:
    """Run a command in a container; its exit code becomes the exit code of pfi."""
    from pathfinder.cli.errors import Misused
    from pathfinder.cli.terminal import attach, window_size

    words = words[1:] if words[:1] == ("--",) else words
    if words and words[0].startswith("-"):
        raise Misused(
            f"{words[0]} stands behind the container's name",
            hint=f"options go in front of it: pfi exec -it {name} -- COMMAND",
        )
    if not words:
        raise Misused("which command?", hint=f"a shell, for instance: pfi exec -it {name} -- sh")
    if is_tty and not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise Misused("-t needs a terminal, and here is a pipe", hint="leave -t away")
    size = window_size() if is_tty else None
    terminal = session.client.terminal(name.removeprefix("container/"), words, size=size)
    code = attach(terminal, has_input=has_input or is_tty, is_tty=is_tty)
    click.get_current_context().exit(code if 0 <= code <= 255 else 1)
