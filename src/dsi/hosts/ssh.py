"""Hosts that are reached over SSH: one kept connection each, and kept shells on it."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import asyncssh

from dsi.errors import CommandTimeout, ConnectionLost, HostError, HostUnreachable, InvalidCommand
from dsi.hosts import _ssh_files
from dsi.hosts._output import LAST_WORDS_S, Output, follow
from dsi.hosts._ssh_connection import WINDOW_BYTES, Login, log_in
from dsi.hosts._ssh_end import end_group
from dsi.hosts._ssh_pool import Shells
from dsi.hosts._ssh_ports import SshListener, who_listens
from dsi.hosts._ssh_session import NoSession, ShellGone
from dsi.hosts._ssh_shell import Command, Shell
from dsi.hosts._ssh_terminal import run_on_terminal
from dsi.hosts.base import KEEP_BYTES, Host, Listener, OnConnection, OnOutput, Reader, Writer
from dsi.model import Result

__all__ = ["SshHost", "connect_ssh"]

CONNECT_S: Final = 10.0
"""How long a connection from the host to somewhere may take before the other side counts as not there."""

SHELLS: Final = 8
"""sshd allows ten sessions on a connection by default (MaxSessions, sshd_config(5)): these, one for what ends commands,
one for a terminal."""

VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
"""What can be the name of a variable of the environment (POSIX, 3.231)."""


async def connect_ssh(
    name: str,
    address: str,
    *,
    port: int | None = None,
    user: str | None = None,
    key_file: str | None = None,
    known_hosts: Path,
    keepalive_s: float = 15.0,
    connect_timeout_s: float = 10.0,
) -> "SshHost":
    """Log in on a host, and have a shell ready there.

    Port, user and keys that aren't given come from `~/.ssh/config`, the agent and ssh's defaults; with a `key_file`
    only that key is tried. The host's key is looked up in the file `known_hosts`, and written there the first time.
    A dead peer is noticed within `keepalive_s`.

    Raises:
        HostUnreachable: no login within `connect_timeout_s`, or no shell; has address, port, user, key and what to try.
    """
    login = Login(
        address=address,
        port=port,
        user=user,
        key_file=key_file,
        known_hosts=known_hosts,
        keepalive_s=keepalive_s,
        connect_timeout_s=connect_timeout_s,
    )
    host = SshHost(name, _Machine(login, await log_in(name, login)))
    try:
        await host._machine.shells.open_first()
    except NoSession as error:
        await host.close()
        raise HostUnreachable(name, f"logged in ({login}), but {error}") from error
    except BaseException:
        await host.close()
        raise
    return host


class _Machine:
    """One kept connection and its shells, shared by the names that the machine goes by."""

    def __init__(self, login: Login, connection: asyncssh.SSHClientConnection) -> None:
        self.login = login
        self.connection = connection
        self.shells = Shells(connection, places=SHELLS)
        self.ending = Shells(connection, places=1)
        """What ends commands never waits for the commands."""
        self.terminal = asyncio.Semaphore()
        """One terminal at a time."""
        self._names = 0

    def join(self) -> None:
        self._names += 1

    async def leave(self) -> None:
        """Close the connection when the last name has left."""
        self._names -= 1
        if self._names == 0:
            await self.shells.close()
            await self.ending.close()
            self.connection.close()
            await self.connection.wait_closed()


@dataclass(eq=False)
class _Running:
    command: Command
    over: asyncio.Event = field(default_factory=asyncio.Event)


class SshHost(Host):
    """A host over a kept SSH connection. Made by `connect_ssh`, and by `named` of another name of the same machine."""

    is_local = False

    def __init__(self, name: str, machine: _Machine) -> None:
        self.name = name
        self.machine = self._machine = machine
        self._running: set[_Running] = set()
        self._listeners: list[SshListener] = []
        self._closed = False
        machine.join()

    def named(self, name: str) -> "SshHost":
        """Give another name of this machine, over the same connection; that closes with the last of its names."""
        return SshHost(name, self._machine)

    async def run(
        self,
        command: str,
        *,
        stdin: bytes | None = None,
        env: Mapping[str, str] | None = None,
        timeout_s: float | None = None,
        no_output_s: float | None = None,
        on_output: OnOutput | None = None,
        keep_bytes: int = KEEP_BYTES,
        tty: bool = False,
        check: bool = True,
    ) -> Result:
        """See `Host.run`. More commands at once than sshd has places for wait; their limits count from the start.

        Raises:
            InvalidCommand: a NUL in the text or the environment, or a variable's name that is none.
        """
        _check(command, env or {})
        asked = Command(command, env or {}, None if stdin is None or tty else _once(stdin))
        async with self._place(tty=tty) as shell:
            output = Output(keep_bytes=keep_bytes, on_output=on_output)
            if shell is None:
                work = run_on_terminal(self._machine.connection, asked, stdin or b"", output)
            else:
                work = self._machine.shells.run(shell, asked, output)
            with self._counted(asked) as running, self._explained(command):
                return await follow(
                    self._status(work, asked),
                    end=lambda: self._end(running),
                    output=output,
                    host=self.name,
                    command=command,
                    timeout_s=timeout_s,
                    no_output_s=no_output_s,
                    check=check,
                )

    async def feed(
        self, script: str, stdin: AsyncIterator[bytes], *, whole_stdin: bool, on_output: OnOutput | None = None
    ) -> Result:
        """Run a script of our own that reads `stdin` (`whole_stdin`: to its end, else exactly as much as there is)."""
        asked = Command(script, stdin=stdin, whole_stdin=whole_stdin)
        async with self._place(tty=False) as shell:
            output = Output(keep_bytes=KEEP_BYTES, on_output=on_output)
            assert shell is not None
            with self._counted(asked) as running, self._explained(script):
                return await follow(
                    self._status(self._machine.shells.run(shell, asked, output), asked),
                    end=lambda: self._end(running),
                    output=output,
                    host=self.name,
                    command=script,
                    timeout_s=None,
                    no_output_s=None,
                    check=False,
                )

    @asynccontextmanager
    async def _place(self, *, tty: bool) -> AsyncIterator[Shell | None]:
        """Wait for a shell, or (None) for the place of the one terminal."""
        if self._closed:
            raise HostError(self.name, "the connection to it was closed")
        if tty:
            async with self._machine.terminal:
                yield None
            return
        with self._explained("a command"):
            shell = await self._machine.shells.take()
        try:
            yield shell
        finally:
            self._machine.shells.give_back(shell)

    @contextmanager
    def _counted(self, command: Command) -> Iterator[_Running]:
        running = _Running(command)
        self._running.add(running)
        try:
            yield running
        finally:
            self._running.discard(running)
            running.over.set()

    @contextmanager
    def _explained(self, command: str) -> Iterator[None]:
        try:
            yield
        except CommandTimeout as error:
            if self._machine.connection.is_closed():  # so it wasn't ended
                raise self._lost(command) from error
            raise
        except (NoSession, ShellGone) as error:
            if self._machine.connection.is_closed():
                raise self._lost(command) from error
            raise HostError(self.name, f"can't run {_short(command)}: {error}") from error

    def _lost(self, command: str) -> ConnectionLost:
        return ConnectionLost(
            self.name,
            f"the SSH connection ({self._machine.login}) broke while {_short(command)} ran: it may have taken effect "
            "or not. Is the host up, and the network between?",
        )

    async def _status(self, work: Awaitable[int], command: Command) -> int:
        try:
            return await work
        except ShellGone as gone:
            if not gone.begun or gone.exit_status is None:
                raise
            # Somebody ended the shell under the command (`pkill bash`): what that would have been without it.
            await end_group(self._machine.ending, command.pid.result())
            return gone.exit_status
        finally:
            command.pid.cancel()  # if it never began: nobody need wait for it

    async def _end(self, running: _Running) -> None:
        """End a command with its process group."""
        pid = running.command.pid
        await asyncio.wait({pid})
        if not pid.cancelled():
            await end_group(self._machine.ending, pid.result())

    async def put(self, source: Path, target: str) -> None:
        """See `Host.put`."""
        await _ssh_files.put(self, source, target)

    async def get(self, source: str, target: Path) -> None:
        """See `Host.get`."""
        await _ssh_files.get(self, source, target)

    async def write_file(self, path: str, content: bytes, *, mode: int = 0o644) -> None:
        """See `Host.write_file`."""
        await _ssh_files.write(self, path, content, mode)

    async def listen(self, address: str, port: int, on_connection: OnConnection) -> Listener:
        """See `Host.listen`. The port is sshd's, and what comes through the connection."""
        listener = SshListener(self.name, on_connection)
        with self._connected(f"listen on {address}:{port}"):
            await listener.open(self._machine.connection, address, port, self._ask)
        self._listeners.append(listener)
        return listener

    async def who_listens(self, _address: str, port: int) -> str:
        """See `Host.who_listens`."""
        return await who_listens(port, self._ask)

    async def connect(self, address: str, port: int) -> tuple[Reader, Writer]:
        """See `Host.connect`."""
        with self._connected(f"connect to {address}:{port}"):
            async with asyncio.timeout(CONNECT_S):
                return await self._machine.connection.open_connection(address, port, encoding=None, window=WINDOW_BYTES)

    @asynccontextmanager
    async def forward(self, address: str, port: int) -> AsyncIterator[tuple[str, int]]:
        """See `Host.forward`."""
        with self._connected(f"forward to {address}:{port}"):
            listener = await self._machine.connection.forward_local_port("127.0.0.1", 0, address, port)
        try:
            yield "127.0.0.1", listener.get_port()
        finally:
            listener.close()
            await listener.wait_closed()

    async def _ask(self, script: str) -> str:
        return (await self.run(script)).stdout

    @contextmanager
    def _connected(self, what: str) -> Iterator[None]:
        try:
            yield
        except (asyncssh.Error, OSError) as error:
            if self._machine.connection.is_closed():
                where = f"the SSH connection ({self._machine.login})"
                raise ConnectionLost(self.name, f"can't {what}: {where} is broken or closed") from error
            if isinstance(error, TimeoutError):
                raise HostError(self.name, f"can't {what}: no answer within {CONNECT_S:g} s") from error
            raise HostError(self.name, f"can't {what}: {getattr(error, 'reason', error)}") from error

    async def close(self) -> None:
        """See `Host.close`."""
        if self._closed:
            return
        self._closed = True
        running = list(self._running)
        await asyncio.gather(*(self._end(one) for one in running), *(port.close() for port in self._listeners))
        if running:
            # They have ended; their callers get to know before the connection goes.
            await asyncio.wait([asyncio.ensure_future(one.over.wait()) for one in running], timeout=LAST_WORDS_S)
        await self._machine.leave()


def _check(command: str, env: Mapping[str, str]) -> None:
    if "\0" in command:
        raise InvalidCommand("the command has a NUL character in it, which no shell can read")
    for name, value in env.items():
        if not VARIABLE.fullmatch(name) or "\0" in value:
            raise InvalidCommand(f"{name!r} can't be a variable of the environment with that value")


def _short(command: str) -> str:
    first = command.strip().partition("\n")[0]
    return first if len(first) <= 60 else f"{first[:60]}…"


async def _once(content: bytes) -> AsyncIterator[bytes]:
    yield content
