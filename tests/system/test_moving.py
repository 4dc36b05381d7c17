"""docs/moving-from-the-original.md is true: a database is moved step by step as it says."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import pytest

from pathfinder.agent.original import SAME, WITHOUT_EFFECT
from tests.support import postgres
from tests.support.original_clients.go import GoAgent
from tests.support.original_clients.raw import RawConnection
from tests.support.original_data import APP_TOKEN, NODE_TOKEN, all_rows
from tests.support.postgres import PrivatePostgres, private_postgres
from tests.support.server_process import ServerProcess, server_process
from tests.system.test_readme import Step, form, steps

PAGE: Final = Path(__file__).parents[2] / "docs" / "moving-from-the-original.md"
COMMAND_S_MAX: Final = 60.0
PASSWORD: Final = re.compile(r"\b\w{4}(-\w{4}){4}\b")
AGE: Final = re.compile(r"\b\d+[dhmsy]+\b")


class Mover:
    """Whoever follows the page, in a directory of the test's own, with an agent that polls."""

    def __init__(self, directory: Path, database: PrivatePostgres, stack: ExitStack) -> None:
        self._directory = directory
        self._database = database
        self._stack = stack
        self._server: ServerProcess | None = None

    def type(self, command: str) -> str:
        """What a person sees of a command."""
        if command.startswith("pathfinder server"):
            return self._start()
        if command.startswith("curl"):  # which not every machine has
            return self._ping()
        ended = subprocess.run(
            ["bash", "-c", command],
            cwd=self._directory,
            env={
                "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
                "LANG": "C.UTF-8",
                "HOME": str(self._directory),
                "PGHOST": str(self._database.directory),
                "PGUSER": postgres.USER,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=COMMAND_S_MAX,
            check=False,
        )
        return ended.stdout

    def _ping(self) -> str:
        assert self._server is not None, "the page starts it first"
        with RawConnection(self._server.port) as connection:
            connection.send(b"GET /api/v1/ping HTTP/1.1\r\nHost: pathfinder\r\n\r\n")
            return f"{connection.answer().status}\n"

    def _start(self) -> str:
        self._server = self._stack.enter_context(server_process(self._directory / "data", ""))
        profile = {
            "pf_server_addr": "127.0.0.1",
            "pf_server_port": self._server.port,
            "cluster": "default",
            "cluster_token": APP_TOKEN,
        }
        file = self._directory / ".pathfinder" / "pfi-config.json"
        file.parent.mkdir()
        file.write_text(json.dumps({"current_profile": "p", "profiles": {"p": profile}}))
        agent = GoAgent(self._server.port, "node-01")
        agent.token = NODE_TOKEN
        assert agent.scheduled().status == 200
        return ""


@pytest.fixture
def database() -> Iterator[PrivatePostgres]:
    if reason := postgres.why_not():
        pytest.skip(reason)
    with private_postgres() as server:
        server.execute(all_rows())
        yield server


def comparable(text: str) -> list[str]:
    return [PASSWORD.sub("PASSWORD", AGE.sub("AGE", line)) for line in form(text)]


@pytest.mark.slow
@pytest.mark.system
def test_the_page_goes_step_by_step_as_it_says(database: PrivatePostgres, tmp_path: Path) -> None:
    told: list[Step] = steps(PAGE.read_text())
    with ExitStack() as stack:
        mover = Mover(tmp_path, database, stack)

        assert len(told) >= 8
        for step in told:
            said = mover.type(step.command)
            assert comparable(said) == comparable(step.output), f"$ {step.command}\n{said}"


def test_the_page_names_every_variable_of_the_original() -> None:
    page = PAGE.read_text()
    chef = ("CHEF_INSTALLER", "CHEF_VERSION")  # of agents older than those that the page is about

    for name in (*SAME, *WITHOUT_EFFECT):
        assert f"`{name}`" in page or name in chef, name
