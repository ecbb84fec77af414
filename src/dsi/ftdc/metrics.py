"""Which numbers of a document the server keeps, in its order, and what they are called."""

import math
from collections.abc import Iterable, Iterator, MutableMapping
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, Final

import bson
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.datetime_ms import DatetimeMS
from bson.decimal128 import Decimal128
from bson.errors import BSONError
from bson.int64 import Int64
from bson.timestamp import Timestamp

from dsi.ftdc.damage import Unreadable

DEEPEST: Final = 64
"""Levels of a document that are followed; the server itself follows 10."""


class _Elements(MutableMapping[str, Any]):
    """Takes what `bson` finds in a document, in its order; of a name that comes twice a dictionary would lose one."""

    __slots__ = ("pairs",)

    def __init__(self) -> None:
        self.pairs: list[tuple[str, Any]] = []

    def __setitem__(self, name: str, value: Any) -> None:
        self.pairs.append((name, value))

    def __getitem__(self, name: str) -> Any:
        raise KeyError(name)

    def __delitem__(self, name: str) -> None:
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return (name for name, _ in self.pairs)

    def __len__(self) -> int:
        return len(self.pairs)


_OPTIONS: Final = CodecOptions(
    document_class=_Elements,
    datetime_conversion=DatetimeConversion.DATETIME_MS,
    unicode_decode_error_handler="replace",
)


def metrics_of(document: bytes) -> tuple[dict[str, int], list[int]]:
    """Give the metrics of a BSON document: the place of each by its name, and their values, as 64-bit integers.

    Numbers, booleans, dates (ms since the epoch) and timestamps (two: `NAME.t` in seconds, `NAME.i`) are metrics;
    fractions are cut off. A name is the path to it, joined by dots; the second of one name is `NAME#2`.

    Raises:
        Unreadable: this isn't BSON.
    """
    names: list[str] = []
    values: list[int] = []
    try:
        _collect(bson.decode(document, _OPTIONS).pairs, "", names, values, DEEPEST)
    except (BSONError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as problem:
        raise Unreadable(f"its reference document is no BSON: {problem}") from problem
    return _places(names), values


def _collect(pairs: Iterable[tuple[Any, Any]], path: str, names: list[str], values: list[int], deepest: int) -> None:
    if not deepest:
        raise Unreadable(f"its reference document has more than {DEEPEST} levels")
    for name, value in pairs:
        kind = type(value)
        if kind is Int64 or kind is int or kind is bool or kind is DatetimeMS:
            names.append(f"{path}{name}")
            values.append(int(value))
        elif kind is _Elements:
            _collect(value.pairs, f"{path}{name}.", names, values, deepest - 1)
        elif kind is list:
            _collect(enumerate(value), f"{path}{name}.", names, values, deepest - 1)
        elif kind is Timestamp:
            names += (f"{path}{name}.t", f"{path}{name}.i")
            values += (value.time, value.inc)
        elif kind is float or kind is Decimal128:
            names.append(f"{path}{name}")
            values.append(_whole(value) if kind is float else _whole_decimal(value.to_decimal()))


def _whole(value: float) -> int:
    """Cut off the fraction, as the server does; what doesn't fit into 64 bits becomes the next that does, NaN 0."""
    if math.isnan(value):
        return 0
    return int(value) if abs(value) < 2.0**63 else _farthest(value > 0)


def _whole_decimal(value: Decimal) -> int:
    if value.is_nan():
        return 0
    if abs(value) >= 1 << 63:
        return _farthest(value > 0)
    return int(value.to_integral_value(ROUND_HALF_EVEN))


def _farthest(positive: bool) -> int:
    return (1 << 63) - 1 if positive else -(1 << 63)


def _places(names: Iterable[str]) -> dict[str, int]:
    places: dict[str, int] = {}
    for place, name in enumerate(names):
        number = 2
        distinct = name
        while distinct in places:
            distinct = f"{name}#{number}"
            number += 1
        places[distinct] = place
    return places
