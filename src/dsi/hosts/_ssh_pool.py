"""The kept shells of one connection: found, grown, waited for."""

import asyncio
from collections import deque
from collections.abc import Coroutine
from typing import Any, Final

import asyncssh

from dsi.hosts._output import Output
from dsi.hosts._ssh_shell import Command, NoSession, Shell, ShellGone

MAX_SHELLS: Final = 8
"""sshd allows ten sessions on a connection (MaxSessions). The other two are for ending commands, and for a terminal."""

URGENT_SHELLS: Final = 9
"""How far the pool may grow for what ends a command."""


class Shells:
    """Hands out kept shells. More than `MAX_SHELLS` commands at once wait, first come, first served."""

    def __init__(self, connection: asyncssh.SSHClientConnection) -> None:
        self._connection = connection
        self._idle: list[Shell] = []
        self._left: deque[Shell] = deque()
        """Those whose command left a process behind that holds the outputs: it would be ended (SIGPIPE) if it wrote
        into a closed one. They stay open, unread, until their place is needed."""
        self._open = 0
        self._limit = MAX_SHELLS
        self._waiters: deque[asyncio.Future[Shell]] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._opening = 0

    async def run(self, shell: Shell, command: Command, output: Output) -> int:
        """Run a command on this shell, and give its exit status.

        Raises:
            ShellGone: the session ended in mid-command. A command that hadn't begun is given to another shell instead.
        """
        try:
            return await shell.run(command, output)
        except ShellGone as gone:
            # Not begun: the shell had been ended while it lay idle, and nothing of the command has run.
            # With no exit status the whole connection is dead.
            if gone.begun or gone.exit_status is None:
                raise
        another = await self.take()
        try:
            return await self.run(another, command, output)
        finally:
            self.give_back(another)

    async def open_first(self) -> None:
        """Open the first shell, so that the first command needn't wait for it."""
        self.give_back(await self.take())

    async def close(self) -> None:
        """Stop opening shells and reading from left ones. The sessions end with the connection."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._fail(NoSession("the connection was closed"))

    def _fail(self, error: NoSession) -> None:
        """Tell everybody who waits for a shell that there won't be one."""
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_exception(error)

    async def take(self, *, urgent: bool = False) -> Shell:
        """Wait for a free shell, first come, first served; `urgent` ones first. It must be given back.

        Raises:
            NoSession
        """
        while self._idle:
            shell = self._idle.pop()
            if shell.usable:
                return shell
        waiter: asyncio.Future[Shell] = asyncio.get_running_loop().create_future()
        if urgent:
            self._waiters.appendleft(waiter)
        else:
            self._waiters.append(waiter)
        self._grow(urgent=urgent)
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self.give_back(waiter.result())
            raise

    def give_back(self, shell: Shell) -> None:
        """Hand a shell to the next who waits; one that can't be used any more is closed."""
        if shell.usable:
            while self._waiters:
                waiter = self._waiters.popleft()
                if not waiter.done():
                    waiter.set_result(shell)
                    return
            self._idle.append(shell)
        elif shell.held:
            self._left.append(shell)
            self._grow()
        else:
            self._drop(shell)

    def _drop(self, shell: Shell) -> None:
        shell.close()
        self._open -= 1
        self._grow()

    def _grow(self, *, urgent: bool = False) -> None:
        """Open as many more shells as are waited for, within the limits."""
        limit = min(self._limit + 1, URGENT_SHELLS) if urgent else self._limit
        wanted = len(self._waiters) - self._opening
        while self._left and self._open + wanted > limit:
            self._left.popleft().close()
            self._open -= 1
        for _ in range(min(wanted, limit - self._open)):
            self._open += 1
            self._opening += 1
            self._start(self._open_one())

    async def _open_one(self) -> None:
        try:
            shell = await Shell.open(self._connection)
        except NoSession as error:
            self._opening -= 1
            self._open -= 1
            self._not_opened(error)
        except BaseException:
            self._opening -= 1
            self._open -= 1
            raise
        else:
            self._opening -= 1
            self.give_back(shell)

    def _not_opened(self, error: NoSession) -> None:
        if error.refused and self._open > 0:
            # MaxSessions is less than we thought (or others share the connection): wait for one of ours.
            self._limit = max(self._open, 1)
            return
        self._fail(error)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)  # kept, and ended by close()
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
