"""The dsisocket's server: a port of the workload client's host while a test runs, and who may be connected to it."""

import asyncio
import itertools
import resource
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

from dsi import wire
from dsi.config.models import Dsisocket
from dsi.control.controls import Controls, Describe
from dsi.control.gate import MAKES_ROOM, TOKEN_WITHIN_S, Gate
from dsi.control.journal import Journal
from dsi.control.outbox import FLUSH_S, GONE
from dsi.control.registry import Registry
from dsi.control.running import Execute
from dsi.control.session import READ_BYTES, Session
from dsi.control.work import OnFailure, Work, unheard
from dsi.errors import PortTaken
from dsi.hosts.base import Host, Listener, Reader, Writer
from dsi.timeline import Timeline

_ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104  told apart, not bound


_OTHER_FILES = 4096
"""What else this process may have open: connections to hosts and servers, files that are copied."""


async def _nothing() -> Mapping[str, Any]:
    return {}


def _make_room_for(connections: int) -> None:
    """Let this process have as many files open as that takes, where its hard limit lets it: a shell's limit is 1024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + _OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        wanted = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


class DsisocketServer:
    """Serves any number of connections side by side, whichever listener they come from.

    Each connection has a task of the server's own, and so has each command: a listener (and the SSH connection under
    it) may go away and another come, and what runs goes on. `end` ends them all. `token` None: everybody may speak;
    else who hasn't shown it `token_within_s` after connecting is disconnected. `journal` None: retry_ids are known as
    long as this process lives.
    """

    def __init__(
        self,
        execute: Execute,
        timeline: Timeline,
        settings: Dsisocket,
        *,
        journal: Journal | None = None,
        describe: Describe = _nothing,
        token: str | None = None,
        token_within_s: float = TOKEN_WITHIN_S,
        on_failure: OnFailure = unheard,
    ) -> None:
        self._settings = settings
        self._token = token
        self._token_within_s = token_within_s
        self._journal = journal or Journal()
        self._work = Work(execute, timeline, self._journal, on_failure)
        self._registry = Registry()
        self._controls = Controls(self._registry, timeline, describe)
        self._clients = itertools.count(1)
        self._sessions: dict[asyncio.Task[None], Session] = {}
        self._refusals: set[asyncio.Task[None]] = set()
        self._ending = asyncio.Event()

    async def serve(self, reader: Reader, writer: Writer) -> None:
        """Serve one connection until its end; `Host.listen` calls this for each. Cancelling ends no conversation.

        Raises:
            CancelledError: also where its client takes nothing, so that closing would last, and where too many others
                are just being told why they must go: it is to be aborted.
        """
        if self._ending.is_set():
            writer.close()
        elif not self._has_room():
            if len(self._refusals) >= self._settings.max_connections:
                raise asyncio.CancelledError
            await asyncio.wait({self._start_refusal(reader, writer)})
        else:
            self._hurry_the_leaving()
            task, session = self._start_session(reader, writer)
            await asyncio.wait({task})
            if session.is_stuck:
                raise asyncio.CancelledError

    def _has_room(self) -> bool:
        """Tell whether one more may come; where it is full, the oldest that hasn't shown the token makes room."""
        staying = [session for session in self._sessions.values() if not session.is_leaving]
        if len(staying) < self._settings.max_connections:
            return True
        return any(session.turn_out(MAKES_ROOM) for session in staying)

    def _hurry_the_leaving(self) -> None:
        """Have no more than `max_connections` be told why they must go: each takes a file descriptor meanwhile."""
        leaving = [task for task, session in self._sessions.items() if session.is_leaving and not task.cancelling()]
        for task in leaving[: -self._settings.max_connections]:
            task.cancel()

    async def end(self) -> None:
        """Start nothing more; give running commands `GRACE_S`, then end and answer them; close all connections
        and the journal.

        No task is left when this returns. A command that is ended takes as long as its host needs to end it.
        """
        self._ending.set()
        try:
            for session in self._sessions.values():
                session.end()
            await self._work.end()
            await _wait(set(self._sessions), 2 * FLUSH_S)
        finally:
            tasks = {*self._sessions, *self._refusals}
            for task in tasks:
                task.cancel()
            await _wait(tasks)
            self._journal.close()

    def _start_session(self, reader: Reader, writer: Writer) -> tuple[asyncio.Task[None], Session]:
        client = next(self._clients)
        session = Session(
            client,
            reader,
            writer,
            work=self._work,
            registry=self._registry,
            controls=self._controls,
            gate=Gate(self._token, self._journal.name),
            max_line_bytes=self._settings.max_line_bytes,
            ending=self._ending,
            token_within_s=self._token_within_s,
        )
        task = _start(session.run(), f"dsisocket client {client}")
        self._sessions[task] = session
        task.add_done_callback(self._sessions.pop)
        return task, session

    def _start_refusal(self, reader: Reader, writer: Writer) -> asyncio.Task[None]:
        limit = self._settings.max_connections
        message = f"Too many connections: {limit} are open, and test_control.dsisocket.max_connections allows no more"
        task = _start(_refuse(reader, writer, message), "dsisocket refusal")
        self._refusals.add(task)
        task.add_done_callback(self._refusals.discard)
        return task


def _start(coroutine: Coroutine[None, None, None], name: str) -> asyncio.Task[None]:
    return asyncio.create_task(coroutine, name=name)


async def _wait(tasks: set[asyncio.Task[None]], timeout_s: float | None = None) -> None:
    if tasks:
        await asyncio.wait(tasks, timeout=timeout_s)


async def _refuse(reader: Reader, writer: Writer, message: str) -> None:
    """Send one line and close.

    The client has a moment to close first: closing on unread input is a reset, and it might never see the line.
    """
    try:
        with suppress(*GONE):
            async with asyncio.timeout(FLUSH_S):
                writer.write(wire.encode_reply(wire.Outcome(code=wire.Code.EXECUTION_ERROR, message=message)))
                await writer.drain()
                writer.write_eof()
                while await reader.read(READ_BYTES):
                    pass
    finally:
        writer.close()


def client_address(address: str, port: int) -> str:
    """Give what a program on the same host connects to (`DSI_SOCKET`): `127.0.0.1:27007`, `[::1]:27007`.

    Where all addresses are bound, it is the loopback address of that kind.
    """
    address = _ANY_ADDRESS.get(address, address)
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


async def _listen(host: Host, settings: Dsisocket, server: DsisocketServer) -> Listener:
    try:
        return await host.listen(settings.bind_addr, settings.port, server.serve)
    except PortTaken as problem:
        raise PortTaken(
            problem.host,
            f"the dsisocket can't listen on {client_address(settings.bind_addr, settings.port)}: {problem.message}; "
            "end what listens there, or set test_control.dsisocket.port (or bind_addr) to another",
        ) from problem


@asynccontextmanager
async def open_dsisocket(
    host: Host,
    settings: Dsisocket,
    execute: Execute,
    timeline: Timeline,
    *,
    journal: Journal | None = None,
    describe: Describe = _nothing,
    token: str | None = None,
    token_within_s: float = TOKEN_WITHIN_S,
    on_failure: OnFailure = unheard,
) -> AsyncIterator[str]:
    """Listen on the workload client while the block runs; gives the address that clients connect to.

    At the end running commands get `GRACE_S`, then are ended; the port is closed and free before the block is left.

    Raises:
        PortTaken: the message has host, port and what to change.
        HostUnreachable, ConnectionLost
    """
    server = DsisocketServer(
        execute,
        timeline,
        settings,
        journal=journal,
        describe=describe,
        token=token,
        token_within_s=token_within_s,
        on_failure=on_failure,
    )
    _make_room_for(3 * settings.max_connections)  # those who stay, those who must go, and those who are refused
    try:
        listener = await _listen(host, settings, server)
    except BaseException:
        await server.end()
        raise
    try:
        yield client_address(listener.address, listener.port)
    finally:
        try:
            await server.end()
        finally:
            await listener.close()
