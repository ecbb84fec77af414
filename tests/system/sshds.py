"""Plain OpenSSH servers on this machine's loopback: 127.0.0.2, 127.0.0.3, … on one port, each with a home of its own.

They need no root: the user who runs them is the only one who can log in. What they share is the machine: its processes,
its ports, its files. Where that matters, `testbed` has hosts of their own.
"""

import contextlib
import ctypes
import fcntl
import getpass
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SSHD = "/usr/sbin/sshd"

START_S = 60.0

CONFIG = """\
AuthorizedKeysFile {folder}/authorized_keys
HostKey {folder}/host_key
LogLevel FATAL
PidFile none
StrictModes no
Subsystem sftp internal-sftp
UseDNS no
UsePAM no
PasswordAuthentication no
"""


@dataclass(frozen=True)
class Sshd:
    """One server that can be logged in on."""

    name: str
    address: str
    port: int
    user: str
    key_file: Path
    home: Path
    known_hosts: Path
    process: int

    @property
    def login(self) -> dict[str, Any]:
        """The keyword arguments of `connect_ssh`."""
        return {
            "address": self.address,
            "port": self.port,
            "user": self.user,
            "key_file": str(self.key_file),
            "known_hosts": self.known_hosts,
        }


@contextlib.contextmanager
def start_sshds(count: int, *, config: str = "") -> Iterator[list[Sshd]]:
    """Run `count` servers while the block does; `config` has further lines of sshd_config, which win.

    They end with this process, also when it is killed.
    """
    require_sshd()
    with own_folder("dsi-sshd-") as folder:
        make_keys(folder)
        port = _free_port(count)
        servers: list[subprocess.Popen[bytes]] = []
        try:
            hosts = [_start(folder, index, port, config, servers) for index in range(count)]
            for host, server in zip(hosts, servers, strict=True):
                wait_for_banner(host.address, host.port, server)
            yield hosts
        finally:
            _end(servers)


@contextlib.contextmanager
def own_folder(prefix: str) -> Iterator[Path]:
    """Give a folder that goes with the block. Those of runs that were killed go now."""
    for left in Path(tempfile.gettempdir()).glob(f"{prefix}*"):
        with contextlib.suppress(FileNotFoundError, BlockingIOError), _lock(left, "r"):
            shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=prefix, ignore_cleanup_errors=True) as name, _lock(Path(name), "w"):
        yield Path(name)


@contextlib.contextmanager
def _lock(folder: Path, mode: str) -> Iterator[None]:
    with (folder / "lock").open(mode) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield


def require_sshd() -> None:
    """Fail where there is no sshd: these tests are never passed over."""
    if not Path(SSHD).exists():
        raise RuntimeError("no sshd on this machine: apt-get install openssh-server iproute2 iptables")
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)


def make_keys(folder: Path) -> None:
    """Make `host_key`, `user_key`, and `authorized_keys` for it."""
    for key in ("host_key", "user_key"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / key], check=True)
    shutil.copy(folder / "user_key.pub", folder / "authorized_keys")


def wait_for_banner(address: str, port: int, server: subprocess.Popen[bytes] | None = None) -> None:
    """Wait until sshd greets; raises when it doesn't."""
    until = time.monotonic() + START_S
    while time.monotonic() < until:
        with contextlib.suppress(OSError), socket.create_connection((address, port), timeout=5) as connection:
            if connection.recv(4) == b"SSH-":
                return
        if server is not None and server.poll() is not None:
            raise RuntimeError(f"sshd on {address}:{port} ended with {server.returncode}")
        time.sleep(0.005)
    raise RuntimeError(f"sshd on {address}:{port} doesn't greet")


def _start(folder: Path, index: int, port: int, config: str, servers: list[subprocess.Popen[bytes]]) -> Sshd:
    address = f"127.0.0.{index + 2}"
    home = folder / f"home{index}"
    home.mkdir()
    settings = folder / f"sshd_config{index}"
    settings.write_text(
        f"{config}\nListenAddress {address}\nPort {port}\nSetEnv HOME={home}\n{CONFIG.format(folder=folder)}"
    )
    servers.append(subprocess.Popen([SSHD, "-D", "-e", "-f", settings], preexec_fn=die_with_parent))
    return Sshd(
        name=f"mongod.{index}",
        address=address,
        port=port,
        user=getpass.getuser(),
        key_file=folder / "user_key",
        home=home,
        known_hosts=folder / "known_hosts",
        process=servers[-1].pid,
    )


def die_with_parent() -> None:
    """Have the kernel end the calling process when its parent ends (prctl PR_SET_PDEATHSIG)."""
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)


def _free_port(count: int) -> int:
    """A port that is free on all of the addresses."""
    while True:
        with contextlib.ExitStack() as stack:
            try:
                port = 0
                for index in range(count):
                    probe = stack.enter_context(socket.socket())
                    probe.bind((f"127.0.0.{index + 2}", port))
                    port = probe.getsockname()[1]
            except OSError:
                continue
            return port


def _end(servers: list[subprocess.Popen[bytes]]) -> None:
    for server in servers:
        # The sessions are its children, each in a process group of its own: they end with the connection.
        server.terminate()
    for server in servers:
        server.wait()
