"""Reading a timeline again: a finished one, one that a crash has cut off, or one that is still being written."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from dsi.clock import wall_s_of
from dsi.errors import ReportError
from dsi.timeline.events import VERSION


@dataclass(frozen=True)
class Event:
    """One line. `time_s` is wall-clock time, in seconds since the epoch; `fields` is what belongs to this event.

    `monotonic_s` says exactly how long it is from one event to another, as long as both have the same `process`: that
    counts, from 0, the dsi processes that wrote this file (`--attach` goes on with another's).
    """

    name: str
    time_s: float
    monotonic_s: float
    process: int
    fields: Mapping[str, Any]


@dataclass(frozen=True)
class Span:
    """Something that takes time. `end`: None where nothing says how it ended, since dsi was killed."""

    begin: Event
    end: Event | None

    @property
    def error(self) -> str | None:
        """What it failed with."""
        return None if self.end is None else self.end.fields.get("error")

    @property
    def interrupted(self) -> bool:
        """Whether it was called off before its end; it has no `error` then."""
        return self.end is not None and self.end.fields.get("interrupted") is True


def read(path: Path) -> Iterator[Event]:
    """Give the events of a timeline file in the order in which they were written.

    A line that a crash or a full disk has cut off is passed over.

    Raises:
        ReportError: it can't be read, is no timeline, or has a form that this dsi doesn't know.
    """
    try:
        with path.open("rb") as file:
            yield from _Reading(path).events(file)
    except OSError as problem:
        raise ReportError(f"the timeline {path} can't be read: {problem.strerror}") from problem


def read_events(path: Path, name: str) -> list[dict[str, Any]]:
    """Give the fields of all events of this name, with `time`, `monotonic_s` and `event`, as they stand in the file."""
    return [dict(event.fields) for event in read(path) if event.name == name]


def spans(events: Iterable[Event], name: str) -> list[Span]:
    """Pair the begins and ends of what takes time, in the order of the begins."""
    begins: dict[tuple[int, object], Event] = {}
    ends: dict[tuple[int, object], Event] = {}
    for event in events:
        if event.name in (f"{name}_begin", f"{name}_end"):
            found = begins if event.name == f"{name}_begin" else ends
            found[event.process, event.fields.get("span")] = event
    return [Span(begin, ends.get(key)) for key, begin in begins.items()]


def follow(path: Path, file: BinaryIO) -> Iterator[Event | None]:
    """Give the events of a timeline that is being written, and None each time there is nothing more yet.

    Raises:
        ReportError: as `read`.
    """
    reading = _Reading(path)
    while True:
        yield from reading.events(file)
        yield None


class _Reading:
    """Makes events of lines, some of them cut off."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._process = -1
        self._begun = b""

    def events(self, file: BinaryIO) -> Iterator[Event]:
        """Give the events of the whole lines that are there; what is left of a line belongs to the next one."""
        for text in file:
            self._begun += text
            if self._begun.endswith(b"\n"):
                line, self._begun = _mapping(self._begun), b""
                if line is not None:
                    yield self._event(line)

    def _event(self, line: dict[str, Any]) -> Event:
        if line["event"] == "timeline":
            self._process += 1
            if line.get("version") != VERSION:
                raise ReportError(
                    f"the timeline {self._path} has version {line.get('version')}, and this dsi reads {VERSION}: "
                    "read it with the dsi that wrote it"
                )
        elif self._process < 0:
            raise ReportError(f"{self._path} is no timeline of dsi: its first line doesn't say so")
        return Event(
            name=line["event"],
            time_s=wall_s_of(line["time"]),
            monotonic_s=line["monotonic_s"],
            process=self._process,
            fields=line,
        )


def _mapping(text: bytes) -> dict[str, Any] | None:
    try:
        line = json.loads(text)
        whole = isinstance(line["event"], str) and isinstance(line["monotonic_s"], float | int)
        wall_s_of(line["time"])
    except (ValueError, KeyError, TypeError):
        return None
    return line if whole else None
