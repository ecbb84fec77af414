"""Looking on while another dsi process works in a work directory."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

from dsi.clock import SYSTEM, Clock, isoformat
from dsi.errors import StateError
from dsi.report.progress import Progress
from dsi.state import State
from dsi.timeline import Event, follow

_PAUSE_S: Final = 0.25

_SHOWN_BYTES: Final = 1 << 16
"""Of output that comes faster than it is looked at, so much is read, from the end."""


async def watch(work_directory: Path, progress: Progress, clock: Clock = SYSTEM) -> list[Event]:
    """Tell `progress` what another dsi does until that ends; give the ends of the tests that were seen.

    Raises:
        StateError: no dsi works there. ReportError: what it writes is no timeline that we can read.
    """
    state = State(work_directory)
    if not state.is_locked():
        raise StateError(
            f"no dsi is at work in {work_directory}: there is nothing to watch. What the last one did is in "
            f"{work_directory / 'reports'}"
        )
    looking = _Looking(work_directory / "reports", progress)
    try:
        is_at_work = True
        while is_at_work:
            is_at_work = state.is_locked()  # before looking: what it has written until its end is there then
            looking.look()
            if is_at_work:
                await clock.sleep(_PAUSE_S)
        if looking.running:
            progress.event({"time": isoformat(clock.wall_s()), "event": "warning", "message": _killed(looking.running)})
    finally:
        looking.close()
    return looking.ended


def _killed(test: str) -> str:
    return (
        f"dsi was killed in test {test}. `dsi test-control --attach` goes on with a cmd that still runs; "
        "`dsi teardown` ends what is left"
    )


class _Looking:
    """Reads what is new in the newest reports folder. `running`: the test that has begun and has no end."""

    def __init__(self, link: Path, progress: Progress) -> None:
        self.ended: list[Event] = []
        self.running = ""
        self._link = link
        self._progress = progress
        self._reports: Path | None = None
        self._timeline: BinaryIO | None = None
        self._events: Iterator[Event | None] = iter(())
        self._output: _Tail | None = None

    def look(self) -> None:
        """Pass on what is new."""
        reports = self._link.resolve()
        if reports != self._reports and (reports / "timeline.jsonl").exists():
            self._begin(reports)
        for event in iter(lambda: next(self._events, None), None):
            self._take(event)
        self._show_output()

    def close(self) -> None:
        """Close the files."""
        for file in (self._timeline, self._output):
            if file is not None:
                file.close()
        self._output = None

    def _begin(self, reports: Path) -> None:
        self.close()
        self._reports, self.ended, self.running = reports, [], ""
        path = reports / "timeline.jsonl"
        self._timeline = path.open("rb")
        self._events = follow(path, self._timeline)

    def _take(self, event: Event) -> None:
        self._progress.event(event.fields)
        match event.name:
            case "test_begin" if self._reports is not None:
                self.running = event.fields["test"]
                self._output = _Tail(self._reports / self.running / "test_output.log")
            case "test_end":
                self._show_output()
                self._output, self.running = None, ""
                self.ended.append(event)

    def _show_output(self) -> None:
        if self._output is not None and (block := self._output.read()):
            self._progress.output(block)


class _Tail:
    """The new end of a file that may not be there yet."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None

    def read(self) -> bytes:
        """Give what is new, or the end of it."""
        if self._file is None:
            if not self._path.exists():
                return b""
            self._file = self._path.open("rb")
        begun = self._file.tell()
        end = self._file.seek(0, os.SEEK_END)
        self._file.seek(max(begun, end - _SHOWN_BYTES))
        return self._file.read()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
