"""One call of `pfi`: which server, which credential, which cluster, which form of output.

A flag outranks the environment, which outranks the context that `pfi config` keeps.
"""

import sys
import time
from collections.abc import Callable, Mapping
from functools import update_wrapper
from typing import TYPE_CHECKING, Concatenate, Final, ParamSpec, TypeVar

import click

from pathfinder.cli.errors import Misused

if TYPE_CHECKING:
    from pathlib import Path

    from pathfinder.cli.config import Config
    from pathfinder.client.client import Client

FORMATS: Final = ("table", "wide", "json", "yaml")
COMPLETE_VARIABLE: Final = "_PFI_COMPLETE"
NO_SERVER_HINT: Final = (
    "start one on this machine with ./dev up, or name one: pfi config set server=https://HOST:PORT"
)

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


class Session:
    """Settles each setting when it is first needed; `flags` are the global options given."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.flags: dict[str, str] = {}
        self._environ = environ
        self._config: Config | None = None
        self._client: Client | None = None

    @property
    def output(self) -> str:
        """One of FORMATS."""
        return self.flags.get("output", "table")

    @property
    def is_for_programs(self) -> bool:
        """Whether JSON or YAML is wanted."""
        return self.output in ("json", "yaml")

    @property
    def is_on_terminal(self) -> bool:
        """Whether a person watches: live updates are welcome."""
        return sys.stdout.isatty() and self._environ.get("TERM", "") != "dumb"

    @property
    def is_coloured(self) -> bool:
        """Whether colours are welcome (https://no-color.org)."""
        return self.is_on_terminal and not self._environ.get("NO_COLOR")

    @property
    def completion_instruction(self) -> str:
        """What a shell's completion script asks for; "" in every other call."""
        return self._environ.get(COMPLETE_VARIABLE, "")

    @property
    def config_path(self) -> "Path":
        """Where contexts are kept."""
        from pathfinder.cli.config import config_path

        return config_path(self._environ)

    @property
    def config(self) -> "Config":
        """All contexts."""
        if self._config is None:
            from pathfinder.cli.config import read_config
            from pathfinder.cli.profiles import with_profiles

            self._config = with_profiles(read_config(self.config_path), self._environ)
        return self._config

    @property
    def context_name(self) -> str | None:
        """The context that was asked for; None: the current one."""
        return self.flags.get("context") or self._environ.get("PFI_CONTEXT") or None

    @property
    def cluster(self) -> str:
        """The cluster that commands are about."""
        return self.setting("cluster") or "default"

    def setting(self, name: str) -> str:
        """One setting by flag, environment or context; "" when nowhere."""
        return (
            self.flags.get(name)
            or self._environ.get(f"PFI_{name.upper()}", "")
            or self.config.context(self.context_name).get(name, "")
        )

    def token(self) -> str:
        """The credential: --token-file, PFI_TOKEN, PFI_TOKEN_FILE, or what the context keeps."""
        if path := self.flags.get("token_file"):
            return token_in(path)
        if token := self._environ.get("PFI_TOKEN"):
            return token.strip()
        if path := self._environ.get("PFI_TOKEN_FILE"):
            return token_in(path)
        context = self.config.context(self.context_name)
        if context.get("token"):
            return context["token"]
        return token_in(context["token_file"]) if context.get("token_file") else ""

    @property
    def client(self) -> "Client":
        """The server, connected when first asked something; Misused when none is named."""
        if self._client is None:
            self._client = self.new_client()
        return self._client

    def new_client(self) -> "Client":
        """Another connection to the same server."""
        server = self.setting("server")
        if not server:
            raise Misused("no server is named", hint=NO_SERVER_HINT)
        from pathfinder.client.client import Client

        return Client(
            server,
            self.token(),
            ca_file=self.setting("ca_file"),
            pin=self.setting("pin"),
            cluster=self.cluster,
        )

    def now_ms(self) -> int:
        """The wall clock."""
        return time.time_ns() // 1_000_000

    def close(self) -> None:
        """Let go of the server."""
        if self._client is not None:
            self._client.close()


def token_in(path: str) -> str:
    """The token that a file holds; `-` is standard input. Misused when there is none."""
    from pathlib import Path

    try:
        text = sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise Misused(f"cannot read the token file {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise Misused(f"{path} holds no token") from None
    if not text.strip() or len(text.split()) != 1:
        raise Misused(f"{path} holds no token", hint="it must be the only word in the file")
    return text.strip()


def with_session(
    function: Callable[Concatenate[Session, Parameters], Result],
) -> Callable[Parameters, Result]:
    """Hand the session to a command as its first argument."""

    def called(*arguments: Parameters.args, **options: Parameters.kwargs) -> Result:
        session = click.get_current_context().find_object(Session)
        assert session is not None, "main.run has given click none"
        return function(session, *arguments, **options)

    return update_wrapper(called, function)
