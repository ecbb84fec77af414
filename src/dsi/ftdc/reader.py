"""One file of diagnostic data: BSON documents, one after the other.

Nothing marks where a document begins but the length of the one before it. After a damage the next one is found by how
every document of the server begins: with `_id`, a date, and `type`, an integer.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import BufferedIOBase
from pathlib import Path
from typing import Any, Final

import bson
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.datetime_ms import DatetimeMS
from bson.errors import BSONError
from bson.raw_bson import RawBSONDocument

from dsi.compressed import BROKEN, open_plain
from dsi.ftdc.chunk import Chunk, decode
from dsi.ftdc.damage import Damage, Damaged, Unreadable

MOST_BYTES: Final = 16 * 1024 * 1024 + 16 * 1024
"""Of a document: the server's own limit."""

_BLOCK_BYTES: Final = 1 << 18
_HEAD: Final = re.compile(rb".{4}\x09_id\x00.{8}\x10type\x00", re.DOTALL)
_HEAD_BYTES: Final = 23
_SMALLEST_BYTES: Final = 5
_ENDS: Final = CodecOptions(document_class=RawBSONDocument, datetime_conversion=DatetimeConversion.DATETIME_MS)
_PLAIN: Final = CodecOptions[dict[str, Any]](
    datetime_conversion=DatetimeConversion.DATETIME_MS, unicode_decode_error_handler="replace"
)

METADATA, METRICS, PERIODIC_METADATA = range(3)


@dataclass(frozen=True)
class Metadata:
    """What the server says of itself beside the metrics: buildInfo, hostInfo, getCmdLineOpts …

    `document` has it by the name of the collector. With `periodic` (newer servers) it is what has changed since the
    one before. `time_ms`: since the epoch.
    """

    time_ms: int
    periodic: bool
    document: Mapping[str, Any]


@dataclass(frozen=True)
class Samples:
    """A chunk, and a number that only chunks with the same first sample have."""

    chunk: Chunk
    first: int


class _Window:
    """What of a file is looked at; it moves forward only."""

    def __init__(self, file: BufferedIOBase) -> None:
        self._file = file
        self._ended = False
        self.offset = 0
        self.bytes = bytearray()
        self.problem: str | None = None

    def reaches(self, size_bytes: int) -> bool:
        """Read on until there are so many bytes; False where the file has fewer."""
        while not self._ended and len(self.bytes) < size_bytes:
            try:
                block = self._file.read1(_BLOCK_BYTES)
            except BROKEN as problem:
                self.problem = f"the file can't be read on: {_text(problem)}"
                block = b""
            self.bytes += block
            self._ended = not block
        return len(self.bytes) >= size_bytes

    def move(self, size_bytes: int) -> None:
        del self.bytes[:size_bytes]
        self.offset += size_bytes

    def move_to_head(self) -> int:
        """Move on to what looks like a document's beginning, or to the end; gives how many bytes that were."""
        begun = self.offset
        self.move(1)
        while self.reaches(_HEAD_BYTES):
            if found := _HEAD.search(self.bytes):
                self.move(found.start())
                return self.offset - begun
            self.move(len(self.bytes) - _HEAD_BYTES + 1)
        self.move(len(self.bytes))
        return self.offset - begun


def read_file(path: Path, damaged: Damaged, passed_over: int | None = None) -> Iterator[Samples | Metadata]:
    """Give what is in a file (plain, .gz, .zst), from its beginning to its end, and tell what can't be read.

    Documents of the type `passed_over` aren't looked into.
    """
    try:
        with open_plain(path) as file:
            yield from _read(path, _Window(file), damaged, passed_over)
    except OSError as problem:
        damaged(Damage(path, 0, 0, f"the file can't be read: {_text(problem)}"))


def _read(path: Path, window: _Window, damaged: Damaged, passed_over: int | None) -> Iterator[Samples | Metadata]:
    while window.reaches(1):
        offset = window.offset
        try:
            fields = _fields(window)
        except Unreadable as problem:
            damaged(Damage(path, offset, window.move_to_head(), str(problem)))
            continue
        window.move(len(fields.raw))
        if fields["type"] == passed_over:
            continue
        try:
            yield _content(fields)
        except Unreadable as problem:
            damaged(Damage(path, offset, len(fields.raw), str(problem)))
    if window.problem:
        damaged(Damage(path, window.offset, 0, window.problem))


def _fields(window: _Window) -> RawBSONDocument:
    """Give the document that begins here, with `_id` and `type` as they should be."""
    if not window.reaches(_SMALLEST_BYTES):
        raise Unreadable(f"{len(window.bytes)} bytes that are no document")
    size_bytes = int.from_bytes(window.bytes[:4], "little")
    if not _SMALLEST_BYTES <= size_bytes <= MOST_BYTES:
        raise Unreadable("no document begins here")
    if not window.reaches(size_bytes):
        raise Unreadable(f"a document of {size_bytes:,} bytes begins here, and {len(window.bytes):,} are there")
    try:
        document = RawBSONDocument(bytes(window.bytes[:size_bytes]), _ENDS)
        known = isinstance(document["_id"], DatetimeMS) and isinstance(document["type"], int)
    except (BSONError, ValueError, TypeError, KeyError) as problem:
        raise Unreadable(f"a document of {size_bytes:,} bytes that is no BSON, or none of the server's") from problem
    if not known:
        raise Unreadable("a document whose _id or type is none of the server's")
    return document


def _content(fields: RawBSONDocument) -> Samples | Metadata:
    kind = fields["type"]
    if kind == METRICS:
        data = fields.get("data")
        if not isinstance(data, bytes):
            raise Unreadable("a metric chunk without content")
        return Samples(*decode(data))
    if kind in {METADATA, PERIODIC_METADATA}:
        return Metadata(int(fields["_id"]), kind == PERIODIC_METADATA, _plain(fields.get("doc")))
    raise Unreadable(f"a document of the unknown type {kind}")


def _plain(document: Any) -> Mapping[str, Any]:
    if not isinstance(document, RawBSONDocument):
        raise Unreadable("metadata without content")
    try:
        return bson.decode(document.raw, _PLAIN)
    except (BSONError, ValueError, TypeError, KeyError, RecursionError) as problem:
        raise Unreadable(f"metadata that is no BSON: {problem}") from problem


def _text(problem: Exception) -> str:
    return (isinstance(problem, OSError) and problem.strerror) or str(problem) or type(problem).__name__
