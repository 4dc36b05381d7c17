"""`pfi` for people who sign in to the web UI, against a real server. Promise 10."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pathfinder.cli.main import run
from pathfinder.store.memory import MemoryStore
from tests.support.browser_like import BrowserLike
from tests.support.running import ADMIN, RunningServer, running_server

PASSWORD = "battery horse staple"
Call = Callable[..., tuple[int, str]]


@pytest.fixture
def server() -> Iterator[RunningServer]:
    with running_server(MemoryStore()) as running:
        yield running


@pytest.fixture
def call(server: RunningServer, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Call:
    environ = {
        "PFI_SERVER": f"http://127.0.0.1:{server.port}",
        "PFI_TOKEN": ADMIN,
        "PFI_CONFIG": str(tmp_path / "config.json"),
    }

    def called(*arguments: str) -> tuple[int, str]:
        code = run(arguments, environ)
        said = capfd.readouterr()
        return code, said.out + said.err

    return called


def password_file(directory: Path, text: str = f"{PASSWORD}\n") -> str:
    path = directory / "password"
    path.write_text(text)
    return str(path)


def is_let_in(server: RunningServer, password: str) -> bool:
    browser = BrowserLike(server.port)
    status = browser.sign_in("anna", password).status
    browser.close()
    return status == 200


def test_user_is_made_listed_changed_and_deleted(
    server: RunningServer, call: Call, tmp_path: Path
) -> None:
    file = password_file(tmp_path)
    made = call("create", "user", "anna", "--role", "app", "--password-file", file)
    may_sign_in = is_let_in(server, PASSWORD)
    listed = call("get", "users")
    disabled = call("change", "user", "anna", "--role", "admin", "--only", "default", "--disable")
    described = call("describe", "user", "anna")
    gone = call("delete", "user", "anna")

    assert made == (0, "user/anna created: app\n")
    assert may_sign_in
    assert listed[1].splitlines()[1].split()[:4] == ["anna", "app", "all", "no"]
    assert disabled == (0, "user/anna is admin of default, disabled\n")
    assert "disabled" in described[1]
    assert gone == (0, "user/anna deleted\n")
    assert call("get", "user", "anna")[0] == 3


def test_another_password_is_set(server: RunningServer, call: Call, tmp_path: Path) -> None:
    call("create", "user", "anna", "--password-file", password_file(tmp_path))
    said = call("passwd", "anna", "--password-file", password_file(tmp_path, "another good one"))

    assert said == (0, "user/anna has another password, and is signed out everywhere\n")
    assert not is_let_in(server, PASSWORD)
    assert is_let_in(server, "another good one")


def test_wrong_calls_are_refused_with_what_to_do(call: Call, tmp_path: Path) -> None:
    short = call("create", "user", "anna", "--password-file", password_file(tmp_path, "short\n"))
    nobody = call("passwd", "nobody", "--password-file", password_file(tmp_path))
    nothing = call("change", "user", "anna")
    both = call("change", "user", "anna", "--only", "default", "--all-clusters")
    no_file = call("create", "user", "anna", "--password-file", str(tmp_path / "none"))

    assert short[0] == 2
    assert "12 characters or more" in short[1]
    assert nobody[0] == 3
    assert nothing[0] == both[0] == no_file[0] == 2
    assert "cannot read the password file" in no_file[1]


def test_existing_user_is_not_made_again(call: Call, tmp_path: Path) -> None:
    file = password_file(tmp_path)
    call("create", "user", "anna", "--password-file", file)
    code, said = call("create", "user", "anna", "--password-file", file)

    assert code == 4
    assert "user/anna exists already" in said
