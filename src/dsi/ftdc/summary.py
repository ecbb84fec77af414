"""What there is, in short: the span of time, gaps, and each metric's range."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from dsi.ftdc.damage import Damage, Damaged
from dsi.ftdc.folder import metadata, read

GAP: Final = 3
"""From so many periods on, the time between two samples is a gap: the server was down, stuck, or its clock was set."""


@dataclass(frozen=True)
class Gap:
    """Two samples that follow each other, far apart; if the clock was set back the second time is the earlier one."""

    from_ms: int
    to_ms: int


@dataclass(frozen=True)
class Span:
    """The samples as a whole; `period_ms` is the usual time from one to the next, 0 where there is but one."""

    samples: int
    chunks: int
    metrics: int
    from_ms: int
    to_ms: int
    period_ms: int
    gaps: tuple[Gap, ...]


@dataclass(frozen=True)
class Range:
    """A metric's least, greatest and last value."""

    least: int
    greatest: int
    last: int


def span(path: Path, damaged: Damaged) -> Span | None:
    """Look at all samples (see `dsi.ftdc.files`); None where there is none.

    Raises:
        NoDiagnosticData: there are no files.
    """
    times: list[int] = []
    names: set[str] = set()
    chunks = 0
    for chunk in read(path, damaged):
        times += chunk.times_ms.tolist()
        names.update(chunk.names)
        chunks += 1
    if not times:
        return None
    steps = np.diff(np.array(times, np.int64))
    period_ms = int(np.median(steps)) if steps.size else 0
    odd = np.flatnonzero((steps < 0) | (steps > GAP * period_ms))
    gaps = tuple(Gap(times[at], times[at + 1]) for at in odd.tolist())
    return Span(len(times), chunks, len(names), times[0], times[-1], period_ms, gaps)


def servers(path: Path) -> list[str]:
    """Give the servers that wrote these files (see `dsi.ftdc.files`): `MongoDB 6.0.5 on HOST`, each once.

    HOST has its port, unless that is 27017.

    Raises:
        NoDiagnosticData: there are no files.
    """
    lost: list[Damage] = []
    told = (_server(each.document) for each in metadata(path, lost.append) if not each.periodic)
    return list(dict.fromkeys(server for server in told if server))


def _server(document: Mapping[str, Any]) -> str:
    """Say which server it was, as far as the document has it; with a sharded cluster of 8.0 it is one level deeper."""
    inside = {name: value for part in (document, document.get("common")) for name, value in _mapping(part).items()}
    version = _mapping(inside.get("buildInfo")).get("version")
    host = _mapping(_mapping(inside.get("hostInfo")).get("system")).get("hostname")
    return f"MongoDB {version or '?'} on {host or '?'}" if version or host else ""


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def ranges(path: Path, wanted: Collection[str], damaged: Damaged) -> dict[str, Range]:
    """Give the range of each of these metrics, in their order.

    Raises:
        NoDiagnosticData: there are no files.
    """
    found: dict[str, Range] = {}
    for chunk in read(path, damaged):
        for name in wanted:
            if name in chunk:
                column = chunk.column(name)
                here = Range(int(column.min()), int(column.max()), int(column[-1]))
                found[name] = _joined(found.get(name, here), here)
    return {name: found[name] for name in wanted if name in found}


def _joined(before: Range, here: Range) -> Range:
    return Range(min(before.least, here.least), max(before.greatest, here.greatest), here.last)
