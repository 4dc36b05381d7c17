"""`pfi apply`: make it as the files say."""

from typing import Any, Final

import click

from pathfinder.cli.command import Command
from pathfinder.cli.session import Session, with_session

WAIT_S: Final = 300.0
COMPARED: Final = ("labels", "replicas", "min_available")


@click.command(cls=Command)
@click.option(
    "-f",
    "--file",
    "paths",
    metavar="FILE",
    multiple=True,
    required=True,
    help="File, directory, or - for standard input. Several times: all together.",
)
@click.option("--dry-run", is_flag=True, help="Show the plan and change nothing, like pfi plan.")
@click.option(
    "--dirty",
    is_flag=True,
    help="Let replicas take over a new definition as they run, without making them anew.",
)
@click.option("--wait", is_flag=True, help="Wait until everything is ready.")
@click.option(
    "--timeout", "timeout_s", type=float, default=WAIT_S, show_default=True, metavar="SECONDS"
)
@with_session
def command(
    session: Session,
    paths: tuple[str, ...],
    *,
    dry_run: bool,
    dirty: bool,
    wait: bool,
    timeout_s: float,
) -> None:
    """Make it as the files say, all of it or nothing.

    Applying the same files again changes nothing. Objects that the files do not mention are left
    alone.
    """
    wait_s = timeout_s if wait and not dry_run else None
    apply(session, paths, dry_run=dry_run, dirty=dirty, wait_s=wait_s)


def apply(
    session: Session,
    paths: tuple[str, ...],
    *,
    dry_run: bool,
    dirty: bool = False,
    wait_s: float | None = None,
) -> None:
    """Apply the files and show the plan; then wait up to `wait_s`."""
    from pathfinder.cli.manifests import located_by_server, read_manifests
    from pathfinder.model.errors import DefinitionWrong

    manifests = read_manifests(paths, session.cluster)
    documents = [manifest.document for manifest in manifests]
    differences = find_differences(session, documents) if dry_run else {}
    try:
        plan = session.client.apply(documents, dry_run=dry_run, dirty=dirty)
    except DefinitionWrong as error:
        raise located_by_server(error, manifests) from None
    show_plan(session, plan, differences)
    if wait_s is not None:
        wait_until_ready(session, documents, since=plan.get("revision", 0), wait_s=wait_s)


def show_outcome(session: Session, answer: dict[str, Any], line: str) -> None:
    """What a change of one thing has done: a line for people; the plan, when it was a dry run."""
    from pathfinder.cli.output import print_answer

    if "changes" in answer:
        show_plan(session, answer)
    else:
        print_answer(session, answer, line)


def show_plan(
    session: Session,
    plan: dict[str, Any],
    differences: dict[tuple[str, str, str], list[str]] | None = None,
) -> None:
    """The plan for people, or the server's answer for programs."""
    from pathfinder.cli.output import print_answer
    from pathfinder.cli.plans import plan_lines

    if session.is_for_programs:
        print_answer(session, plan)
    else:
        print_answer(session, plan, *plan_lines(plan, differences or {}))


def find_differences(
    session: Session, documents: list[dict[str, Any]]
) -> dict[tuple[str, str, str], list[str]]:
    """What each document changes in what there is already, field by field."""
    if session.is_for_programs:
        return {}
    from pathfinder.cli.plans import difference_lines
    from pathfinder.client.kinds import CONTAINER, DEPLOYMENT
    from pathfinder.model.definitions import container_spec
    from pathfinder.model.errors import NotFound

    found = {}
    for document in documents:
        for kind in (CONTAINER, DEPLOYMENT):
            if document["kind"] != kind.document:
                continue
            cluster, name = document["cluster"], document["name"]
            try:
                before = session.client.get(kind, name, cluster=cluster)
            except NotFound:
                continue
            fields: list[str] = [
                key for key in ("labels", "replicas", "min_available") if key in document
            ]
            was = {key: before.get(key) for key in fields} | {"spec": before["spec"]}
            wanted = {key: document[key] for key in fields}
            wanted["spec"] = container_spec(document["spec"]).document()
            found[kind.name, cluster, name] = difference_lines(was, wanted)
    return found


def wait_until_ready(
    session: Session, documents: list[dict[str, Any]], *, since: int, wait_s: float
) -> None:
    """Wait for the containers and deployments among the documents."""
    from pathfinder.cli.waiting import READY
    from pathfinder.cli.watching import Awaited, wait_for
    from pathfinder.client.kinds import CONTAINER, DEPLOYMENT

    kinds = {kind.document: kind for kind in (CONTAINER, DEPLOYMENT)}
    things = [
        Awaited(
            kind=kinds[document["kind"]],
            cluster=document["cluster"],
            name=document["name"],
            wanted=READY,
        )
        for document in documents
        if document["kind"] in kinds
    ]
    if things:
        wait_for(session, things, since=since, timeout_s=wait_s)
