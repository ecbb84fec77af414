"""Ctrl-C: the first time a wish to end in good order, the second time an order to stop at once."""

import asyncio
from collections.abc import Awaitable, Coroutine
from typing import Any, TypeVar

import structlog

from dsi.timeline import Timeline

T = TypeVar("T")

log = structlog.get_logger()


def tell_interrupt(timeline: Timeline, what_follows: str) -> None:
    """Tell that somebody has interrupted dsi, and what comes of it."""
    timeline.add("interrupted")
    log.warning(f"interrupted: {what_follows}")


class Interrupt:
    """Whether somebody has interrupted the task."""

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline
        self._times = 0

    @property
    def happened(self) -> bool:
        """Whether there was one."""
        return self._times > 0

    async def heard_in(self, work: Coroutine[Any, Any, T]) -> T:
        """Do something in which each interrupt is a cancellation, for `note`; it is told and counted at once.

        What is called off may take its time to end (a restart, say): nobody is to wait for an answer meanwhile.

        Raises:
            asyncio.CancelledError: the work has let one through.
        """
        task = asyncio.create_task(work)
        while not task.done():
            try:
                await asyncio.wait({task})
            except asyncio.CancelledError:
                self._hear()
                task.cancel()
        return task.result()

    def _hear(self) -> None:
        self._times += 1
        if self._times == 1:
            tell_interrupt(self._timeline, "ending in good order; once more to stop at once")
            _uncancel()

    def note(self) -> None:
        """Take a cancellation for the first interrupt, and go on; let the second through.

        Raises:
            asyncio.CancelledError: it is the second.
        """
        if self._times > 1:
            raise asyncio.CancelledError
        _uncancel()

    async def outlast(self, work: Awaitable[None]) -> None:
        """Do something to its end, though the first interrupt comes meanwhile; the second calls it off.

        Raises:
            asyncio.CancelledError: it was called off.
        """

        async def to_its_end() -> None:
            await work

        task = asyncio.create_task(to_its_end())
        while not task.done():
            try:
                await asyncio.wait({task})
            except asyncio.CancelledError:
                await self._unless_called_off(task)
        task.result()

    async def _unless_called_off(self, task: "asyncio.Task[None]") -> None:
        try:
            self.note()
        except asyncio.CancelledError:
            task.cancel()
            await asyncio.wait({task})
            raise


def _uncancel() -> None:
    if (task := asyncio.current_task()) is not None:
        task.uncancel()
