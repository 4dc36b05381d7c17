"""`pfi`: the commands by section, and how a call ends.

Nothing here imports more than click: `pfi --help` has a budget of 150 ms, a command of 100 ms more
than the interpreter needs. Each command loads what it uses when it runs (bench/cli.py).
"""

import os
import sys
from collections.abc import Mapping, Sequence
from typing import Final

import click

from pathfinder.cli import failures
from pathfinder.cli.command import LazyGroup, plain_lines
from pathfinder.cli.errors import Misused
from pathfinder.cli.session import COMPLETE_VARIABLE, Session
from pathfinder.model.errors import PathfinderError

PROGRAM: Final = "pfi"
HERE: Final = "pathfinder.cli.commands"
SECTIONS: Final[Mapping[str, Mapping[str, tuple[str, str]]]] = {
    "Say what you want": {
        "apply": (f"{HERE}.apply", "Make it as the files say."),
        "plan": (f"{HERE}.plan", "Show what would happen, and do nothing."),
        "export": (f"{HERE}.export", "Write the state to a file, to plan on it elsewhere."),
        "create": (f"{HERE}.create", "Create a container, cluster, token, user, image or remote."),
        "delete": (f"{HERE}.delete", "Delete things."),
        "scale": (f"{HERE}.scale", "Change how many replicas a deployment has."),
        "reschedule": (f"{HERE}.reschedule", "Make a container anew, where it fits best."),
        "rebootstrap": (f"{HERE}.rebootstrap", "Bootstrap a container again where it runs."),
        "relocate": (f"{HERE}.relocate", "Move a container with its data to another node."),
        "snapshot": (
            f"{HERE}.snapshot",
            "Keep the state of a container's disk; go back to it.",
        ),
        "wait": (f"{HERE}.wait", "Wait until something is ready, deleted, or in a phase."),
    },
    "See what there is": {
        "get": (f"{HERE}.get", "List things of a kind."),
        "describe": (f"{HERE}.describe", "Show everything about one thing."),
        "explain": (f"{HERE}.explain", "Say why a container is where it is, or nowhere."),
        "events": (f"{HERE}.events", "Show what happened, why, and who asked."),
        "logs": (f"{HERE}.logs", "Show what a container has written."),
    },
    "Work in containers and on nodes": {
        "exec": (f"{HERE}.execute", "Run a command in a container."),
        "rebalance": (f"{HERE}.rebalance", "Move containers from full nodes to emptier ones."),
        "drain": (f"{HERE}.drain", "Let everything on a node go elsewhere."),
        "cordon": (f"{HERE}.cordon", "Let no new containers come to a node."),
        "uncordon": (f"{HERE}.uncordon", "Let containers come to a node again."),
        "label": (f"{HERE}.label", "Change the labels of a node."),
    },
    "Say who may sign in to the web UI": {
        "change": (f"{HERE}.change", "Change what a user may."),
        "passwd": (f"{HERE}.passwd", "Set the password of a user."),
    },
    "Set up pfi itself": {
        "config": (f"{HERE}.config", "Remember server, token and cluster."),
        "version": (f"{HERE}.version", "Show the versions of pfi and of the server."),
        "completion": (f"{HERE}.completion", "Print the completion script for a shell."),
    },
}
EPILOG: Final = plain_lines(
    [
        "Exit codes:",
        *(f"  {code}  {meaning}" for code, meaning in failures.MEANING),
        "  exec ends with the command's own exit code.",
        "",
        "Examples:",
        "  pfi apply -f web.yaml --wait       pfi get containers -o wide",
        "  pfi exec -it web-01 -- sh          pfi explain web-01",
    ]
)


def show_version(context: click.Context, _: click.Parameter, value: object) -> None:
    """What `pfi --version` does."""
    if value and not context.resilient_parsing:
        from pathfinder.cli.commands.version import client_version

        click.echo(client_version())
        context.exit()


@click.group(
    cls=LazyGroup,
    sections=SECTIONS,
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=show_version,
    help="Show the version of pfi.",
)
def pfi() -> None:
    """Many computers, used as if they were one: say what shall run, see what does.

    Server, token and cluster come from the options below, else from the environment (PFI_SERVER,
    PFI_TOKEN, PFI_CLUSTER, PFI_CA_FILE), else from what pfi config has been told.
    """


def main() -> None:
    """The program."""
    sys.exit(run(sys.argv[1:], os.environ))


def run(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """One call; its exit code. Whatever is expected to go wrong is said on standard error."""
    session = Session(environ)
    try:
        return _invoke(list(arguments), session)
    except PathfinderError as error:
        failures.show(error, as_json=session.output == "json")
        return failures.exit_code(error)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        return failures.OK
    except click.UsageError as error:
        path = error.ctx.command_path if error.ctx else PROGRAM
        misused = Misused(error.format_message(), hint=f"{path} --help")
        failures.show(misused, as_json=session.output == "json")
        return failures.USAGE
    except (KeyboardInterrupt, click.Abort):
        return failures.INTERRUPTED
    except BrokenPipeError:
        # What reads our output has seen enough. Python must not complain when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return failures.PIPE_CLOSED
    finally:
        session.close()


def _invoke(arguments: list[str], session: Session) -> int:
    if instruction := session.completion_instruction:
        from click.shell_completion import shell_complete

        return shell_complete(pfi, {"obj": session}, PROGRAM, COMPLETE_VARIABLE, instruction)
    try:
        with pfi.make_context(PROGRAM, arguments, obj=session) as context:
            pfi.invoke(context)
    except click.exceptions.Exit as ending:
        return ending.exit_code
    sys.stdout.flush()
    return failures.OK
