"""Samples as comma-separated values."""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TextIO

import numpy as np

from dsi.ftdc.chunk import Chunk, Values
from dsi.ftdc.damage import Damaged
from dsi.ftdc.folder import read


def iso_times(times_ms: Values | Sequence[int]) -> list[str]:
    """Write times (ms since the epoch) as ISO 8601 in UTC: `2026-01-31T12:00:00.123Z`.

    Damaged data has times of any year, which Python's own dates don't.
    """
    return [f"{time}Z" for time in np.datetime_as_string(np.array(times_ms, "datetime64[ms]")).tolist()]


def write_csv(path: Path, wanted: Sequence[str], out: TextIO, damaged: Damaged) -> None:
    """Write a line per sample: its time and these metrics, empty where one wasn't there.

    No more than a chunk is held in memory.

    Raises:
        NoDiagnosticData: there are no files.
    """
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["time", *wanted])
    for chunk in read(path, damaged):
        writer.writerows(_rows(chunk, wanted))


def _rows(chunk: Chunk, wanted: Sequence[str]) -> Iterator[tuple[object, ...]]:
    missing = [""] * len(chunk)
    columns = [chunk.column(name).tolist() if name in chunk else missing for name in wanted]
    return zip(iso_times(chunk.times_ms), *columns, strict=True)
