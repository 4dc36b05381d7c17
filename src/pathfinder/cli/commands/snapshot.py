"""`pfi snapshot`: keep the state of a container's disk, and go back to it."""

import click

from pathfinder.cli.command import Group, plain_lines
from pathfinder.cli.completing import complete_container
from pathfinder.cli.session import Session, with_session

EXAMPLES = (
    "pfi snapshot create db-01 before-upgrade",
    "pfi snapshot list db-01",
    "pfi snapshot restore db-01 before-upgrade",
)


@click.group(cls=Group, epilog=plain_lines(EXAMPLES))
def command() -> None:
    """Keep the state of a container's disk on its node, and go back to it.

    It goes with the container when that is relocated, and away when it is deleted or made anew.
    """


@command.command("create", short_help="Keep the state of its disk; it runs on.")
@click.argument("container", shell_complete=complete_container)
@click.argument("name", default="")
@with_session
def create(session: Session, container: str, name: str) -> None:
    """Keep the state of its disk, as NAME or under the present time. The container runs on."""
    from pathfinder.cli.output import print_answer

    made = session.client.create_snapshot(_name_of(container), name)
    one = next((each for each in made if each["name"] == name), made[-1])
    print_answer(session, one, f"snapshot {one['name']} of container/{_name_of(container)} is made")


@command.command("list", short_help="List the snapshots of a container.")
@click.argument("container", shell_complete=complete_container)
@with_session
def show(session: Session, container: str) -> None:
    """List the snapshots of a container, oldest first."""
    from pathfinder.cli.output import note, print_document, say
    from pathfinder.cli.text import age, aligned, safe
    from pathfinder.model.resources import size_text

    found = session.client.snapshots(_name_of(container))
    if session.is_for_programs:
        print_document(session, found)
        return
    if not found:
        note(f"no snapshots of container/{_name_of(container)}")
        return
    titles = [click.style(title, bold=True) for title in ("NAME", "AGE", "SIZE")]
    rows = [
        [
            safe(each["name"]),
            age(session.now_ms() - each["made_ms"]) if each["made_ms"] >= 0 else "-",
            size_text(each["size_mib"]) if each["size_mib"] >= 0 else "-",
        ]
        for each in found
    ]
    say(session, *aligned([titles, *rows]))


@command.command("restore", short_help="Bring its disk back to a snapshot.")
@click.argument("container", shell_complete=complete_container)
@click.argument("name")
@with_session
def restore(session: Session, container: str, name: str) -> None:
    """Bring its disk back to a snapshot. It is stopped for that, and started again.

    What has been written since is lost. Bootstraps that have run since run again.
    """
    from pathfinder.cli.output import say

    session.client.restore_snapshot(_name_of(container), name)
    say(session, f"container/{_name_of(container)} is back at snapshot {name}")


@command.command("delete", short_help="Forget a snapshot.")
@click.argument("container", shell_complete=complete_container)
@click.argument("name")
@with_session
def delete(session: Session, container: str, name: str) -> None:
    """Forget a snapshot."""
    from pathfinder.cli.output import say

    session.client.delete_snapshot(_name_of(container), name)
    say(session, f"snapshot {name} of container/{_name_of(container)} is gone")


def _name_of(word: str) -> str:
    return word.removeprefix("container/")
