"""The jobs of scripted instances: what the script of `jobs` would do inside a real one.

How long a job runs is up to whoever drives the runtime (`finish`), unless the instance's script
says how each ends: `PF_SCRIPT_JOB=fail:2` gives two that end with 1, and then ones that end with 0.
"""

from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from pathfinder.runtimes.jobs import JOBS_PATH, LIMIT_CODE, RUNNER_PATH

End = Literal["", "ended", "limit", "interrupted"]
CODE_OF: Final = {"ended": 0, "limit": 0, "interrupted": 11, "": 10}
ABSENT: Final = 12
BUSY: Final = 13
NO_SCRIPT: Final = 127


@dataclass(slots=True, kw_only=True)
class ScriptedJob:
    """One job that has begun. `end` "": it runs."""

    key: str
    output: bytes = b""
    end: End = ""
    exit_code: int = -1


@dataclass(slots=True)
class ScriptedJobs:
    """All that one instance has ever begun, in order. `files` are the instance's.

    timed: keys whose end somebody has planned. refused: those that were to begin beside another.
    """

    files: MutableMapping[str, bytes]
    begun: list[ScriptedJob] = field(default_factory=list)
    timed: set[str] = field(default_factory=set)
    refused: list[str] = field(default_factory=list)

    def in_copy(self, files: MutableMapping[str, bytes]) -> "ScriptedJobs":
        """What a copy of the instance with these files knows of them: nothing runs there."""
        begun = [replace(job, end=job.end or "interrupted") for job in self.begun]
        return ScriptedJobs(files, begun=begun, timed={job.key for job in begun})

    def running(self) -> ScriptedJob | None:
        """The one that runs."""
        return next((job for job in self.begun if not job.end), None)

    def interrupt(self) -> None:
        """The instance stops: what runs ends without a word."""
        job = self.running()
        if job is not None:
            job.end = "interrupted"

    def finish(self, key: str, exit_code: int, *, end: End = "ended") -> None:
        """The job ends by itself, if it still runs."""
        job = self._get(key)
        if job is not None and not job.end:
            job.end, job.exit_code = end, exit_code
            why = " limit" if end == "limit" else " "
            code = LIMIT_CODE if end == "limit" else exit_code
            self.files[f"{JOBS_PATH}/{key}/ended"] = f"{code}{why}\n".encode()

    def ask(self, command: tuple[str, ...], environment: Mapping[str, str]) -> tuple[bytes, int]:
        """(what the script prints, its exit code)."""
        if RUNNER_PATH not in self.files:
            return b"", NO_SCRIPT
        verb, key = command[2], command[3]
        job = self._get(key)
        if verb == "begin":
            return b"", self._begin(key, environment)
        if job is None:
            return b"", ABSENT
        if verb == "end":
            job.end = job.end or "interrupted"
            return b"", CODE_OF[job.end]
        return job.output[int(command[4]) :], CODE_OF[job.end]

    def _begin(self, key: str, environment: Mapping[str, str]) -> int:
        job, other = self._get(key), self.running()
        if other is not None and other.key != key:
            self.refused.append(key)
            return BUSY
        if job is None:
            assert f"{JOBS_PATH}/{key}/run" in self.files, "its program has been written before"
            job = ScriptedJob(key=key, output=f"{key} begins\n".encode())
            self.begun.append(job)
            if script := environment.get("PF_SCRIPT_JOB"):
                self.finish(key, _exit_code(script, len(self.begun) - 1))
        return CODE_OF[job.end]

    def _get(self, key: str) -> ScriptedJob | None:
        return next((job for job in self.begun if job.key == key), None)


def _exit_code(script: str, number: int) -> int:
    """What the script says about the job of this number, counted from 0."""
    for text in script.split(","):
        what, _, times = text.strip().partition(":")
        if times == "always":
            return int(what == "fail")
        number -= int(times or 1)
        if number < 0:
            return int(what == "fail")
    return 0
