"""The README's tour is true: its commands are run and say what the page says. Promise 4.

Ages, addresses, amounts and revisions differ from run to run and are compared by their form.
"""

import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from tests.support.lxd import PrivateLxd
from tests.support.platform import Platform, running_platform

pytestmark = [pytest.mark.slow, pytest.mark.system]

ROOT: Final = Path(__file__).parents[2]
COMMAND_S_MAX: Final = 120.0
BLOCK: Final = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# What is said while waiting: how often depends on the machine.
PROGRESS: Final = re.compile(r"^\w+/[\w-]+: .*\n", re.MULTILINE)
# Whatever differs from run to run, and what stands for it.
VOLATILE: Final = (
    (re.compile(r"\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}"), "TIME"),
    (re.compile(r"\b\d+(\.\d+){3}\b"), "ADDRESS"),
    (re.compile(r"https://[\w.:]+"), "SERVER"),
    (re.compile(r"(?<![\w-])(\d+[dhms])+\b"), "AGE"),
    (re.compile(r"(?<![\w-])[\d.]+ ?[KMGT]iB\b"), "SIZE"),
    (re.compile(r"[\d.]+ % of"), "SHARE of"),
    (re.compile(r"(?<![\w-])[\d.]+/\d+\b"), "USED"),
    (re.compile(r"[ \t]+"), " "),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One command of the page, and what the page says that it answers."""

    command: str
    output: str


def steps(page: str) -> list[Step]:
    """The commands of a page's console blocks, in their order."""
    found = []
    for block in BLOCK.findall(page):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = part.partition("\n")
            found.append(Step(command=command, output=output))
    return found


def form(text: str) -> list[str]:
    """The lines of an output without what differs from run to run."""
    text = PROGRESS.sub("", text)
    for pattern, word in VOLATILE:
        text = pattern.sub(word, text)
    return [line.strip() for line in text.splitlines() if line.strip()]


class Visitor:
    """Whoever follows the tour, on a platform of the test's own in place of `./dev up`."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._instead: dict[str, Callable[[], str]] = {
            "./dev": self._start_server,
            "export": str,
            "kill": self._kill_server,
            "curl": self._first_page,
        }
        self._address = ""

    def type(self, command: str) -> str:
        """What a person sees of a command."""
        instead = self._instead.get(command.partition(" ")[0])
        return instead() if instead else self._run(command)

    def _run(self, command: str) -> str:
        ended = subprocess.run(
            ["bash", "-c", command],
            cwd=ROOT,
            env=self._environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=COMMAND_S_MAX,
            check=False,
        )
        return ended.stdout

    def _environment(self) -> dict[str, str]:
        platform = self._platform
        return {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "LANG": "C.UTF-8",
            "PFI_CONFIG": str(platform.directory / "pfi.json"),
            "PFI_SERVER": platform.url,
            "PFI_TOKEN_FILE": str(platform.directory / "admin"),
            "PFI_CA_FILE": str(platform.data / "tls" / "server.crt"),
        }

    def _start_server(self) -> str:
        if self._platform.server is None:
            self._platform.start_server()
            self._platform.wait_until_node_is_ready()
        return ""

    def _kill_server(self) -> str:
        self._platform.kill_server()
        self._platform.server = None
        return ""

    def _first_page(self) -> str:
        self._address = self._address or str(
            self._platform.items("container")["shop-01"]["ipaddress"]
        )
        with urllib.request.urlopen(f"http://{self._address}/", timeout=COMMAND_S_MAX) as answer:
            return str(answer.read().decode())


def test_the_tour_of_the_readme_goes_as_the_page_says(lxd: PrivateLxd, tmp_path: Path) -> None:
    tour = steps((ROOT / "README.md").read_text())
    with running_platform(tmp_path, lxd) as platform:
        visitor = Visitor(platform)

        assert len(tour) > 15
        for step in tour:
            said = visitor.type(step.command)
            assert form(said) == form(step.output), f"$ {step.command}\n{said}"
