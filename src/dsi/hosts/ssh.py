"""Hosts that are reached over SSH: one kept connection each, and kept shells on it."""

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import asyncssh
import structlog

from dsi.errors import CommandTimeout, ConnectionLost, HostError, InvalidCommand
from dsi.hosts import _ssh_files
from dsi.hosts._local_ports import LocalListener
from dsi.hosts._output import LAST_WORDS_S, Output, follow
from dsi.hosts._ssh_connection import WINDOW_BYTES, Login
from dsi.hosts._ssh_delivery import Held
from dsi.hosts._ssh_detached import BEYOND_ALL_OUTPUT, Detached, group_script, new_handle
from dsi.hosts._ssh_end import end_group
from dsi.hosts._ssh_let_go import let_go
from dsi.hosts._ssh_machine import Link, Machine, Note, make_machine
from dsi.hosts._ssh_ports import SshListener, join_streams, who_listens
from dsi.hosts._ssh_served import Memory, OwnMemory
from dsi.hosts._ssh_session import NoSession, ShellGone
from dsi.hosts._ssh_shell import Command, Shell
from dsi.hosts._ssh_terminal import run_on_terminal
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


@dataclass(eq=False)
class _Running:
    command: Command
    link: Link
    shell: Shell | None = None
    detached: str = ""
    """What command that outlives the connection is followed (empty: none)."""
    over: asyncio.Event = field(default_factory=asyncio.Event)


class SshHost(Host):
    """A host over a kept SSH connection. Made by `connect_ssh`, and by `named` of another name of the same machine."""

    is_local = False

    def __init__(self, name: str, machine: Machine) -> None:
        self.name = name
        self.machine = self._machine = machine
        self._running: set[_Running] = set()
        self._listeners: list[SshListener] = []
        self._forwards: list[LocalListener] = []
        self._closing: asyncio.Future[None] = asyncio.get_running_loop().create_future()
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
        asked = Command(command, env or {}, None if stdin is None or tty else _once(stdin))
        async with self._place(tty=tty) as (link, shell):
            output = Output(keep_bytes=keep_bytes, on_output=on_output)
            if shell is None:
                work = run_on_terminal(link.connection, asked, stdin or b"", output)
            else:
                work = link.shells.run(shell, asked, output)
            with self._counted(asked, link) as running, self._explained(command, link):
                return await follow(
                    self._status(work, running),
                    end=lambda: self._end(running),
                    output=output,
                    host=self.name,
                    command=command,
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
        said = await self._run_ours(Command(group_script(handle.id)))
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
                await self._run_ours(asked, on_output=take, what=command, on_begin=on_begin, detached=handle.id)
            finally:
                nudging.cancel()

        return Detached(
            self.name,
            command,
            env or {},
            ask=ask,
            reach=self._link,
            output=output,
            handle=handle,
            orphan_s=outlives_s,
            joined=joined,
            limit_bytes=self._machine.max_output_bytes,
            free=lambda stream, size_bytes: self._machine.free(handle.id, stream, size_bytes),
            skip_bytes=skip_bytes,
        )

    async def _to_its_end(self, detached: Detached, *, remove: bool) -> int:
        exit_status = await detached.status()
        if remove:
            self._machine.finish(detached.id, at_once=detached.was_long)
        return exit_status

    async def feed(self, script: str, stdin: AsyncGenerator[bytes, None], *, whole_stdin: bool) -> Result:
        """Run a script of our own that reads `stdin` (`whole_stdin`: to its end, else exactly as much as there is)."""
        return await self._run_ours(Command(script, stdin=stdin, whole_stdin=whole_stdin))

    async def _run_ours(
        self,
        asked: Command,
        *,
        on_output: OnOutput | None = None,
        what: str | None = None,
        on_begin: Callable[[], None] | None = None,
        detached: str = "",
    ) -> Result:
        """Run a script of our own, which people know as `what`. `on_begin` is called when there is a shell for it.

        `detached`: the command that it follows. When `on_output` raises `Held` that is let go, and goes on.
        """
        async with self._place(tty=False) as (link, shell):
            if on_begin is not None:
                on_begin()
            output = Output(keep_bytes=KEEP_BYTES if on_output is None else 0, on_output=on_output)
            script = what or asked.text
            assert shell is not None
            with self._counted(asked, link) as running, self._explained(script, link):
                running.shell, running.detached = shell, detached
                return await follow(
                    self._status(link.shells.run(shell, asked, output), running),
                    end=lambda: self._end(running),
                    output=output,
                    host=self.name,
                    command=script,
                    timeout_s=None,
                    no_output_s=None,
                    on_limit=None,
                    check=False,
                )

    @asynccontextmanager
    async def _place(self, *, tty: bool) -> AsyncIterator[tuple[Link, Shell | None]]:
        """Wait for the connection and a shell on it, or (None) for the place of the one terminal."""
        if tty:
            link = await self._link()
            async with link.terminal:
                yield link, None
            return
        link, shell = await self._take()
        try:
            yield link, shell
        finally:
            link.shells.give_back(shell)

    async def _take(self) -> tuple[Link, Shell]:
        while True:
            link = await self._link()
            with self._explained("a command", link):
                try:
                    return link, await link.shells.take()
                except NoSession:
                    if not link.connection.is_closed():
                        raise
            # Nothing had begun: it waits for the next connection.

    async def _link(self) -> Link:
        return await self._machine.link(self.name, self._closing)

    @contextmanager
    def _counted(self, command: Command, link: Link) -> Iterator[_Running]:
        running = _Running(command, link)
        self._running.add(running)
        try:
            yield running
        finally:
            self._running.discard(running)
            running.over.set()

    @contextmanager
    def _explained(self, command: str, link: Link) -> Iterator[None]:
        try:
            yield
        except CommandTimeout as error:
            if link.connection.is_closed():  # so it wasn't ended
                raise self._lost(command) from error
            raise
        except (NoSession, ShellGone) as error:
            if link.connection.is_closed():
                raise self._lost(command) from error
            raise HostError(self.name, f"can't run {_short(command)}: {error}") from error

    def _lost(self, command: str) -> ConnectionLost:
        return ConnectionLost(
            self.name,
            f"the SSH connection ({self._machine.login}) broke while {_short(command)} ran: it may have taken effect "
            "or not. Is the host up, and the network between?",
        )

    async def _status(self, work: Awaitable[int], running: _Running) -> int:
        pid = running.command.pid
        try:
            return await work
        except Held:
            assert running.shell is not None, "on a terminal nothing outlives the connection"
            await let_go(running.link, running.shell, pid.result(), running.detached)
            return 0
        except ShellGone as gone:
            if not gone.begun or gone.exit_status is None:
                raise
            # Somebody ended the shell under the command (`pkill bash`): what that would have been without it.
            await end_group(running.link.ending, pid.result())
            return gone.exit_status
        finally:
            pid.cancel()  # if it never began: nobody need wait for it

    async def _end(self, running: _Running) -> None:
        """End a command with its process group. A broken connection can end none: who waits for it is told."""
        pid = running.command.pid
        await asyncio.wait({pid})
        if not pid.cancelled() and not running.link.connection.is_closed():
            await end_group(running.link.ending, pid.result())

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
        link = await self._link()
        with self._connected(f"listen on {address}:{port}", link):
            await listener.open(link.connection, address, port)
        self._listeners.append(listener)
        self._machine.keep(listener, lambda: self._listen_again(listener))
        return listener

    async def _listen_again(self, listener: SshListener) -> None:
        link = await self._link()
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
        link = await self._link()
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
        if self._closing.done():
            return
        self._closing.set_result(None)
        running = list(self._running)
        ports: list[Listener] = [*self._listeners, *self._forwards]
        await asyncio.gather(*(self._end(one) for one in running), *(port.close() for port in ports))
        if running:
            # They have ended; their callers get to know before the connection goes.
            await asyncio.wait([asyncio.ensure_future(one.over.wait()) for one in running], timeout=LAST_WORDS_S)
        await self._machine.leave(self.name)


def _check(command: str, env: Mapping[str, str]) -> None:
    if "\0" in command:
        raise InvalidCommand("the command has a NUL character in it, which no shell can read")
    for name, value in env.items():
        if not VARIABLE.fullmatch(name) or "\0" in value:
            raise InvalidCommand(f"{name!r} can't be a variable of the environment with that value")


def _short(command: str) -> str:
    first = command.strip().partition("\n")[0]
    return first if len(first) <= 60 else f"{first[:60]}…"


async def _once(content: bytes) -> AsyncGenerator[bytes, None]:
    yield content
