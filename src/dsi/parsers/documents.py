"""JSON documents and CSV tables that stand somewhere in a text, among lines of other kinds."""

import csv
import json
import re
from collections.abc import Iterator
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
    come between. NaN and Infinity are None. A document that is cut off or broken is said.
    """
    document = _Document()
    for line in lines:
        if not document.parts and not line.lstrip(" \t").startswith(("{", "[")):
            continue
        if not _JSON_LINE.fullmatch(line):
            continue
        if document.parts and line in ("{", "[") and not document.goes_on():
            yield document.cut_off()
            document = _Document()
        document.add(line, lines)
        if document.is_whole():
            if document.problem:
                yield PassedOver(document.where, document.problem)
            else:
                yield from document.read()
            document = _Document()
    if document.parts:
        yield document.cut_off()


class _Document:
    """A JSON document, line by line."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self.where = self.problem = ""
        self._depth = self._chars = 0

    def add(self, line: str, lines: Lines) -> None:
        self.where = self.where or lines.where()
        self._chars += len(line)
        for bracket in _BRACKET.finditer(line):
            if bracket.lastindex:
                self._depth += 1 if bracket.lastindex == 1 else -1
                if self._depth > MAX_DEPTH:
                    self.problem = f"JSON of more than {MAX_DEPTH} levels is not read"
        if self._chars > MAX_DOCUMENT_CHARS:
            self.problem = f"JSON of more than {MAX_DOCUMENT_CHARS >> 20} MB is not read"
        if self.problem:
            self.parts = [line]
        else:
            self.parts.append(line)

    def is_whole(self) -> bool:
        return self._depth <= 0

    def goes_on(self) -> bool:
        """Say whether a bracket may follow what is there."""
        return self.parts[-1].rstrip().endswith((",", ":", "[", "{"))

    def cut_off(self) -> PassedOver:
        return PassedOver(self.where, self.problem or "the JSON that begins here has no end")

    def read(self) -> Iterator[tuple[str, Any] | PassedOver]:
        try:
            yield self.where, json.loads("\n".join(self.parts), parse_constant=lambda _name: None)
        except ValueError as problem:
            if len(self.parts) > 1 or len(self.parts[0]) > 1000:  # a short line may be anything, `[1]` of a log, say
                yield PassedOver(self.where, f"the JSON that begins here is broken ({problem})")


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
