"""Hosts that are reached over SSH: one kept connection each, and kept shells on it."""

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Final

import asyncssh
import structlog

from dsi.errors import ConnectionLost, HostError, InvalidCommand
from dsi.hosts import _ssh_files
from dsi.hosts._local_ports import LocalListener
from dsi.hosts._output import Output, follow
from dsi.hosts._ssh_connection import WINDOW_BYTES, Login
from dsi.hosts._ssh_detached import BEYOND_ALL_OUTPUT, Detached, group_script, new_handle
from dsi.hosts._ssh_machine import Link, Machine, Note, make_machine
from dsi.hosts._ssh_ports import SshListener, join_streams, who_listens
from dsi.hosts._ssh_running import Commands
from dsi.hosts._ssh_served import Memory, OwnMemory
from dsi.hosts._ssh_shell import Command
from dsi.hosts.base import KEEP_BYTES, Handle, Host, Listener, OnConnection, OnLimit, OnOutput, Reader, Writer
from dsi.model import Result

__all__ = ["Memory", "Note", "SshHost", "connect_ssh", "unheard"]

_log = structlog.get_logger(__name__)

CONNECT_S: Final = 10.0
"""How long a connection from the host to somewhere may take before the other side counts as not there."""

VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
"""What can be the name of a variable of the environment (POSIX, 3.231)."""


def unheard(_event: str, **_fields: object) -> None:
    """Let an event pass: it stands in the log."""


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
    reconnect_s: float = 120.0,
    max_output_bytes: int = 1 << 30,
    note: Note = unheard,
    memory: Memory | None = None,
) -> "SshHost":
    """Log in on a host, and have a shell ready there.

    Port, user and keys that aren't given come from `~/.ssh/config`, the agent and ssh's defaults; with a `key_file`
    only that key is tried. The host's key is looked up in the file `known_hosts`, and written there the first time.
    A dead peer is noticed within `keepalive_s`. A connection that breaks is set up again, for up to `reconnect_s`;
    `note` gets the events of that, as `Timeline.add` does. `max_output_bytes` of one command's output may lie there. An
    sshd that still serves an earlier connection is ended, as
    far as `memory` knows of it (None: of connections of this host).

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
    machine = await make_machine(name, login, limit_s=reconnect_s, note=note, memory=memory or OwnMemory())
    machine.max_output_bytes = max_output_bytes
    return SshHost(name, machine)


class SshHost(Host):
    """A host over a kept SSH connection. Made by `connect_ssh`, and by `named` of another name of the same machine."""

    is_local = False

    def __init__(self, name: str, machine: Machine) -> None:
        self.name = name
        self.machine = self._machine = machine
        self._commands = Commands(name, machine)
        self._listeners: list[SshListener] = []
        self._forwards: list[LocalListener] = []
        machine.join(name)

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
        on_limit: OnLimit | None = None,
        tty: bool = False,
        outlives_s: float | None = None,
        joined: bool = False,
        handle: Handle | None = None,
        check: bool = True,
    ) -> Result:
        """See `Host.run`. More commands at once than sshd has places for wait; their limits count from the start.

        Raises:
            InvalidCommand: a NUL in the text or the environment, or a variable's name that is none.
        """
        _check(command, env or {})
        if outlives_s is not None and stdin is None and not tty:
            output = Output(keep_bytes=keep_bytes, on_output=on_output)
            known = handle or self.new_handle()
            detached = self._detached(known, command, output, outlives_s, env=env, joined=joined)
            return await follow(
                self._to_its_end(detached, remove=handle is None),
                end=detached.end,
                output=output,
                host=self.name,
                command=command,
                timeout_s=timeout_s,
                no_output_s=no_output_s,
                on_limit=on_limit,
                check=check,
            )
        return await self._commands.run(
            Command(command, env or {}, None if stdin is None or tty else _once(stdin)),
            on_terminal=(stdin or b"") if tty else None,
            on_output=on_output,
            keep_bytes=keep_bytes,
            timeout_s=timeout_s,
            no_output_s=no_output_s,
            on_limit=on_limit,
            check=check,
        )

    def new_handle(self) -> Handle:
        """See `Host.new_handle`."""
        return new_handle(self._machine.token)

    async def resume(
        self,
        handle: Handle,
        command: str,
        *,
        skip_bytes: int,
        outlives_s: float,
        timeout_s: float | None = None,
        no_output_s: float | None = None,
        on_output: OnOutput | None = None,
        on_limit: OnLimit | None = None,
        keep_bytes: int = KEEP_BYTES,
    ) -> Result:
        """See `Host.resume`."""
        self._machine.adopt(handle.token)
        output = Output(keep_bytes=keep_bytes, on_output=on_output)
        detached = self._detached(handle, command, output, outlives_s, joined=True, skip_bytes=skip_bytes)
        return await follow(
            self._to_its_end(detached, remove=False),
            end=detached.end,
            output=output,
            host=self.name,
            command=command,
            timeout_s=timeout_s,
            no_output_s=no_output_s,
            on_limit=on_limit,
            check=False,
        )

    async def release(self, handle: Handle, *, outlives_s: float) -> None:
        """See `Host.release`."""
        unheard = Output(keep_bytes=0, on_output=None)
        left = self._detached(handle, "", unheard, outlives_s, joined=True, skip_bytes=BEYOND_ALL_OUTPUT)
        await left.end_what_was_left()
        self._machine.finish(handle.id, at_once=True)
        await self._machine.removed()

    async def process_group(self, handle: Handle) -> int | None:
        """See `Host.process_group`."""
        said = await self._commands.run(Command(group_script(handle.id)))
        return int(said.stdout) if said.stdout.strip() else None

    def _detached(
        self,
        handle: Handle,
        command: str,
        output: Output,
        outlives_s: float,
        *,
        env: Mapping[str, str] | None = None,
        joined: bool,
        skip_bytes: int | None = None,
    ) -> Detached:
        """Give what has a command run detached, or followed on; from then on the host hears that we live."""
        self._machine.beat(handle.token, outlives_s)

        async def ask(request: str, take: OnOutput, on_begin: Callable[[], None]) -> None:
            asked = Command(request, is_request=True)
            nudging = asyncio.create_task(self._machine.nudge(asked))
            try:
                await self._commands.run(
                    asked, what=command, on_begin=on_begin, on_output=take, keep_bytes=0, detached=handle.id
                )
            finally:
                nudging.cancel()

        return Detached(
            self.name,
            command,
            env or {},
            ask=ask,
            reach=self._commands.link,
            output=output,
            handle=handle,
            orphan_s=outlives_s,
            joined=joined,
            limit_bytes=self._machine.max_output_bytes,
            free=lambda stream, size_bytes: self._machine.free(handle.id, stream, size_bytes),
            skip_bytes=skip_bytes,
        )

    async def _to_its_end(self, detached: Detached, *, remove: bool) -> int:
        try:
            exit_status = await detached.status()
        except ConnectionLost:
            if remove:  # it is gone; or its host was given up, and then nothing reaches that any more
                self._machine.finish(detached.id, at_once=True)
            raise
        if remove:
            self._machine.finish(detached.id, at_once=detached.was_long)
        return exit_status

    async def feed(self, script: str, stdin: AsyncGenerator[bytes, None], *, whole_stdin: bool) -> Result:
        """Run a script of our own that reads `stdin` (`whole_stdin`: to its end, else exactly as much as there is)."""
        return await self._commands.run(Command(script, stdin=stdin, whole_stdin=whole_stdin))

    async def put(self, source: Path, target: str) -> None:
        """See `Host.put`."""
        await _ssh_files.put(self, source, target)

    async def get(self, source: str, target: Path, *, first_byte: int = 0, size_bytes: int | None = None) -> None:
        """See `Host.get`."""
        await _ssh_files.get(self, source, target, first_byte, size_bytes)

    async def write_file(self, path: str, content: bytes, *, mode: int = 0o644) -> None:
        """See `Host.write_file`."""
        await _ssh_files.write(self, path, content, mode)

    async def listen(self, address: str, port: int, on_connection: OnConnection) -> Listener:
        """See `Host.listen`. The port is sshd's, and what comes through the connection.

        When the connection breaks, the port is listened on again as soon as there is a new one and the port is free.
        """
        listener = SshListener(self.name, on_connection, self._ask, on_close=self._forget)
        link = await self._commands.link()
        with self._connected(f"listen on {address}:{port}", link):
            await listener.open(link.connection, address, port)
        self._listeners.append(listener)
        self._machine.keep(listener, lambda: self._listen_again(listener))
        return listener

    async def _listen_again(self, listener: SshListener) -> None:
        link = await self._commands.link()
        with self._connected(f"listen on {listener.address}:{listener.port} again", link):
            await listener.reopen(link.connection)

    def _forget(self, listener: SshListener) -> None:
        self._machine.forget(listener)
        if listener in self._listeners:
            self._listeners.remove(listener)

    async def who_listens(self, _address: str, port: int) -> str:
        """See `Host.who_listens`."""
        return await who_listens(port, self._ask)

    async def connect(self, address: str, port: int) -> tuple[Reader, Writer]:
        """See `Host.connect`."""
        link = await self._commands.link()
        with self._connected(f"connect to {address}:{port}", link):
            async with asyncio.timeout(CONNECT_S):
                return await link.connection.open_connection(address, port, encoding=None, window=WINDOW_BYTES)

    @asynccontextmanager
    async def forward(self, address: str, port: int) -> AsyncIterator[tuple[str, int]]:
        """See `Host.forward`. The port here stays the same when the connection breaks and there is a new one."""

        async def serve(reader: Reader, writer: Writer) -> None:
            try:
                there = await self.connect(address, port)
            except HostError as problem:
                _log.debug("can't forward", host=self.name, problem=str(problem))
                return  # which closes the connection, as if it had been refused
            await join_streams((reader, writer), there)

        listener = LocalListener(self.name, serve)
        await listener.open("127.0.0.1", 0)
        self._forwards.append(listener)
        try:
            yield "127.0.0.1", listener.port
        finally:
            self._forwards.remove(listener)
            await listener.close()

    async def _ask(self, script: str) -> str:
        return (await self.run(script)).stdout

    @contextmanager
    def _connected(self, what: str, link: Link) -> Iterator[None]:
        try:
            yield
        except (asyncssh.Error, OSError) as error:
            if link.connection.is_closed():
                where = f"the SSH connection ({self._machine.login})"
                raise ConnectionLost(self.name, f"can't {what}: {where} is broken or closed") from error
            if isinstance(error, TimeoutError):
                raise HostError(self.name, f"can't {what}: no answer within {CONNECT_S:g} s") from error
            raise HostError(self.name, f"can't {what}: {getattr(error, 'reason', error)}") from error

    async def close(self) -> None:
        """See `Host.close`."""
        if not self._commands.begin_close():
            return
        ports: list[Listener] = [*self._listeners, *self._forwards]
        await asyncio.gather(self._commands.end_all(), *(port.close() for port in ports))
        await self._machine.leave(self.name)


def _check(command: str, env: Mapping[str, str]) -> None:
    if "\0" in command:
        raise InvalidCommand("the command has a NUL character in it, which no shell can read")
    for name, value in env.items():
        if not VARIABLE.fullmatch(name) or "\0" in value:
            raise InvalidCommand(f"{name!r} can't be a variable of the environment with that value")


async def _once(content: bytes) -> AsyncGenerator[bytes, None]:
    yield content
