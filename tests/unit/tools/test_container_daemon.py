"""The bridge's subnet is one that no route of the machine goes to."""

import sys

import pytest

from tools import container_daemon
from tools.trouble import Trouble

HEADER = "Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT\n"


def route(address: str, mask: str) -> str:
    """A line of /proc/net/route."""
    fields = [number(address), "00000000", "0001", "0", "0", "0", number(mask), "0", "0", "0"]
    return " ".join(["eth0", *fields]) + "\n"


def number(address: str) -> str:
    """An address as the kernel prints it."""
    content = bytes(int(part) for part in address.split("."))
    return f"{int.from_bytes(content, sys.byteorder):08X}"


def test_first_subnet_is_taken_when_nothing_is_there() -> None:
    assert container_daemon.free_address(HEADER) == "10.148.1.1/24"


def test_default_route_takes_no_subnet() -> None:
    routes = HEADER + route("0.0.0.0", "0.0.0.0")

    assert container_daemon.free_address(routes) == "10.148.1.1/24"


def test_subnet_with_a_route_is_passed_over() -> None:
    routes = HEADER + route("10.148.1.0", "255.255.255.0") + route("10.149.0.0", "255.255.0.0")

    assert container_daemon.free_address(routes) == "10.150.1.1/24"


def test_machine_that_uses_all_of_them_is_told_so() -> None:
    with pytest.raises(Trouble, match="no subnet"):
        container_daemon.free_address(HEADER + route("10.0.0.0", "255.0.0.0"))
