"""Diagnostic data decoded number by number, in plain Python: what numpy is measured against.

It takes whole files that are whole, one metric chunk after the other.
"""

import struct
import zlib
from collections.abc import Iterator
from typing import Any

import bson

Pair = tuple[str, int]
_FIXED = {0x01: 8, 0x07: 12, 0x08: 1, 0x09: 8, 0x0A: 0, 0x10: 4, 0x11: 8, 0x12: 8}
_WITH_LENGTH = {0x02: 4, 0x05: 5}


def packed_chunks(content: bytes) -> Iterator[bytes]:
    """Give the compressed metric chunks of a file."""
    documents: list[dict[str, Any]] = bson.decode_all(content)
    return (document["data"][4:] for document in documents if document["type"] == 1)


def decode(packed: bytes) -> list[tuple[str, list[int]]]:
    """Give each metric's name and values, in the server's order."""
    unpacked = zlib.decompress(packed)
    size = struct.unpack_from("<i", unpacked)[0]
    metrics, more = struct.unpack_from("<II", unpacked, size)
    pairs = list(metrics_of(unpacked))
    assert len(pairs) == metrics
    numbers = _differences(unpacked, size + 8)
    columns: list[tuple[str, list[int]]] = []
    for name, value in pairs:
        value &= 0xFFFF_FFFF_FFFF_FFFF
        column = [value]
        for _ in range(more):
            value = (value + next(numbers)) & 0xFFFF_FFFF_FFFF_FFFF
            column.append(value)
        columns.append((name, [each - (1 << 64) if each >> 63 else each for each in column]))
    return columns


def _differences(unpacked: bytes, at: int) -> Iterator[int]:
    numbers = _varints(unpacked, at)
    for number in numbers:
        yield number
        if number == 0:
            for _ in range(next(numbers)):
                yield 0


def _varints(unpacked: bytes, at: int) -> Iterator[int]:
    number = shift = 0
    for octet in unpacked[at:]:
        number |= (octet & 0x7F) << shift
        shift += 7
        if octet < 0x80:
            yield number
            number = shift = 0


def metrics_of(document: bytes, at: int = 4, path: str = "") -> Iterator[Pair]:
    """Give the metrics of a BSON document, also two of one name; `at` is behind its length."""
    while kind := document[at]:
        end = document.index(0, at)
        name = path + document[at + 1 : end].decode()
        at = end + 1
        if kind in {0x03, 0x04}:
            yield from metrics_of(document, at + 4, name + ".")
            at += struct.unpack_from("<i", document, at)[0]
            continue
        if kind in _WITH_LENGTH:
            at += _WITH_LENGTH[kind] + struct.unpack_from("<i", document, at)[0]
            continue
        yield from _values(kind, document, at, name)
        at += _FIXED[kind]


def _values(kind: int, document: bytes, at: int, name: str) -> Iterator[Pair]:
    if kind == 0x11:
        increment, seconds = struct.unpack_from("<II", document, at)
        yield name + ".t", seconds
        yield name + ".i", increment
    elif kind in {0x01, 0x08, 0x09, 0x10, 0x12}:
        form = {0x01: "<d", 0x08: "<b", 0x09: "<q", 0x10: "<i", 0x12: "<q"}[kind]
        yield name, int(struct.unpack_from(form, document, at)[0])
