#!/usr/bin/env -S python3 -P
"""Chromium that does not hear of changes of this machine's network.

It gives up each TLS handshake it is in (`net::ERR_NETWORK_CHANGED`) when an address appears or
goes, and tests of daemons beside it make and remove interfaces all the time. It has no switch for
that, but takes the network for steady where the kernel has no netlink: so it is refused the family.
https://chromium.googlesource.com/chromium/src/+/main/net/base/address_tracker_linux.cc
"""

import ctypes
import errno
import os
import shutil
import socket
import struct
import sys
from typing import Final

# linux/prctl.h and linux/seccomp.h
PR_SET_NO_NEW_PRIVS: Final = 38
PR_SET_SECCOMP: Final = 22
SECCOMP_MODE_FILTER: Final = 2
SECCOMP_RET_ALLOW: Final = 0x7FFF0000
SECCOMP_RET_ERRNO: Final = 0x00050000
# linux/bpf_common.h: load a word at an offset, compare it, return.
LOAD: Final = 0x20
JUMP_IF_EQUAL: Final = 0x15
RETURN: Final = 0x06
# struct seccomp_data: the number of the call, and the low half of its first argument.
CALL: Final = 0
FIRST_ARGUMENT: Final = 16
SOCKET_CALL: Final = {"x86_64": 41, "aarch64": 198}


class Program(ctypes.Structure):
    """struct sock_fprog."""

    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def refuse_netlink(socket_call: int) -> None:
    """From now on, also in children, netlink is a family that the kernel does not know."""
    steps = (
        (LOAD, 0, 0, CALL),
        (JUMP_IF_EQUAL, 0, 3, socket_call),
        (LOAD, 0, 0, FIRST_ARGUMENT),
        (JUMP_IF_EQUAL, 0, 1, socket.AF_NETLINK),
        (RETURN, 0, 0, SECCOMP_RET_ERRNO | errno.EAFNOSUPPORT),
        (RETURN, 0, 0, SECCOMP_RET_ALLOW),
    )
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
    program = Program(len(steps), ctypes.addressof(code))
    libc = ctypes.CDLL(None, use_errno=True)
    filtering = (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0)
    for request in ((PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), filtering):
        if libc.prctl(*request) != 0:
            raise OSError(ctypes.get_errno(), "the kernel takes no filter of system calls")


def main() -> None:
    """Become the browser."""
    chromium = shutil.which("chromium")
    if chromium is None:
        sys.exit("steady_chromium: no chromium in PATH; install it: apt-get install chromium")
    if os.uname().machine in SOCKET_CALL:
        refuse_netlink(SOCKET_CALL[os.uname().machine])
    os.execv(chromium, ["chromium", *sys.argv[1:]])  # noqa: S606  a shell is what must not be there


if __name__ == "__main__":
    main()
