"""Dumps are read as pg_dump writes them, and what cannot be read is said with the way out."""

import gzip
from pathlib import Path

import pytest

from pathfinder.server.original.dump import read_dump, tables_of, unescaped
from pathfinder.server.trouble import Trouble

PLAIN = """--
-- PostgreSQL database dump
--
SET client_encoding = 'UTF8';
CREATE TABLE public.clusters (
    id bigint NOT NULL
);
COPY public.clusters (id, name, hashed_password) FROM stdin;
1\tdefault\t$2a$10$abc
2\ttab\\there\\\\ and\\nline\t\\N
\\.

COPY public.nodes (id, "hostname") FROM stdin;
\\.

COPY containers (id) FROM stdin;
\\.
"""


def test_rows_stand_behind_copy(tmp_path: Path) -> None:
    path = tmp_path / "dump.sql"
    path.write_text(PLAIN)
    tables = read_dump(path)

    assert tables["clusters"] == [
        {"id": "1", "name": "default", "hashed_password": "$2a$10$abc"},
        {"id": "2", "name": "tab\there\\ and\nline", "hashed_password": None},
    ]
    assert tables["nodes"] == tables["containers"] == []


def test_compressed_dump_is_read_too(tmp_path: Path) -> None:
    path = tmp_path / "dump.sql.gz"
    path.write_bytes(gzip.compress(PLAIN.encode()))

    assert len(read_dump(path)["clusters"]) == 2


@pytest.mark.parametrize(
    ("told", "value"),
    [(r"\N", None), ("", ""), (r"a\tb", "a\tb"), (r"a\\N", r"a\N"), (r"\x41\102\q", "ABq"),
     (r'{"a": "x\\ny"}', r'{"a": "x\ny"}')],
)  # fmt: skip
def test_escapes_are_those_of_copy(told: str, value: str | None) -> None:
    assert unescaped(told) == value


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("INSERT INTO public.clusters VALUES (1);\n", "INSERT statements"),
        ("SET client_encoding = 'LATIN1';\n", "LATIN1"),
        ("COPY clusters (id) FROM stdin;\n1\n", "not complete"),
        ("COPY clusters (id, name) FROM stdin;\n1\n\\.\n", "damaged"),
    ],
)
def test_dump_that_cannot_be_used_is_explained(text: str, said: str) -> None:
    with pytest.raises(Trouble, match=said):
        tables_of(text.splitlines(keepends=True))


def test_dump_of_something_else_is_named(tmp_path: Path) -> None:
    path = tmp_path / "dump.sql"
    path.write_text("COPY public.clusters (id) FROM stdin;\n\\.\n")

    with pytest.raises(Trouble, match="no table nodes, containers"):
        read_dump(path)


def test_file_that_is_no_text_or_not_there_is_named(tmp_path: Path) -> None:
    path = tmp_path / "dump.sql"
    path.write_bytes(b"\xff\xfe\x00 nonsense")

    with pytest.raises(Trouble, match="no text"):
        read_dump(path)
    with pytest.raises(Trouble, match="cannot read"):
        read_dump(tmp_path / "missing.sql")
