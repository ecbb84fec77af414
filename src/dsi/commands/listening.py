"""Who wants to hear of a command while it runs, and the lease of those that change the clusters as a whole."""

import asyncio
from collections import deque
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
        """Hear that the command waits until another no longer changes the clusters; anew for each that comes before.

        It is called off where that is over before it returns, and raises nothing.
        """
        ...

    def turn(self) -> None:
        """Hear that it waits no longer, and changes the clusters from now on."""
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

    def turn(self) -> None:
        """Let it pass."""


class _Turn:
    """One who holds the lease, or waits for it."""

    def __init__(self, what: str) -> None:
        self.what = what
        self.is_over = asyncio.Event()


class Lease:
    """Held by whoever changes the clusters as a whole: one at a time, in the order of asking."""

    def __init__(self) -> None:
        self._turns: deque[_Turn] = deque()

    @asynccontextmanager
    async def held(self, what: str, listener: Listener) -> AsyncIterator[None]:
        """Hold it while the block runs; `what` is told to those who wait meanwhile."""
        turn = _Turn(what)
        self._turns.append(turn)
        try:
            while (holder := self._turns[0]) is not turn:
                await _wait_for(holder, listener)
            listener.turn()
            yield
        finally:
            self._turns.remove(turn)
            turn.is_over.set()


async def _wait_for(holder: _Turn, listener: Listener) -> None:
    """Wait until the holder's turn is over. A listener that is slow to hear of it is not waited for."""
    async with asyncio.TaskGroup() as tasks:
        telling = tasks.create_task(listener.waiting(holder.what))
        await holder.is_over.wait()
        telling.cancel()
