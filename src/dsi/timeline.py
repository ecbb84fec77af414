"""What happened when: one JSON object per line of `reports/timeline.jsonl`."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import structlog

from dsi import clock
from dsi.masking import masked_value

log = structlog.get_logger()

VERSION = 1
"""Of the form of a line; stands in the first one."""


class Timeline:
    """Writes events as they happen (path None: once there is one), each line whole: a run that dies leaves what it did.

    A line has `time` (ISO 8601, UTC), `monotonic_s` (this machine's monotonic clock: the difference of two is
    exact), `event`, and what else belongs to that event.
    """

    def __init__(self, path: Path | None, time: clock.Clock = clock.SYSTEM) -> None:
        self._clock = time
        self._file: BinaryIO | None = None
        self._early: list[dict[str, Any]] = []
        if path is not None:
            self.move_to(path)
        self.add("timeline", version=VERSION)

    def add(self, event: str, **fields: Any) -> dict[str, Any]:
        """Write one event, secrets masked, and give the line as it was written."""
        line = {
            "time": clock.isoformat(self._clock.wall_s()),
            "monotonic_s": round(self._clock.monotonic_s(), 6),
            "event": event,
            **{name: masked_value(value) for name, value in fields.items()},
        }
        self._write(line)
        return line

    def move_to(self, path: Path) -> None:
        """Write to this file from now on, beginning with what has happened so far."""
        self.close()
        self._file = path.open("ab", buffering=0)
        early, self._early = self._early, []
        for line in early:
            self._write(line)

    @contextmanager
    def span(self, event: str, **fields: Any) -> Iterator[dict[str, Any]]:
        """Write `EVENT_begin` now, and `EVENT_end` with `duration_s` and `error` (None: none) when the block ends.

        What the block puts into the mapping it gets is written with the end.
        """
        begun_s = self._clock.monotonic_s()
        self.add(f"{event}_begin", **fields)
        more: dict[str, Any] = {}
        error: str | None = None
        try:
            yield more
        except BaseException as problem:
            error = str(problem) or type(problem).__name__
            raise
        finally:
            duration_s = round(self._clock.monotonic_s() - begun_s, 6)
            self.add(f"{event}_end", **fields, **more, duration_s=duration_s, error=error)

    def _write(self, line: dict[str, Any]) -> None:
        if self._file is None:
            self._early.append(line)
            return
        try:
            self._file.write(json.dumps(line, default=str, ensure_ascii=False).encode() + b"\n")
        except OSError as problem:  # a full disk must not break what is being recorded
            log.error("the timeline can't be written", error=problem.strerror, event_lost=line["event"])

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None


def read_events(path: Path, event: str) -> list[dict[str, Any]]:
    """Give the events of one kind that a timeline file has. A last line that a crash has cut off is passed over."""
    found = []
    with path.open(encoding="utf-8") as file:
        for text in file:
            if text.endswith("\n") and f'"event": "{event}"' in text:
                line = json.loads(text)
                if line["event"] == event:
                    found.append(line)
    return found
