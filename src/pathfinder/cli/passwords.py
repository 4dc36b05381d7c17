"""Passwords: typed on a terminal without being shown, or from a file. Never on the command line."""

import sys
from pathlib import Path
from typing import Final

import click

from pathfinder.cli.errors import Misused

LENGTH_MIN: Final = 12


def new_password(name: str, path: str | None) -> str:
    """A password for the user `name`: typed twice, or the first line of a file; Misused."""
    password = _typed(name) if path is None else _in_file(path)
    if len(password) < LENGTH_MIN:
        raise Misused(
            f"a password has {LENGTH_MIN} characters or more",
            hint="a few words that do not belong together are easily remembered",
        )
    return password


def _typed(name: str) -> str:
    if not sys.stdin.isatty():
        raise Misused(
            "there is no terminal to ask for the password on", hint="give --password-file FILE"
        )
    text = f"Password for {name}"
    typed: str = click.prompt(text, hide_input=True, confirmation_prompt="Again", err=True)
    return typed


def _in_file(path: str) -> str:
    try:
        text = sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise Misused(f"cannot read the password file {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise Misused(f"{path} holds no password") from None
    return text.partition("\n")[0].rstrip("\r")
