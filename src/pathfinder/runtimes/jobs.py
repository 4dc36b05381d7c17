"""Programs inside an instance that outlive whoever started them, over the port's own verbs.

A *job* has a key. It is begun at most once, ever, and ends by itself, at its limit, or with its
instance: also when nobody looks. Whoever attaches is told what it writes; an agent that was killed
attaches again instead of running it twice. The work is done by a small fixed script inside the
instance. Nothing that people wrote becomes part of a command line: it goes to files.

    /opt/bootstrap.sh                  the script, written anew before each use
    /var/lib/pathfinder/jobs/KEY/      `run` and its files; `output`; `ended`: exit code and why

Needs `sh` and the usual small tools in the instance; busybox has them.
"""

import re
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Final, Literal

from pathfinder.runtimes.port import OutcomeUnknown, Runtime, RuntimeFailure, Session, Terminal

RUNNER_PATH: Final = "/opt/bootstrap.sh"
JOBS_PATH: Final = "/var/lib/pathfinder/jobs"
KEY: Final = re.compile(r"[0-9]{1,20}(-[0-9]{1,4}){0,2}")
OUTPUT_BYTES_MAX: Final = 1 << 20  # kept inside the instance of one job's output
SLICE_S: Final = 20  # how long one look inside lasts at most
STDERR_BYTES_MAX: Final = 2_000
LIMIT_CODE: Final = 124  # as `timeout` has it

Standing = Literal["ended", "runs", "interrupted", "absent", "busy"]
STANDING_OF_CODE: Final[Mapping[int, Standing]] = {
    0: "ended",
    10: "runs",
    11: "interrupted",
    12: "absent",
    13: "busy",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """`take` gets the job's output; `guard` is entered while a session is open, and may end it."""

    take: Callable[[bytes], None] = lambda _: None
    guard: Callable[[Session], AbstractContextManager[object]] = nullcontext


NOBODY: Final = Listener()


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What to run. `run` begins with #!, or is for `sh`; `files` lie beside it, mode 0600."""

    key: str
    run: bytes
    files: Mapping[str, bytes] = field(default_factory=dict)
    limit_s: int

    def __post_init__(self) -> None:
        assert KEY.fullmatch(self.key), self.key
        assert self.limit_s > 0, self


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a job ended by itself or at its limit."""

    exit_code: int
    is_over_limit: bool


def begin(runtime: Runtime, name: str, job: Job) -> Standing:
    """Begin the job unless it has begun before. "busy": another one runs, and this one does not.

    Never waits for the job. RuntimeFailure when it cannot be begun.
    """
    standing = look(runtime, name, job.key)
    if standing != "absent":
        return standing
    for path, content in job.files.items():
        assert "/" not in path, path
        runtime.write_file(name, f"{JOBS_PATH}/{job.key}/{path}", content, mode=0o600)
    runtime.write_file(name, f"{JOBS_PATH}/{job.key}/run", job.run, mode=0o700)
    return _ask(runtime, name, ("begin", job.key, str(job.limit_s)))


def look(runtime: Runtime, name: str, key: str) -> Standing:
    """How the job stands now."""
    place_runner(runtime, name)
    return follow(runtime, name, key, offset=0, slice_s=0)


def place_runner(runtime: Runtime, name: str) -> None:
    """Write the script. One that runs is not disturbed: a shell has read it to its end."""
    runtime.write_file(name, RUNNER_PATH, RUNNER, mode=0o755)


def follow(
    runtime: Runtime,
    name: str,
    key: str,
    *,
    offset: int,
    slice_s: int = SLICE_S,
    listener: Listener = NOBODY,
) -> Standing:
    """How the job stands after `slice_s` at most; its output from `offset` on."""
    return _ask(runtime, name, ("follow", key, str(offset), str(slice_s)), listener)


def outcome(runtime: Runtime, name: str, key: str) -> Outcome:
    """How a job ended that has ended; NotThere when it has not."""
    text = runtime.read_file(name, f"{JOBS_PATH}/{key}/ended").decode("ascii", "replace")
    code, _, why = text.strip().partition(" ")
    if not code.isdecimal():
        raise RuntimeFailure(f"{name}: {JOBS_PATH}/{key}/ended says {text[:80]!r}")
    return Outcome(exit_code=int(code), is_over_limit=why == "limit")


def end(runtime: Runtime, name: str, key: str) -> None:
    """End a job by force, with everything that it has started in its process group."""
    _ask(runtime, name, ("end", key))


def _ask(
    runtime: Runtime, name: str, words: tuple[str, ...], listener: Listener = NOBODY
) -> Standing:
    """Run one of the script's verbs; OutcomeUnknown when the session broke."""
    errors = bytearray()
    session = runtime.open_session(name, Terminal(command=("sh", RUNNER_PATH, *words)))
    try:
        with listener.guard(session):
            session.write(b"")
            for channel, data in session.frames():
                if channel == 1:
                    listener.take(data)
                else:
                    errors += data[: STDERR_BYTES_MAX - len(errors)]
            code = session.exit_code()
    except BrokenPipeError:
        code = -1
    finally:
        session.close()
    if code in STANDING_OF_CODE:
        return STANDING_OF_CODE[code]
    if code < 0 or code > 128:
        raise OutcomeUnknown(f"the session in {name} broke")
    said = errors.decode("utf-8", "replace").strip()
    raise RuntimeFailure(
        f"{RUNNER_PATH} in {name} ended with {code}: {said[-300:]}",
        hint="a bootstrap needs sh and the usual small tools in the image",
    )


# The last line is read together with what is before it, so that writing the file anew while it
# runs does no harm. `setsid` makes a group of the program and all that it starts; where an image
# has none, only the program itself is ended at its limit.
RUNNER: Final = rb"""#!/bin/sh
# Pathfinder writes this file and runs it. It runs one program at a time, each key at most once,
# and keeps what the program writes and how it ended, also when nobody looks.
#   begin KEY LIMIT_S           begin /var/lib/pathfinder/jobs/KEY/run
#   follow KEY OFFSET SLICE_S   print what it has written from OFFSET on, for SLICE_S at most
#   end KEY                     end it by force
# Exit codes: 0 it has ended, 10 it runs, 11 it was interrupted, 12 it has never begun,
# 13 another one runs.

jobs=/var/lib/pathfinder/jobs
output_bytes_max=1048576
umask 077

now() { read -r up rest < /proc/uptime; echo "${up%%.*}"; }

nap() { sleep "$1" 2>/dev/null || sleep 1; }

# A process is known by its number, the moment of its birth and the machine's boot.
born() {
    { read -r line < "/proc/$1/stat"; } 2>/dev/null || return 1
    rest=${line##*') '}
    set -- $rest
    [ "$1" != Z ] || return 1
    shift 19
    read -r boot < /proc/sys/kernel/random/boot_id
    echo "$1 $boot"
}

note_process() {
    birth=$(born "$2") && echo "$2 $birth" > "$jobs/$1.new" && mv "$jobs/$1.new" "$jobs/$1"
}

lives() {
    [ -s "$1" ] || return 1
    read -r number birth < "$1"
    [ "$(born "$number")" = "$birth" ]
}

runs() { lives "$jobs/$1/supervisor" || lives "$jobs/$1/program"; }

standing() {
    if [ -e "$jobs/$1/ended" ]; then return 0; fi
    if [ ! -d "$jobs/$1/began" ]; then return 12; fi
    patience=$(($(now) + 5))
    while [ ! -e "$jobs/$1/supervisor" ] && [ "$(now)" -lt "$patience" ]; do nap 0.02; done
    if runs "$1"; then return 10; fi
    if [ -e "$jobs/$1/ended" ]; then return 0; fi
    return 11
}

begin() {
    key=$1 limit=$2
    chmod 700 "$jobs"
    if [ -s "$jobs/current" ]; then
        read -r last < "$jobs/current"
        if [ "$last" != "$key" ] && runs "$last"; then return 13; fi
    fi
    mkdir "$jobs/$key/began" 2>/dev/null || { standing "$key"; return; }
    echo "$key" > "$jobs/current"
    for other in "$jobs"/*/; do
        [ "$other" = "$jobs/$key/" ] || rm -rf "$other"
    done
    : > "$jobs/$key/output"
    detached=$(command -v setsid) || detached=
    $detached sh "$0" supervise "$key" "$limit" < /dev/null > /dev/null 2>&1 &
    standing "$key"
}

supervise() {
    key=$1 limit=$2 job=$jobs/$1
    note_process "$key/supervisor" $$ || exit 1
    cd /root 2>/dev/null || cd /
    grouped=$(command -v setsid) || grouped=
    case $(head -c 2 "$job/run") in
    '#!') $grouped "$job/run" < /dev/null >> "$job/output" 2>&1 & ;;
    *) $grouped sh "$job/run" < /dev/null >> "$job/output" 2>&1 & ;;
    esac
    program=$!
    note_process "$key/program" "$program"
    watch "$key" "$program" "$limit" &
    watcher=$!
    wait "$program"
    code=$? why=
    kill "$watcher" 2>/dev/null
    if [ -e "$job/over" ]; then code=124 why=limit; fi
    echo "$code $why" > "$job/ended.new"
    mv "$job/ended.new" "$job/ended"
}

watch() {
    job=$jobs/$1 program=$2 last=$(($(now) + $3))
    while sleep 1; do
        if [ "$(wc -c < "$job/output")" -gt "$output_bytes_max" ]; then
            echo "[more than $output_bytes_max bytes: the beginning is not kept]" > "$job/output"
        fi
        if [ "$(now)" -ge "$last" ]; then
            : > "$job/over"
            strike TERM "$program"
            sleep 5
            strike KILL "$program"
            return
        fi
    done
}

strike() { kill "-$1" "-$2" 2>/dev/null || kill "-$1" "$2" 2>/dev/null; }

follow() {
    key=$1 offset=$2 last=$(($(now) + $3)) pause=0.05 output=$jobs/$1/output
    while :; do
        standing "$key"
        stands=$?
        [ "$stands" != 12 ] || return 12
        size=0
        [ ! -e "$output" ] || size=$(($(wc -c < "$output")))
        [ "$size" -ge "$offset" ] || offset=0
        if [ "$size" -gt "$offset" ]; then
            tail -c +$((offset + 1)) "$output" | head -c $((size - offset))
            offset=$size
        fi
        [ "$stands" = 10 ] || return "$stands"
        [ "$(now)" -lt "$last" ] || return 10
        nap "$pause"
        case $pause in
        0.05) pause=0.1 ;;
        0.1) pause=0.2 ;;
        0.2) pause=0.4 ;;
        *) pause=1 ;;
        esac
    done
}

end() {
    key=$1
    for part in program supervisor; do
        if lives "$jobs/$key/$part"; then strike KILL "$number"; fi
    done
    standing "$key"
}

main() {
    verb=$1
    shift
    case $verb in
    begin | follow | end | supervise) "$verb" "$@" ;;
    *) echo "not a verb: $verb" >&2; return 2 ;;
    esac
}
main "$@"; exit $?
"""
