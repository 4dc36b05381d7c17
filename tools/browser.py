"""The browser that the web UI is tested and shown with: Debian's Chromium."""

from typing import Final

from tools import commands
from tools.console import Console

PROGRAM: Final = "chromium"
PACKAGES: Final = ("chromium", "fonts-dejavu-core")


def install_if_allowed(console: Console) -> None:
    """Install it through apt unless it is there; who may not is told what is skipped."""
    if commands.find(PROGRAM):
        return
    if not commands.is_root():
        console.say(f"What needs {PROGRAM} is skipped (install it as root)")
        return
    with console.step(f"installing {' '.join(PACKAGES)}"):
        commands.apt_install(PACKAGES)
