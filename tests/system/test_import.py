"""A database of the original, in a real PostgreSQL, taken over whole; its clients go on.

Promise 7.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import postgres
from tests.support.original_clients.barito import Barito
from tests.support.original_clients.go import GoAgent, GoPfi
from tests.support.original_data import (
    APP_TOKEN,
    ATTRIBUTES,
    CERTIFICATE,
    NODE_TOKEN,
    PASSWORD,
    all_rows,
    base_rows,
    container,
    insert,
)
from tests.support.postgres import PrivatePostgres, private_postgres
from tests.support.server_process import ServerProcess, initialised, run_program, server_process

pytestmark = pytest.mark.system
FORMATS = ("plain", "custom", "tar", "directory")


@pytest.fixture
def database() -> Iterator[PrivatePostgres]:
    if reason := postgres.why_not():
        pytest.skip(reason)
    with private_postgres() as server:
        yield server


def imported(directory: Path, dump: Path) -> str:
    """The administrator's token of a data directory into which a dump was imported."""
    token = initialised(directory)
    ended = run_program("import", "--data-dir", directory, dump)
    assert ended.returncode == 0, ended.stderr
    return token


def statuses(items: list[Any]) -> dict[str, str]:
    return {item["hostname"]: item["status"] for item in items}


def go_agent(server: ServerProcess) -> GoAgent:
    agent = GoAgent(server.port, "node-01")
    agent.token = NODE_TOKEN
    return agent


def test_clients_go_on_with_what_they_have_and_nothing_starts_or_stops(
    database: PrivatePostgres, tmp_path: Path
) -> None:
    database.execute(all_rows())
    token = imported(tmp_path, database.dump(tmp_path / "dump.sql"))

    with server_process(tmp_path, token) as server:
        agent = go_agent(server)
        polled = [(item["hostname"], item["status"]) for item in agent.scheduled().items]
        to_bootstrap = statuses(agent.bootstrap_scheduled().items)
        shown = Barito(server.port, APP_TOKEN).show("consul-01").data
        found = statuses(GoPfi(server.port, token=APP_TOKEN).containers().items)

        assert sorted(polled) == [
            ("again", "SCHEDULE_DELETION"),
            ("going", "SCHEDULE_DELETION"),
            ("new", "SCHEDULED"),
        ]
        assert to_bootstrap == {"plain": "PROVISIONED"}
        assert found == {
            "again": "PENDING",
            "broken": "PROVISION_ERROR",
            "consul-01": "BOOTSTRAPPED",
            "consul-02": "BOOTSTRAPPED",
            "going": "SCHEDULE_DELETION",
            "half": "BOOTSTRAP_ERROR",
            "kafka-01": "BOOTSTRAPPED",
            "new": "SCHEDULED",
            "plain": "PROVISIONED",
        }
        assert shown["bootstrappers"][0]["bootstrap_attributes"] == ATTRIBUTES
        assert shown["source"]["remote"]["name"] == "barito registry"
        assert shown["ipaddress"] == "10.1.0.1"
        assert agent.mark("provisioned", "new").status == 200
        assert agent.mark("deleted", "going").status == 200
        api = server.api()
        remote = api.get("/api/v3/clusters/default/remotes/barito-registry")
        assert remote["certificate"] == CERTIFICATE
        assert api.get("/api/v3/clusters/default/deployments/consul")["ready"] == 2
        assert api.get("/api/v3/clusters/default/nodes/node-01")["capacity"]["memory_mib"] == 16000
        api.connection.close()


def test_password_of_the_cluster_is_still_good(database: PrivatePostgres, tmp_path: Path) -> None:
    database.execute(base_rows())
    token = imported(tmp_path, database.dump(tmp_path / "dump.sql"))

    with server_process(tmp_path, token) as server:
        assert GoAgent(server.port, "node-02").register("wrong").status == 401
        assert GoAgent(server.port, "node-02").register(PASSWORD).status == 200
        # The node that is there keeps its name: its agent proves itself with its token.
        assert GoAgent(server.port, "node-01").register(PASSWORD).status == 409
        assert go_agent(server).register(PASSWORD).status == 200


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_of_pg_dump_says_the_same(
    database: PrivatePostgres, tmp_path: Path, form: str
) -> None:
    database.execute(all_rows())
    plain = run_program("import", "--data-dir", tmp_path, "--dry-run", _dump(database, tmp_path))
    other = database.dump(tmp_path / form, f"--format={form}")
    ended = run_program("import", "--data-dir", tmp_path, "--dry-run", other)

    assert "3 BOOTSTRAPPED in default" in ended.stdout
    assert ended.stdout == plain.stdout


def test_other_formats_say_what_reads_them_where_it_is_missing(tmp_path: Path) -> None:
    dump = tmp_path / "db.dump"
    dump.write_bytes(b"PGDMP\x01\x0e")
    nothing_installed = {"PATH": str(tmp_path)}
    ended = run_program("import", "--data-dir", tmp_path, dump, environment=nothing_installed)

    assert ended.returncode == 1
    assert "pg_restore reads, which is not installed" in ended.stderr
    assert "postgresql-client" in ended.stderr


def test_dry_run_and_problems_change_nothing(database: PrivatePostgres, tmp_path: Path) -> None:
    database.execute(base_rows() + container("web", "SCHEDULE_RELOCATION"))
    initialised(tmp_path)
    before = run_program("journal", "show", "--data-dir", tmp_path).stdout
    ended = run_program("import", "--data-dir", tmp_path, _dump(database, tmp_path))

    assert ended.returncode == 1
    assert "problem: container web is SCHEDULE_RELOCATION" in ended.stdout
    assert "nothing was imported" in ended.stderr
    assert run_program("journal", "show", "--data-dir", tmp_path).stdout == before


def test_cluster_whose_name_is_written_anew_is_found_by_the_old_one(
    database: PrivatePostgres, tmp_path: Path
) -> None:
    database.execute(base_rows() + insert("clusters", name="b"))
    database.execute("UPDATE clusters SET name = 'barito market/eu' WHERE id = 1;")
    token = imported(tmp_path, _dump(database, tmp_path))

    with server_process(tmp_path, token) as server:
        agent = go_agent(server)
        agent.cluster = "barito market/eu"
        person = GoPfi(server.port, token=APP_TOKEN, cluster="barito market/eu")

        assert agent.scheduled().items == []
        assert [node["hostname"] for node in person.nodes().items] == ["node-01"]
        assert agent.register(PASSWORD).data["cluster_name"] == "barito market/eu"


def test_import_needs_a_store_that_no_server_has(database: PrivatePostgres, tmp_path: Path) -> None:
    database.execute(base_rows())
    dump, token = _dump(database, tmp_path), initialised(tmp_path)

    with server_process(tmp_path, token):
        ended = run_program("import", "--data-dir", tmp_path, dump)

    assert ended.returncode == 1
    assert "stop the server" in ended.stderr


def _dump(database: PrivatePostgres, directory: Path) -> Path:
    target = directory / "plain.sql"
    if target.exists():
        target.unlink()
    return database.dump(target)
