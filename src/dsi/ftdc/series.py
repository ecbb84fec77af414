"""Some metrics over the whole time."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dsi.ftdc.chunk import Values
from dsi.ftdc.damage import Damaged, warn
from dsi.ftdc.folder import read


@dataclass(frozen=True)
class Series:
    """One metric: `times_ms` since the epoch, by the server's clock, and a value for each."""

    times_ms: Values
    values: Values


def series(path: Path, wanted: Collection[str], damaged: Damaged = warn) -> Mapping[str, Series]:
    """Give these metrics from diagnostic data (see `dsi.ftdc.files`); one that never was there is left out.

    The metrics that a server has change with time (it becomes a primary, say): a series has only the times when it was
    there. A name also finds what has a role of MongoDB 8.0 before it (`shard.serverStatus.uptime`).

    Raises:
        NoDiagnosticData: there are no files.
    """
    parts: dict[str, list[Series]] = {}
    for chunk in read(path, damaged):
        for name in wanted:
            if (found := chunk.find(name)) is not None:
                parts.setdefault(name, []).append(Series(chunk.times_ms, chunk.column(found)))
    return {name: _joined(parts[name]) for name in wanted if name in parts}


def _joined(parts: list[Series]) -> Series:
    return Series(np.concatenate([part.times_ms for part in parts]), np.concatenate([part.values for part in parts]))
