"""A private PostgreSQL for a test: a directory and a UNIX socket of its own, and no network."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

SERVERS: Final = Path("/usr/lib/postgresql")
USER: Final = "postgres"  # PostgreSQL refuses to run as root
DATABASE: Final = "pathfinder"
SCHEMA: Final = Path(__file__).with_name("original_schema.sql")
RUN_S_MAX: Final = 120


def why_not() -> str:
    """Why no private PostgreSQL can run here; "" when it can."""
    if os.geteuid() != 0:
        return "a private PostgreSQL needs root, to become another user"
    return "" if _programs() and shutil.which("pg_dump") else "not installed: postgresql"


def _programs() -> Path | None:
    found = sorted(SERVERS.glob("*/bin/postgres"))
    return found[-1].parent if found else None


@dataclass(frozen=True)
class PrivatePostgres:
    """One server with one database."""

    directory: Path
    programs: Path

    def run(self, program: str, *arguments: str | Path) -> str:
        """Run a client program on the database; its output."""
        ended = subprocess.run(
            [self.programs / program, *arguments],
            capture_output=True,
            text=True,
            check=False,
            timeout=RUN_S_MAX,
            user=USER,
            cwd=self.directory,
            env={
                "PATH": os.environ["PATH"],
                "PGHOST": str(self.directory),
                "PGDATABASE": DATABASE,
                "PGUSER": USER,
            },
        )
        assert ended.returncode == 0, f"{program}: {ended.stderr}"
        return ended.stdout

    def execute(self, sql: str) -> None:
        """Execute statements, all of them or none."""
        script = self.directory / "script.sql"
        script.write_text(sql)
        self.run("psql", "--quiet", "--set=ON_ERROR_STOP=1", "--single-transaction", "-f", script)

    def dump(self, target: Path, *options: str) -> Path:
        """Dump the database as people do, into a file or directory of `target`'s name."""
        made = self.directory / target.name
        self.run("pg_dump", *options, f"--file={made}")
        if made.is_dir():
            shutil.copytree(made, target)
        else:
            shutil.copyfile(made, target)
        return target


@contextmanager
def private_postgres() -> Iterator[PrivatePostgres]:
    """A server with the original's tables, gone at the end."""
    programs = _programs()
    assert programs is not None, why_not()
    directory = Path(tempfile.mkdtemp(prefix="pathfinder-postgres-", dir="/var/tmp"))
    shutil.chown(directory, USER, USER)
    postgres = PrivatePostgres(directory, programs)
    data = directory / "data"
    try:
        postgres.run("initdb", "--pgdata", data, "--auth=trust", "--no-sync", "--encoding=UTF8")
        options = f"-k {directory} -c listen_addresses= -c fsync=off"
        log = directory / "log"
        postgres.run("pg_ctl", "start", "-D", data, "-w", "-s", "-l", log, "-o", options)
        try:
            postgres.run("createdb", DATABASE)
            postgres.execute(SCHEMA.read_text())
            yield postgres
        finally:
            postgres.run("pg_ctl", "stop", "-D", data, "-w", "-s", "-m", "immediate")
    finally:
        shutil.rmtree(directory)
