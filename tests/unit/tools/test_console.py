"""What a person sees of long work: in a pipe, plain lines."""

import io
import re

import pytest

from tools.console import Console


def test_pipe_hears_that_a_step_is_done() -> None:
    stream = io.StringIO()

    with Console(stream).step("building") as step:
        step.note = "all of it"

    assert re.fullmatch(r"✓ building: all of it \(\d+\.\d s\)\n", stream.getvalue())


def test_pipe_hears_that_a_step_failed() -> None:
    stream = io.StringIO()

    with pytest.raises(ValueError, match="no"), Console(stream).step("building"):
        raise ValueError("no")

    assert re.fullmatch(r"✗ building \(\d+\.\d s\)\n", stream.getvalue())


def test_pipe_gets_no_control_characters() -> None:
    stream = io.StringIO()
    console = Console(stream)

    console.say(console.color("31", "red"))

    assert stream.getvalue() == "red\n"
