"""`pfi completion`: for bash, zsh and fish."""

import click

from pathfinder.cli.command import Command, plain_lines
from pathfinder.cli.session import COMPLETE_VARIABLE

INSTALL = (
    "bash:  pfi completion bash > ~/.local/share/bash-completion/completions/pfi",
    'zsh:   pfi completion zsh > "${fpath[1]}/_pfi"',
    "fish:  pfi completion fish > ~/.config/fish/completions/pfi.fish",
)


@click.command(cls=Command, epilog=plain_lines(INSTALL))
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """Print the completion script for a shell."""
    from click.shell_completion import get_completion_class

    root = click.get_current_context().find_root().command
    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(root, {}, "pfi", COMPLETE_VARIABLE).source())
