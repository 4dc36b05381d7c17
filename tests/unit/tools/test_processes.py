"""Background programs are found again by their pid file, and never mistaken for another."""

import threading
import time
from pathlib import Path

import pytest

from tools.processes import Program
from tools.trouble import Trouble


def sleeper(state: Path) -> Program:
    """A program that waits longer than any test."""
    return Program(name="sleeper", argv=("sleep", "600"), state=state)


def wait_until_ended(program: Program) -> None:
    """Return when it has ended; no test lives as long as the deadline."""
    deadline_s = time.monotonic() + 30
    while program.is_running() and time.monotonic() < deadline_s:
        threading.Event().wait(0.01)


def test_started_program_is_found_by_whoever_looks(tmp_path: Path) -> None:
    sleeper(tmp_path).start()
    try:
        assert sleeper(tmp_path).is_running()
    finally:
        sleeper(tmp_path).stop()


def test_starting_twice_starts_once(tmp_path: Path) -> None:
    program = sleeper(tmp_path)
    program.start()
    try:
        first = (tmp_path / "sleeper.pid").read_text()
        program.start()

        assert (tmp_path / "sleeper.pid").read_text() == first
    finally:
        program.stop()


def test_stopped_program_is_gone_with_its_pid_file(tmp_path: Path) -> None:
    program = sleeper(tmp_path)
    program.start()

    assert program.stop()
    assert not program.is_running()
    assert not (tmp_path / "sleeper.pid").exists()


def test_stopping_what_does_not_run_is_said(tmp_path: Path) -> None:
    assert not sleeper(tmp_path).stop()


def test_process_that_only_has_the_number_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "sleeper.pid").write_text("1 12345678\n")  # process 1 began at another time

    assert not sleeper(tmp_path).is_running()


def test_program_that_ended_shows_what_it_said(tmp_path: Path) -> None:
    program = Program(name="sleeper", argv=("sleep", "nonsense"), state=tmp_path)
    program.start()
    wait_until_ended(program)

    with pytest.raises(Trouble, match="invalid time interval"):
        program.require_running()
