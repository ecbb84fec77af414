"""Asking one server something, over the driver, whatever host it is on."""

from contextlib import AsyncExitStack
from typing import Any

import pymongo
from pymongo import AsyncMongoClient
from pymongo.errors import ConfigurationError, PyMongoError

from dsi.errors import Preflight
from dsi.hosts.base import Host
from dsi.systems.mongodb.access import Access

Document = dict[str, Any]

ANSWER_LIMIT_MS = 10_000
"""How long a server may be silent. One that is stopped (SIGSTOP) or hangs keeps its connections open for ever."""

_LONG_LIMIT_S = 24 * 3600
"""For what takes as long as the data are big. A server that is gone is noticed by TCP's keepalive."""

_GOODBYE_S = 0.05
"""The driver says goodbye to a server (endSessions), and would look 30 s for one that is gone."""


def said(problem: PyMongoError) -> str:
    """Give what a driver's error says, without the driver's own settings and state, which it appends."""
    message = str(problem).partition(", Timeout: ")[0].partition(", Topology Description: ")[0]
    return message.partition(" (configured timeouts: ")[0]


class Client:
    """The way to one server: through the SSH connection where the host is remote.

    One server process, one driver: it asks a server that it has lost again only after half a second, a new one at once.
    """

    def __init__(self, host: Host, address: str, port: int, access: Access) -> None:
        self._host = host
        self.access = access
        self._place = (address, port)
        self._forward = AsyncExitStack()
        self._here: tuple[str, int] | None = None
        self._driver: AsyncMongoClient[Document] | None = None

    async def ask(self, command: str, value: Any = 1, *, database: str = "admin", **arguments: Any) -> Document:
        """Run a command, and give the answer.

        Raises:
            PyMongoError: as the driver has it: `OperationFailure` where the server refuses.
            Preflight: a certificate isn't on this machine, or is none.
        """
        if self._driver is None:
            address, port = await self.way()
            self._driver = self._driver or self._connect(address, port)  # another may have asked meanwhile
        return await self._driver[database].command(command, value, **arguments)

    async def ask_at_length(self, command: str, value: Any = 1, **arguments: Any) -> Document:
        """Run a command that reads all of a collection, say: as `ask`, with hours of time for the answer."""
        with pymongo.timeout(_LONG_LIMIT_S):
            return await self.ask(command, value, **arguments)

    async def forget(self) -> None:
        """End the connections to a server process that has ended, or is about to."""
        driver, self._driver = self._driver, None
        if driver is not None:
            with pymongo.timeout(_GOODBYE_S):
                await driver.close()

    async def close(self) -> None:
        """End the connections, and the way to the host."""
        await self.forget()
        await self._forward.aclose()
        self._here = None

    async def way(self) -> tuple[str, int]:
        """Give the address and port on this machine that lead to the server."""
        if self._here is None:
            self._here = await self._forward.enter_async_context(self._host.forward(*self._place))
        return self._here

    def _connect(self, address: str, port: int) -> AsyncMongoClient[Document]:
        try:
            return AsyncMongoClient(
                address,
                port,
                directConnection=True,
                appname="dsi",
                serverMonitoringMode="poll",  # one connection less per server than the default: restarts are short
                serverSelectionTimeoutMS=ANSWER_LIMIT_MS,
                connectTimeoutMS=ANSWER_LIMIT_MS,
                socketTimeoutMS=ANSWER_LIMIT_MS,
                **self.access.driver_options(),
            )
        except (ConfigurationError, OSError) as problem:
            raise Preflight(
                f"the certificates for {self._place[0]}:{self._place[1]} can't be used: {problem}"
            ) from problem
