"""What goes out to one client: whole lines, and no more in memory than the connection takes and each sender's one."""

import asyncio

import structlog

from dsi.errors import HostError
from dsi.hosts.base import Writer

GONE = (OSError, EOFError, HostError)
"""What reading and writing raise when the client, or the way to it, is gone."""

FLUSH_S = 1.0
"""How long a client has to take its last replies once the test has ended. On a test's own network a reply takes
milliseconds; a client that needs longer isn't reading."""

PATIENCE_S = 60.0
"""How long a client may take for one line, an output event of 64 KiB at most. One that reads at all needs no second for
it; one that reads nothing keeps what was begun for it: on a local host its command waits."""


class Outbox:
    """Sends lines to one client. One that is gone is sent nothing more, and nobody waits for it.

    One that takes no line for `patience_s` is gone, too: what it had asked for goes on, and its connection is closed.
    """

    def __init__(self, writer: Writer, log: structlog.stdlib.BoundLogger, *, patience_s: float = PATIENCE_S) -> None:
        self._writer = writer
        self._log = log
        self._patience_s = patience_s
        self._turn = asyncio.Lock()
        self._limits: set[asyncio.Timeout] = set()
        self._hurried = False
        self.is_gone = False

    async def send(self, line: bytes) -> None:
        """Send one line; returns when there is room for the next. Senders take turns: each queues one line at most."""
        limit = asyncio.timeout(FLUSH_S if self._hurried else self._patience_s)
        try:
            async with limit:
                self._limits.add(limit)
                async with self._turn:
                    if not self.is_gone:
                        self._writer.write(line)
                        await self._writer.drain()
        except TimeoutError:
            if limit.expired():
                self._log.warning("a dsisocket client reads nothing, and is disconnected")
            self.give_up("reads nothing")
            self._writer.close()
        except GONE as problem:
            self.give_up(str(problem))
        finally:
            self._limits.discard(limit)

    def hurry(self) -> None:
        """Give the client `FLUSH_S` from now on for each line: the test is over."""
        self._hurried = True
        now = asyncio.get_running_loop().time()
        for limit in self._limits:
            if not limit.expired():
                limit.reschedule(now + FLUSH_S)

    def give_up(self, reason: str) -> None:
        """Send nothing more: the client is gone."""
        if not self.is_gone:
            self.is_gone = True
            self._log.debug("dsisocket client takes no replies", reason=reason)
