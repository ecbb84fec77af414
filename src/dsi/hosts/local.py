"""Hosts that are this machine: local hosts (own home, own address, own processes), and the machine itself."""

import asyncio
import os
import sys
import threading
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from dsi.errors import HostError, SourceMissing, TransferError
from dsi.hosts import _local_files
from dsi.hosts._local_end import (
    LocalHostRecord,
    end_local_hosts,
    end_local_hosts_in,
    end_processes_with,
    environment_mark,
    is_alive,
)
from dsi.hosts._local_ports import LocalListener, who_listens
from dsi.hosts._local_process import ChildStarter, InitStarter, Outlets, Process, Starter, open_outlets
from dsi.hosts._local_start import start_local_hosts
from dsi.hosts._output import Output, follow
from dsi.hosts.base import KEEP_BYTES, Handle, Host, Listener, OnConnection, OnLimit, OnOutput, Reader, Writer
from dsi.model import Result

__all__ = [
    "LocalHost",
    "LocalHostRecord",
    "conn_argv",
    "end_local_hosts",
    "end_local_hosts_in",
    "end_processes_with",
    "is_alive",
    "local_host",
    "start_local_hosts",
    "this_machine",
]

CONNECT_S: Final = 10.0
"""How long a connection may take before the other side counts as not there."""


class LocalHost(Host):
    """A host whose files, ports and processes are this machine's. Made by `local_host` and `this_machine`."""

    is_local = True

    def __init__(self, name: str, folder: Path, starter: Starter, environment: Mapping[str, str]) -> None:
        self.name = name
        self.machine = self.folder = folder
        """Where commands run, and what paths are relative to."""
        self._starter = starter
        self._environment = environment
        self._running: set[Process] = set()
        self._listeners: list[LocalListener] = []

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
        """See `Host.run`."""
        output = Output(keep_bytes=keep_bytes, on_output=on_output)
        with open_outlets(command, stdin, tty=tty) as (outlets, theirs):
            process = await self._starter.start(self._environment_with(env, tty=tty), outlets)
            theirs.close()
            self._running.add(process)
            try:
                return await follow(
                    _read_to_end(process, outlets, output),
                    end=process.end,
                    output=output,
                    host=self.name,
                    command=command,
                    timeout_s=timeout_s,
                    no_output_s=no_output_s,
                    on_limit=on_limit,
                    check=check,
                )
            finally:
                self._running.discard(process)

    def _environment_with(self, env: Mapping[str, str] | None, *, tty: bool) -> dict[str, str]:
        terminal = {"TERM": "xterm"} if tty else {}
        # The folder of our own Python first, so that a workload's python3 has pymongo.
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
        return {**os.environ, "PATH": path, **terminal, **self._environment, **(env or {})}

    async def put(self, source: Path, target: str) -> None:
        """See `Host.put`."""
        await self._copy(source, self.folder / target, into=target.endswith("/"))

    async def get(self, source: str, target: Path, *, first_byte: int = 0, size_bytes: int | None = None) -> None:
        """See `Host.get`."""
        part = _local_files.Part(first_byte, size_bytes)
        await self._copy(self.folder / source, target, into=False, part=part)

    async def write_file(self, path: str, content: bytes, *, mode: int = 0o644) -> None:
        """See `Host.write_file`."""
        try:
            await asyncio.to_thread(_local_files.write, self.folder / path, content, mode)
        except OSError as problem:
            raise TransferError(self.name, f"can't write {path}: {problem}") from problem

    async def _copy(
        self, source: Path, target: Path, *, into: bool, part: _local_files.Part = _local_files.WHOLE
    ) -> None:
        stop = threading.Event()
        try:
            await asyncio.to_thread(_local_files.copy, source, target, stop, into=into, part=part)
        except _local_files.Missing as problem:
            raise SourceMissing(self.name, f"can't copy {source}: there is no such file or folder") from problem
        except OSError as problem:
            raise TransferError(self.name, f"can't copy {source} to {target}: {problem}") from problem
        finally:
            stop.set()  # a thread isn't cancelled with us

    async def listen(self, address: str, port: int, on_connection: OnConnection) -> Listener:
        """See `Host.listen`."""
        listener = LocalListener(self.name, on_connection)
        await listener.open(address, port)
        self._listeners.append(listener)
        return listener

    async def who_listens(self, address: str, port: int) -> str:
        """See `Host.who_listens`. Ports are shared by all of this machine, so all its processes are looked at."""
        return await asyncio.to_thread(who_listens, address, port)

    async def connect(self, address: str, port: int) -> tuple[Reader, Writer]:
        """See `Host.connect`."""
        try:
            async with asyncio.timeout(CONNECT_S):
                return await asyncio.open_connection(address, port)
        except TimeoutError as problem:
            raise HostError(self.name, f"{address}:{port} doesn't answer ({CONNECT_S:g} s)") from problem
        except OSError as problem:
            raise HostError(self.name, f"can't connect to {address}:{port}: {problem.strerror or problem}") from problem

    @asynccontextmanager
    async def forward(self, address: str, port: int) -> AsyncIterator[tuple[str, int]]:
        """See `Host.forward`."""
        yield address, port

    async def close(self) -> None:
        """See `Host.close`."""
        await asyncio.gather(
            *(process.end() for process in self._running), *(listener.close() for listener in self._listeners)
        )
        self._listeners.clear()


async def _read_to_end(process: Process, outlets: Outlets, output: Output) -> int:
    """Take the outputs until bash has ended, and then what can be read at once. Gives the exit status."""
    try:
        async with asyncio.TaskGroup() as group:
            for stream, reader in outlets.readers.items():
                group.create_task(output.read_from(stream, reader))
            exit_status = await process.wait()
            for reader in outlets.readers.values():
                reader.finish()
    except BaseExceptionGroup as problems:
        raise problems.exceptions[0] from None  # callers know one error, the first: the rest came of it
    return exit_status


def local_host(record: LocalHostRecord) -> LocalHost:
    """Give the host that a record tells of. Whether it lives shows when it is first used (`HostUnreachable`)."""
    home = Path(record.home)
    environment = {"HOME": record.home, **environment_mark(record)}
    return LocalHost(record.name, home, InitStarter(record.name, home.parent), environment)


def this_machine(name: str, folder: Path) -> LocalHost:
    """Give this machine itself, with no namespace: commands run in `folder`, as the user who runs dsi."""
    return LocalHost(name, folder.absolute(), ChildStarter(name, folder.absolute()), {})


def conn_argv(record: LocalHostRecord) -> list[str]:
    """Give the command line that opens an interactive shell in the host's home folder."""
    user = ["--user", "--preserve-credentials"] if record.user_namespace else []
    # Without --mount one would see this machine's /proc.
    enter = ["nsenter", "--target", str(record.pid), *user, "--pid", "--mount"] if record.isolated else []
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    return [*enter, "env", f"HOME={record.home}", f"PATH={path}", "bash", "-c", "cd && exec bash -i"]
