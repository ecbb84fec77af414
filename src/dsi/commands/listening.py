"""Who wants to hear of a command while it runs, and the lease of those that change the clusters as a whole."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol

from dsi.model import Result, StreamName


class Listener(Protocol):
    """Hears what a command does on the hosts, as it happens."""

    def begun(self, host: str) -> None:
        """Hear that a shell command begins on a host."""
        ...

    async def output(self, host: str, stream: StreamName, block: bytes) -> None:
        """Hear what it writes. While this waits, its output is not read: that is the backpressure."""
        ...

    def ended(self, result: Result) -> None:
        """Hear what it did, also if that is a failure."""
        ...

    async def waiting(self, for_what: str) -> None:
        """Hear that the command waits until another no longer changes the clusters."""
        ...


class Nobody:
    """Hears nothing: the caller's result is enough."""

    def begun(self, host: str) -> None:
        """Let it pass."""

    async def output(self, host: str, stream: StreamName, block: bytes) -> None:
        """Let it pass."""

    def ended(self, result: Result) -> None:
        """Let it pass."""

    async def waiting(self, for_what: str) -> None:
        """Let it pass."""


class Lease:
    """Held by whoever changes the clusters as a whole: one at a time, in the order of asking."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._holder = ""

    @asynccontextmanager
    async def held(self, what: str, listener: Listener) -> AsyncIterator[None]:
        """Hold it while the block runs; `what` is told to those who wait meanwhile."""
        if self._lock.locked():
            await listener.waiting(self._holder)
        async with self._lock:
            self._holder = what
            yield
