"""Commands and groups that take the global options before and after their name, and load lazily."""

from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import Any, Final

import click

from pathfinder.cli.session import FORMATS, Session

# Not read by click: a flag after the command must outrank the environment, which click cannot know
# before it has met the command.
GLOBAL_HINT: Final = "-c, -o, --server, --token-file, --ca-file and --context: see pfi --help."


def _keep(context: click.Context, parameter: click.Parameter, value: str | None) -> None:
    if value is not None:
        assert parameter.name is not None
        session = context.find_object(Session)
        assert session is not None, "main.run has given click none"
        session.flags[parameter.name.removeprefix("global_")] = value


def global_options(*, hidden: bool) -> list[click.Parameter]:
    """The options that every command understands."""

    def option(*names: str, help: str, metavar: str, type: Any = str) -> click.Option:
        declarations = [*names, f"global_{names[-1].lstrip('-').replace('-', '_')}"]
        return click.Option(
            declarations,
            help=help,
            metavar=metavar,
            type=type,
            hidden=hidden,
            expose_value=False,
            callback=_keep,
        )

    return [
        option("-c", "--cluster", metavar="NAME", help="Cluster (default: default). PFI_CLUSTER"),
        option(
            "-o",
            "--output",
            metavar="FORMAT",
            type=click.Choice(FORMATS),
            help="Output: table, wide, json or yaml.",
        ),
        option("--server", metavar="URL", help="Server, as https://HOST:PORT. PFI_SERVER"),
        option(
            "--token-file",
            metavar="FILE",
            help="File with the API token; - is standard input. PFI_TOKEN holds the token itself",
        ),
        option("--ca-file", metavar="FILE", help="CA that signed the server. PFI_CA_FILE"),
        option("--context", metavar="NAME", help="Context of pfi config to use. PFI_CONTEXT"),
    ]


class Command(click.Command):
    """A command that takes the global options, too."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.params += global_options(hidden=True)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Its own options; of the global ones only that they exist."""
        super().format_options(ctx, formatter)
        with formatter.section("Global options"):
            formatter.write_text(GLOBAL_HINT)


class Group(click.Group):
    """A group that takes the global options, too."""

    command_class = Command

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.params += global_options(hidden=True)


class LazyGroup(click.Group):
    """`pfi` itself: its commands are a table, and a module is loaded when its command is called.

    `sections`: title -> command -> (module, what it does in a few words).
    """

    def __init__(
        self, *arguments: Any, sections: Mapping[str, Mapping[str, tuple[str, str]]], **options: Any
    ) -> None:
        super().__init__(*arguments, **options)
        self.params += global_options(hidden=False)
        self._sections = sections
        self._modules = {
            name: module for commands in sections.values() for name, (module, _) in commands.items()
        }

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, as the help shows them."""
        return list(self._modules)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, from its module."""
        module = self._modules.get(cmd_name)
        if module is None:
            return None
        command = import_module(module).command
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that is called; a misspelt one is answered with the nearest."""
        if args and args[0] not in self._modules and not args[0].startswith("-"):
            from pathfinder.cli.kinds import nearest

            near = nearest(args[0], tuple(self._modules))
            further = f"did you mean {near}?" if near else "pfi --help lists them all"
            ctx.fail(f"{args[0]!r} is not a command: {further}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The commands by section, without loading any."""
        for title, commands in self._sections.items():
            with formatter.section(title):
                formatter.write_dl([(name, text) for name, (_, text) in commands.items()])


def plain_lines(lines: Iterable[str]) -> str:
    """Text for an epilog that click shall not rewrap; "" begins a new paragraph."""
    return "\b\n" + "\n".join(line or "\n\b" for line in lines)
