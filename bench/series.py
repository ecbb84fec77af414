"""Samples with a name, and the table that compares them."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Comparison:
    """How dsi's samples relate to those of a floor taken in turn with them; all in seconds.

    `goal` is the ratio of the medians that dsi wants to stay at or below.
    """

    what: str
    floor: str
    dsi_s: Sequence[float]
    floor_s: Sequence[float]
    goal: float

    @property
    def ratio(self) -> float:
        """The ratio of the medians."""
        return statistics.median(self.dsi_s) / statistics.median(self.floor_s)

    @property
    def met(self) -> bool:
        """Whether the goal is met."""
        return self.ratio <= self.goal


HEAD = ("what", "compared with", "n", "dsi p50", "p90", "floor p50", "p90", "ratio", "goal", "")


def table(comparisons: Sequence[Comparison]) -> str:
    """Give a text table; times in milliseconds."""
    rows = [HEAD, *(_row(comparison) for comparison in comparisons)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    return "\n".join(_line(row, widths) for row in rows)


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = [
        cell.ljust(width) if column < 2 else cell.rjust(width)
        for column, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]
    return "  ".join(cells).rstrip()


def _row(comparison: Comparison) -> tuple[str, ...]:
    return (
        comparison.what,
        comparison.floor,
        str(len(comparison.dsi_s)),
        *(_milliseconds(value) for samples in (comparison.dsi_s, comparison.floor_s) for value in _p50_p90(samples)),
        f"{comparison.ratio:.2f}",
        f"{comparison.goal:.2f}",
        "met" if comparison.met else "MISSED",
    )


def _p50_p90(samples: Sequence[float]) -> tuple[float, float]:
    ordered = sorted(samples)
    return statistics.median(ordered), ordered[min(len(ordered) * 9 // 10, len(ordered) - 1)]


def _milliseconds(value_s: float) -> str:
    return f"{value_s * 1000:.{1 if value_s < 1 else 0}f} ms"
