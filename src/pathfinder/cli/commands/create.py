"""`pfi create`: things without a file."""

from pathlib import Path
from typing import Any

import click

from pathfinder.cli.command import Group
from pathfinder.cli.session import Session, with_session

DAY_S = 86_400


@click.group(cls=Group)
def command() -> None:
    """Create something that does not exist yet, without a file."""


def workload_options(function: Any) -> Any:
    """The options that say what a container is made of."""
    for option in reversed(
        (
            click.option("-i", "--image", help="alias, remote:alias, or a fingerprint."),
            click.option(
                "--type",
                "type_",
                type=click.Choice(["STATEFUL", "STATELESS"], case_sensitive=False),
                help="STATEFUL: never two at once (default). STATELESS: always available.",
            ),
            click.option("--cpu", metavar="CORES", help="Limit and reservation, as 0.5 or 500m."),
            click.option("--memory", metavar="SIZE", help="Limit and reservation, as 512MiB."),
            click.option("--disk", metavar="SIZE", help="Size of the root disk, as 4GiB."),
            click.option("--processes", type=int, metavar="NUMBER", help="At most so many."),
            click.option("-e", "--env", multiple=True, metavar="KEY=VALUE", help="Environment."),
            click.option("-l", "--label", multiple=True, metavar="KEY=VALUE", help="Label."),
            click.option(
                "--constraint", multiple=True, metavar="TEXT", help='As in "rack in (r1, r2)".'
            ),
            click.option("--no-network", is_flag=True, help="Without a network."),
            click.option("--dry-run", is_flag=True, help="Show the plan and change nothing."),
            click.option("--wait", is_flag=True, help="Wait until it is ready."),
            click.argument("command_words", metavar="[IMAGE] [-- COMMAND...]", nargs=-1),
        )
    ):
        function = option(function)
    return function


@command.command("container")
@click.argument("name")
@workload_options
@with_session
def container(session: Session, /, name: str, **options: Any) -> None:
    """Create a single container: pfi create container web busybox."""
    _create(session, {"kind": "Container", "name": name}, options)


@command.command("deployment")
@click.argument("name")
@click.option("--replicas", type=click.IntRange(min=0), default=1, show_default=True)
@workload_options
@with_session
def deployment(session: Session, /, name: str, replicas: int, **options: Any) -> None:
    """Create a deployment: pfi create deployment web --image busybox --replicas 3."""
    _create(session, {"kind": "Deployment", "name": name, "replicas": replicas}, options)


@command.command("cluster")
@click.argument("name")
@click.option(
    "--password-file", metavar="FILE", help="Password with which nodes may join; - is stdin."
)
@with_session
def cluster(session: Session, name: str, password_file: str | None) -> None:
    """Create a cluster."""
    from pathfinder.cli.output import print_answer
    from pathfinder.cli.session import token_in
    from pathfinder.client.kinds import CLUSTER

    _refuse_existing(session, CLUSTER.name, name)
    body = {"password": token_in(password_file)} if password_file else {}
    answer = session.client.put(CLUSTER, name, body)
    print_answer(session, answer, f"cluster/{name} created")


@command.command("image")
@click.argument("name")
@click.option("--alias", help="Its alias where it comes from.")
@click.option("--fingerprint", help="Its fingerprint, instead of an alias.")
@click.option("--remote", help="The remote that it comes from; without one, the nodes' own store.")
@click.option("--kind", "image_kind", type=click.Choice(["system", "application"]))
@with_session
def image(session: Session, /, name: str, *, image_kind: str | None, **fields: str | None) -> None:
    """Give an image a name that definitions can use."""
    from pathfinder.cli.errors import Misused

    if bool(fields["alias"]) == bool(fields["fingerprint"]):
        raise Misused("name either --alias or --fingerprint")
    document = {"kind": "Image", "name": name, "kind_of_image": image_kind, **fields}
    _apply_new(session, document)


@command.command("remote")
@click.argument("name")
@click.option("--url", required=True, help="https://HOST[:PORT] of the image server.")
@click.option(
    "--protocol",
    type=click.Choice(["daemon", "simplestreams", "registry"]),
    default="simplestreams",
)
@click.option("--certificate-file", metavar="FILE", help="The server's certificate, when pinned.")
@with_session
def remote(
    session: Session, name: str, *, url: str, protocol: str, certificate_file: str | None
) -> None:
    """Name a server from which images come."""
    document: dict[str, Any] = {
        "kind": "Remote", "name": name, "server": url, "protocol": protocol,
    }  # fmt: skip
    if certificate_file:
        document["certificate"] = _content(certificate_file)
    _apply_new(session, document)


@command.command("token")
@click.argument("name")
@click.option(
    "--role",
    type=click.Choice(["admin", "app", "reader"]),
    default="reader",
    show_default=True,
    help="admin: everything. app: containers and what they need. reader: look only.",
)
@click.option("--only", "clusters", multiple=True, metavar="CLUSTER", help="Only this cluster.")
@click.option("--ttl", "ttl_s", type=int, metavar="SECONDS", help="Valid so long; else for ever.")
@with_session
def token(
    session: Session, name: str, *, role: str, clusters: tuple[str, ...], ttl_s: int | None
) -> None:
    """Create an API token. It is printed this once: pfi create token ci > token.txt."""
    answer = session.client.create_token(name, role, clusters=clusters, ttl_s=ttl_s)
    _print_secret(session, answer, f"token {answer['id']} for {name}: {role}")


@command.command("user")
@click.argument("name")
@click.option(
    "--role",
    type=click.Choice(["admin", "app", "reader"]),
    default="reader",
    show_default=True,
    help="admin: everything. app: containers and what they need. reader: look only.",
)
@click.option("--only", "clusters", multiple=True, metavar="CLUSTER", help="Only this cluster.")
@click.option("--password-file", metavar="FILE", help="Do not ask for it; - is standard input.")
@with_session
def user(
    session: Session, name: str, *, role: str, clusters: tuple[str, ...], password_file: str | None
) -> None:
    """Let a person sign in to the web UI; asks for the password."""
    from pathfinder.cli.output import print_answer
    from pathfinder.cli.passwords import new_password
    from pathfinder.client.kinds import USER

    _refuse_existing(session, USER.name, name)
    password = new_password(name, password_file)
    answer = session.client.create_user(name, password, role, clusters=clusters)
    print_answer(session, answer, f"user/{name} created: {role}")


@command.command("join-token")
@click.option("--node", default="", help="Only for the node with this name.")
@click.option("--ttl", "ttl_s", type=int, default=3600, show_default=True, metavar="SECONDS")
@with_session
def join_token(session: Session, node: str, ttl_s: int) -> None:
    """Create what one new node joins the cluster with, once: pathfinder-agent --join-token-file."""
    answer = session.client.create_join_token(node=node, ttl_s=ttl_s)
    _print_secret(session, answer, f"good for one node within {ttl_s} s")


def _create(session: Session, document: dict[str, Any], options: dict[str, Any]) -> None:
    image, command_words = options["image"], list(options["command_words"])
    if not image and command_words:
        image = command_words.pop(0)
    if not image:
        from pathfinder.cli.errors import Misused

        raise Misused("no image is named", hint=f"pfi create {document['kind'].lower()} NAME IMAGE")
    spec: dict[str, Any] = {"image": image}
    amounts = {key: options[key] for key in ("cpu", "memory", "disk", "processes") if options[key]}
    if options["type_"]:
        spec["type"] = options["type_"]
    if amounts:
        spec["resources"] = amounts
    if options["env"]:
        spec["environment"] = dict(_pair(text, "--env") for text in options["env"])
    if options["constraint"]:
        spec["constraints"] = list(options["constraint"])
    if options["no_network"]:
        spec["network"] = "none"
    if command_words:
        spec["command"] = command_words
    if options["label"]:
        document["labels"] = dict(_pair(text, "--label") for text in options["label"])
    _apply_new(
        session, {**document, "spec": spec}, dry_run=options["dry_run"], wait=options["wait"]
    )


def _apply_new(
    session: Session, document: dict[str, Any], *, dry_run: bool = False, wait: bool = False
) -> None:
    from pathfinder.cli.commands.apply import WAIT_S, show_plan, wait_until_ready

    document = {key: value for key, value in document.items() if value is not None}
    document["cluster"] = session.cluster
    _refuse_existing(session, document["kind"].lower(), document["name"])
    plan = session.client.apply([document], dry_run=dry_run)
    show_plan(session, plan)
    if wait and not dry_run:
        wait_until_ready(session, [document], since=plan.get("revision", 0), wait_s=WAIT_S)


def _refuse_existing(session: Session, kind_name: str, name: str) -> None:
    """`create` makes something new; what exists is changed by `apply`."""
    from pathfinder.cli.kinds import kind_called
    from pathfinder.model.errors import NameTaken, NotFound

    kind = kind_called(kind_name)
    try:
        session.client.get(kind, name)
    except NotFound:
        return
    raise NameTaken(
        f"{kind.name}/{name} exists already", hint="change it with pfi apply -f FILE, or delete it"
    )


def _pair(text: str, option: str) -> tuple[str, str]:
    from pathfinder.cli.errors import Misused

    key, equals, value = text.partition("=")
    if not equals or not key:
        raise Misused(f"{option} {text}: write KEY=VALUE")
    return key, value


def _content(path: str) -> str:
    from pathfinder.cli.errors import Misused

    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Misused(f"cannot read {path}: {error}") from None


def _print_secret(session: Session, answer: dict[str, Any], remark: str) -> None:
    """The secret alone on standard output, so that it can go into a file; the rest beside it."""
    from pathfinder.cli.output import note, print_answer

    if not session.is_for_programs:
        note(remark)
    print_answer(session, answer, answer["token"])
