"""One machine behind SSH, under however many names: its connection, and the next one when that breaks.

What is bound to one connection is a `Link`. Whoever needs one asks `Machine.link()`, which waits while there is none;
commands that had begun on a link end with it and are never tried again.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final

import asyncssh
import structlog

from dsi import clock
from dsi.errors import HostError, HostUnreachable
from dsi.hosts._output import Output
from dsi.hosts._ssh_connection import RETRY_S, Login, log_in
from dsi.hosts._ssh_detached import beat_script, free_script, leave_script, removal_script, sweep_script
from dsi.hosts._ssh_pool import Shells
from dsi.hosts._ssh_served import SERVED_BY, Memory, Served, end_script
from dsi.hosts._ssh_session import NoSession, ShellGone
from dsi.hosts._ssh_shell import Command
from dsi.model import StreamName

_log = structlog.get_logger(__name__)

SHELLS: Final = 8
"""sshd allows ten sessions on a connection by default (MaxSessions, sshd_config(5)): these, one for what ends commands,
one for a terminal."""

PAUSES_S: Final = (0.1, 0.2, 0.4, 0.8, 1.6, 3.0)
"""Waits between attempts to connect again; the last one again and again. An attempt itself has its own limit."""

REMOVED_TOGETHER: Final = 50
"""So many short commands' files are removed at once: a removal for each would take as long as the command."""

SOON_S: Final = 0.05
"""A detached command that ends sooner is told of in one round trip, and costs no process that follows it."""

Note = Callable[..., object]
"""Gets an event's name and its fields, as `Timeline.add` does."""

Restore = Callable[[], Awaitable[None]]
"""Sets up again, on a new link, what has to outlive the old one (a listening port)."""


class Link:
    """One connection, and the shells on it."""

    def __init__(self, connection: asyncssh.SSHClientConnection) -> None:
        self.connection = connection
        self.shells = Shells(connection, places=SHELLS)
        self.ending = Shells(connection, places=1)
        """What ends commands never waits for the commands."""
        self.terminal = asyncio.Semaphore()
        """One terminal at a time."""
        self.served_by: Served = ()

    async def start(self, memory: Memory) -> None:
        """Have a first shell ready, and none of our earlier connections be served any more.

        Raises:
            NoSession
        """
        await self.shells.open_first()
        self.served_by = (await self.tell(SERVED_BY, self.shells)).split()
        earlier = memory.last()
        if earlier and earlier != self.served_by:
            await self.tell(end_script(earlier), self.shells)
        memory.keep(self.served_by)

    async def tell(self, script: str, shells: Shells) -> str:
        """Run a short script of ours, and give its output.

        Raises:
            NoSession
        """
        output = Output(keep_bytes=1000, on_output=None)
        shell = await shells.take()
        try:
            exit_status = await shells.run(shell, Command(script), output)
        except ShellGone as gone:
            raise NoSession(gone.why()) from gone
        finally:
            shells.give_back(shell)
        return output.result(host="", command=script, exit_status=exit_status).stdout

    async def stop(self) -> None:
        """Open no more shells, and tell those who wait for one."""
        await self.shells.close()
        await self.ending.close()

    async def close(self) -> None:
        """Close the connection."""
        await self.stop()
        self.connection.close()
        await self.connection.wait_closed()


@dataclass(frozen=True)
class GivenUp:
    """There is no connection any more, and won't be."""

    why: str


class Machine:
    """One kept connection, shared by the names that the machine goes by; set up again when it breaks.

    `limit_s` is how long that is tried. `note` gets `connection_lost`, `connection_regained` and `connection_given_up`.
    """

    def __init__(self, login: Login, link: Link, *, limit_s: float, note: Note, memory: Memory) -> None:
        self.login = login
        self.max_output_bytes = 1 << 30
        """How much of one command's output may lie on the host."""
        self._memory = memory
        self._limit_s = limit_s
        self._note = note
        self._names: list[str] = []
        self._restore: dict[object, Restore] = {}
        self.token = secrets.token_hex(8)
        """Under which the supervisors of detached commands look for a sign of life."""
        self._tokens: set[str] = set()
        """What was run under; more than one where a command of another dsi is followed."""
        self._beating: asyncio.Task[None] | None = None
        self._finished: list[str] = []
        self._due = False
        self._removing: asyncio.Task[None] | None = None
        self._late: set[int] = set()
        self._nudging = asyncio.Lock()
        self._whispers: set[asyncio.Task[Any]] = set()
        self._last = link
        self._present: asyncio.Future[Link | GivenUp] = asyncio.get_running_loop().create_future()
        self._present.set_result(link)
        self._keeping = asyncio.create_task(self._keep(), name=f"keep the connection to {login.address}")

    def join(self, name: str) -> None:
        """Go by one more name."""
        self._names.append(name)

    async def leave(self, name: str) -> None:
        """Go by one name less; with the last one the connection is closed, or no longer tried for."""
        self._names.remove(name)
        if not self._names:
            tasks: set[asyncio.Task[Any]] = {self._keeping, *self._whispers}
            tasks |= {self._beating} if self._beating is not None else set()
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            if self._beating is not None:
                scripts = [removal_script(self._finished), *(leave_script(token) for token in self._tokens)]
                await self._whisper("".join(f"({script})\n" for script in scripts))
            await self._last.close()

    def adopt(self, token: str) -> None:
        """From now on be another dsi, which is gone: what is begun goes by its token."""
        self.token = token

    def beat(self, token: str, orphan_s: float) -> None:
        """From now on tell the host often that we live, and are who goes by `token`; first the host is swept.

        It waits for `orphan_s` for that.
        """
        self._tokens.add(token)
        if self._beating is None:
            self._beating = asyncio.create_task(self._beat(orphan_s), name=f"beat on {self.login.address}")

    async def _beat(self, orphan_s: float) -> None:
        await self._whisper(sweep_script(orphan_s, self._tokens))
        while True:
            await clock.SYSTEM.sleep(orphan_s / 5)
            await self._whisper("".join(beat_script(token) for token in self._tokens))

    async def nudge(self, asked: Command) -> None:
        """Have a supervisor send the output as it comes, if the command hasn't ended soon. Many are told together."""
        await asyncio.wait({asked.pid})
        if not asked.pid.cancelled():
            await clock.SYSTEM.sleep(SOON_S)
            pid = asked.pid.result()
            self._late.add(pid)
            try:
                async with self._nudging:  # under load most have ended when it is their turn, and need none
                    if pid in self._late:  # else who came before has told it, too
                        pids, self._late = " ".join(map(str, self._late)), set()
                        # In a task of its own: cut off in the middle it would cost the shell.
                        await asyncio.shield(self._start(self._whisper(f"kill -USR1 {pids} 2>/dev/null; exit 0")))
            finally:
                self._late.discard(pid)

    def free(self, detached: str, stream: StreamName, size_bytes: int) -> None:
        """Give the host back the disk space of the first bytes of a detached command's output, which are here."""
        self._start(self._whisper(free_script(detached, stream, size_bytes)))

    def finish(self, detached: str, *, at_once: bool) -> None:
        """Note that nothing more is wanted of a detached command. What is left of it goes now, or with some others."""
        self._finished.append(detached)
        self._due = self._due or at_once or len(self._finished) >= REMOVED_TOGETHER
        if self._due and (self._removing is None or self._removing.done()):
            self._removing = self._start(self._remove_finished())

    async def removed(self) -> None:
        """Return when all that is due to be removed was."""
        if self._removing is not None:
            await asyncio.wait({self._removing})

    async def _remove_finished(self) -> None:
        """One removal after the other, each of all that has finished meanwhile."""
        while self._due:
            self._due = False
            names = list(self._finished)
            if await self._whisper(removal_script(names)):
                self._finished = [name for name in self._finished if name not in names]

    def _start(self, work: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
        task = asyncio.create_task(work)  # kept, and ended by leave()
        self._whispers.add(task)
        task.add_done_callback(self._whispers.discard)
        return task

    async def _whisper(self, script: str) -> bool:
        """Run a short script of ours, past the commands that wait. Gives whether there was a connection for it."""
        if self._last.connection.is_closed():
            return False
        try:
            await self._last.tell(script, self._last.ending)
        except NoSession:
            return False
        return True

    async def link(self, name: str, closing: "asyncio.Future[None]") -> Link:
        """Give the connection, once there is one.

        Raises:
            HostUnreachable: it broke, and could not be set up again; says how long that was tried.
            HostError: `closing` is done.
        """
        while not closing.done():
            if not self._present.done():
                either: set[asyncio.Future[Any]] = {self._present, closing}
                await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
                continue
            match self._present.result():
                case GivenUp(why):
                    raise HostUnreachable(name, why)
                case Link() as link if not link.connection.is_closed():
                    return link
            await asyncio.sleep(0)  # it has just broken: the keeper is about to notice
        raise HostError(name, "the connection to it was closed")

    def keep(self, what: object, restore: Restore) -> None:
        """Call `restore` whenever there is a new link, until `forget`."""
        self._restore[what] = restore

    def forget(self, what: object) -> None:
        """Restore it no more."""
        self._restore.pop(what, None)

    async def _keep(self) -> None:
        restoring: list[asyncio.Task[None]] = []
        try:
            while True:
                await self._last.connection.wait_closed()
                self._present = asyncio.get_running_loop().create_future()
                for task in restoring:
                    task.cancel()
                await self._last.stop()
                found = await self._connect_or_give_up()
                self._present.set_result(found)
                if isinstance(found, GivenUp):
                    return
                restoring = [asyncio.create_task(self._restored(restore)) for restore in self._restore.values()]
        finally:
            for task in restoring:
                task.cancel()

    async def _connect_or_give_up(self) -> Link | GivenUp:
        try:
            return await self._connect_again()
        except Exception as bug:  # noqa: BLE001  a task's boundary: whoever waits for the connection would wait for ever
            _log.error("setting up the connection again failed by a bug in dsi", exc_info=bug)
            return GivenUp(f"the SSH connection ({self.login}) broke, and dsi failed to set it up again: {bug!r}")

    async def _restored(self, restore: Restore) -> None:
        link = self._last
        try:
            await restore()
        except HostError as problem:
            if not link.connection.is_closed():  # else it is restored on the next one
                _log.error("what the connection had could not be set up again", reason=str(problem))

    async def _connect_again(self) -> Link | GivenUp:
        name, begun_s = ", ".join(self._names), clock.SYSTEM.monotonic_s()
        self._tell("connection_lost", host=name)
        pauses = iter(PAUSES_S)
        problem = ""
        try:
            async with asyncio.timeout(self._limit_s):
                while True:
                    try:
                        self._last = await self._new_link(name)
                    except (HostUnreachable, NoSession) as failure:
                        problem = str(failure).removeprefix(f"{name}: ")
                        await clock.SYSTEM.sleep(next(pauses, PAUSES_S[-1]))
                    else:
                        self._tell("connection_regained", host=name, after_s=_since(begun_s))
                        return self._last
        except TimeoutError:
            self._tell("connection_given_up", host=name, after_s=_since(begun_s), reason=problem)
            broke = f"the SSH connection ({self.login}) broke"
            return GivenUp(f"{broke}, and could not be set up again in {self._limit_s:g} s of trying: {problem}")

    async def _new_link(self, name: str) -> Link:
        link = Link(await log_in(name, self.login))
        try:
            await link.start(self._memory)
        except BaseException:
            await link.close()
            raise
        return link

    def _tell(self, event: str, **fields: Any) -> None:
        _log.warning(event.replace("_", " "), **fields)
        self._note(event, **fields)


def _since(begun_s: float) -> float:
    return round(clock.SYSTEM.monotonic_s() - begun_s, 3)


async def make_machine(name: str, login: Login, *, limit_s: float, note: Note, memory: Memory) -> Machine:
    """Log in, and have a shell ready. Tried again when the connection breaks before that.

    Raises:
        HostUnreachable
    """
    pauses_s = iter(RETRY_S)
    while True:
        link = Link(await log_in(name, login))
        try:
            await link.start(memory)
            return Machine(login, link, limit_s=limit_s, note=note, memory=memory)
        except NoSession as error:
            await asyncio.sleep(0)  # asyncssh says that it is closed a turn later
            pause_s = next(pauses_s, None) if link.connection.is_closed() else None
            await link.close()
            if pause_s is None:
                raise HostUnreachable(name, f"logged in ({login}), but {error}") from error
            await clock.SYSTEM.sleep(pause_s)
        except BaseException:
            await link.close()
            raise
