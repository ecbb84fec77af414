"""Bytes → messages, however the bytes are cut."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

MAX_LINE_BYTES = 1 << 20

MAX_DEPTH: Final = 100
"""Deeper nesting is refused, as in configuration files: no command needs it, and what Python's `json` just about reads
would be a RecursionError wherever else it is looked at."""


@dataclass(frozen=True, slots=True)
class Request:
    """One JSON value that a client sent: as Python's `json` reads it, and as the client wrote it.

    The value of a line that is JSON but no object (a list, a number) is not a mapping: it is no command.
    """

    value: Any
    text: str


@dataclass(frozen=True, slots=True)
class Malformed:
    """A line that is no JSON, and why, in the words of Python's `json`."""

    message: str


Message = Request | Malformed

_TOO_DEEP = f"More than {MAX_DEPTH} objects and lists within one another"

_BLANK = b" \t\r"
_OUTSIDE = re.compile(rb'["{}]')
_INSIDE = re.compile(rb'["\\]')


class Decoder:
    """Cuts what one client sends into messages. However the bytes are cut, the messages are the same.

    A command ends at the closing brace that makes the bytes since the last command one valid JSON object, or else at
    the newline, or at the end of the input. A newline always ends a line, also within a string; blank ones are nothing.

    Memory is bounded by `max_line_bytes` (which may be raised between two messages), and time is linear: a JSON text
    that is an object ends where its braces first balance, so each line is parsed there, once, and (if that was no
    object) once more at its newline.
    """

    def __init__(self, max_line_bytes: int = MAX_LINE_BYTES) -> None:
        self.max_line_bytes = max_line_bytes
        self._skipping = False
        self._begin()

    def _begin(self) -> None:
        self._line = bytearray()  # all since the last command
        self._depth = 0
        self._in_string = False
        self._escaped = False
        self._may_be_object = True

    def feed(self, data: bytes) -> Iterator[Message]:
        """Give the messages that `data` completes, each when it is asked for: take them all before more is fed."""
        start = 0
        while (newline := data.find(b"\n", start)) >= 0:
            yield from self._take(data, start, newline)
            yield from self._end_line()
            start = newline + 1
        yield from self._take(data, start, len(data))

    def finish(self) -> Iterator[Message]:
        """Give what the end of the client's input completes."""
        return self._end_line()

    def _take(self, data: bytes, start: int, stop: int) -> Iterator[Message]:
        """Add data[start:stop], which has no newline, to the line; give each object that ends in it."""
        while start < stop and not self._skipping:
            limit = min(stop, start + self.max_line_bytes - len(self._line))
            end = self._find_end(data, start, limit)
            self._line += data[start : end or limit]
            if end is not None:
                start = end
                yield from self._try_object()
            elif limit < stop:
                self._begin()
                self._skipping = True
                yield Malformed(
                    f"Line longer than {self.max_line_bytes} bytes (max_line_bytes), skipped to its newline"
                )
            else:
                return

    def _try_object(self) -> Iterator[Message]:
        message = _parse(bytes(self._line))
        if isinstance(message, Request):
            self._begin()
            yield message
        else:
            self._may_be_object = False  # what begins with balanced braces that are no object never becomes one

    def _end_line(self) -> Iterator[Message]:
        line = bytes(self._line).removesuffix(b"\r")
        self._begin()
        self._skipping = False
        if line.strip(_BLANK):
            yield _parse(line)

    def _find_end(self, data: bytes, start: int, stop: int) -> int | None:
        """Give the place after the brace in data[start:stop] that closes what the line's first one opened."""
        at = start
        while self._may_be_object and at < stop:
            if self._escaped:
                self._escaped = False
                at += 1
                continue
            mark = (_INSIDE if self._in_string else _OUTSIDE).search(data, at, stop)
            if mark is None:
                return None
            at = mark.end()
            if self._pass(mark[0]):
                return at
        return None

    def _pass(self, mark: bytes) -> bool:
        """Go past a mark; tell whether it closes the outermost brace."""
        match mark:
            case b'"':
                self._in_string = not self._in_string
            case b"\\":
                self._escaped = True
            case b"{":
                self._depth += 1
            case b"}":
                self._depth -= 1
        return self._depth == 0


def _parse(line: bytes) -> Message:
    try:
        text = line.decode()
    except UnicodeDecodeError as problem:
        char = len(line[: problem.start].decode())
        byte = f"byte 0x{line[problem.start]:02x}, {problem.reason}"
        return Malformed(f"Not UTF-8 ({byte}): line 1 column {char + 1} (char {char})")
    try:
        value = json.loads(text)
    except ValueError as problem:  # also a plain one: a number of 5,000 digits
        return Malformed(str(problem))
    except RecursionError:
        return Malformed(_TOO_DEEP)
    if text.count("{") + text.count("[") > MAX_DEPTH and _is_deeper(value, MAX_DEPTH):
        return Malformed(_TOO_DEEP)
    return Request(value, text)


def _is_deeper(value: Any, depth: int) -> bool:
    """Tell whether more than so many objects and lists are within one another."""
    level: list[Any] = [[value]]
    for _ in range(depth + 1):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]
    return bool(level)
