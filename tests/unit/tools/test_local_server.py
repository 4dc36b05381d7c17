"""A port that cannot be used, and a program that never gets ready, are said with the next step."""

import socket
from pathlib import Path

import pytest

from tools import local_server
from tools.processes import Program
from tools.trouble import Trouble


def test_taken_port_is_refused_with_the_next_step() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        with pytest.raises(Trouble, match=f"127.0.0.1:{port} cannot be used") as caught:
            local_server.require_free_port(f"127.0.0.1:{port}")

    assert f"DEV_LISTEN=127.0.0.1:{port + 1} ./dev up" in caught.value.hint


@pytest.mark.parametrize("listen", ["8480", "127.0.0.1:", "127.0.0.1:http"])
def test_misspelt_address_is_refused(listen: str) -> None:
    with pytest.raises(Trouble, match="is not HOST:PORT"):
        local_server.require_free_port(listen)


def test_waiting_ends_when_the_program_ends(tmp_path: Path) -> None:
    program = Program(name="short", argv=("sh", "-c", "echo out of memory"), state=tmp_path)
    program.start()

    with pytest.raises(Trouble, match="out of memory"):
        local_server.wait_until("it is ready", lambda: False, program)
