"""Writing what happens into `reports/timeline.jsonl`, one JSON object a line."""

import asyncio
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import structlog

from dsi import clock
from dsi.masking import masked_value
from dsi.timeline.events import VERSION

log = structlog.get_logger()


class Timeline:
    """Writes events as they happen (path None: once there is one), each line whole: a run that dies leaves what it did.

    A line has `time` (ISO 8601, UTC), `monotonic_s` (this machine's monotonic clock: the difference of two is
    exact), `event`, and what else belongs to that event (docs/timeline.md). `on_event` is given each line, too.
    """

    def __init__(self, path: Path | None, time: clock.Clock = clock.SYSTEM) -> None:
        self._clock = time
        self._file: BinaryIO | None = None
        self._early: list[dict[str, Any]] = []
        self._is_cut = False
        self._spans = 0
        self.on_event: Callable[[dict[str, Any]], None] | None = None
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
        if self.on_event is not None:
            self.on_event(line)
        return line

    def move_to(self, path: Path) -> None:
        """Write to this file from now on, beginning with what has happened so far."""
        self.close()
        self._file = path.open("a+b", buffering=0)
        self._is_cut = _ends_in_mid_line(self._file)
        early, self._early = self._early, []
        for line in early:
            self._write(line)

    @contextmanager
    def span(self, event: str, **fields: Any) -> Iterator[dict[str, Any]]:
        """Write `EVENT_begin` now, and `EVENT_end` with `duration_s` and `error` (None: none) when the block ends.

        What the block puts into the mapping it gets is written with the end. Both have the same `span`, a number. A
        block that is called off (by Ctrl-C, say) has not failed: its end has `interrupted`, and no other has.
        """
        self._spans += 1
        fields = {**fields, "span": self._spans}
        begun_s = self._clock.monotonic_s()
        self.add(f"{event}_begin", **fields)
        more: dict[str, Any] = {}
        error: str | None = None
        try:
            yield more
        except asyncio.CancelledError:
            more["interrupted"] = True
            raise
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
        text = (b"\n" if self._is_cut else b"") + json.dumps(line, default=str, ensure_ascii=False).encode() + b"\n"
        try:
            written = self._file.write(text)
        except OSError as problem:  # a full disk must not break what is being recorded
            log.error("the timeline can't be written", error=problem.strerror, event_lost=line["event"])
        else:
            self._is_cut = written < len(text)
            if self._is_cut:
                log.error("the timeline can't be written: the disk is full", event_lost=line["event"])

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None


def _ends_in_mid_line(file: BinaryIO) -> bool:
    """Give whether a crash has cut off the last line."""
    if file.seek(0, os.SEEK_END) == 0:
        return False
    file.seek(-1, os.SEEK_END)
    return file.read(1) != b"\n"
