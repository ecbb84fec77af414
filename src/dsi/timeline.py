"""What happened when: one JSON object per line of `reports/timeline.jsonl`."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dsi import clock

VERSION = 1
"""Of the form of a line; stands in the first one."""


class Timeline:
    """Writes events as they happen, each line whole, so that a run that dies leaves what it did.

    A line has `time` (ISO 8601, UTC), `monotonic_s` (this machine's monotonic clock: the difference of two is
    exact), `event`, and what else belongs to that event.
    """

    def __init__(self, path: Path | None, time: clock.Clock = clock.SYSTEM) -> None:
        self._clock = time
        self._file = None
        self.events: list[dict[str, Any]] = []
        if path is not None:
            self._file = path.open("a", encoding="utf-8", buffering=1)
        self.add("timeline", version=VERSION)

    def add(self, event: str, **fields: Any) -> dict[str, Any]:
        """Write one event, and give the line as it was written."""
        line = {
            "time": clock.isoformat(self._clock.wall_s()),
            "monotonic_s": round(self._clock.monotonic_s(), 6),
            "event": event,
            **fields,
        }
        self.events.append(line)
        if self._file is not None:
            self._file.write(json.dumps(line, default=str, ensure_ascii=False) + "\n")
        return line

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

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None
