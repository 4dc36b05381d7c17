"""`pathfinder init` and `server` as processes: start, refusals, signals, TLS, full disks.

Promises 1 and 10.
"""

import os
import signal
import socket
import ssl
import stat
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.browser_like import BrowserLike
from tests.support.running import ANSWER_S_MAX, Api, DriverNode
from tests.support.server_process import initialised, run_program, server_process

pytestmark = pytest.mark.system
CONTAINERS = "/api/v3/clusters/default/containers"
SPEC = {"spec": {"image": "busybox"}}


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def token(directory: Path) -> str:
    return initialised(directory)


def test_init_makes_files_that_only_the_owner_reads(directory: Path, token: str) -> None:
    secrets = [directory / "admin-token", directory / "tls" / "server.key", directory / "state.db"]

    assert token.startswith("pft.")
    assert {stat.S_IMODE(path.stat().st_mode) for path in secrets} == {0o600}


def test_init_again_is_the_same(directory: Path, token: str) -> None:
    certificate = (directory / "tls" / "server.crt").read_bytes()
    again = initialised(directory)

    assert again == token
    assert (directory / "tls" / "server.crt").read_bytes() == certificate
    assert "good: " in run_program("journal", "verify", "--data-dir", directory).stdout


def test_init_shows_no_secret_that_it_wrote_to_a_file(tmp_path: Path) -> None:
    file = tmp_path / "token"
    ended = run_program("init", "--data-dir", tmp_path / "data", "--admin-token-file", file)

    assert file.read_text().strip() not in ended.stdout + ended.stderr


def test_init_makes_the_first_administrator_and_shows_the_password_once(directory: Path) -> None:
    first = run_program("init", "--data-dir", directory).stdout
    again = run_program("init", "--data-dir", directory).stdout
    password = first.partition("user admin, password shown this once: ")[2].partition("\n")[0]
    with server_process(directory, initialised(directory)) as server:
        browser = BrowserLike(server.port)
        signed_in = browser.sign_in("admin", password).status
        browser.close()

    assert len(password) == 24
    assert "password" not in again
    assert signed_in == 200


def test_init_with_a_password_file_lets_the_administrator_in_again(directory: Path) -> None:
    run_program("init", "--data-dir", directory)
    file = directory / "password"
    made = run_program("init", "--data-dir", directory, "--admin-password-file", file)
    token = initialised(directory)
    with server_process(directory, token) as server:
        browser = BrowserLike(server.port)
        browser.sign_in("admin", file.read_text().strip())
        disabled = browser.call("PATCH", "/api/v3/users/admin", {"disabled": True}).status
        browser.close()
    file.write_text("a password of mine\n")
    run_program("init", "--data-dir", directory, "--admin-password-file", file)
    with server_process(directory, token) as server:
        browser = BrowserLike(server.port)
        let_in = browser.sign_in("admin", "a password of mine").status
        browser.close()

    assert f"made {file}" in made.stdout
    assert (disabled, let_in) == (200, 200)


def test_init_refuses_a_short_password(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("short\n")
    ended = run_program("init", "--data-dir", tmp_path / "d", "--admin-password-file", file)

    assert ended.returncode == 1
    assert "is too short" in ended.stderr


def test_journal_is_shown_without_secrets(directory: Path, token: str) -> None:
    shown = run_program("journal", "show", "--data-dir", directory)

    assert shown.returncode == 0
    assert '"kind":"token"' in shown.stdout
    assert "(hidden)" in shown.stdout
    assert token.rpartition(".")[2] not in shown.stdout


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_answers_what_is_parked_and_ends_with_zero(
    directory: Path, token: str, number: int
) -> None:
    with server_process(directory, token) as server, ThreadPoolExecutor(1) as pool:
        node = DriverNode(server.api(), "n1")
        node.join()
        parked = pool.submit(node.exchange)
        stream = server.api()
        stream.connection.request(
            "GET", "/api/v3/events?follow=true", headers={"X-Auth-Token": token}
        )
        events = stream.connection.getresponse()
        began = time.monotonic()
        code = server.end(number)
        took_s = time.monotonic() - began
        told = events.read()
        node.api.connection.close()
        stream.connection.close()

    assert code == 0
    assert parked.result().kind == "nothing"
    assert b"stops" in told
    assert took_s < 10


def test_state_survives_a_restart(directory: Path, token: str) -> None:
    with server_process(directory, token) as server:
        api = server.api()
        made = api.put(f"{CONTAINERS}/kept", SPEC)
        api.connection.close()
        server.end()
    with server_process(directory, token) as server:
        api = server.api()
        shown = api.get(f"{CONTAINERS}/kept")
        api.connection.close()

    assert shown["generation"] == made["generation"]


def test_tls_is_served_with_the_certificate_that_init_made(directory: Path, token: str) -> None:
    certificate = directory / "tls" / "server.crt"
    key = directory / "tls" / "server.key"
    arguments = ("--tls-cert", certificate, "--tls-key", key)
    context = ssl.create_default_context(cafile=str(certificate))
    with (
        server_process(directory, token, *arguments) as server,
        socket.create_connection(("127.0.0.1", server.port), ANSWER_S_MAX) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as secured,
    ):
        secured.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        answer = b"".join(iter(lambda: secured.recv(4096), b""))

    assert answer.startswith(b"HTTP/1.1 200")


def test_taken_port_is_one_clear_line(directory: Path) -> None:
    initialised(directory)
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        ended = run_program("server", "--data-dir", directory, "--listen", f"127.0.0.1:{port}")

    assert ended.returncode == 1
    assert f"cannot listen on 127.0.0.1:{port}" in ended.stderr
    assert "next: " in ended.stderr
    assert "Traceback" not in ended.stderr


def test_data_directory_in_use_is_one_clear_line(directory: Path, token: str) -> None:
    with server_process(directory, token):
        ended = run_program("server", "--data-dir", directory, "--listen", "127.0.0.1:0")

    assert ended.returncode == 1
    assert "is in use by process" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_misuse_is_one_clear_line(directory: Path, tmp_path: Path) -> None:
    initialised(directory)
    nowhere = tmp_path / "nowhere"
    server = ("server", "--data-dir", directory, "--listen")
    cases = {
        "no Pathfinder state": run_program("server", "--data-dir", nowhere),
        "belong together": run_program(*server, "127.0.0.1:0", "--tls-cert", nowhere),
        "cannot read the certificate": run_program(
            *server, "127.0.0.1:0", "--tls-cert", nowhere, "--tls-key", nowhere
        ),
        "write HOST:PORT": run_program(*server, "8480"),
        "PATHFINDER_HISTRY_DAYS is not a setting": run_program(
            *server, "127.0.0.1:0", environment={"PATHFINDER_HISTRY_DAYS": "1"}
        ),
    }

    for text, ended in cases.items():
        assert ended.returncode == 1, text
        assert text in ended.stderr
        assert "Traceback" not in ended.stderr


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(place)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip("this machine lets us mount nothing")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_full_disk_refuses_changes_and_nothing_else_and_recovers(small_disk: Path) -> None:
    directory = small_disk / "data"
    token = initialised(directory)
    with server_process(directory, token) as server:
        api = server.api()
        node = DriverNode(server.api(), "n1")
        node.join()
        filler = small_disk / "filler"
        _fill(filler)
        refused = _change_until(api, 507)
        reads = api.call("GET", CONTAINERS)
        lease = node.exchange()
        filler.unlink()
        _change_until(api, 200)
        code = server.end()
        api.connection.close()
        node.api.connection.close()

    assert refused == "store_full"
    assert reads.status == 200
    assert lease.lease_ms > 0
    assert code == 0


def _fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(1 << 16))
        except OSError:
            return


def _change_until(api: Api, status: int) -> str:
    """Make changes until one is answered with `status`; the error's code."""
    deadline = time.monotonic() + 60
    number = 0
    while True:
        number += 1
        answer = api.call("PUT", f"{CONTAINERS}/c{time.monotonic_ns()}", SPEC)
        assert answer.status in (200, 507), answer
        if answer.status == status:
            return "" if status == 200 else answer.code
        assert time.monotonic() < deadline, f"{number} changes and never {status}"
