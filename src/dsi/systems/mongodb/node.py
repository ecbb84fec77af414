"""The life of one node: its configuration is written, its process started, asked, stopped, and found again."""

import asyncio
import posixpath
import shlex
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Literal

import structlog
from pymongo.errors import AutoReconnect, OperationFailure, PyMongoError, ServerSelectionTimeoutError

from dsi.config.models import SetupTimeouts, ShutdownOptions
from dsi.errors import ClusterError, Preflight
from dsi.hosts.base import Host
from dsi.model import Problem
from dsi.systems.mongodb import certificate, folders, mongod_config, old_options, process
from dsi.systems.mongodb.access import Access
from dsi.systems.mongodb.client import Client, Document
from dsi.systems.mongodb.log import SEARCHED_LINES, telling
from dsi.systems.mongodb.plan import NodePlan
from dsi.systems.mongodb.process import Files, NotStarted, Process

log = structlog.get_logger()

MemberState = Literal["PRIMARY", "SECONDARY", "ARBITER", "STANDALONE", "MONGOS", "NOT READY", "down"]

_HELLO_LIMIT_S = 2.0
_AFTER_SIGKILL_MS = 10_000
"""The kernel ends a process at once; giving back the memory of a big one takes seconds."""


@dataclass(frozen=True, slots=True)
class Rules:
    """How long a node may take, what its shutdown command is told, and what is put before its program (numactl)."""

    timeouts: SetupTimeouts
    shutdown_options: ShutdownOptions
    prefix: tuple[str, ...] = ()


class Node:
    """A mongod or mongos on a host.

    `access`: how it is to be asked once it was started anew. `local_address`: the host's own address where it shares
    this machine with others (127.0.N.M), else None.
    """

    def __init__(self, plan: NodePlan, host: Host, rules: Rules, *, access: Access, local_address: str | None) -> None:
        self.plan = plan
        self.name = plan.name
        self.host = host
        self.process: Process | None = None
        self.starting = False
        """Whether a start has begun whose outcome isn't known yet: cut short, it may have left a process."""
        self.config = mongod_config.whole(
            plan.model.config_file,
            role=plan.role,
            replica_set=plan.replica_set,
            sharding=plan.sharding,
            local_address=local_address,
            key_file=key_file(plan.port) if access.key else None,
        )
        self._rules = rules
        self._access = access
        self._address = mongod_config.asked_address(self.config, plan.address)
        self._last: Process | None = None
        """The process that was last seen to have been ended by others."""
        self._expected_ends: set[Process] = set()
        self._client = Client(host, self._address, plan.port, access)
        self._binary = f"{plan.mongo_dir}/bin/{plan.program}"
        self.prefix = rules.prefix if plan.role != "configsvr" else ()
        """Config servers go without, as they did in the original: what is measured are the others."""
        self._known_version: old_options.Version | None = None
        self._log_path = mongod_config.log_path_of(self.config)
        self._db_path = plan.db_path
        self.journal = f"{plan.journal_dir.rstrip('/')}/mongod.{plan.port}" if plan.journal_dir else None
        """Where the journal lies if not in the data folder. Nodes of one host have a folder each."""
        self.files = Files(
            folder=posixpath.dirname(self._log_path) or ".",
            name=f"{plan.program}.{plan.port}",
            lock=f"{self._db_path}/mongod.lock" if self._db_path else None,
        )

    # --- starting -------------------------------------------------------------------------------------------

    async def refused_options(self) -> list[Problem]:
        """Give what this server's version refuses of its configuration, in the user's own words."""
        return old_options.refused(self.config, await self._version(), path=f"{self.plan.path}.config_file")

    async def _version(self) -> old_options.Version | None:
        """Ask the binary for its version, once, and only if its configuration makes that matter."""
        if self._known_version is None and old_options.has_any(self.config):
            said = await self.host.run(f"{shlex.quote(self._binary)} --version")
            self._known_version = old_options.version_of(said.stdout)
        return self._known_version

    async def prepare(self, *, clean_logs: bool, clean_db_dir: bool) -> None:
        """Make the folders that the server needs, and delete what is to be deleted. The node must not run.

        Raises:
            CommandFailed: the host's shell says why; also where the data folder isn't one.
        """
        pid_path = mongod_config.pid_path_of(self.config)
        needed = [self._db_path, self.files.folder, (posixpath.dirname(pid_path) or ".") if pid_path else None]
        await folders.make(self.host, [folder for folder in needed if folder])
        if self._db_path is not None:
            await self._prepare_data(self._db_path, clean=clean_db_dir)
        if clean_logs:
            await folders.clean_logs(self.host, self._log_path, self._db_path or self.files.folder)

    async def _prepare_data(self, db_path: str, *, clean: bool) -> None:
        if clean:
            await folders.clean_data(self.host, db_path)
        if self.journal is not None:
            if clean:
                await folders.clean_journal(self.host, self.journal)
            await folders.link_journal(self.host, db_path, self.journal)

    async def start(self) -> None:
        """Start the server, and return when it answers.

        Raises:
            ClusterError: it ended, or took longer than `timeouts.start_ms`, or another program has its port, or its
                certificate is none for it.
            Preflight: dsi lacks a certificate to ask it with.
        """
        self._access.insist()
        config_path = f"{self.files.folder}/{self.files.name}.conf"
        config = old_options.for_server(self.config, await self._version())
        await self.host.write_file(config_path, mongod_config.as_file(config), mode=0o600)
        await self._let_in()
        command = [*self.prefix, self._binary, "--config", config_path]
        launched = await process.launch(
            self.host,
            command,
            self.files,
            address=self._address,
            port=self.plan.port,
            limit_ms=self._rules.timeouts.start_ms,
        )
        self.starting = False
        if isinstance(launched, NotStarted):
            self.process = launched.process
            raise await self._did_not_start(launched, " ".join(command))
        self.process = launched
        await self._insist_on_its_certificate()
        await self._insist_on_an_answer()

    async def _let_in(self) -> None:
        """Give the server the key, and ask it as one who has it: an earlier dsi's server may have had none."""
        if self._access.key:
            await self.host.write_file(key_file(self.plan.port), self._access.key.encode(), mode=0o600)
        await self._ask_with(self._access)

    async def _ask_with(self, access: Access) -> None:
        await self._client.close()
        self._client = Client(self.host, self._address, self.plan.port, access)

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
                f"listens on {self.host.name}, but does not answer a ping: {problem}",
                await self.log_tail(),
            ) from problem

    async def _did_not_start(self, why: NotStarted, command: str) -> ClusterError:
        where = f"on {self.host.name}"
        if why.reason == "taken":
            holder = await self.host.who_listens(self._address, self.plan.port)
            return ClusterError(
                self.plan.label,
                f"port {self.plan.port} of {self._address} {where} is taken by {holder}: end that, or change net.port",
            )
        if why.reason == "slow":
            limit_ms = self._rules.timeouts.start_ms
            message = f"{command} {where} runs, but took no connection within timeouts.start_ms ({limit_ms})"
        else:
            status = "unknown" if why.exit_status is None else why.exit_status
            message = f"{command} {where} ended with exit status {status} before it took a connection"
        return ClusterError(self.plan.label, message, await self.log_tail())

    async def log_tail(self) -> list[str]:
        """Give the lines that tell most of the server's log, and of what it said before it had one; ten at most."""
        said = await folders.tail(self.host, self.files.out, lines=SEARCHED_LINES)
        logged = await folders.tail(self.host, self._log_path, lines=SEARCHED_LINES, written_since=self.files.pid)
        return telling(logged, said)

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

    async def hello(self, within_s: float = _HELLO_LIMIT_S) -> Document | None:
        """Ask who it is; None where it doesn't answer in that time."""
        if self.process is None:
            return None
        try:
            async with asyncio.timeout(within_s):
                return await self._client.ask("hello")
        except (PyMongoError, TimeoutError):
            return None

    async def look(self) -> bool:
        """See whether its process runs: others may have ended it, or a start cut short has left one."""
        if self.starting:
            self.process, self.starting = await process.find(self.host, self.files, None), False
        if self.process is not None and await self._is_gone(within_ms=0):
            self._last, self.process = self.process, None
            await self._client.forget()
        return self.process is not None

    # --- stopping -------------------------------------------------------------------------------------------

    async def stop(self) -> None:
        """Stop the server cleanly, and return when its process is really gone. One that isn't running is left alone.

        It is asked to shut down; past `timeouts.shutdown_ms` it gets SIGTERM, `timeouts.sigterm_ms` later SIGKILL.

        Raises:
            ClusterError: not even SIGKILL ended it.
        """
        if self.process is None:
            return
        self.expect_end()
        asking = asyncio.create_task(self._ask_to_shut_down(self.process))
        try:
            if not await self._is_gone(self._rules.timeouts.shutdown_ms):
                await self._end_by_force(self.process)
        finally:
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
            await self._client.forget()
        self.process = None

    async def crash(self) -> None:
        """End the server as a crash would, with SIGKILL, and return when its process is really gone.

        Raises:
            ClusterError: not even that ended it.
        """
        if self.process is None:
            return
        self.expect_end()
        await self._kill(self.process)
        await self._client.forget()
        self.process = None

    async def _ask_to_shut_down(self, running: Process) -> None:
        """Ask by command; where that is refused, or there is no answer, SIGTERM asks the same."""
        try:
            await self._client.ask("shutdown", **self._rules.shutdown_options.model_dump())
        except (OperationFailure, ServerSelectionTimeoutError) as refusal:
            log.debug("the shutdown command was refused; the node gets SIGTERM", node=self.name, reason=str(refusal))
            if isinstance(refusal, OperationFailure):  # else there is no talking to it
                await self._shorten_the_wait()
            await process.signal(self.host, running, "TERM")
        except Preflight as lacking:
            log.warning("dsi can't ask the node to shut down; it gets SIGTERM", node=self.name, reason=str(lacking))
            await process.signal(self.host, running, "TERM")
        except AutoReconnect as ended:
            log.debug("the server closed the connection, as it does when it shuts down", node=self.name, how=str(ended))

    async def _shorten_the_wait(self) -> None:
        """Have SIGTERM wait as long for other members as the shutdown command would; a server's own default is 15 s."""
        wait_ms = int(self._rules.shutdown_options.timeoutSecs * 1000)
        try:
            await self._client.ask("setParameter", 1, shutdownTimeoutMillisForSignaledShutdown=wait_ms)
        except PyMongoError as refusal:  # an old server doesn't know it, a hung one doesn't answer
            log.debug("SIGTERM will wait as the server likes", node=self.name, reason=str(refusal))

    async def _end_by_force(self, running: Process) -> None:
        log.warning("the node does not stop; it gets a signal", node=self.name, signal="SIGTERM")
        await process.signal(self.host, running, "TERM")
        if not await self._is_gone(self._rules.timeouts.sigterm_ms):
            log.warning("the node does not stop; it gets a signal", node=self.name, signal="SIGKILL")
            await self._kill(running)

    async def _kill(self, running: Process) -> None:
        await process.signal(self.host, running, "KILL")
        if not await self._is_gone(_AFTER_SIGKILL_MS):
            raise ClusterError(
                self.plan.label,
                f"process {running.pid} on {self.host.name} is still there {_AFTER_SIGKILL_MS / 1000:g} s after "
                "SIGKILL",
                await self.log_tail(),
            )

    async def _is_gone(self, within_ms: float) -> bool:
        return self.process is None or await process.is_gone(self.host, self.process, within_ms=within_ms)

    def expect_end(self) -> None:
        """Note that its process is about to end, and that this is meant."""
        if self.process is not None:
            self._expected_ends.add(self.process)

    def expect_no_end(self, *, but_of: Collection[Process]) -> None:
        """Take back what was noted, but for these processes."""
        self._expected_ends.intersection_update(but_of)

    def is_end_expected(self, which: Process) -> bool:
        """Tell whether the end of this process of the node is meant."""
        return which in self._expected_ends

    @property
    def is_down_as_meant(self) -> bool:
        """Whether it is down since that was announced. (What dsi stopped, it starts again, or says why it can't.)"""
        return self.process is None and self._last is not None and self.is_end_expected(self._last)

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
        self.process = await process.find(self.host, self.files, known)
        return self.process is not None

    async def close(self) -> None:
        """End the connections to it. The server goes on."""
        await self._client.close()


def key_file(port: int) -> str:
    """Give the path of a node's key file on its host: not among the logs and data, which are fetched."""
    return f".dsi/mongod.{port}.key"


def state_of(hello: Document | None) -> MemberState:
    """Give what a node says that it is. `NOT READY`: it answers, and is no member of its set (yet)."""
    if hello is None:
        return "down"
    if hello.get("msg") == "isdbgrid":
        return "MONGOS"
    if "setName" not in hello and not hello.get("isreplicaset"):
        return "STANDALONE" if hello.get("isWritablePrimary") else "NOT READY"
    for key, state in _STATES.items():
        if hello.get(key):
            return state
    return "NOT READY"


_STATES: dict[str, MemberState] = {
    "isWritablePrimary": "PRIMARY",
    "secondary": "SECONDARY",
    "arbiterOnly": "ARBITER",
}
