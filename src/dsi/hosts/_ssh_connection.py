"""Logging in over SSH: one kept connection, and errors that say what to try."""

import asyncio
import os
import re
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import asyncssh

from dsi.errors import HostUnreachable
from dsi.hosts._ssh_known_hosts import ChangedKey, KnownHosts

WINDOW_BYTES: Final = 8 * 2**20
"""How much may be on its way to us in one session: asyncssh's 2 MiB hold a link of 40 ms to 20 MB/s."""

KEEPALIVES: Final = 3
"""asyncssh asks every third of `keepalive_s`, and gives up when the answers to these many are missing."""

_HOP: Final = re.compile(r"\[?(.*?)\]?(?::(\d+))?")
"""`address`, `address:port`, `[::1]:port`."""

RETRY_S: Final = (0.1, 0.2, 0.4, 0.8, 1.6)
"""Waits between attempts to log in: sshd drops connections at random when more than MaxStartups do so at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """How to reach one machine. What is None is taken from `~/.ssh/config`, else from ssh's own defaults.

    `known_hosts` is the file that keeps the host keys; it is made when it isn't there.
    """

    address: str
    port: int | None = None
    user: str | None = None
    key_file: str | None = None
    known_hosts: Path
    keepalive_s: float = 15.0
    connect_timeout_s: float = 10.0

    def __str__(self) -> str:
        user = f"{self.user}@" if self.user else ""
        port = "" if self.port is None else f", port {self.port}"
        key = f"key {self.key_file}" if self.key_file else "the keys of the agent and of ~/.ssh"
        return f"{user}{self.address}{port}, {key}"


async def log_in(name: str, login: Login) -> asyncssh.SSHClientConnection:
    """Connect and log in. Tried again when the connection breaks before the login, within `connect_timeout_s`.

    Raises:
        HostUnreachable: with address, port, user, key and what to try.
    """
    known_hosts = KnownHosts(login.known_hosts)
    try:
        async with asyncio.timeout(login.connect_timeout_s):
            return await _persistently(login, _key_options(login), known_hosts)
    except (asyncssh.Error, OSError, _UnusableKey, asyncssh.ConfigParseError) as error:
        why = _explain(error, login, known_hosts.changed)
        raise HostUnreachable(name, f"no SSH login ({login}): {why}") from error


async def _persistently(
    login: Login, key_options: dict[str, Any], known_hosts: KnownHosts
) -> asyncssh.SSHClientConnection:
    for wait_s in RETRY_S:
        try:
            return await _connect(login, key_options, known_hosts)
        except (asyncssh.ConnectionLost, ConnectionResetError):
            await asyncio.sleep(wait_s)
    return await _connect(login, key_options, known_hosts)


async def _connect(login: Login, key_options: dict[str, Any], known_hosts: KnownHosts) -> asyncssh.SSHClientConnection:
    options: dict[str, Any] = {
        "client_factory": known_hosts.client,
        "known_hosts": b"",  # all keys are judged by our KnownHosts
        "encryption_algs": "^aes128-gcm@openssh.com",  # the fastest by far where the CPU has AES
        "keepalive_interval": login.keepalive_s / KEEPALIVES,
        "keepalive_count_max": KEEPALIVES - 1,
        **key_options,
    }
    if login.port is not None:
        options["port"] = login.port
    if login.user is not None:
        options["username"] = login.user
    algorithms = known_hosts.algorithms(login.address, login.port)
    if algorithms:
        options["server_host_key_algs"] = "^" + ",".join(algorithms)
    return await _connect_over(await _jump(login, known_hosts), login.address, options)


async def _jump(login: Login, known_hosts: KnownHosts) -> asyncssh.SSHClientConnection | None:
    """Connect to the machines of ProxyJump in `~/.ssh/config`, ourselves: their host keys are kept like the others."""
    port = () if login.port is None else login.port  # (): not given
    config = await asyncssh.SSHClientConnectionOptions.construct(host=login.address, port=port, config=())
    if not isinstance(config.tunnel, str):
        return None
    connection: asyncssh.SSHClientConnection | None = None
    for hop in config.tunnel.split(","):
        user, _, place = hop.rpartition("@")
        address, its_port = _HOP.fullmatch(place).groups()  # type: ignore[union-attr]  # it matches anything
        options: dict[str, Any] = {"client_factory": known_hosts.client, "known_hosts": b""}
        if its_port:
            options["port"] = int(its_port)
        if user:
            options["username"] = user
        connection = await _connect_over(connection, address, options)
    return connection


async def _connect_over(
    tunnel: asyncssh.SSHClientConnection | None, address: str, options: dict[str, Any]
) -> asyncssh.SSHClientConnection:
    """Connect through another connection (None: directly), which then closes with the new one."""
    try:
        connection = await asyncssh.connect(address, tunnel=tunnel, **options)
    except BaseException:
        if tunnel is not None:
            tunnel.close()
        raise
    if tunnel is not None:
        connection.set_tunnel(tunnel)
    return connection


class _UnusableKey(Exception):
    """The key file can't be used; the message says why."""


def _key_options(login: Login) -> dict[str, Any]:
    """With a key file of its own the agent isn't asked: its keys could use up sshd's MaxAuthTries first."""
    if login.key_file is None:
        return {}
    path = Path(login.key_file).expanduser()
    try:
        key = asyncssh.read_private_key(path)
    except FileNotFoundError:
        raise _UnusableKey(f"there is no key file {path}; check ssh_key_file") from None
    except OSError as error:
        raise _UnusableKey(f"the key file {path} can't be read: {error.strerror}") from error
    except asyncssh.KeyEncryptionError:
        return _agent_options(path)
    except asyncssh.KeyImportError as error:
        if "passphrase" in str(error).lower():
            return _agent_options(path)
        raise _UnusableKey(f"the key file {path} is no private key that asyncssh understands: {error}") from error
    return {"client_keys": [key], "agent_path": None}


def _agent_options(path: Path) -> dict[str, Any]:
    if not os.environ.get("SSH_AUTH_SOCK"):
        raise _UnusableKey(
            f"the key {path} has a passphrase, and no agent is running: "
            f'start one (eval "$(ssh-agent)"; ssh-add {path}), or use a key without a passphrase'
        )
    return {}  # the agent's keys, and the default ones that need no passphrase


def _explain(error: Exception, login: Login, changed: ChangedKey | None) -> str:
    if changed is not None:
        return str(changed)
    if isinstance(error, TimeoutError):
        return (
            f"no answer within {login.connect_timeout_s:g} s. "
            "Is the host up, is the address right, does a firewall drop the packets?"
        )
    if isinstance(error, asyncssh.PermissionDenied):
        return (
            f"the host refused the login ({error.reason}). "
            "Is the user right, and is the key's public half in its ~/.ssh/authorized_keys?"
        )
    if isinstance(error, ConnectionRefusedError):
        return "connection refused. Does sshd run there, on this port?"
    if isinstance(error, socket.gaierror):
        return f"the name can't be resolved ({error.strerror}). Check public_ip"
    if isinstance(error, asyncssh.ConnectionLost | ConnectionResetError):
        return f"the host closed the connection before the login, {len(RETRY_S) + 1} times. Is that port sshd's?"
    if isinstance(error, asyncssh.Error):
        return error.reason
    return str(error)
