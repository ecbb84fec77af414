"""A metric chunk: up to 300 samples of the same metrics."""

import struct
import zlib
from collections.abc import Mapping
from typing import Final

import numpy as np
import numpy.typing as npt

from dsi.ftdc.damage import Unreadable
from dsi.ftdc.metrics import metrics_of
from dsi.ftdc.varints import Numbers, Places, differences, varints

Values = npt.NDArray[np.int64]

MOST_UNPACKED_BYTES: Final = 10_000_000
"""Of a chunk; the server reads no larger one either."""
MOST_VALUES: Final = 1 << 24
"""Of a chunk: 128 MiB, more than fifty times what a server with 3,000 metrics writes."""

ROLES: Final = ("shard.", "common.", "router.")
"""Under one of these a server of a sharded cluster has its metrics from MongoDB 8.0 on."""

_COUNTS: Final = struct.Struct("<II")
_SIZE: Final = struct.Struct("<I")


class Chunk:
    """Samples of the same metrics, in the order they were taken.

    `names` are all metrics, in the server's order: dotted paths (`serverStatus.opcounters.insert`).
    `times_ms` are the samples' wall-clock times on the server, in ms since the epoch.
    """

    def __init__(
        self, places: Mapping[str, int], first: Numbers, count: int, changes: tuple[Places, Numbers], begin: int = 0
    ) -> None:
        self._metrics = places
        self._first = first
        self._count = count
        self._changes = changes
        self._begin = begin
        self.names = tuple(places)
        self.times_ms = self.column("start")

    def __len__(self) -> int:
        """Give the number of samples."""
        return self._count - self._begin

    def __contains__(self, name: object) -> bool:
        """Say whether there is such a metric."""
        return name in self._metrics

    def find(self, name: str) -> str | None:
        """Give a metric's name as it is here, where a role (`ROLES`) may stand before it; None where it isn't here."""
        return next((found for found in (name, *(role + name for role in ROLES)) if found in self._metrics), None)

    def column(self, name: str) -> Values:
        """Give the values of one metric, one per sample. What is unsigned on the server is to be viewed so.

        Raises:
            KeyError: there is no such metric.
        """
        place = self._metrics[name]
        places, numbers = self._changes
        more = self._count - 1
        low, high = np.searchsorted(places, (place * more, (place + 1) * more))
        column = np.zeros(self._count, np.uint64)
        column[0] = self._first[place]
        column[places[low:high] - (place * more - 1)] = numbers[low:high]
        return np.cumsum(column, dtype=np.uint64).view(np.int64)[self._begin :]

    def values(self) -> Values:
        """Give all values at once: a row per metric, in the order of `names`, a column per sample."""
        table = np.zeros((len(self._first), self._count), np.uint64)
        table[:, 0] = self._first
        if self._count > 1:
            places, numbers = self._changes
            rows, columns = np.divmod(places, self._count - 1)
            table[rows, columns + 1] = numbers
        return np.cumsum(table, axis=1, dtype=np.uint64, out=table).view(np.int64)[:, self._begin :]

    def later_than(self, time_ms: int) -> "Chunk | None":
        """Give the samples after the last one that isn't later than this; None where there are none."""
        known = np.flatnonzero(self.times_ms <= time_ms)
        begin = self._begin + (int(known[-1]) + 1 if known.size else 0)
        return Chunk(self._metrics, self._first, self._count, self._changes, begin) if begin < self._count else None


def unpack(data: bytes) -> bytes:
    """Decompress the field `data` of a metric chunk.

    Raises:
        Unreadable: it is damaged, or larger than it says or than `MOST_UNPACKED_BYTES`.
    """
    if len(data) < _SIZE.size:
        raise Unreadable("a metric chunk without content")
    size_bytes = _SIZE.unpack_from(data)[0]
    if size_bytes > MOST_UNPACKED_BYTES:
        raise Unreadable(
            f"a metric chunk of {size_bytes:,} bytes; the server writes none above {MOST_UNPACKED_BYTES:,}"
        )
    unpacking = zlib.decompressobj()
    try:
        unpacked = unpacking.decompress(memoryview(data)[_SIZE.size :], size_bytes + 1)
    except zlib.error as problem:
        raise Unreadable(f"a metric chunk that zlib can't decompress: {problem}") from problem
    if len(unpacked) != size_bytes or not unpacking.eof:
        raise Unreadable(f"a metric chunk that says it has {size_bytes:,} bytes, and hasn't")
    return unpacked


def decode(data: bytes) -> tuple[Chunk, int]:
    """Decode the field `data` of a metric chunk; also gives a number that only the same first sample has.

    Raises:
        Unreadable: it is damaged. No more memory is used than `MOST_UNPACKED_BYTES` and `MOST_VALUES` want.
    """
    unpacked = unpack(data)
    size_bytes = _SIZE.unpack_from(unpacked)[0] if len(unpacked) >= _SIZE.size else 0
    if not _SIZE.size < size_bytes <= len(unpacked) - _COUNTS.size:
        raise Unreadable("a metric chunk whose reference document is cut off")
    reference = unpacked[:size_bytes]
    metric_count, more = _COUNTS.unpack_from(unpacked, size_bytes)
    places, values = metrics_of(reference)
    if len(values) != metric_count:
        raise Unreadable(f"a metric chunk of {metric_count:,} metrics whose reference document has {len(values):,}")
    if "start" not in places:
        raise Unreadable("a metric chunk whose samples have no time (start)")
    if metric_count * more > MOST_VALUES:
        raise Unreadable(
            f"a metric chunk of {metric_count:,} metrics and {more:,} samples, more than any server writes"
        )
    numbers = varints(memoryview(unpacked)[size_bytes + _COUNTS.size :])
    first = np.array(values, np.int64).view(np.uint64)
    return Chunk(places, first, 1 + more, differences(numbers, metric_count * more)), hash(reference)
