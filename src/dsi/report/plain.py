"""Progress without a terminal: plain log lines."""

from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

import structlog

from dsi.report.event_line import LOGGED_ELSEWHERE, event_line

log = structlog.get_logger()


MARKS_OF_A_SECOND: Final = 10
"""A workload may set thousands, and telling of one takes longer than writing it down."""

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
        self._second = 0
        self._marks = 0

    def event(self, line: Mapping[str, Any]) -> None:
        """Tell of an event."""
        if line["event"] in self._passing_over or (line["event"] == "mark" and not self._tells_of_mark(line)):
            return
        if text := event_line(line):
            self._tell(line, text)
            if line["event"] == "mark" and self._marks == MARKS_OF_A_SECOND:
                self._tell(line, "the next ones of this second are in the timeline alone")

    def _tells_of_mark(self, line: Mapping[str, Any]) -> bool:
        second = int(line["monotonic_s"])
        self._second, self._marks = second, self._marks + 1 if second == self._second else 1
        return self._marks <= MARKS_OF_A_SECOND

    def step(self, text: str) -> None:
        """Say what takes a while."""
        log.info(text)

    def output(self, block: bytes) -> None:
        """Pass over the output of a test."""

    def close(self) -> None:
        """Have nothing to end."""
