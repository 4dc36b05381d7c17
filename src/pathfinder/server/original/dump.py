"""A dump of the original's PostgreSQL database, read without PostgreSQL.

Plain dumps are text with the rows of each table behind a COPY. The other formats of pg_dump are
turned into that by pg_restore, where it is installed.
"""

import gzip
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from pathfinder.server.trouble import Trouble

DUMP_BYTES_MAX: Final = 4 << 30
RESTORE_S_MAX: Final = 600
CUSTOM_MAGIC: Final = b"PGDMP"
GZIP_MAGIC: Final = b"\x1f\x8b"
TAR_MAGIC, TAR_MAGIC_AT = b"ustar", 257
COPY: Final = re.compile(r'COPY (?:"?\w+"?\.)?"?(\w+)"? \((.*)\) FROM stdin;')
INSERT: Final = re.compile(r'INSERT INTO (?:"?\w+"?\.)?"?(\w+)"?')
ENCODING: Final = re.compile(r"SET client_encoding = '([^']*)';")
ESCAPE: Final = re.compile(r"\\([0-7]{1,3}|x[0-9a-fA-F]{1,2}|.)", re.DOTALL)
ESCAPED: Final = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
NULL: Final = r"\N"
NEEDED: Final = ("clusters", "nodes", "containers")

Row = Mapping[str, str | None]
Tables = Mapping[str, list[Row]]


def read_dump(path: Path) -> Tables:
    """The rows of each table, as text or None; Trouble when it cannot be understood."""
    tables = tables_of(_lines(path))
    missing = [name for name in NEEDED if name not in tables]
    if missing:
        raise Trouble(
            f"{path} has no table {', '.join(missing)}: it is no dump of a Pathfinder database",
            hint="dump schema and data of the whole database: pg_dump pathfinder > dump.sql",
        )
    return tables


def tables_of(lines: Iterable[str]) -> dict[str, list[Row]]:
    """The rows behind each COPY; Trouble for a dump that carries them otherwise."""
    tables: dict[str, list[Row]] = {}
    source = iter(lines)
    for line in source:
        text = line.rstrip("\n")
        if match := COPY.fullmatch(text):
            columns = [name.strip().strip('"') for name in match[2].split(",")]
            tables.setdefault(match[1], []).extend(_rows(source, columns, match[1]))
        elif text.startswith("INSERT INTO") and INSERT.match(text):
            raise Trouble(
                "this dump carries its rows as INSERT statements",
                hint="make it without --inserts and --column-inserts",
            )
        elif (match := ENCODING.fullmatch(text)) and match[1].upper() not in ("UTF8", "SQL_ASCII"):
            raise Trouble(
                f"this dump is encoded as {match[1]}", hint="make it with: pg_dump --encoding=UTF8"
            )
    return tables


def _rows(source: Iterator[str], columns: list[str], table: str) -> Iterator[Row]:
    for line in source:
        text = line.rstrip("\n")
        if text == r"\.":
            return
        values = text.split("\t")
        if len(values) != len(columns):
            raise Trouble(f"a row of table {table} is damaged: {text[:80]!r}")
        yield dict(zip(columns, map(unescaped, values), strict=True))
    raise Trouble(f"the dump ends within table {table}: it is not complete")


def unescaped(value: str) -> str | None:
    """A value as COPY writes it; None for NULL."""
    if value == NULL:
        return None
    return ESCAPE.sub(_character, value) if "\\" in value else value


def _character(match: re.Match[str]) -> str:
    code = match[1]
    if code[0] in "01234567":
        return chr(int(code, 8))
    if code[0] == "x" and len(code) > 1:
        return chr(int(code[1:], 16))
    return ESCAPED.get(code, code)


def _lines(path: Path) -> Iterator[str]:
    if path.is_dir():
        yield from _restored(path)
        return
    try:
        with path.open("rb") as file:
            head = file.read(512)
    except OSError as error:
        raise Trouble(f"cannot read {path}: {error.strerror}") from None
    if path.stat().st_size > DUMP_BYTES_MAX:
        raise Trouble(f"{path} is larger than {DUMP_BYTES_MAX >> 30} GiB")
    is_tar = head[TAR_MAGIC_AT : TAR_MAGIC_AT + len(TAR_MAGIC)] == TAR_MAGIC
    if head.startswith(CUSTOM_MAGIC) or is_tar:
        yield from _restored(path)
    elif head.startswith(GZIP_MAGIC):
        with gzip.open(path, "rt", encoding="utf-8") as text:
            yield from _decoded(text, path)
    else:
        with path.open(encoding="utf-8", newline="\n") as text:
            yield from _decoded(text, path)


def _decoded(text: Iterable[str], path: Path) -> Iterator[str]:
    try:
        yield from text
    except (UnicodeDecodeError, EOFError, gzip.BadGzipFile) as error:
        raise Trouble(f"{path} is no text in UTF-8: {error}") from None


def _restored(path: Path) -> Iterator[str]:
    """What pg_restore makes of a dump in one of its own formats."""
    program = shutil.which("pg_restore")
    if program is None:
        raise Trouble(
            f"{path} is in a format that only pg_restore reads, which is not installed",
            hint="make a plain dump (pg_dump --format=plain), or apt-get install postgresql-client",
        )
    try:
        ended = subprocess.run(
            [program, "--file=-", "--no-owner", "--no-privileges", str(path)],
            capture_output=True,
            check=False,
            timeout=RESTORE_S_MAX,
        )
    except subprocess.TimeoutExpired:
        raise Trouble(f"pg_restore takes longer than {RESTORE_S_MAX} s for {path}") from None
    if ended.returncode != 0:
        said = ended.stderr.decode(errors="replace").strip().splitlines()
        raise Trouble(
            f"pg_restore cannot read {path}: {said[0] if said else 'it does not say why'}",
            hint="its version must not be older than that of the pg_dump which made it",
        )
    yield from ended.stdout.decode(errors="replace").splitlines()
