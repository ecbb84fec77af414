"""Progress without a terminal: plain log lines."""

from collections.abc import Callable, Collection, Mapping
from typing import Any

import structlog

from dsi.report.event_line import LOGGED_ELSEWHERE, event_line

log = structlog.get_logger()


Tell = Callable[[Mapping[str, Any], str], None]
"""Is given a line of the timeline, and what to tell of it."""


def _log(_line: Mapping[str, Any], text: str) -> None:
    log.info(text)


class PlainProgress:
    """Tells what happens in lines, in the log unless `tell` does; the output of tests is in their test_output.log.

    `passing_over`: events that are told elsewhere.
    """

    def __init__(self, tell: Tell = _log, *, passing_over: Collection[str] = LOGGED_ELSEWHERE) -> None:
        self._tell = tell
        self._passing_over = passing_over

    def event(self, line: Mapping[str, Any]) -> None:
        """Tell of an event."""
        if line["event"] not in self._passing_over and (text := event_line(line)):
            self._tell(line, text)

    def step(self, text: str) -> None:
        """Say what takes a while."""
        log.info(text)

    def output(self, block: bytes) -> None:
        """Pass over the output of a test."""

    def close(self) -> None:
        """Have nothing to end."""
