"""Ports of this machine: listening on them, and finding out who does already."""

import asyncio
import contextlib
import errno
import ipaddress
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import structlog

from dsi.errors import HostError, PortTaken
from dsi.hosts.base import OnConnection

_log = structlog.get_logger(__name__)

BACKLOG: Final = 1024
LISTENING: Final = "0A"
"""The state of a listening socket in /proc/net/tcp (proc_net_tcp.txt of the kernel's documentation)."""


class LocalListener:
    """A port of this machine that is listened on."""

    def __init__(self, host: str, on_connection: OnConnection) -> None:
        self._host = host
        self._on_connection = on_connection
        self._serving: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.address = ""
        self.port = 0

    async def open(self, address: str, port: int) -> None:
        """Listen.

        Raises:
            PortTaken: somebody has it.
            HostError: this machine doesn't have that address, or we may not have that port.
        """
        try:
            self._server = await asyncio.start_server(self._serve, address, port, backlog=BACKLOG)
        except OSError as problem:
            raise self._explained(problem, address, port) from problem
        self.address, self.port = self._server.sockets[0].getsockname()[:2]

    async def close(self) -> None:
        """Stop listening, and close the open connections."""
        if self._server is None:
            return
        self._server.close()
        for task in self._serving:
            task.cancel()
        if self._serving:
            await asyncio.wait(self._serving)
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        try:
            await self._on_connection(reader, writer)
            writer.close()
            await writer.wait_closed()  # a client that takes nothing keeps it open until `close` cancels this
        except asyncio.CancelledError:
            writer.transport.abort()
        except ConnectionError as problem:
            _log.debug("a client has gone", host=self._host, port=self.port, problem=str(problem))
        except Exception:  # noqa: BLE001  a task's boundary: what one connection does wrong must not touch the others
            _log.exception("a connection failed", host=self._host, port=self.port)
        finally:
            self._serving.discard(task)
            writer.close()

    def _explained(self, problem: OSError, address: str, port: int) -> HostError:
        where = f"{address}:{port}"
        if problem.errno == errno.EADDRINUSE:
            return PortTaken(self._host, f"port {where} is taken by {who_listens(address, port)}")
        if problem.errno == errno.EADDRNOTAVAIL:
            return HostError(self._host, f"can't listen on {where}: this machine has no such address")
        return HostError(self._host, f"can't listen on {where}: {problem.strerror or problem}")


def who_listens(address: str, port: int) -> str:
    """Tell who listens where this address and port are, as far as that can be seen: `process 4711 (mongod)`."""
    sockets = {f"socket:[{inode}]" for inode in _listening_inodes(address, port)}
    found = sorted({pid for pid, link in _open_files() if link in sockets})
    if not found:
        return f"a process that can't be seen from here (as root, `ss -ltnp sport = :{port}` shows it)"
    return " and ".join(f"process {pid} ({_name(pid)})" for pid in found)


def _listening_inodes(address: str, port: int) -> Iterator[str]:
    """Give the sockets that listen on this port, of this address or of all addresses."""
    wanted = {_hexadecimal(address), _hexadecimal("0.0.0.0"), _hexadecimal("::")}  # noqa: S104  compared
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError):
            for line in Path(table).read_text(encoding="utf-8").splitlines()[1:]:
                fields = line.split()
                its_address, _, its_port = fields[1].partition(":")
                if fields[3] == LISTENING and int(its_port, 16) == port and (its_address in wanted or None in wanted):
                    yield fields[9]


def _hexadecimal(address: str) -> str | None:
    """Write an address as /proc/net/tcp does, in words of 32 bits of the machine's own order; None: it is a name."""
    try:
        packed = ipaddress.ip_address(address).packed
    except ValueError:
        return None
    words = [packed[at : at + 4] for at in range(0, len(packed), 4)]
    return "".join(f"{int.from_bytes(word, sys.byteorder):08X}" for word in words)


def _open_files() -> Iterator[tuple[int, str]]:
    """Give (pid, what it is) of all open files of all processes that we may look at."""
    for folder in Path("/proc").glob("[0-9]*/fd"):
        with contextlib.suppress(OSError):
            for entry in os.scandir(folder):
                with contextlib.suppress(OSError):
                    yield int(folder.parent.name), os.readlink(entry.path)  # noqa: PTH115  a socket is no path


def _name(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8", errors="replace").strip()
    return "just ended"
