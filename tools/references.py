"""The pages of `docs/` that are made from the code: settings, errors, life cycle.

`python -m tools.references` writes them; `tests/contract/test_docs_fresh.py` fails while one is
stale.
"""

import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Final, TypeVar

from pathfinder.agent.settings import SETTINGS as AGENT_SETTINGS
from pathfinder.api import answers
from pathfinder.cli import errors as cli_errors
from pathfinder.cli.config import FIELDS
from pathfinder.cli.failures import MEANING as EXIT_CODES
from pathfinder.client import errors as client_errors
from pathfinder.model.errors import ERRORS, PathfinderError
from pathfinder.runtimes import port
from pathfinder.runtimes.port import RuntimeFailure
from pathfinder.server.settings import SETTINGS as SERVER_SETTINGS
from pathfinder.wire.messages import CRASH_LOOP
from tools.life_cycle import life_cycle_page

Kind = TypeVar("Kind")

ROOT: Final = Path(__file__).resolve().parent.parent
MADE_BY: Final = (
    "Made from the code by `python -m tools.references`; a test fails while it is stale."
)
# What each setting of pfi is for. `pfi config set NAME=...` takes these names, and the environment
# the same in capitals behind PFI_.
PFI_FIELDS: Final[Mapping[str, str]] = {
    "server": "The server, as https://HOST:PORT.",
    "token": "The API token itself.",
    "token_file": "A file that holds the API token.",
    "cluster": "The cluster that commands are about. Default: default.",
    "ca_file": "The certificate (PEM) that the server's must come from, or be.",
    "pin": "SHA-256 of the server's public key, in hex, in place of a certificate.",
}
PFI_OTHERS: Final[Mapping[str, str]] = {
    "PFI_CONTEXT": "The context of `pfi config` to use.",
    "PFI_CONFIG": "The file that contexts are kept in. Default: ~/.config/pathfinder/config.json.",
    "NO_COLOR": "Anything: no colours.",
}
# What to do when it is met. The message of each error says what is wrong in the case at hand.
NEXT_STEP: Final[Mapping[str, str]] = {
    "malformed": "Correct the request. `GET /api/v3/openapi.json` describes every route.",
    "definition_wrong": "Correct the definition at the place that the message names.",
    "unauthorized": "Give a token that exists: `pfi create token`, `--token-file`, `PFI_TOKEN`.",
    "forbidden": "Use a token whose role and clusters allow it: `pfi get tokens`.",
    "not_found": "Look what there is: `pfi get KIND`. Mind the cluster.",
    "conflict": "Read the message: something else has to change first.",
    "revision_stale": "Read the thing again, decide again, send its new revision.",
    "name_taken": "Choose another name, or delete what has it.",
    "too_much": "Ask for less at once; the message names the bound.",
    "too_busy": "Repeat the request later, with the same idempotency key.",
    "not_leading": "Repeat the request: the server is starting or stopping.",
    "node_silent": "Look at the node: `pfi get nodes`. Repeat when it is ready.",
    "method_not_allowed": "Look the path up in `GET /api/v3/openapi.json`.",
    "internal": "Report it, with what the server's log says. Nothing was changed.",
    "store_full": "Make room on the server's disk. Nothing has to be restarted.",
    "unreachable": "Start the server, or name the right one: `--server`, `PFI_SERVER`.",
    "certificate_refused": "Name the server's certificate (`PFI_CA_FILE`) or key (`PFI_PIN`).",
    "no_answer": "Look whether it happened, or repeat it with the same idempotency key.",
    "unexpected": "Check the address: something else seems to listen there.",
    "misused": "Type the command with `--help`.",
    "not_moved": "Read the message; the container runs on where it was. Relocate it again.",
    "timed_out": "Look with `pfi describe`; wait again with a longer `--timeout`.",
    "runtime_failed": "Read the message, and the daemon's own log on the node.",
    "runtime_down": "Start the daemon on the node. The agent goes on by itself.",
    "outcome_unknown": "Nothing: the agent looks what happened, and goes on from there.",
    "not_there": "Nothing: the agent makes it again while it is wanted.",
    "name_occupied": "Rename or remove what has the name on the node, or choose another name.",
    "image_missing": "Provide the image on the node, or name the remote that has it.",
    "crash_loop": "Look at `pfi logs`. A changed definition is tried at once.",
    "refused": "Change the definition; the message carries the daemon's words.",
}


def pages() -> dict[str, Callable[[], str]]:
    """How each page is made, by its path in the repository."""
    return {
        "docs/life-cycle.md": life_cycle_page,
        "docs/reference/settings.md": settings_page,
        "docs/reference/errors.md": errors_page,
    }


def settings_page() -> str:
    """All settings of the three programs."""
    server = (
        (f"`{each.name}`", f"{each.usual}", f"{each.least} to {each.most}", each.help)
        for each in SERVER_SETTINGS
    )
    agent = (
        (f"`{each.flag}`", f"`{each.name}`", f"`{each.default}`" if each.default else "", each.help)
        for each in AGENT_SETTINGS
    )
    pfi = ((f"`PFI_{name.upper()}`", f"`{name}`", PFI_FIELDS[name]) for name in FIELDS)
    others = ((f"`{name}`", "", meaning) for name, meaning in PFI_OTHERS.items())
    return _page(
        "# Settings",
        f"{MADE_BY} A misspelt name is refused at start, and so is a value out of bounds.",
        "## `pathfinder server`",
        "From the environment. The flags are in `pathfinder server --help`.",
        _table(("setting", "default", "bounds", "meaning"), server),
        "## `pathfinder-agent`",
        "As a flag or from the environment; a flag wins.",
        _table(("flag", "environment", "default", "meaning"), agent),
        "## `pfi`",
        "From a flag, else the environment, else the context of `pfi config set NAME=VALUE`.",
        _table(("environment", "in a context", "meaning"), (*pfi, *others)),
    )


def errors_page() -> str:
    """All errors that people meet: of the API, of a node's daemon, and pfi's exit codes."""
    api = (
        (f"`{kind.code}`", str(kind.http_status), _yes(kind.retry), *_told(kind.code, kind))
        for kind in (*ERRORS, *api_failures())
    )
    runtime = [(f"`{kind.code}`", *_told(kind.code, kind)) for kind in runtime_failures()]
    looping = "Its program ended three times in a row, each within five minutes of its start."
    runtime.append((f"`{CRASH_LOOP}`", looping, NEXT_STEP[CRASH_LOOP]))
    client = (
        (f"`{kind.code}`", _yes(kind.retry), *_told(kind.code, kind)) for kind in client_failures()
    )
    codes = ((str(code), meaning) for code, meaning in EXIT_CODES)
    return _page(
        "# Errors",
        MADE_BY,
        "## Of the API",
        'Each answer has the form `{"error": {"code", "message", "hint", "retry", "details"}}`. '
        "*Retry* says whether the same request may succeed later without a change.",
        _table(("code", "status", "retry", "meaning", "what to do next"), api),
        "## Of a node's container daemon",
        "Found in a container's `error_code`, with the words in `why` and `hint`. "
        "The agent tries again, with pauses that grow.",
        _table(("code", "meaning", "what to do next"), runtime),
        "## Of the client library and `pfi` themselves",
        "In the same form, with `pfi -o json`.",
        _table(("code", "retry", "meaning", "what to do next"), client),
        "## Exit codes of `pfi`",
        "`pfi exec` ends with the command's own exit code.",
        _table(("code", "meaning"), codes),
    )


def runtime_failures() -> list[type[RuntimeFailure]]:
    """The failures of the runtime port, in the order of its text."""
    return _classes(port, RuntimeFailure)


def api_failures() -> list[type[PathfinderError]]:
    """The errors that begin in the API itself, in the order of its text."""
    kinds = _classes(answers, PathfinderError)
    return [kind for kind in kinds if kind not in (*ERRORS, PathfinderError)]


def client_failures() -> list[type[PathfinderError]]:
    """The errors that begin in the client library or in pfi, in the order of their texts."""
    kinds = (*_classes(client_errors, PathfinderError), *_classes(cli_errors, PathfinderError))
    return [kind for kind in kinds if kind not in (*ERRORS, PathfinderError)]


def stale(root: Path) -> list[str]:
    """The pages below `root` that are not what the code would make of them."""
    return [path for path, make in pages().items() if _content(root / path) != make()]


def write(root: Path) -> list[str]:
    """Write the stale pages; their paths."""
    written = stale(root)
    for path in written:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(pages()[path](), encoding="utf-8")
    return written


def _content(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


def _classes(module: ModuleType, base: type[Kind]) -> list[type[Kind]]:
    found = [item for item in vars(module).values() if isinstance(item, type)]
    return [kind for kind in found if issubclass(kind, base)]


def _told(code: str, kind: type[Exception]) -> tuple[str, str]:
    return _sentence(kind), NEXT_STEP[code]


def _sentence(kind: type[Exception]) -> str:
    """The class's meaning: the first paragraph of its docstring."""
    return " ".join((kind.__doc__ or "").partition("\n\n")[0].split())


def _yes(is_so: bool) -> str:  # noqa: FBT001  a cell of a table
    return "yes" if is_so else "no"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    cells = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(_escaped(cell) for cell in row)} |" for row in cells)


def _escaped(cell: str) -> str:
    return cell.replace("|", "\\|")


def _page(*parts: str) -> str:
    return "\n\n".join(parts) + "\n"


def main() -> int:
    """Write what is stale, and say so."""
    for path in write(ROOT):
        print(f"written: {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
