"""The pieces of a bootstrap: notes, programs and what is kept of the output.

Promise 9.
"""

import json
from pathlib import Path

import pytest

from pathfinder.agent.notes import End, Note, after, last_line, note_from
from pathfinder.agent.outputs import OUTPUT_BYTES_MAX, Outputs, has_ended
from pathfinder.agent.programs import ChefSettings, job_of
from pathfinder.model.bootstrap import BootstrapStep
from pathfinder.runtimes.port import NOTE_LENGTH_MAX

STEP = BootstrapStep(type="shell", script="exit 7", tries=2, timeout_s=9)
FIRST = Note(round=7, state="running")
HOSTILE = {"b": "'; $(touch /x) `id` \\ \n", "a": {"é☃": [1, 1.5, None, True]}}


def test_note_comes_back_from_its_text_and_fits_an_instance() -> None:
    note = Note(round=1 << 62, state="failed", step=16, attempt=20, exit_code=1, error='"é' * 200)

    assert note_from(note.text()) == note
    assert len(note.text()) <= NOTE_LENGTH_MAX


@pytest.mark.parametrize("text", ["", "{", "[]", '{"round": "x"}', '{"round": 1, "state": "odd"}'])
def test_note_that_says_nothing_is_none(text: str) -> None:
    assert note_from(text) is None


@pytest.mark.parametrize(
    ("note", "end", "state", "place", "error"),
    [
        (FIRST, End(how="ended", exit_code=0), "waiting", (2, 1), ""),
        (
            FIRST,
            End(how="ended", exit_code=7, last_line="no disk"),
            "waiting",
            (1, 2),
            "try 1 of 2: step 1 (shell) ended with 7: no disk",
        ),
        (
            Note(round=7, state="running", step=2, attempt=2),
            End(how="over limit", exit_code=124),
            "failed",
            (2, 2),
            "step 2 (shell) was not done within 9 s",
        ),
        (
            Note(round=7, state="running", step=2),
            End(how="ended", exit_code=0),
            "done",
            (2, 1),
            "",
        ),
    ],
)
def test_end_of_a_try_says_what_comes_next(
    note: Note, end: End, state: str, place: tuple[int, int], error: str
) -> None:
    concluded = after(note, STEP, 2, end)

    assert (concluded.state, (concluded.step, concluded.attempt)) == (state, place)
    assert concluded.error == error


def test_cloud_init_is_asked_once_only() -> None:
    step = BootstrapStep(type="cloud-init", user_data="#cloud-config\n", tries=3)

    assert after(FIRST, step, 1, End(how="ended", exit_code=1)).state == "failed"


def test_attributes_are_a_file_byte_for_byte_and_in_no_program() -> None:
    step = BootstrapStep(type="chef-solo", cookbooks_url="https://x/$(id)", attributes=HOSTILE)

    job = job_of(step, "7-1-1", ChefSettings(flags=("--why-run",)))

    expected = json.dumps(HOSTILE, ensure_ascii=False, separators=(",", ":")).encode()
    assert job.files["attributes.json"] == expected
    assert job.files["cookbooks_url"] == b"https://x/$(id)"
    assert job.files["flags"] == b"--why-run\n"
    assert b"$(id)" not in job.run
    assert job.run == job_of(BootstrapStep(type="chef-solo"), "8-1-1", ChefSettings()).run


def test_output_of_a_try_goes_on_where_the_last_agent_had_read_to(tmp_path: Path) -> None:
    first = Outputs(str(tmp_path)).open("web-01", FIRST, STEP, 1)
    first.take(b"one\ntw")

    again = Outputs(str(tmp_path)).open("web-01", FIRST, STEP, 1)

    assert again.offset == 6
    again.take(b"o\n")
    assert again.last_line() == "two"
    again.end_round(Note(round=7, state="done"))
    kept = Outputs(str(tmp_path)).read("web-01")
    assert kept.count(b"== round 7, step 1, try 1 ") == 1
    assert has_ended(kept, 7)
    assert not has_ended(kept, 8)


def test_output_is_bounded_and_its_newest_is_kept(tmp_path: Path) -> None:
    outputs = Outputs(str(tmp_path))
    output = outputs.open("web-01", FIRST, STEP, 1)
    for number in range(40):
        output.take(b"%d " % number + b"x" * 50_000 + b"\n")

    kept = outputs.read("web-01")
    assert len(kept) <= OUTPUT_BYTES_MAX
    assert kept.splitlines()[-1].startswith(b"39 ")


def test_last_line_is_one_line_of_text() -> None:
    assert last_line(b"a\n\x1b[31mb\xff\r\n \n") == "[31mb\ufffd"
