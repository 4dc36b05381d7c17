"""The program `pathfinder`."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pathfinder.server.trouble import Trouble

if TYPE_CHECKING:  # each command imports what it needs when it runs
    from pathfinder.server.serving import Listening

USAGE = """Start:
  pathfinder init --data-dir DIR --admin-token-file F
  pathfinder server --data-dir DIR --listen 127.0.0.1:8480"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the exit code."""
    given = _parser().parse_args(arguments)
    try:
        return int(given.run(given))
    except Trouble as trouble:
        print(f"pathfinder: {trouble.message}", file=sys.stderr)
        if trouble.hint:
            print(f"  next: {trouble.hint}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="pathfinder",
        description="The Pathfinder server.",
        epilog=USAGE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    _init_parser(commands.add_parser("init", help="make a data directory; again is the same"))
    _import_parser(
        commands.add_parser("import", help="take over the original's database from a dump")
    )
    _server_parser(commands.add_parser("server", help="serve the API until told to stop"))
    _what_if_parser(
        commands.add_parser("what-if", help="answer a question on an exported state, in JSON")
    )
    journal = commands.add_parser("journal", help="look at what was recorded")
    _journal_parsers(journal.add_subparsers(metavar="COMMAND", required=True))
    commands.add_parser("lab", help="a cluster of several real nodes on this machine, to try")
    commands.add_parser("simulate", help="what becomes of an exported state under troubles")
    version = commands.add_parser("version", help="which version this is")
    version.set_defaults(run=_version)
    return parser


def _init_parser(parser: argparse.ArgumentParser) -> None:
    _data_dir(parser)
    parser.add_argument("--cluster", default="default", metavar="NAME", help="usual: default")
    for option, what in (
        ("--cluster-password-file", "password by which nodes may join"),
        ("--admin-token-file", "token that may do everything"),
        ("--app-token-file", "token that may manage containers"),
        ("--admin-password-file", "password of the user admin"),
    ):
        parser.add_argument(
            option, type=Path, metavar="F", help=f"{what}: read from F, or made and written there"
        )
    parser.add_argument(
        "--host",
        action="append",
        default=[],
        metavar="NAME|ADDRESS",
        help="what nodes and people call this server, for its certificate; several times",
    )
    parser.set_defaults(run=_init)


def _server_parser(parser: argparse.ArgumentParser) -> None:
    from pathfinder.server.settings import SETTINGS

    _data_dir(parser)
    parser.add_argument(
        "--listen", default="127.0.0.1:8480", metavar="HOST:PORT", help="usual: 127.0.0.1:8480"
    )
    parser.add_argument("--tls-cert", type=Path, metavar="F", help="certificate, PEM")
    parser.add_argument("--tls-key", type=Path, metavar="F", help="its key, PEM")
    parser.add_argument("--verbose", action="store_true", help="log each request too")
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    lines = [f"  {each.name} (usual: {each.usual})\n      {each.help}" for each in SETTINGS]
    parser.epilog = "Environment:\n" + "\n".join(lines)
    parser.set_defaults(run=_server)


def _import_parser(parser: argparse.ArgumentParser) -> None:
    _data_dir(parser)
    parser.add_argument("dump", type=Path, metavar="DUMP", help="what pg_dump has written")
    parser.add_argument(
        "--dry-run", action="store_true", help="say what would be taken over, and change nothing"
    )
    parser.set_defaults(run=_import)


def _what_if_parser(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Reads a question from standard input, as POST /api/v3/clusters/CLUSTER/what-if takes it, "
        "and answers it on a file that `pfi export` has written. `pfi plan --state` asks it."
    )
    parser.add_argument("--state", type=Path, metavar="FILE", required=True, help="what to plan on")
    parser.add_argument("--cluster", default="default", metavar="NAME", help="usual: default")
    parser.set_defaults(run=_what_if)


def _what_if(given: argparse.Namespace) -> int:
    from pathfinder.server.offline import answer

    return answer(given.state, given.cluster, sys.stdin.buffer.read())


def _journal_parsers(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    show = commands.add_parser("show", help="each record as a line of JSON, without secrets")
    _data_dir(show)
    show.add_argument("--after", type=int, default=0, metavar="SEQ", help="only later records")
    show.set_defaults(run=_journal_show)
    verify = commands.add_parser("verify", help="check the chain and that it can be replayed")
    _data_dir(verify)
    verify.set_defaults(run=_journal_verify)


def _data_dir(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data-dir",
        type=Path,
        metavar="DIR",
        required="PATHFINDER_DATA_DIR" not in os.environ,
        default=os.environ.get("PATHFINDER_DATA_DIR"),
        help="where the state is (or PATHFINDER_DATA_DIR)",
    )


def _init(given: argparse.Namespace) -> int:
    from pathfinder.server.clock import MachineClock
    from pathfinder.server.initialise import Wishes, initialise
    from pathfinder.store.port import StoreFailure
    from pathfinder.store.sqlite import SqliteStore

    wishes = Wishes(
        data_directory=Path(given.data_dir),
        cluster=given.cluster,
        cluster_password_file=given.cluster_password_file,
        admin_token_file=given.admin_token_file,
        app_token_file=given.app_token_file,
        admin_password_file=given.admin_password_file,
        hosts=tuple(given.host),
    )
    try:
        said = initialise(wishes, SqliteStore, MachineClock())
    except StoreFailure as error:
        raise Trouble(str(error)) from None
    for line in said:
        print(line)
    print(f"ready: pathfinder server --data-dir {given.data_dir} --listen 127.0.0.1:8480")
    return 0


def _import(given: argparse.Namespace) -> int:
    from pathfinder.server.clock import MachineClock
    from pathfinder.server.original.importing import import_dump
    from pathfinder.store.port import StoreFailure
    from pathfinder.store.sqlite import SqliteStore

    directory = Path(given.data_dir)
    clock = MachineClock()
    try:
        for line in import_dump(given.dump, directory, SqliteStore, clock, dry_run=given.dry_run):
            print(line)
    except StoreFailure as error:
        raise Trouble(str(error), hint="stop the server on it first") from None
    return 0


def _server(given: argparse.Namespace) -> int:
    import uvloop

    from pathfinder.server import logs
    from pathfinder.server.certificates import spki_digest
    from pathfinder.server.files import DataDirectory
    from pathfinder.server.serving import Process
    from pathfinder.server.settings import SettingWrong, read_settings
    from pathfinder.store.sqlite import SqliteStore

    logs.configure(is_verbose=given.verbose)
    try:
        settings = read_settings(os.environ)
    except SettingWrong as error:
        raise Trouble(str(error)) from None
    listening = _listening(given)
    directory = DataDirectory(Path(given.data_dir))
    if not directory.journal.exists():
        raise Trouble(
            f"there is no Pathfinder state in {directory.root}",
            hint=f"pathfinder init --data-dir {directory.root} --admin-token-file F",
        )
    digest = spki_digest(listening.certificate) if listening.certificate else "-"

    async def run() -> int:
        return await Process(SqliteStore(directory.journal), listening, settings, digest).run()

    return uvloop.run(run())


def _listening(given: argparse.Namespace) -> "Listening":
    from pathfinder.server.serving import Listening

    host, colon, port = given.listen.rpartition(":")
    if not colon or not port.isdigit() or not 0 <= int(port) <= 65_535:
        raise Trouble(f"--listen {given.listen}: write HOST:PORT, such as 127.0.0.1:8480")
    if (given.tls_cert is None) != (given.tls_key is None):
        raise Trouble("--tls-cert and --tls-key belong together")
    return Listening(
        host=host.strip("[]"),
        port=int(port),
        certificate=given.tls_cert,
        key=given.tls_key,
        logs_requests=given.verbose,
    )


def _journal_show(given: argparse.Namespace) -> int:
    from pathfinder.server.inspection import show

    return show(Path(given.data_dir), given.after)


def _journal_verify(given: argparse.Namespace) -> int:
    from pathfinder.server.inspection import verify

    return verify(Path(given.data_dir))


def _version(_: argparse.Namespace) -> int:
    from importlib.metadata import version

    print(f"pathfinder {version('pathfinder-cm')}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
