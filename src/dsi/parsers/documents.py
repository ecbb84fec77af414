"""JSON documents and CSV tables that stand somewhere in a text, among lines of other kinds."""

import csv
import json
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from dsi.parsers.lines import Lines
from dsi.parsers.metric import PassedOver

MAX_DOCUMENT_CHARS: Final = 64 << 20
MAX_DEPTH: Final = 200
"""The decoder calls itself for each level."""

_STRING: Final = r'"(?:[^"\\\x00-\x1f]|\\.)*+"'
_JSON_LINE = re.compile(rf"(?:[\s,:{{}}\[\]]++|{_STRING}|-?\d[\d.eE+-]*+|true|false|null|NaN|-?Infinity)*+")
"""A line of nothing but tokens. No alternative begins like another and none is tried again: it takes linear time."""

_BRACKET = re.compile(rf"{_STRING}|([{{\[])|([}}\]])")


def json_documents(lines: Lines) -> Iterator[tuple[str, Any] | PassedOver]:
    """Give each JSON object or array that begins at the beginning of a line, with where it begins.

    Lines that can't be JSON are passed over, also inside a document of many lines: other programs' output may have
    come between. NaN and Infinity are None. A document that is cut off or broken is said, and those that begin at the
    beginning of a line after that are given all the same.
    """
    document = _Document()
    for line in lines:
        if not document.parts and not line.lstrip(" \t").startswith(("{", "[")):
            continue
        if not _JSON_LINE.fullmatch(line):
            continue
        document.add(line, lines)
        if document.is_whole():
            yield from document.read()
            document = _Document()
    if document.parts:
        yield from document.cut_off()


@dataclass
class _Inner:
    """What begins at the beginning of a line inside a document, and may be one itself: lines `begin` to before `end`.

    `depth` is that of the outer document before it.
    """

    where: str
    begin: int
    depth: int
    end: int = 0


class _Document:
    """A JSON document, line by line."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self._where = self._problem = ""
        self._depth = self._chars = 0
        self._open: list[_Inner] = []
        self._inner: list[_Inner] = []

    def add(self, line: str, lines: Lines) -> None:
        if self.parts and line.startswith(("{", "[")):
            self._open.append(_Inner(lines.where(), len(self.parts), self._depth))
        self._where = self._where or lines.where()
        self._chars += len(line) + 1
        for bracket in _BRACKET.finditer(line):
            if bracket.lastindex:
                self._depth += 1 if bracket.lastindex == 1 else -1
                if self._depth > MAX_DEPTH:
                    self._problem = f"JSON of more than {MAX_DEPTH} levels is not read"
        if self._chars > MAX_DOCUMENT_CHARS:
            self._problem = f"JSON of more than {MAX_DOCUMENT_CHARS >> 20} MB is not read"
        self.parts.append(line)
        self._close_inner()
        if self._problem:
            self.parts, self._open, self._inner = [line], [], []

    def _close_inner(self) -> None:
        """Note which have come to their end. Of those in each other the outermost counts."""
        while self._open and self._depth <= self._open[-1].depth:
            inner = self._open.pop()
            inner.end = len(self.parts)
            while self._inner and self._inner[-1].begin > inner.begin:
                self._inner.pop()
            self._inner.append(inner)

    def is_whole(self) -> bool:
        return self._depth <= 0

    def read(self) -> Iterator[tuple[str, Any] | PassedOver]:
        if self._problem:
            yield PassedOver(self._where, self._problem)
            return
        try:
            yield self._where, _loaded(self.parts)
        except ValueError as problem:
            if len(self.parts) > 1 or len(self.parts[0]) > 1000:  # a short line may be anything, `[1]` of a log, say
                yield PassedOver(self._where, f"the JSON that begins here is broken ({problem})")
            yield from self._read_inner()

    def cut_off(self) -> Iterator[tuple[str, Any] | PassedOver]:
        yield PassedOver(self._where, self._problem or "the JSON that begins here has no end")
        yield from self._read_inner()

    def _read_inner(self) -> Iterator[tuple[str, Any]]:
        for inner in self._inner:
            with suppress(ValueError):  # the outer one is said to be broken
                yield inner.where, _loaded(self.parts[inner.begin : inner.end])


def _loaded(parts: Sequence[str]) -> Any:
    return json.loads("\n".join(parts), parse_constant=lambda _name: None)


def csv_rows(lines: Lines, *columns: str) -> Iterator[dict[str, str]]:
    """Give the rows of each table that has these columns in its first line. A row that isn't whole is passed over."""
    header: list[str] | None = None
    for line in lines:
        if all(column in line for column in columns):
            fields = _fields(line)
            header = fields if set(columns) <= set(fields) else header
        elif header is not None and line.strip():
            fields = _fields(line)
            if len(fields) == len(header):
                yield dict(zip(header, fields, strict=True))


def _fields(line: str) -> list[str]:
    try:
        return [field.strip() for field in next(csv.reader([line]), [])]
    except csv.Error:  # a field of more than 128 KB, or a NUL
        return []


def entries(value: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Give what an object has that is an object itself, by its key; nothing where it is no object."""
    if isinstance(value, dict):
        for key, entry in value.items():
            if isinstance(entry, dict):
                yield key, entry


def objects(value: Any) -> Iterator[dict[str, Any]]:
    """Give the objects of an array; nothing where it is no array."""
    if isinstance(value, list):
        yield from (entry for entry in value if isinstance(entry, dict))
