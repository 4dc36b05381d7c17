"""`pfi config`: what pfi remembers between calls."""

import click

from pathfinder.cli.command import Group, plain_lines
from pathfinder.cli.session import Session, token_in, with_session

EXAMPLES = (
    "pfi config set server=https://10.0.0.1:8480 token=@token.txt ca_file=ca.crt",
    "pfi config use production",
)


@click.group(cls=Group, epilog=plain_lines(EXAMPLES))
def command() -> None:
    """Remember server, token and cluster, in contexts of which one is current."""


@command.command("set", short_help="Set server, token, cluster and so on.")
@click.argument("changes", metavar="KEY=VALUE...", nargs=-1, required=True)
@with_session
def set_fields(session: Session, changes: tuple[str, ...]) -> None:
    """Set server, token, token_file, cluster, ca_file or pin; an empty value takes one away.

    A token is given as @FILE, or as - for standard input: on the command line everybody on this
    machine could read it. --context NAME sets another context, and makes it the current one.
    """
    from pathfinder.cli.config import write_config
    from pathfinder.cli.output import note

    if len(changes) == 2 and "=" not in changes[0]:
        changes = (f"{changes[0]}={changes[1]}",)
    fields = dict(_field(change) for change in changes)
    context = session.context_name
    config = session.config.with_fields(context, fields)
    write_config(session.config_path, config)
    note(f"context {config.current} in {session.config_path} is set: {', '.join(fields)}")


@command.command("use")
@click.argument("name")
@with_session
def use(session: Session, name: str) -> None:
    """Make another context the current one."""
    from dataclasses import replace

    from pathfinder.cli.config import write_config
    from pathfinder.cli.output import note

    config = session.config
    config.context(name)
    write_config(session.config_path, replace(config, current=name))
    note(f"the current context is {name}")


@command.command("forget")
@click.argument("name")
@with_session
def forget(session: Session, name: str) -> None:
    """Forget a context."""
    from dataclasses import replace

    from pathfinder.cli.config import FIRST_CONTEXT, write_config
    from pathfinder.cli.output import note

    config = session.config
    config.context(name)
    left = {key: fields for key, fields in config.contexts.items() if key != name}
    current = next(iter(left), FIRST_CONTEXT) if config.current == name else config.current
    write_config(session.config_path, replace(config, current=current, contexts=left))
    note(f"context {name} is forgotten; the current one is {current}")


@command.command("show")
@with_session
def show(session: Session) -> None:
    """Show all contexts. Tokens stay hidden."""
    from pathfinder.cli.output import print_document, say
    from pathfinder.cli.text import aligned

    config = session.config
    contexts = {name: _shown(fields) for name, fields in config.everything.items()}
    if session.is_for_programs:
        print_document(session, {"current": config.current, "contexts": contexts})
        return
    if not contexts:
        say(session, f"nothing is set in {session.config_path}")
    for name, fields in contexts.items():
        mark = " (current)" if name == config.current else ""
        mark += "" if name in config.contexts else " (profile of the original's pfi)"
        rows = [[f"{key}:", value] for key, value in fields.items()]
        say(session, f"{name}{mark}", *(aligned(rows, indent="  ") if rows else ()))


@command.command("path")
@with_session
def path(session: Session) -> None:
    """Print where the contexts are kept."""
    click.echo(str(session.config_path))


def _field(change: str) -> tuple[str, str]:
    from pathlib import Path

    from pathfinder.cli.errors import Misused

    key, equals, value = change.partition("=")
    if not equals:
        raise Misused(f"{change!r} sets nothing", hint="write KEY=VALUE")
    key = key.replace("-", "_")  # as the flags have it
    if key == "token" and value:
        if value != "-" and not value.startswith("@"):
            raise Misused(
                "a token on the command line can be read by everybody on this machine",
                hint="put it into a file: pfi config set token=@FILE, or token=- for stdin",
            )
        return key, token_in(value.removeprefix("@"))
    if key in ("ca_file", "token_file") and value:
        return key, str(Path(value).expanduser().absolute())
    if key == "server" and value:
        from pathfinder.client.transport import endpoint

        return key, endpoint(value).url
    return key, value


def _shown(fields: object) -> dict[str, str]:
    assert isinstance(fields, dict)
    return {key: "(hidden)" if key == "token" else value for key, value in fields.items()}
