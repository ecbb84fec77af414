"""Ctrl-C: the first time a wish to end in good order, the second time an order to stop at once."""

import asyncio

import structlog

from dsi.timeline import Timeline

log = structlog.get_logger()


class Interrupt:
    """Whether somebody has interrupted the task."""

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline
        self.happened = False

    def note(self) -> None:
        """Take a cancellation for the first interrupt, and go on; let the second through.

        Raises:
            asyncio.CancelledError: it is the second.
        """
        if self.happened:
            raise asyncio.CancelledError
        self.happened = True
        self._timeline.add("interrupted")
        log.warning("interrupted: ending in good order; once more to stop at once")
        if (task := asyncio.current_task()) is not None:
            task.uncancel()
