"""How `pfi` fails: one message with the next step on standard error, and an exit code by kind."""

import sys
from typing import Final

import click

from pathfinder.cli.errors import Misused, WaitedInVain
from pathfinder.model.errors import (
    Conflict,
    Forbidden,
    NotFound,
    NotLeading,
    PathfinderError,
    Unauthorized,
)

OK: Final = 0
FAILED: Final = 1
USAGE: Final = 2
NOT_FOUND: Final = 3
CONFLICT: Final = 4
UNREACHABLE: Final = 5
REFUSED: Final = 6
TIMED_OUT: Final = 7
INTERRUPTED: Final = 130  # 128 + SIGINT, as shells have it
PIPE_CLOSED: Final = 141  # 128 + SIGPIPE

MEANING: Final = (
    (OK, "done"),
    (FAILED, "failed; the message says why"),
    (USAGE, "the command line or the configuration is wrong"),
    (NOT_FOUND, "there is nothing with this name"),
    (CONFLICT, "the present state does not allow it"),
    (UNREACHABLE, "the server cannot be reached, or is not ready"),
    (REFUSED, "the credential is missing, unknown, or good for other things"),
    (TIMED_OUT, "what was waited for did not happen in time"),
)

REACH_HINT: Final = "is it running? ./dev up starts one on this machine; --server names another"
CREDENTIAL_HINT: Final = "give a token: --token-file FILE, PFI_TOKEN, or pfi config set token=@FILE"


def exit_code(error: PathfinderError) -> int:
    """The exit code for an error."""
    match error:
        case NotFound():
            return NOT_FOUND
        case Conflict():
            return CONFLICT
        case Unauthorized() | Forbidden():
            return REFUSED
        case WaitedInVain():
            return TIMED_OUT
        case Misused():
            return USAGE
        case NotLeading():
            return UNREACHABLE
    # By code, because importing the client's errors costs `pfi --help` time.
    return UNREACHABLE if error.code in ("unreachable", "certificate_refused") else FAILED


def hint_for(error: PathfinderError) -> str:
    """The next step: the error's own, or what helps on this machine."""
    if error.hint:
        return error.hint
    if error.code == "unreachable":
        return REACH_HINT
    return CREDENTIAL_HINT if isinstance(error, Unauthorized) else ""


def show(error: PathfinderError, *, as_json: bool) -> None:
    """Say on standard error what is wrong and what to do next."""
    if as_json:
        import json

        described = error.document()
        described["error"]["hint"] = hint_for(error)
        print(json.dumps(described), file=sys.stderr)
        return
    click.echo(click.style("error: ", fg="red", bold=True) + error.message, err=True)
    if hint := hint_for(error):
        click.echo(click.style(" hint: ", fg="yellow") + hint, err=True)
