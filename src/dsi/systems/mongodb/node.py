"""The life of one node: its files are written, its process started, asked, stopped, and found again."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

import structlog
from pymongo.errors import AutoReconnect, OperationFailure, PyMongoError, ServerSelectionTimeoutError

from dsi.config.models import SetupTimeouts, ShutdownOptions
from dsi.errors import ClusterError, DsiError, Preflight
from dsi.hosts.base import Host
from dsi.systems.mongodb import certificate, failed_start, folders, mongod_config, process, room
from dsi.systems.mongodb.access import Access
from dsi.systems.mongodb.client import Client, Document, said
from dsi.systems.mongodb.ends import Ends
from dsi.systems.mongodb.layout import Layout
from dsi.systems.mongodb.log import tail
from dsi.systems.mongodb.plan import NodePlan
from dsi.systems.mongodb.process import NotStarted, Process
from dsi.systems.mongodb.program import Program

log = structlog.get_logger()

HELLO_LIMIT_S = 2.0
_LOOK_AGAIN_S = 1.0
"""How often a node that was started, and doesn't answer yet, is looked at: most answer within milliseconds."""

_AFTER_SIGKILL_MS = 10_000
"""The kernel ends a process at once; giving back the memory of a big one takes seconds."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a node may take to start and to stop, and to wait for other members when it is shut down."""

    timeouts: SetupTimeouts
    shutdown_options: ShutdownOptions


class Node:
    """A mongod or mongos on a host. `access`: how it is to be asked once it was started anew."""

    def __init__(self, plan: NodePlan, host: Host, layout: Layout, limits: Limits, *, access: Access) -> None:
        self.plan = plan
        self.name = plan.name
        self.host = host
        self.layout = layout
        self.program = Program(host, layout.binary)
        self.process: Process | None = None
        self.starting = False
        """Whether a start has begun whose outcome isn't known yet: cut short, it may have left a process."""
        self.ends = Ends()
        self._limits = limits
        self._access = access
        self._client = Client(host, layout.address, plan.port, access)

    # --- starting -------------------------------------------------------------------------------------------

    async def insist_on_room(self) -> None:
        """See that nobody else has its port or its data folder. It must not run.

        Raises:
            ClusterError: somebody has; it says who, where that can be seen.
        """
        await room.insist(self.plan, self.host, self.layout)

    async def prepare(self, *, clean_logs: bool, clean_db_dir: bool) -> None:
        """Make the folders that the server needs, and delete what is to be deleted. The node must not run.

        Raises:
            CommandFailed: the host's shell says why; also where the data folder isn't one, or a server lives in it.
        """
        db_path = self.layout.db_path
        await folders.make(self.host, self.layout.folders)
        if db_path is not None:
            await self._prepare_data(db_path, clean=clean_db_dir)
        if clean_logs:
            await folders.clean_logs(self.host, self.layout.log_path, db_path or self.layout.files.folder)

    async def _prepare_data(self, db_path: str, *, clean: bool) -> None:
        journal = self.layout.journal
        if clean:
            await folders.clean_data(self.host, db_path)
        if journal is not None:
            if clean:
                await folders.clean_journal(self.host, journal)
            await folders.link_journal(self.host, db_path, journal)

    async def start(self) -> None:
        """Start the server, and return when it answers.

        Raises:
            ClusterError: it ended, or took longer than `timeouts.start_ms`, or another program has its port, or its
                certificate is none for it.
            Preflight: dsi lacks a certificate to ask it with.
        """
        self._access.insist()
        await self._write_files()
        await self._ask_with(self._access)  # an earlier dsi's server may have had no key
        await self._launch()
        await self._while_it_runs(self._insist_on_its_certificate())
        await self._while_it_runs(self._insist_on_an_answer())

    async def _write_files(self) -> None:
        """Write its configuration, and the key file that this names."""
        config = await self.program.understood(self.layout.config)
        await self.host.write_file(self.layout.config_path, mongod_config.as_file(config), mode=0o600)
        if self._access.key:
            await self.host.write_file(self.layout.key_path, self._access.key.encode(), mode=0o600)

    async def _launch(self) -> None:
        limit_ms = self._limits.timeouts.start_ms
        launched = await process.launch(
            self.host,
            self.layout.command,
            self.layout.files,
            address=self.layout.address,
            port=self.plan.port,
            limit_ms=limit_ms,
        )
        self.starting = False
        if isinstance(launched, NotStarted):
            self.process = launched.process
            raise await failed_start.explained(launched, self.plan, self.host, self.layout, limit_ms=limit_ms)
        self.process = launched

    async def _while_it_runs(self, asking: Coroutine[Any, Any, None]) -> None:
        """Ask the process that was just launched; where it has ended meanwhile, say that, and not that nobody answers.

        Raises:
            ClusterError
        """
        task = asyncio.create_task(asking)
        try:
            while not (await asyncio.wait({task}, timeout=_LOOK_AGAIN_S))[0]:
                await self._insist_that_it_runs()
            if isinstance(task.exception(), ClusterError):
                await self._insist_that_it_runs()
            task.result()
        finally:
            await _call_off(task)

    async def _insist_that_it_runs(self) -> None:
        if self.process is None:
            return
        died = await process.death(self.host, self.layout.files, self.process)
        if died:
            await self._forget_process()
            limit_ms = self._limits.timeouts.start_ms
            raise await failed_start.explained(died, self.plan, self.host, self.layout, limit_ms=limit_ms)

    async def _insist_on_its_certificate(self) -> None:
        if self._access.tls is None:
            return
        found = await certificate.fault(
            await self._client.way(), self.plan.address, self._access.tls.here(self._access.folder)
        )
        if found:
            raise ClusterError(self.plan.label, f"its certificate on {self.host.name}: {found}")

    async def _insist_on_an_answer(self) -> None:
        """Ask for a ping: that something listens says little, and a launcher's exit status nothing."""
        try:
            await self._client.ask("ping")
        except PyMongoError as problem:
            raise ClusterError(
                self.plan.label,
                f"listens on {self.host.name}, but does not answer a ping: {said(problem)}",
                await self.log_tail(),
            ) from problem

    # --- being asked ----------------------------------------------------------------------------------------

    async def ask(self, command: str, value: Any = 1, **arguments: Any) -> Document:
        """Run a command on database `admin` of this server.

        Raises:
            PyMongoError
        """
        return await self._client.ask(command, value, **arguments)

    async def ask_at_length(self, command: str, value: Any = 1, *, database: str = "admin", **more: Any) -> Document:
        """Run a command that may take hours, on this database.

        Raises:
            PyMongoError
        """
        return await self._client.ask_at_length(command, value, database=database, **more)

    async def hello(self, within_s: float = HELLO_LIMIT_S) -> Document | None:
        """Ask who it is; None where it doesn't answer in that time."""
        if self.process is None:
            return None
        try:
            async with asyncio.timeout(within_s):
                return await self._client.ask("hello")
        except (PyMongoError, TimeoutError):
            return None

    @property
    def own_files(self) -> list[str]:
        """The files that are put on its host when it starts, and may have secrets in them."""
        return [self.layout.config_path, *([self.layout.key_path] if self._access.key else [])]

    async def log_tail(self) -> list[str]:
        """Give the lines that tell most of the server's log; ten at most."""
        return await tail(self.host, self.layout)

    # --- going down -----------------------------------------------------------------------------------------

    async def look(self) -> bool:
        """See whether its process runs: others may have ended it, or a start cut short has left one."""
        if self.starting:
            self.process, self.starting = await process.find(self.host, self.layout.files, None), False
        known = self.process
        if known is not None and await self._is_gone(known, within_ms=0) and self.process == known:
            self.ends.saw(known)
            await self._forget_process()
        return self.process is not None

    @property
    def is_down_as_meant(self) -> bool:
        """Whether it is down since that was announced. (What dsi stopped, it starts again, or says why it can't.)"""
        return self.process is None and self.ends.was_last_expected

    def expect_end(self) -> None:
        """Note that its process is about to end, and that this is meant."""
        if self.process is not None:
            self.ends.expect(self.process)

    async def stop(self) -> None:
        """Stop the server cleanly, and return when its process is really gone. One that isn't running is left alone.

        It is asked to shut down; past `timeouts.shutdown_ms` it gets SIGTERM, `timeouts.sigterm_ms` later SIGKILL.

        Raises:
            ClusterError: not even SIGKILL ended it.
        """
        running = self.process
        if running is None:
            return
        self.ends.expect(running)
        asking = asyncio.create_task(self._ask_to_shut_down(running))
        try:
            if not await self._is_gone(running, within_ms=self._limits.timeouts.shutdown_ms):
                await self._end_by_force(running)
        finally:
            await _call_off(asking)
        await self._forget_process()

    async def crash(self) -> None:
        """End the server as a crash would, with SIGKILL, and return when its process is really gone.

        Raises:
            ClusterError: not even that ended it.
        """
        running = self.process
        if running is None:
            return
        self.ends.expect(running)
        await self._kill(running)
        await self._forget_process()

    async def _ask_to_shut_down(self, running: Process) -> None:
        """Ask by command; where that is refused, or there is no answer, SIGTERM asks the same."""
        try:
            await self._client.ask("shutdown", **self._limits.shutdown_options.model_dump())
        except (OperationFailure, ServerSelectionTimeoutError) as refusal:
            log.debug("the shutdown command was refused; the node gets SIGTERM", node=self.name, reason=said(refusal))
            if isinstance(refusal, OperationFailure):  # else there is no talking to it
                await self._shorten_the_wait()
            await process.signal(self.host, running, "TERM")
        except Preflight as lacking:
            log.warning("dsi can't ask the node to shut down; it gets SIGTERM", node=self.name, reason=str(lacking))
            await process.signal(self.host, running, "TERM")
        except AutoReconnect as ended:
            log.debug(
                "the server closed the connection, as it does when it shuts down", node=self.name, how=said(ended)
            )

    async def _shorten_the_wait(self) -> None:
        """Have SIGTERM wait as long for other members as the shutdown command would; a server's own default is 15 s."""
        wait_ms = int(self._limits.shutdown_options.timeoutSecs * 1000)
        try:
            await self._client.ask("setParameter", 1, shutdownTimeoutMillisForSignaledShutdown=wait_ms)
        except PyMongoError as refusal:  # an old server doesn't know it, a hung one doesn't answer
            log.debug("SIGTERM will wait as the server likes", node=self.name, reason=said(refusal))

    async def _end_by_force(self, running: Process) -> None:
        log.warning("the node does not stop; it gets a signal", node=self.name, signal="SIGTERM")
        await process.signal(self.host, running, "TERM")
        if not await self._is_gone(running, within_ms=self._limits.timeouts.sigterm_ms):
            log.warning("the node does not stop; it gets a signal", node=self.name, signal="SIGKILL")
            await self._kill(running)

    async def _kill(self, running: Process) -> None:
        await process.signal(self.host, running, "KILL")
        if not await self._is_gone(running, within_ms=_AFTER_SIGKILL_MS):
            raise ClusterError(
                self.plan.label,
                f"process {running.pid} on {self.host.name} is still there {_AFTER_SIGKILL_MS / 1000:g} s after "
                "SIGKILL",
                await self.log_tail(),
            )

    async def _is_gone(self, which: Process, *, within_ms: float) -> bool:
        return await process.is_gone(self.host, which, within_ms=within_ms)

    async def _forget_process(self) -> None:
        self.process = None
        await self._client.forget()

    # --- being found again ----------------------------------------------------------------------------------

    @property
    def access(self) -> Access:
        """How it is asked: as its process was started, or, where none runs, as the next one is to be."""
        return self._client.access if self.process else self._access

    async def attach(self, known: Process | None, access: Access) -> bool:
        """Find the process that an earlier dsi has started; give whether it still runs.

        `known` None: its start was cut short. `access`: how it is asked.
        """
        await self._ask_with(access)
        self.process = await process.find(self.host, self.layout.files, known)
        return self.process is not None

    async def _ask_with(self, access: Access) -> None:
        await self._client.close()
        self._client = Client(self.host, self.layout.address, self.plan.port, access)

    async def close(self) -> None:
        """End the connections to it. The server goes on."""
        await self._client.close()


async def _call_off(asking: "asyncio.Task[None]") -> None:
    """End a task. That it could not ask matters no more; a bug in it does."""
    asking.cancel()
    [ended] = await asyncio.gather(asking, return_exceptions=True)
    if isinstance(ended, Exception) and not isinstance(ended, DsiError | PyMongoError):
        raise ended
