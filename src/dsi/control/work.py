"""All commands under way, whichever clients have asked for them."""

import asyncio

from dsi.control.inbox import Asked
from dsi.control.running import Execute, Running
from dsi.errors import InvalidCommand
from dsi.timeline import Timeline
from dsi.wire import Code

GRACE_S = 2.0
"""How long a command that runs at the test's end has to finish by itself: enough for a shell command that the workload
sent with its last breath, and short beside a test."""

_ENDED = "The test ended while the command ran: it was ended, and may have taken effect in part"


class Work:
    """Starts commands, and knows those that run."""

    def __init__(self, execute: Execute, timeline: Timeline) -> None:
        self._execute = execute
        self._timeline = timeline
        self._running: set[Running] = set()

    def start(self, asked: Asked, client: int) -> Running:
        """Check a command, and start it.

        Raises:
            DsiError: it is refused, and never began.
        """
        assert asked.envelope is not None
        if asked.envelope.retry_id is not None:
            raise InvalidCommand("retry_id is not supported yet", path="retry_id")
        running = Running(
            self._execute(asked.envelope.command),
            timeline=self._timeline,
            client=client,
            text=asked.text,
            timeout_s=asked.envelope.timeout_s,
        )
        self._running.add(running)
        running.task.add_done_callback(lambda _: self._running.discard(running))
        return running

    async def end(self) -> None:
        """Give what runs `GRACE_S`, then end it. It takes as long as the hosts need to end it."""
        try:
            await self._wait(GRACE_S)
        finally:
            for running in self._running:
                running.end(Code.CANCELLED, _ENDED)
            await self._wait(None)

    async def _wait(self, timeout_s: float | None) -> None:
        if self._running:
            await asyncio.wait({running.task for running in self._running}, timeout=timeout_s)
