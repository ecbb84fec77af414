"""The kept shells of one connection: found, grown, waited for."""

import asyncio
from collections import deque
from collections.abc import Coroutine
from typing import Any

import asyncssh

from dsi.hosts._output import Output
from dsi.hosts._ssh_session import NoSession, ShellGone
from dsi.hosts._ssh_shell import Command, Shell


class Shells:
    """Hands out up to `places` kept shells. Commands for which there is none wait, first come, first served."""

    def __init__(self, connection: asyncssh.SSHClientConnection, places: int) -> None:
        self._connection = connection
        self._places = places
        self._open = 0
        """Places that are taken, also by shells that are being opened or closed."""
        self._opening = 0
        self._idle: list[Shell] = []
        self._left: deque[Shell] = deque()
        """Those whose command left a process behind that holds the outputs: it would be ended (SIGPIPE) if it wrote
        into a closed one. They stay open, unread, until their place is needed."""
        self._waiters: deque[asyncio.Future[Shell]] = deque()
        self._closed = False
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self, shell: Shell, command: Command, output: Output) -> int:
        """Run a command on this shell, and give its exit status.

        Raises:
            ShellGone: the session ended in mid-command. A command that hadn't begun is given to another shell instead.
        """
        try:
            return await shell.run(command, output)
        except ShellGone as gone:
            # Not begun: the shell refused it, or had been ended while it lay idle. Nothing of the command has run.
            # With no exit status the whole connection is dead.
            if gone.begun or gone.exit_status is None:
                raise
        self.give_back(shell)  # not only when the command has ended: all places may be such shells'
        another = await self.take()
        try:
            return await self.run(another, command, output)
        finally:
            self.give_back(another)

    async def open_first(self) -> None:
        """Open the first shell, so that the first command needn't wait for it."""
        self.give_back(await self.take())

    async def take(self) -> Shell:
        """Wait for a free shell. It must be given back.

        Raises:
            NoSession
        """
        if self._closed:
            raise NoSession("the connection was closed")
        if self._idle:
            return self._idle.pop()
        waiter: asyncio.Future[Shell] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        self._grow()
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter in self._waiters:
                self._waiters.remove(waiter)
            elif not waiter.cancelled() and waiter.exception() is None:
                self.give_back(waiter.result())
            raise

    def give_back(self, shell: Shell) -> None:
        """Hand a shell to the next who waits. One that can't be used any more is closed; it may be given back twice."""
        if shell.given_up:
            return
        shell.given_up = shell.held or not shell.usable
        if shell.held:
            self._left.append(shell)
            self._grow()
        elif not shell.usable or self._open > self._places:
            self._start(self._close(shell))
        elif self._waiters:
            self._waiters.popleft().set_result(shell)
        else:
            self._idle.append(shell)

    async def close(self) -> None:
        """Stop opening and closing shells. The sessions end with the connection."""
        self._closed = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._fail(NoSession("the connection was closed"))

    def _grow(self) -> None:
        """Open as many more shells as are waited for, and as there are places."""
        wanted = len(self._waiters) - self._opening
        for _ in range(min(wanted, self._places - self._open)):
            self._open += 1
            self._opening += 1
            self._start(self._open_one())
        if self._left and self._open >= self._places and len(self._waiters) > self._opening:
            self._start(self._close(self._left.popleft()))

    async def _open_one(self) -> None:
        shell: Shell | None = None
        try:
            shell = await Shell.open(self._connection)
        except NoSession as error:
            self._open -= 1
            self._not_opened(error)
        finally:
            self._opening -= 1
        if shell is not None:
            self.give_back(shell)

    def _not_opened(self, error: NoSession) -> None:
        if error.refused and self._open > 0:
            # sshd's MaxSessions is lower: wait for one of ours, and leave a place for what ends commands.
            self._places = min(self._places, max(self._open - 1, 1))
            self._grow()
        else:
            self._fail(error)

    async def _close(self, shell: Shell) -> None:
        """The place is free once sshd has said so: it would refuse the next session before."""
        await shell.close()
        self._open -= 1
        self._grow()

    def _fail(self, error: NoSession) -> None:
        """Tell everybody who waits for a shell that there won't be one."""
        while self._waiters:
            self._waiters.popleft().set_exception(error)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)  # kept, and ended by close()
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
