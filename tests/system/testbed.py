"""Hosts of their own on this machine: network, processes, hostname, file tree, home, and OpenSSH's own sshd on port 22.

As root. All of them live in one *lab*: a network and a process namespace with a bridge, which ends with its first
process; that ends when this process does, however it does. The calling thread is in the lab's network as long as the
lab is there, so two runs side by side use the same addresses and never meet.

    with start_hosts(3) as hosts:
        host = await connect_ssh(hosts[0].name, **hosts[0].login)
"""

import contextlib
import ctypes
import os
import pwd
import shutil
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tests.system.sshds import SSHD, Sshd, make_keys, own_folder, require_sshd, wait_for_banner

NETWORK = "10.77.0"
OURS = f"{NETWORK}.1"
"""The address of this process in the lab."""

CLONE_NEWNET = 0x40000000

# $1: the folder, $2: how many. Ends when its standard input does.
LAB = f"""
set -e
ip link set lo up
ip link add hosts type bridge
ip addr add {OURS}/24 dev hosts
ip link set hosts up
mount -t tmpfs tmpfs /run
for i in $(seq $2); do
    ip netns add h$i
    ip link add v$i type veth peer name eth0 netns h$i
    ip link set v$i master hosts up
    ip -n h$i -batch - <<END
link set lo up
addr add {NETWORK}.$((i + 1))/24 dev eth0
link set eth0 up
END
    nsenter --net=/run/netns/h$i unshare --pid --fork --kill-child --mount --uts --ipc sh "$1/host.sh" "$1" $i &
done
echo ready
read -r _ || true
"""

# $1: the folder, $2: the number. Becomes the host's first process.
HOST = f"""
set -e
top=/run/h$2
mkdir $top $top/upper $top/work $top/root
mount -t overlay overlay -o lowerdir=/,upperdir=$top/upper,workdir=$top/work $top/root
cd $top/root
for shared in dev sys; do mount --rbind /$shared $shared; done
mount -t proc proc proc
mount -t tmpfs tmpfs run
mkdir run/sshd
cp "$1"/host_key "$1"/authorized_keys "$1"/sshd_config run
mount --bind "$1/tmp$2" tmp
mount --bind "$1/home$2" .$HOME
hostname host$2
exec chroot . {SSHD} -D -e -f /run/sshd_config
"""

SSHD_CONFIG = """
AuthorizedKeysFile /run/authorized_keys
HostKey /run/host_key
LogLevel FATAL
PidFile none
StrictModes no
Subsystem sftp internal-sftp
UseDNS no
UsePAM no
"""


@dataclass(frozen=True)
class TestbedHost(Sshd):
    """A host that can be broken. `process` is its first process, as seen from here."""

    __test__ = False  # for pytest: it is no test

    def run_inside(self, *command: str) -> str:
        """Run a program on the host, not over SSH, and give its output."""
        namespaces = ["--net", "--pid", "--mount", "--uts", "--ipc", "--root", "--wdns=/"]
        inside = ["nsenter", "--target", str(self.process), *namespaces, *command]
        return subprocess.run(inside, check=True, capture_output=True, text=True, stdin=subprocess.DEVNULL).stdout

    def drop_packets(self) -> None:
        """Have the host neither hear nor answer anybody any more: packets vanish, nothing is refused."""
        for chain in ("INPUT", "OUTPUT"):
            self.run_inside("iptables", "-I", chain, "-j", "DROP")

    def heal(self) -> None:
        """Undo `drop_packets`."""
        for chain in ("INPUT", "OUTPUT"):
            self.run_inside("iptables", "-F", chain)

    def crash(self) -> None:
        """End the host at once, with all its processes."""
        os.kill(self.process, signal.SIGKILL)


@contextlib.contextmanager
def start_hosts(count: int, *, config: str = "") -> Iterator[list[TestbedHost]]:
    """Have `count` hosts while the block runs; `config` has further lines of sshd_config, which win."""
    require_sshd()
    for program in ("ip", "iptables"):
        if shutil.which(program) is None:
            raise RuntimeError(f"no {program} on this machine: apt-get install iproute2 iptables")
    with _folder(count, config) as folder, _lab(folder, count) as lab, _network_of(lab):
        hosts = [_host(folder, lab, index) for index in range(count)]
        for host in hosts:
            wait_for_banner(host.address, host.port)
        yield hosts


@contextlib.contextmanager
def _folder(count: int, config: str) -> Iterator[Path]:
    with own_folder("dsi-hosts-") as folder:
        make_keys(folder)
        (folder / "sshd_config").write_text(config + SSHD_CONFIG)
        (folder / "host.sh").write_text(HOST)
        for number in range(1, count + 1):
            (folder / f"home{number}").mkdir(mode=0o700)
            (folder / f"tmp{number}").mkdir()
            (folder / f"tmp{number}").chmod(0o1777)
        yield folder


@contextlib.contextmanager
def _lab(folder: Path, count: int) -> Iterator[int]:
    """Give the process id of the lab's first process."""
    namespaces = ["--net", "--pid", "--fork", "--kill-child", "--mount", "--mount-proc"]
    command = ["unshare", *namespaces, "sh", "-c", LAB, "lab", str(folder), str(count)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as lab:
        assert lab.stdout is not None
        if lab.stdout.readline() != b"ready\n":
            raise RuntimeError("the lab could not be made: what it said stands above")
        yield _children(lab.pid)[0]


@contextlib.contextmanager
def _network_of(process: int) -> Iterator[None]:
    """Have the calling thread, and what it starts, in another process's network."""
    with Path("/proc/thread-self/ns/net").open() as before, Path(f"/proc/{process}/ns/net").open() as lab:
        _set_network(lab)
        try:
            yield
        finally:
            _set_network(before)


def _set_network(namespace: IO[str]) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(namespace.fileno(), CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


def _host(folder: Path, lab: int, index: int) -> TestbedHost:
    # The lab's children are the hosts' `unshare`s in their order; the child of each is the host's first process.
    while len(_children(lab)) <= index or not (first := _children(_children(lab)[index])):
        os.sched_yield()
    user = pwd.getpwuid(os.geteuid()).pw_name
    return TestbedHost(
        name=f"mongod.{index}",
        address=f"{NETWORK}.{index + 2}",
        port=22,
        user=user,
        key_file=folder / "user_key",
        home=folder / f"home{index + 1}",
        known_hosts=folder / "known_hosts",
        process=first[0],
    )


def _children(process: int) -> list[int]:
    return sorted(int(pid) for pid in Path(f"/proc/{process}/task/{process}/children").read_text().split())
