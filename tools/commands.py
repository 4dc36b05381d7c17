"""Other programs as `pathfinder.lab.programs` runs them, and Debian's packages."""

from collections.abc import Sequence

from pathfinder.lab import programs
from pathfinder.lab.trouble import Trouble

environment = programs.environment
find = programs.find
is_root = programs.is_root
run = programs.run
tail = programs.tail


def apt_install(packages: Sequence[str]) -> None:
    """Install Debian packages; Trouble that says what to type when we may not."""
    command = f"apt-get install --no-install-recommends {' '.join(packages)}"
    if not find("apt-get"):
        raise Trouble(
            f"these are missing: {', '.join(packages)}", hint="install them and try again"
        )
    if not is_root():
        raise Trouble(f"these are missing: {', '.join(packages)}", hint=f"sudo {command}")
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    run("apt-get", "update", "-q", extra=quiet, hint="is the network up?")
    run("apt-get", "install", "-qy", "--no-install-recommends", *packages, extra=quiet)
