"""The agent as a process: joining, trust, refusals, signals. No container daemon is needed."""

import signal
import stat
from pathlib import Path

import pytest

from tests.support.agent_process import running_agent
from tests.support.agent_server import Certificate, StubServer, serving

pytestmark = pytest.mark.system
ANSWER_S_MAX = 1.0


def no_daemon(directory: Path) -> str:
    """A socket at which nobody listens."""
    return str(directory / "no.socket")


def test_it_joins_by_token_over_pinned_tls_and_converses(tmp_path: Path) -> None:
    certificate, stub = Certificate(tmp_path), StubServer()

    with (
        serving(stub, certificate) as url,
        running_agent(
            tmp_path, url, socket=no_daemon(tmp_path), join_token=certificate.join_token()
        ),
    ):
        stub.wait_until(lambda: any(exchange.facts for exchange in stub.exchanges))

    (registration,) = stub.registrations
    assert (registration.cluster, registration.node) == ("west", "n1")
    assert registration.join_token == certificate.join_token()
    assert stat.S_IMODE((tmp_path / "state" / "identity.json").stat().st_mode) == 0o600


def test_server_with_another_key_is_told_nothing(tmp_path: Path) -> None:
    mine, theirs, stub = (
        Certificate(tmp_path, "mine"),
        Certificate(tmp_path, "theirs"),
        StubServer(),
    )

    with (
        serving(stub, theirs) as url,
        running_agent(
            tmp_path, url, socket=no_daemon(tmp_path), join_token=mine.join_token()
        ) as agent,
    ):
        agent.wait_until_said("not the one that the join token names")

    assert stub.registrations == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_ends_it_within_a_second_even_while_an_exchange_is_parked(
    tmp_path: Path, number: int
) -> None:
    stub = StubServer(heartbeat_ms=30_000)

    with (
        serving(stub) as url,
        running_agent(tmp_path, url, socket=no_daemon(tmp_path)) as agent,
    ):
        stub.wait_until(lambda: any(exchange.seen for exchange in stub.exchanges))
        status = agent.end(number, ANSWER_S_MAX)

    assert status == 0
    assert (tmp_path / "state" / "checkpoint.json").exists()


def test_refused_credential_is_registered_again_with_the_same_secret(tmp_path: Path) -> None:
    stub = StubServer(heartbeat_ms=100)

    with serving(stub) as url, running_agent(tmp_path, url, socket=no_daemon(tmp_path)):
        stub.wait_until(lambda: len(stub.exchanges) >= 3)
        stub.forget_nodes()
        stub.wait_until(lambda: len(stub.registrations) == 2)
        seen = len(stub.exchanges)
        stub.wait_until(lambda: len(stub.exchanges) > seen)

    first, second = stub.registrations
    assert first.secret == second.secret


@pytest.mark.parametrize(
    ("status", "code", "advice"),
    [
        (401, "unauthorized", "join token"),
        (403, "forbidden", "join token"),
        (409, "name_taken", "--name"),
    ],
)
def test_refused_registration_is_said_once_with_the_next_step(
    tmp_path: Path, status: int, code: str, advice: str
) -> None:
    stub = StubServer()
    stub.refusal = (status, code, "this cannot be")

    with (
        serving(stub) as url,
        running_agent(tmp_path, url, socket=no_daemon(tmp_path)) as agent,
    ):
        agent.wait_until_said("join_refused")
        (said,) = [row for row in agent.output().splitlines() if " join_refused " in row]

    assert "this cannot be" in said
    assert advice in said
    assert "correct horse" not in agent.output()


def test_server_that_vanishes_and_returns_is_found_again(tmp_path: Path) -> None:
    stub = StubServer(heartbeat_ms=100)
    with serving(stub) as url:
        port = int(url.rpartition(":")[2])
        with running_agent(tmp_path, url, socket=no_daemon(tmp_path)) as agent:
            stub.wait_until(lambda: len(stub.exchanges) >= 3)
            agent.kill()
    with running_agent(tmp_path, url, socket=no_daemon(tmp_path)) as agent:
        agent.wait_until_said("server_silent")
        before = stub.exchanges[-1].session.sequence
        with serving(stub, port=port):
            stub.wait_until(lambda: stub.exchanges[-1].session.sequence > before)

    assert len(stub.registrations) == 1


@pytest.mark.parametrize(
    ("flags", "environment", "said"),
    [
        (("--runtime", "podman"), {}, "given twice"),
        (("--calls-mx", "2"), {}, "did you mean --calls-max?"),
        ((), {"PF_AGENT_MESURE_S": "2"}, "did you mean PF_AGENT_MEASURE_S?"),
        (("--capacity", "cpu=lots"), {}, "is not a number of cores"),
    ],
)
def test_wrong_command_line_is_one_clear_message(
    tmp_path: Path, flags: tuple[str, ...], environment: dict[str, str], said: str
) -> None:
    with running_agent(
        tmp_path,
        "http://127.0.0.1:9",
        socket=no_daemon(tmp_path),
        environment=environment,
        flags=flags,
    ) as agent:
        status = agent.status()

    assert status == 2
    assert said in agent.output()
    assert "Traceback" not in agent.output()
