"""A server's log, line by line: the structured form of 4.4 and later, and the text of those before. Bounded memory.

Most lines of a log are of no interest, and a log may have gigabytes: only the head of a line is looked at (time,
severity, component, id), and the caller says by it whether the rest is to be read.
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from dsi import clock
from dsi.compressed import BROKEN, open_plain

HEAD: Final = re.compile(rb'\{"t":\{"\$date":"([^"]{19,35})"\},\s*"s":"([A-Z]\d?)",\s*"c":"([^"]*)",\s*"id":(\d+)')
"""As the server writes it: https://www.mongodb.com/docs/manual/reference/log-messages/#structured-logging"""

TEXT_HEAD: Final = re.compile(
    rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}(?:[+-]\d{4}|Z)) ([FEWID]\d?) +([A-Z_-]+) +\[[^\]]*\] (.*)", re.DOTALL
)
"""3.0 to 4.2: `TIME SEVERITY COMPONENT [CONTEXT] MESSAGE`."""

_BLOCK_BYTES: Final = 1 << 20
_LINE_BYTES: Final = 64 << 10
"""A longer line is cut: the server's own limit for an attribute is 10 KB, and what has no newlines is no log."""

_SHOWN_CHARS: Final = 600
_BACK_S: Final = 2.0
"""Threads write a few milliseconds out of order; a clock that was set back by less changes nothing here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A line. `time_s` is as the server's clock had it; `id` is 0 in the old form; `message` has its attributes too."""

    line: int
    time_s: float
    severity: str
    component: str
    id: int
    message: str

    @property
    def text(self) -> str:
        """Show it, cut where it is long."""
        shown = f"{clock.isoformat(self.time_s)} {self.severity} {self.component}: {self.message}"
        return shown if len(shown) <= _SHOWN_CHARS else shown[:_SHOWN_CHARS] + "…"


@dataclass(kw_only=True)
class Scan:
    """What was noticed of a log as a whole, while it was read.

    `damaged`: how many lines are none of a server, and the first of them; `cut`: the last line is not whole;
    `unreadable`: why the rest could not be read; `went_back`: the line where its clock was set back first, and by how
    many seconds.
    """

    lines: int = 0
    recognised: int = 0
    structured: int = 0
    damaged: int = 0
    first_damaged: int = 0
    cut: bool = False
    unreadable: str = ""
    first_line: bytes = b""
    went_back: tuple[int, float] | None = None


Wanted = Callable[[bytes, int, bytes], bool]
"""Whether a line is to be read, by its severity, its id (0 in the old form) and its message (empty in the new form)."""


def read_log(
    path: Path, wanted: Wanted, scan: Scan, *, skip: Callable[[bytes], int] = lambda _first: 0
) -> Iterator[Entry]:
    """Give the lines that are wanted. What is damaged goes into `scan`, and raises nothing.

    `skip` is asked with the first line how many lines are known already: they are counted and not given.
    """
    reader = _LogReader(wanted, scan)
    skipped = 0
    for line in _lines(path, scan):
        scan.lines += 1
        if scan.lines == 1:
            scan.first_line = line
            skipped = skip(line)
        entry = reader.entry(line)
        if entry is not None and scan.lines > skipped:
            yield entry


def _lines(path: Path, scan: Scan) -> Iterator[bytes]:
    carry = b""
    try:
        with open_plain(path) as file:
            while block := file.read1(_BLOCK_BYTES):
                lines = (carry + block).split(b"\n")
                carry = lines.pop()[:_LINE_BYTES]
                yield from lines
    except BROKEN as problem:
        scan.unreadable = str(problem) or type(problem).__name__
    if carry:
        scan.cut = not carry.endswith(b"}")
        yield carry


class _LogReader:
    """Tells lines of a server from others."""

    def __init__(self, wanted: Wanted, scan: Scan) -> None:
        self._wanted = wanted
        self._scan = scan
        self._latest = b""

    def entry(self, line: bytes) -> Entry | None:
        """Give a line if it is wanted."""
        structured = HEAD.match(line)
        found = structured or TEXT_HEAD.match(line)
        if found is None:
            self._other(line)
            return None
        self._scan.recognised += 1
        self._scan.structured += structured is not None
        self._follow_clock(found[1])
        number = int(found[4]) if structured else 0
        if not self._wanted(found[2], number, b"" if structured else found[4]):
            return None
        return self._read(line, found, number, structured=structured is not None)

    def _read(self, line: bytes, found: "re.Match[bytes]", number: int, *, structured: bool) -> Entry | None:
        try:
            time_s = clock.wall_s_of(found[1].decode())
        except ValueError:
            self._other(line)
            return None
        message = _structured_message(line) if structured else found[4].decode(errors="replace").rstrip()
        return Entry(
            line=self._scan.lines,
            time_s=time_s,
            severity=found[2].decode(),
            component=found[3].decode(errors="replace"),
            id=number,
            message=message,
        )

    def _other(self, line: bytes) -> None:
        """Note a line that is none of a server. Old logs have such: a message may have several lines.

        The first line may be the end of one: of a log that has grown, what is new is fetched.
        """
        scan = self._scan
        if line.strip() and scan.lines > 1 and not scan.cut and (scan.structured or not scan.recognised):
            scan.damaged += 1
            scan.first_damaged = scan.first_damaged or scan.lines

    def _follow_clock(self, when: bytes) -> None:
        """Note when the clock went back. Texts of one form and distance from UTC are in the order of their times."""
        if when >= self._latest:
            self._latest = when
            return
        try:
            back_s = clock.wall_s_of(self._latest.decode()) - clock.wall_s_of(when.decode())
        except ValueError:
            return
        if back_s > _BACK_S:
            self._scan.went_back = self._scan.went_back or (self._scan.lines, back_s)
            self._latest = when


def _structured_message(line: bytes) -> str:
    """Give the message with its attributes. A line that was cut is shown as it is."""
    text = line.decode(errors="replace")
    try:
        entry = json.loads(text)
        message, attributes = " ".join(entry["msg"].split()), entry.get("attr")
        return f"{message} {_attributes(attributes)}" if attributes else message
    except (ValueError, KeyError, AttributeError, RecursionError):
        return text.partition('"msg":')[2] or text


def _attributes(attributes: dict[str, Any]) -> str:
    """Show attributes; of WiredTiger's own messages what they say, without the ten other things beside it."""
    inner = attributes.get("message")
    if isinstance(inner, dict) and "msg" in inner:
        return ": ".join(str(inner[name]) for name in ("msg", "error_str") if name in inner)
    return json.dumps(attributes)


def looks_like_a_log(path: Path) -> bool:
    """Tell whether a server has written this, by its first block."""
    try:
        with open_plain(path) as file:
            head = file.read1(_LINE_BYTES)
    except BROKEN:
        return False
    return any(HEAD.match(line) or TEXT_HEAD.match(line) for line in head.split(b"\n"))
