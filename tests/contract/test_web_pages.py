"""The web UI's files as browsers get them: what is kept how long, and what pages may not do."""

import gzip
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from pathfinder.store.memory import MemoryStore
from pathfinder.webui.pages import STATIC
from tests.support.running import Answer, Api, RunningServer, running_server
from tools.environment import ROOT

INDEX = (STATIC / "index.html").read_text()
SOURCES = ROOT / "webui" / "src"
SCRIPT = re.search(r'src="/ui/(assets/[^"]+\.js)"', INDEX)
GZIP_BYTES_MAX = 130_000  # of everything together: grows by decision only


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    with running_server(MemoryStore()) as running:
        yield running


@pytest.fixture
def api(server: RunningServer) -> Api:
    return server.api("")


def script() -> str:
    assert SCRIPT is not None
    return SCRIPT[1]


def header(answer: Answer, name: str) -> str:
    return {key.lower(): value for key, value in answer.headers.items()}.get(name, "")


def test_root_leads_to_the_page(api: Api) -> None:
    for path in ("/", "/ui"):
        answer = api.call("GET", path)

        assert (answer.status, header(answer, "location")) == (307, "/ui/")


@pytest.mark.parametrize("path", ["/ui/", "/ui/clusters/default/containers/web-01", "/ui/%2e%2e/x"])
def test_every_address_of_the_page_is_the_page_and_asked_for_anew(api: Api, path: str) -> None:
    answer = api.call("GET", path)

    assert answer.status == 200
    assert answer.body.decode() == INDEX
    assert header(answer, "content-type") == "text/html; charset=utf-8"
    assert header(answer, "cache-control") == "no-cache"


def test_what_is_named_by_its_content_is_kept_for_ever(api: Api) -> None:
    answer = api.call("GET", f"/ui/{script()}")

    assert answer.body == (STATIC / script()).read_bytes()
    assert header(answer, "content-type") == "text/javascript; charset=utf-8"
    assert header(answer, "cache-control") == "public, max-age=31536000, immutable"


def test_what_has_not_changed_is_not_sent_again(api: Api) -> None:
    tag = header(api.call("GET", "/ui/"), "etag")
    again = api.call("GET", "/ui/", headers={"If-None-Match": f'"other", {tag}'})

    assert (again.status, again.body) == (304, b"")
    assert header(again, "etag") == tag
    assert header(again, "content-security-policy")


def test_files_are_compressed_for_who_can_read_it(api: Api) -> None:
    plain = api.call("GET", f"/ui/{script()}")
    small = api.call("GET", f"/ui/{script()}", headers={"Accept-Encoding": "br, gzip"})

    assert header(small, "content-encoding") == "gzip"
    assert gzip.decompress(small.body) == plain.body
    assert header(small, "etag") != header(plain, "etag")
    assert header(small, "vary") == header(plain, "vary") == "accept-encoding"


def test_head_is_get_without_the_body(api: Api) -> None:
    answer = api.call("HEAD", "/ui/")

    assert (answer.status, answer.body) == (200, b"")
    assert header(answer, "content-length") == str(len(INDEX))


@pytest.mark.parametrize(
    "path",
    ["/ui/assets/none.js", "/ui/assets/../index.html", "/ui/assets/%2e%2e/%2e%2e/pages.py"],
)
def test_what_is_no_file_of_the_build_is_not_there(api: Api, path: str) -> None:
    assert api.call("GET", path).status == 404


def test_pages_are_only_read(api: Api) -> None:
    answer = api.call("POST", "/ui/", {})

    assert (answer.status, header(answer, "allow")) == (405, "GET, HEAD")


def test_pages_may_load_our_own_files_and_nothing_else(api: Api) -> None:
    for path in ("/ui/", f"/ui/{script()}", "/ui/assets/none.js", "/"):
        answer = api.call("GET", path)
        policy = dict(
            part.strip().split(" ", 1)
            for part in header(answer, "content-security-policy").split(";")
        )

        assert policy["default-src"] == "'self'"
        assert policy["frame-ancestors"] == policy["object-src"] == policy["base-uri"] == "'none'"
        assert "unsafe" not in str(policy)
        assert header(answer, "x-content-type-options") == "nosniff"
        assert header(answer, "referrer-policy") == "no-referrer"


def test_index_has_nothing_that_the_policy_forbids() -> None:
    assert re.findall(r"<script(?![^>]*\bsrc=)", INDEX) == []
    assert re.findall(r"<style|\sstyle=|\son\w+=|javascript:", INDEX) == []


def test_index_names_files_that_are_there() -> None:
    named = re.findall(r'(?:src|href)="/ui/([^"]+)"', INDEX)

    assert len(named) >= 3
    assert [name for name in named if not (STATIC / name).is_file()] == []


def test_answers_of_the_api_are_not_taken_for_something_else(server: RunningServer) -> None:
    answer = server.api().call("GET", "/api/v3/version")

    assert header(answer, "x-content-type-options") == "nosniff"
    assert header(answer, "content-security-policy") == ""


def test_sources_show_text_as_text() -> None:
    sources = [*SOURCES.rglob("*.svelte"), *SOURCES.rglob("*.ts")]
    markup = re.compile(r"\{@html|innerHTML|outerHTML|insertAdjacent|document\.write|\beval\(")

    assert len(sources) > 30
    assert [path.name for path in sources if markup.search(path.read_text())] == []


def test_page_stays_small() -> None:
    files = [path for path in STATIC.rglob("*") if path.is_file()]

    assert sum(small(path) for path in files) <= GZIP_BYTES_MAX


def small(path: Path) -> int:
    return len(gzip.compress(path.read_bytes(), compresslevel=9))
