"""Writes diagnostic data as the server does, number by number, with nothing of dsi: the other half of a round trip.

Source: the server's src/mongo/db/ftdc/README.md and its compressor.
"""

import struct
import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import bson
from bson.datetime_ms import DatetimeMS
from bson.int64 import Int64

Columns = Mapping[str, Sequence[int]]
"""A metric's values by its name, without dots; `start` is among them, in ms since the epoch."""


def varint(number: int) -> bytes:
    octets = bytearray()
    while number >= 0x80:
        octets.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*octets, number])


def packed(differences: Iterable[int]) -> bytes:
    """Zeros become a zero and how many more there are; such a run goes on from one metric to the next."""
    octets = bytearray()
    zeros = 0
    for difference in [*differences, None]:
        if difference == 0:
            zeros += 1
            continue
        if zeros:
            octets += varint(0) + varint(zeros - 1)
            zeros = 0
        if difference is not None:
            octets += varint(difference)
    return bytes(octets)


def reference(columns: Columns) -> bytes:
    """The first sample, as BSON."""
    first = {name: DatetimeMS(values[0]) if name == "start" else Int64(values[0]) for name, values in columns.items()}
    return bson.encode(first)


def chunk(document: bytes, columns: Iterable[Sequence[int]], **lies: int) -> bytes:
    """The field `data` of a metric chunk; `lies` replace what it says of itself (unpacked_bytes, metrics, samples)."""
    rows = [list(column) for column in columns]
    samples = len(rows[0]) - 1 if rows else 0
    differences = [(row[at + 1] - row[at]) % (1 << 64) for row in rows for at in range(samples)]
    counts = struct.pack("<II", lies.get("metrics", len(rows)), lies.get("samples", samples))
    unpacked = document + counts + packed(differences)
    return struct.pack("<I", lies.get("unpacked_bytes", len(unpacked))) + zlib.compress(unpacked)


def metric_chunk(columns: Columns, **lies: int) -> bytes:
    return document(1, columns["start"][0], data=chunk(reference(columns), columns.values(), **lies))


def document(kind: int, time_ms: int, **fields: Any) -> bytes:
    """One document of a file."""
    return bson.encode({"_id": DatetimeMS(time_ms), "type": kind, **fields})


def metadata(time_ms: int, content: Mapping[str, Any], kind: int = 0) -> bytes:
    return document(kind, time_ms, doc=dict(content))
