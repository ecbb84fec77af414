"""Commands that run on a machine now: in a kept shell each, or on its one terminal."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field

from dsi.errors import CommandTimeout, ConnectionLost, HostError
from dsi.hosts._output import LAST_WORDS_S, Output, follow
from dsi.hosts._ssh_delivery import Held
from dsi.hosts._ssh_end import end_group
from dsi.hosts._ssh_let_go import let_go
from dsi.hosts._ssh_machine import Link, Machine
from dsi.hosts._ssh_session import NoSession, ShellGone
from dsi.hosts._ssh_shell import Command, Shell
from dsi.hosts._ssh_terminal import run_on_terminal
from dsi.hosts.base import KEEP_BYTES, OnLimit, OnOutput
from dsi.model import Result


@dataclass(eq=False)
class _Running:
    command: Command
    link: Link
    shell: Shell | None
    """The one that it runs in; None: it has the terminal."""
    detached: str = ""
    """What command that outlives the connection is followed (empty: none)."""
    over: asyncio.Event = field(default_factory=asyncio.Event)


class Commands:
    """What runs for one host. Each command waits for the connection and a place on it, and is ended with the host."""

    def __init__(self, host: str, machine: Machine) -> None:
        self._host = host
        self._machine = machine
        self._running: set[_Running] = set()
        self._closing: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def link(self) -> Link:
        """Give the connection, once there is one.

        Raises:
            HostUnreachable: it broke, and could not be set up again.
            HostError: the host was closed.
        """
        return await self._machine.link(self._host, self._closing)

    async def run(
        self,
        asked: Command,
        *,
        what: str | None = None,
        on_terminal: bytes | None = None,
        on_begin: Callable[[], None] | None = None,
        on_output: OnOutput | None = None,
        keep_bytes: int = KEEP_BYTES,
        detached: str = "",
        timeout_s: float | None = None,
        no_output_s: float | None = None,
        on_limit: OnLimit | None = None,
        check: bool = False,
    ) -> Result:
        """Run one, which people know as `what`. When it has its place `on_begin` is called, and its limits begin.

        `on_terminal` is what is typed there; None: it has no terminal. `detached` names the command that it follows:
        when `on_output` raises `Held`, what follows is let go, and the command goes on.

        Raises:
            CommandFailed, CommandTimeout, NoOutput, HostUnreachable, HostError
            ConnectionLost: the connection broke while it ran.
        """
        known_as = what or asked.text
        async with self._place(on_terminal=on_terminal is not None) as (link, shell):
            if on_begin is not None:
                on_begin()
            output = Output(keep_bytes=keep_bytes, on_output=on_output)
            if shell is None:
                work = run_on_terminal(link.connection, asked, on_terminal or b"", output)
            else:
                work = link.shells.run(shell, asked, output)
            with self._counted(_Running(asked, link, shell, detached)) as running, self._explained(known_as, link):
                return await follow(
                    _status(work, running),
                    end=lambda: _end(running),
                    output=output,
                    host=self._host,
                    command=known_as,
                    timeout_s=timeout_s,
                    no_output_s=no_output_s,
                    on_limit=on_limit,
                    check=check,
                )

    @asynccontextmanager
    async def _place(self, *, on_terminal: bool) -> AsyncIterator[tuple[Link, Shell | None]]:
        """Wait for the connection and a shell on it, or (None) for the place of the one terminal."""
        if on_terminal:
            link = await self.link()
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
            link = await self.link()
            with self._explained("a command", link):
                try:
                    return link, await link.shells.take()
                except NoSession:
                    if not link.connection.is_closed():
                        raise
            # Nothing had begun: it waits for the next connection.

    @contextmanager
    def _counted(self, running: _Running) -> Iterator[_Running]:
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
            raise HostError(self._host, f"can't run {_short(command)}: {error}") from error

    def _lost(self, command: str) -> ConnectionLost:
        return ConnectionLost(
            self._host,
            f"the SSH connection ({self._machine.login}) broke while {_short(command)} ran: it may have taken effect "
            "or not. Is the host up, and the network between?",
        )

    def begin_close(self) -> bool:
        """Let no command begin any more; give whether that is new."""
        if self._closing.done():
            return False
        self._closing.set_result(None)
        return True

    async def end_all(self) -> None:
        """End what runs, and have its callers get to know before the connection goes."""
        running = list(self._running)
        await asyncio.gather(*(_end(one) for one in running))
        if running:
            await asyncio.wait([asyncio.ensure_future(one.over.wait()) for one in running], timeout=LAST_WORDS_S)


async def _status(work: Awaitable[int], running: _Running) -> int:
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


async def _end(running: _Running) -> None:
    """End a command with its process group. A broken connection can end none: who waits for it is told."""
    pid = running.command.pid
    await asyncio.wait({pid})
    if not pid.cancelled() and not running.link.connection.is_closed():
        await end_group(running.link.ending, pid.result())


def _short(command: str) -> str:
    first = command.strip().partition("\n")[0]
    return first if len(first) <= 60 else f"{first[:60]}…"
