"""The client library against a server that misbehaves when told to."""

import select
import socket
import ssl
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import pytest

from pathfinder.client.client import Client
from pathfinder.client.errors import CertificateRefused, NoAnswer, Unexpected, Unreachable
from pathfinder.client.kinds import CONTAINER, DEPLOYMENT, TOKEN
from pathfinder.client.terminal import BACKLOG_BYTES_MAX, Ended, Output, Terminal
from pathfinder.model.errors import Conflict, Malformed, NotFound, Unauthorized
from pathfinder.wire.certificate import public_key_digest
from tests.support.certificates import self_signed
from tests.support.stub_api import TOKEN as SECRET
from tests.support.stub_api import StubApi, stub_api

WEB = "/clusters/default/containers/web"


@pytest.fixture
def api() -> Iterator[StubApi]:
    with stub_api() as api:
        yield api


@pytest.fixture
def client(api: StubApi) -> Iterator[Client]:
    with Client(api.url, SECRET) as client:
        yield client


def test_a_list_is_read_to_its_end_page_by_page(api: StubApi, client: Client) -> None:
    api.page_items_max = 3
    for number in range(8):
        api.put_container(f"web-{number}")

    names = [item["name"] for item in client.items(CONTAINER)]

    assert names == [f"web-{number}" for number in range(8)]
    assert len(api.requests_to("/clusters/default/containers")) == 3


def test_filters_reach_the_server_and_unset_ones_do_not(api: StubApi, client: Client) -> None:
    list(client.items(CONTAINER, selector="app=web,rack in (a,b)", node=None))

    (seen,) = api.requests_to("/clusters/default/containers")
    assert seen.query == {"limit": ["1000"], "selector": ["app=web,rack in (a,b)"]}


def test_a_change_whose_answer_is_lost_is_sent_again_and_done_once(
    api: StubApi, client: Client
) -> None:
    api.drops = 1

    client.put(CONTAINER, "web", {"spec": {"image": "busybox"}})

    first, second = api.requests_to(WEB)
    assert first.headers["idempotency-key"] == second.headers["idempotency-key"]
    assert api.revision == 2, "it was carried out once"


def test_each_change_has_an_idempotency_key_of_its_own(api: StubApi, client: Client) -> None:
    for name in ("a", "b"):
        client.put(CONTAINER, name, {})
        client.delete(CONTAINER, name)

    keys = {seen.headers["idempotency-key"] for seen in api.seen}
    assert len(keys) == 4


def test_an_answer_that_is_lost_twice_is_reported_as_not_known(
    api: StubApi, client: Client
) -> None:
    api.drops = 2

    with pytest.raises(NoAnswer, match="closed the connection"):
        client.put(CONTAINER, "web", {})
    assert len(api.requests_to(WEB)) == 2


def test_one_connection_serves_many_requests(client: Client) -> None:
    ports = {local_port(client) for _ in range(5)}

    assert len(ports) == 1


def test_a_revision_that_must_match_is_sent_in_quotes(api: StubApi, client: Client) -> None:
    api.put_container("web")

    client.delete(CONTAINER, "web", revision=17)

    assert api.requests_to(WEB)[0].headers["if-match"] == '"17"'


def test_errors_of_the_server_are_exceptions_of_their_class(api: StubApi, client: Client) -> None:
    with pytest.raises(NotFound, match="there is no container web"):
        client.get(CONTAINER, "web")
    with Client(api.url, "wrong") as stranger, pytest.raises(Unauthorized):
        stranger.get(CONTAINER, "web")


def test_documents_are_applied_in_one_request(api: StubApi, client: Client) -> None:
    documents: list[dict[str, object]] = [
        {"kind": "Container", "name": name, "spec": {}} for name in ("a", "b")
    ]

    plan = client.apply(documents, dry_run=True)

    assert [change["action"] for change in plan["changes"]] == ["create", "create"]
    assert list(client.items(CONTAINER)) == []
    (seen,) = api.requests_to("/apply")
    assert (seen.body["documents"], seen.query) == (documents, {"dry_run": ["true"]})


def test_single_changes_reach_their_paths(api: StubApi, client: Client) -> None:
    api.put("/clusters/default/nodes/n1", name="n1")
    api.put("/clusters/blue/deployments/web", name="web")
    api.put_container("web")

    client.change_node("n1", labels={"rack": "r1", "old": None}, cordoned=True)
    client.change_node("n1", draining=True, reason="new disks")
    client.scale("web", 3, min_available=2, cluster="blue")
    client.reschedule("web", reason="tired")
    token = client.create_token("ci", "app", clusters=["blue"], ttl_s=60)

    bodies = [seen.body for seen in api.seen]
    assert bodies == [
        {"labels": {"rack": "r1", "old": None}, "cordoned": True},
        {"draining": True, "reason": "new disks"},
        {"replicas": 3, "min_available": 2},
        {"reason": "tired"},
        {"name": "ci", "role": "app", "clusters": ["blue"], "ttl_s": 60},
    ]
    assert token["token"] == "pft.t1.secret"
    assert client.get(DEPLOYMENT, "web", cluster="blue")["replicas"] == 3
    assert client.create_join_token(node="n2")["id"] == "t1"
    assert client.page(TOKEN)["items"] == []


def test_logs_come_as_they_are(client: Client) -> None:
    assert b"".join(client.logs("web", tail=2)) == b"first line\nsecond line\n"


@pytest.mark.slow
def test_events_go_on_after_the_last_one_when_the_connection_breaks(
    api: StubApi, client: Client
) -> None:
    api.emit("container", "web", "placed")
    events = client.follow_events(since=0, cluster="default")
    first = next(events)
    api.drops = 1  # the stream ends without an event
    threading.Timer(0.05, api.emit, ("container", "web", "ready")).start()
    second = next(events)

    streams = api.requests_to("/events")
    assert (first["action"], second["action"]) == ("placed", "ready")
    assert len(streams) == 2
    assert streams[1].headers["last-event-id"] == f"{first['revision']}.0"


def test_events_are_refused_as_anything_else_is(api: StubApi) -> None:
    with Client(api.url, "wrong") as stranger, pytest.raises(Unauthorized):
        next(stranger.follow_events())


def test_a_follower_can_be_interrupted_from_another_thread(client: Client) -> None:
    with client.event_follower(since=0) as follower:
        threading.Timer(0.05, follower.interrupt).start()
        events = until_broken(follower)

    assert events == []


def test_a_command_runs_with_input_output_and_exit_code(client: Client) -> None:
    script = "cat; echo trouble >&2; exit 7"

    finished = client.run("web", ["sh", "-c", script], stdin=b"hello")

    assert (finished.exit_code, finished.stdout, finished.stderr) == (7, b"hello", b"trouble\n")


def test_megabytes_pass_through_a_command_in_both_directions_at_once(client: Client) -> None:
    content = bytes(range(256)) * 16_384  # 4 MiB: more than all buffers on the way together

    finished = client.run("web", ["cat"], stdin=content)

    assert finished.stdout == content


def test_a_terminal_does_not_block_when_nobody_reads(client: Client) -> None:
    with client.terminal("web", ["sleep", "60"]) as terminal:
        while terminal.has_room:
            terminal.write(b"x" * 65_536)

        assert terminal.has_backlog
    assert BACKLOG_BYTES_MAX < 1 << 20


def test_a_terminal_has_the_size_that_was_asked_for_and_changes_it(client: Client) -> None:
    script = "stty size; read line; stty size"
    with client.terminal("web", ["sh", "-c", script], size=(120, 40)) as terminal:
        before = output_until(terminal, b"40 120")
        terminal.resize(100, 30)
        terminal.write(b"\n")
        after = output_until(terminal, b"30 100")

    assert (before.strip(), after.strip()) == (b"40 120", b"30 100")


def test_a_command_that_cannot_run_is_an_error_with_its_hint(client: Client) -> None:
    with pytest.raises(Conflict, match="it does not run") as caught:
        client.run("web", ["refuse"])

    assert caught.value.hint == "pfi describe it"


def test_a_terminal_for_a_stranger_is_refused(api: StubApi) -> None:
    with Client(api.url, "wrong") as stranger, pytest.raises(Unauthorized):
        stranger.terminal("web", ["sh"])


# Reaching the server


def test_a_refused_connection_is_said_in_words() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    with (
        Client(f"http://127.0.0.1:{port}") as client,
        pytest.raises(Unreachable, match=f"cannot reach http://127.0.0.1:{port}: connection ref"),
    ):
        client.version()


def test_a_server_that_does_not_speak_tls_is_said_to_be_so(api: StubApi) -> None:
    with (
        Client(api.url.replace("http:", "https:")) as client,
        pytest.raises(Unreachable, match="it does not speak TLS"),
    ):
        client.version()


@pytest.mark.parametrize(
    "server", ["ftp://a", "https://", "http://a/b", "http://a:x", "https://user@a"]
)
def test_what_is_no_address_is_refused(server: str) -> None:
    with pytest.raises(Malformed):
        Client(server)


def test_another_program_at_the_address_is_said_to_be_so(api: StubApi, client: Client) -> None:
    api.scripted["GET", "/api/v3/version"] = (200, ["not", "an", "object"])

    with pytest.raises(Unexpected, match="is not the Pathfinder API"):
        client.version()


def test_a_ca_file_makes_its_server_trusted(tmp_path: Path) -> None:
    with tls_api(tmp_path) as (api, ca_file):
        with Client(api.url, SECRET, ca_file=ca_file) as client:
            answer = client.version()

        assert answer["version"] == "9.9"
        with (
            Client(api.url, SECRET) as client,
            pytest.raises(CertificateRefused, match=r"not trusted.*self-signed") as caught,
        ):
            client.version()
        assert "--ca-file" in caught.value.hint


def test_a_pinned_key_is_trusted_and_no_other(tmp_path: Path) -> None:
    with tls_api(tmp_path) as (api, certificate_file):
        pem = Path(certificate_file).read_text(encoding="ascii")
        pin = public_key_digest(ssl.PEM_cert_to_DER_cert(pem))
        with Client(api.url, SECRET, pin=pin) as client:
            finished = client.run("web", ["cat"], stdin=b"x" * 1_000_000)
            answer = client.version()

        assert (answer["version"], len(finished.stdout)) == ("9.9", 1_000_000)
        with (
            Client(api.url, SECRET, pin="0" * 64) as client,
            pytest.raises(CertificateRefused, match="0000000000000000… is the one to trust"),
        ):
            client.version()
        assert len(api.seen) == 2, "the token was not shown to a stranger"


def test_a_ca_file_that_is_none_is_named(tmp_path: Path) -> None:
    path = tmp_path / "ca.crt"
    path.write_text("nothing")

    with (
        Client("https://127.0.0.1:1", ca_file=str(path)) as client,
        pytest.raises(Unreachable, match=r"ca\.crt holds no certificate"),
    ):
        client.version()


@contextmanager
def tls_api(folder: Path) -> Iterator[tuple[StubApi, str]]:
    """The stub with TLS, and the file with its certificate."""
    made = self_signed(folder, "stub")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made.certificate_file, made.key_file)
    with stub_api(context) as api:
        yield api, made.certificate_file


def local_port(client: Client) -> int:
    """The port of the connection that answered."""
    client.version()
    kept = client._transport._kept  # noqa: SLF001 - that it is the same one is the promise
    assert kept is not None
    port: int = kept.sock.getsockname()[1]
    return port


def until_broken(events: Iterable[object]) -> list[object]:
    """The events until the connection ends or breaks."""
    taken: list[object] = []
    try:
        taken.extend(islice(events, 10))
    except NoAnswer:
        pass
    return taken


def output_until(terminal: Terminal, wanted: bytes) -> bytes:
    """What the command writes, up to and with `wanted`."""
    output = b""
    while wanted not in output:
        if not terminal.has_early:
            select.select([terminal], [], [], 10)
        items = terminal.receive()
        output += b"".join(item.data for item in items if isinstance(item, Output))
        assert wanted in output or not any(isinstance(item, Ended) for item in items), output
    return output
