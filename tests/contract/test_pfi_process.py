"""`pfi` as a process: commands in containers, on a terminal and in pipes; completion by a shell."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.pseudo_terminal import on_terminal
from tests.support.stub_api import StubApi, pfi_environ, stub_api

PFI = (sys.executable, "-m", "pathfinder.cli")


@pytest.fixture
def api() -> Iterator[StubApi]:
    with stub_api() as api:
        yield api


@pytest.fixture
def environ(api: StubApi, tmp_path: Path) -> dict[str, str]:
    return pfi_environ(api, tmp_path)


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("pfi get deplo", ["deployments"]),
        ("pfi get co web-", ["web-01", "web-02"]),
        ("pfi exec -it web-02", ["web-02"]),
        ("pfi delete co/web-01", ["co/web-01"]),
        ("pfi desc", ["describe"]),
    ],
)
def test_kinds_names_and_commands_are_completed(
    api: StubApi, environ: dict[str, str], words: str, offered: list[str]
) -> None:
    api.put_container("web-01")
    api.put_container("web-02")
    asked = {"COMP_WORDS": words, "COMP_CWORD": str(len(words.split()) - 1)}

    done = subprocess.run(
        PFI,
        env={**environ, "_PFI_COMPLETE": "bash_complete", **asked},
        capture_output=True,
        text=True,
        check=False,
    )

    assert [line.partition(",")[2] for line in done.stdout.splitlines()] == offered


# Commands in containers


def test_a_command_in_a_pipe_passes_everything_on(environ: dict[str, str]) -> None:
    script = "cat; echo trouble >&2; exit 7"
    content = bytes(range(256)) * 4096

    done = subprocess.run(
        [*PFI, "exec", "-i", "web", "--", "sh", "-c", script],
        input=content,
        capture_output=True,
        env=environ,
        check=False,
    )

    assert (done.returncode, done.stdout, done.stderr) == (7, content, b"trouble\n")


def test_without_i_the_input_stays_with_who_has_it(environ: dict[str, str]) -> None:
    done = subprocess.run(
        [*PFI, "exec", "web", "cat"], input=b"x", capture_output=True, env=environ, check=False
    )

    assert (done.returncode, done.stdout) == (0, b"")


def test_a_reader_that_has_seen_enough_ends_it_quietly(environ: dict[str, str]) -> None:
    command = " ".join([*PFI, "exec", "web", "yes", "|", "head", "-1"])

    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}"], capture_output=True, env=environ, check=False
    )

    assert (done.returncode, done.stdout, done.stderr) == (141, b"y\n", b"")


@pytest.mark.slow
def test_a_terminal_is_a_real_one(environ: dict[str, str]) -> None:
    command = [*PFI, "exec", "-it", "web", "--", "sh", "-c", "stty size; exec cat"]
    with on_terminal(command, environ, columns=90, rows=25) as terminal:
        first = terminal.read_until("25 90")
        was_raw = terminal.is_raw()
        terminal.type("hello\r")
        terminal.read_until("hello\r\nhello\r\n")
        terminal.type("\x03")  # Ctrl-C goes to the command, not to pfi
        code = terminal.ends()

        assert first.strip() == "25 90"
        assert was_raw
        assert code == 130
        assert not terminal.is_raw(), "the terminal is as it was before"


@pytest.mark.slow
def test_a_changed_window_reaches_the_command(environ: dict[str, str]) -> None:
    script = 'trap "stty size" WINCH; echo begun; while :; do sleep 0.05; done'
    with on_terminal([*PFI, "exec", "-it", "web", "--", "sh", "-c", script], environ) as terminal:
        terminal.read_until("begun")
        terminal.resize(77, 22)

        assert "22 77" in terminal.read_until("22 77")


def test_a_terminal_that_is_not_there_is_refused(environ: dict[str, str]) -> None:
    done = subprocess.run(
        [*PFI, "exec", "-t", "web", "sh"], input=b"", capture_output=True, env=environ, check=False
    )

    assert done.returncode == 2
    assert b"-t needs a terminal" in done.stderr


# On a terminal


@pytest.mark.slow
def test_a_watched_list_is_redrawn_in_place_and_ends_with_ctrl_c(
    api: StubApi, environ: dict[str, str]
) -> None:
    api.put_container("web", phase="SCHEDULED", ready=False)
    with on_terminal([*PFI, "get", "containers", "--watch"], environ) as terminal:
        terminal.read_until("SCHEDULED")
        api.put_container("web")
        api.emit("container", "web", "ready")
        terminal.read_until("BOOTSTRAPPED")
        terminal.type("\x03")

        assert terminal.ends() == 130


@pytest.mark.slow
def test_a_terminal_gets_colours_unless_they_are_not_wanted(
    api: StubApi, environ: dict[str, str]
) -> None:
    api.put_container("web")
    with on_terminal([*PFI, "get", "containers"], environ) as terminal:
        assert "\x1b[32mBOOTSTRAPPED\x1b[0m" in terminal.read_until("BOOTSTRAPPED\x1b[0m")
    plain = {**environ, "NO_COLOR": "1"}
    with on_terminal([*PFI, "get", "containers"], plain) as terminal:
        terminal.ends()

        assert b"\x1b" not in terminal.screen


# Going on in a pipe


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "earlier", "later"),
    [
        (("get", "containers", "--watch"), "SCHEDULED", "BOOTSTRAPPED"),
        (("get", "containers", "--watch", "-o", "json"), '"SCHEDULED"', '"BOOTSTRAPPED"'),
        (("events", "--follow"), "scheduled", "ready"),
        (("events", "--follow", "-o", "json"), '"scheduled"', '"ready"'),
    ],
)
def test_what_changes_is_a_line_each_in_a_pipe(
    api: StubApi, environ: dict[str, str], arguments: tuple[str, ...], earlier: str, later: str
) -> None:
    api.put_container("web", phase="SCHEDULED", ready=False)
    api.emit("container", "web", "scheduled")
    with subprocess.Popen([*PFI, *arguments], stdout=subprocess.PIPE, env=environ) as process:
        assert process.stdout is not None
        lines = iter(process.stdout.readline, b"")
        before = next(line for line in lines if earlier.encode() in line)
        api.put_container("web")
        api.emit("container", "web", "ready")
        after = next(line for line in lines if later.encode() in line)
        process.kill()

    assert b"web" in before
    assert b"web" in after
