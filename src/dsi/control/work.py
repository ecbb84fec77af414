"""All commands under way, whichever clients have asked for them."""

import asyncio
from collections.abc import Callable
from typing import Any

from dsi.control.inbox import Asked
from dsi.control.journal import Journal
from dsi.control.retries import Retries
from dsi.control.running import Execute, Running
from dsi.timeline import Timeline
from dsi.wire import Code, Outcome

GRACE_S = 2.0
"""How long a command that runs at the test's end has to finish by itself: enough for a shell command that the workload
sent with its last breath, and short beside a test."""

NOT_STARTED = Outcome(code=Code.EXECUTION_ERROR, message="The test has ended: the command was not started")
_ENDED = "The test ended"


OnFailure = Callable[[Any, Outcome], None]
"""Hears of each command (a JSON value) that a client asked for and that wasn't done, or not to its end.

Not of what the client itself has cancelled, nor of a client that may not speak.
"""


def unheard(_value: Any, _outcome: Outcome) -> None:
    """Let it pass."""


class Work:
    """Starts commands, and knows those that run."""

    def __init__(self, execute: Execute, timeline: Timeline, journal: Journal, on_failure: OnFailure = unheard) -> None:
        self.on_failure = on_failure
        self._execute = execute
        self._timeline = timeline
        self._retries = Retries(journal)
        self._running: set[Running] = set()

    def start(self, asked: Asked, client: int, *, nothing_new: bool = False) -> Running | Outcome:
        """Check a command, and start it; or give what was started under its retry_id, or came of that.

        `nothing_new`: the test has ended; what was not started before isn't any more.

        Raises:
            DsiError: it is refused, and never began.
        """
        envelope = asked.envelope
        assert envelope is not None
        retry_id, command = envelope.retry_id, envelope.command
        if retry_id is not None and (known := self._retries.known(retry_id, command)) is not None:
            return known
        if nothing_new:
            return NOT_STARTED
        run = self._execute(command)
        retry = self._retries.claim(retry_id, command) if retry_id is not None else None
        running = Running(
            run,
            timeline=self._timeline,
            client=client,
            text=asked.text,
            timeout_s=envelope.timeout_s,
            journalled=retry,
        )
        if retry is not None:
            retry.running = running
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
