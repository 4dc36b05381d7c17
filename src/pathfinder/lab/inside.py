"""What runs inside a node: its process 1, and the way in for programs that are started there.

`python -m pathfinder.lab.inside LAB NODE init` becomes process 1 of the node and prints its number
as the machine sees it; `... spawn NAME -- ARGV...` starts a program in the node, detached, with its
output in the node's log directory, and prints its number.
"""

import json
import os
import shutil
import signal
import socket
import struct
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Final

from pathfinder.lab import kernel
from pathfinder.lab.layout import NodeLayout
from pathfinder.lab.records import read_layout
from pathfinder.lab.trouble import Trouble

PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
CREDENTIALS_BYTES: Final = 12  # struct ucred: pid, uid, gid
ERROR_BYTES_MAX: Final = 1_000


def main(arguments: list[str]) -> int:
    """One of the two verbs; the exit code."""
    directory, name, verb, *rest = arguments
    node = read_layout(Path(directory)).node(name)
    try:
        print(init(node) if verb == "init" else spawn(node, rest[0], rest[2:]))
    except (OSError, Trouble) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def init(node: NodeLayout) -> int:
    """Make the node's namespaces and its process 1; the number of that."""
    group = kernel.Group(node.cgroup)
    group.make()
    group.join()
    hierarchies = kernel.hierarchies()
    processes = os.open("/proc", os.O_DIRECTORY)  # the child mounts its own over it
    with open(f"/run/netns/{node.namespace}") as door:  # noqa: PTH123 - its number is wanted
        kernel.call("setns", door.fileno(), kernel.NAMESPACES["net"])
    rest = ("mnt", "uts", "ipc", "pid", "cgroup")
    kernel.call("unshare", sum(kernel.NAMESPACES[name] for name in rest))
    reader, writer = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writer)
        said = os.read(reader, ERROR_BYTES_MAX).decode()
        if said != "ready":
            raise Trouble(f"{node.name}: {said or 'its process 1 has ended'}")
        namespace = os.readlink(f"{pid}/ns/pid", dir_fd=processes)
        (node.directory / "run/pid-namespace").write_text(namespace)
        (node.directory / "run/init.pid").write_text(str(pid))
        return pid
    os.close(reader)
    try:
        _become(node, hierarchies)
        os.write(writer, b"ready")
    except Exception as error:  # noqa: BLE001 - the parent tells it, whatever it was
        os.write(writer, f"{type(error).__name__}: {error}".encode())
        os._exit(1)
    os.close(writer)
    _reap()
    return 0


def _become(node: NodeLayout, hierarchies: list[kernel.Hierarchy]) -> None:
    os.setsid()
    null = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(null, number)
    _mount_all(node, hierarchies)
    name = node.name.encode()
    kernel.call("sethostname", name, len(name))
    settings = {"ip_forward": 1, "conf/all/rp_filter": 0, "conf/default/rp_filter": 0}
    for knob, value in settings.items():
        Path("/proc/sys/net/ipv4", knob).write_text(str(value))
    os.chdir("/")


def _reap() -> None:
    """What process 1 owes its orphans, until it is killed and takes all of them along."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    while True:
        signal.sigwait({signal.SIGCHLD})
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass


def _mount_all(node: NodeLayout, hierarchies: list[kernel.Hierarchy]) -> None:
    """The node's own /proc, /sys and /run, and its own files over the machine's /etc."""
    kernel.mount("", "/", flags=kernel.RECURSIVE | kernel.SLAVE)
    kernel.mount("proc", "/proc", "proc")
    kernel.mount("sysfs", "/sys", "sysfs")
    if any(each.kind == "cgroup" for each in hierarchies):
        kernel.mount("tmpfs", "/sys/fs/cgroup", "tmpfs", data="mode=755")
    for each in hierarchies:
        each.root.mkdir(parents=True, exist_ok=True)
        options = ",".join(each.options).replace("name=", "none,name=")
        kernel.mount("cgroup", each.root, each.kind, data=options if each.kind == "cgroup" else "")
    if all(each.kind == "cgroup2" for each in hierarchies):
        kernel.Group(PurePosixPath("lab")).make()  # a group with children has no processes
        kernel.Group(PurePosixPath("lab")).join()
    over = node.directory / "over"
    for path, text in _own_files(node).items():
        (over / path).parent.mkdir(parents=True, exist_ok=True)
        (over / path).write_text(text)
    work = node.directory / "over.work"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    options = f"lowerdir=/etc,upperdir={over / 'etc'},workdir={work}"
    kernel.mount("overlay", "/etc", "overlay", data=options)
    kernel.mount("tmpfs", "/run", "tmpfs", data="mode=755")
    for name in ("lock", "netns"):
        Path("/run", name).mkdir()
    Path("/run/docker.sock").symlink_to(node.socket("docker"))
    if "lxd" in node.lab.record.runtimes and Path("/var/lib/lxd").is_dir():
        kernel.mount(node.directory / "lxd", "/var/lib/lxd", flags=kernel.BIND)


def _own_files(node: NodeLayout) -> Mapping[str, str]:
    hosts = [f"{each.address} {each.name}" for each in node.lab.nodes()]
    # Without live-restore, dockerd's end is the end of its containers. Without a name server of
    # its own, it writes 8.8.8.8 into them, which nothing here reaches.
    daemon = {"live-restore": True, "dns": [node.address]}
    return {
        "etc/hostname": f"{node.name}\n",
        "etc/hosts": "\n".join(["127.0.0.1 localhost", f"{node.lab.address} lab", *hosts, ""]),
        "etc/resolv.conf": "# a lab has no name server\n",
        "etc/docker/daemon.json": json.dumps(daemon),
    }


def spawn(node: NodeLayout, name: str, argv: list[str]) -> int:
    """Start a program in the node; its number as the machine sees it. OSError when it cannot."""
    run = node.directory / "run"
    init_pid = int((run / "init.pid").read_text())
    log = node.directory / "log" / f"{name}.log"
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    mine, theirs = socket.socketpair()
    mine.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
    helper = os.fork()
    if not helper:
        try:
            kernel.Group(node.cgroup).join()
            kernel.enter(init_pid)
            _start(theirs, output, node, argv)
        except BaseException as error:  # noqa: BLE001 - the parent tells it, whatever it was
            theirs.send(str(error).encode())
            os._exit(127)
    theirs.close()
    _, control, _, _ = mine.recvmsg(1, socket.CMSG_SPACE(CREDENTIALS_BYTES))
    refusal = mine.recv(ERROR_BYTES_MAX).decode()  # exec closes it: empty when it worked
    os.waitpid(helper, 0)
    if refusal or not control:
        raise OSError(f"{node.name}: {name} cannot be started: {refusal}")
    pid = int(struct.unpack("3i", control[0][2])[0])
    (run / f"{name}.pid").write_text(str(pid))
    return pid


def _start(theirs: socket.socket, output: int, node: NodeLayout, argv: list[str]) -> None:
    if os.fork():  # the first process of ours in there leaves the program to process 1
        os._exit(0)
    os.setsid()
    if os.fork():
        os._exit(0)
    theirs.send(b"x")  # its credentials carry the number that the machine knows it by
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    surroundings = {
        "PATH": f"{Path(sys.executable).parent}:{PATH}",
        "HOME": "/root",
        "LANG": "C.UTF-8",
        "LXD_DIR": str(node.directory / "lxd"),
        "PYTHONUNBUFFERED": "1",
    }
    os.execvpe(argv[0], argv, surroundings)  # noqa: S606 - there is no shell


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
