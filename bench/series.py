"""Samples with a name, and the table that compares them."""

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass


def milliseconds(value_s: float) -> str:
    """Show a time as one."""
    return f"{value_s * 1000:.{3 if value_s < 0.001 else 1 if value_s < 1 else 0}f} ms"


def rate(unit: str) -> Callable[[float], str]:
    """Give what shows the time that one of something took as how many came in a second."""
    return lambda value_s: f"{1 / value_s:,.0f}{unit}/s"


@dataclass(frozen=True)
class Comparison:
    """How dsi's samples relate to those of a floor taken in turn with them; all in seconds.

    `goal` is the ratio of the medians that dsi wants to stay at or below; without one they are only shown. `shown` is
    how a sample is; the ratio is always that of times.
    """

    what: str
    floor: str
    dsi_s: Sequence[float]
    floor_s: Sequence[float]
    goal: float = math.inf
    shown: Callable[[float], str] = milliseconds

    @property
    def ratio(self) -> float:
        """The ratio of the medians."""
        return statistics.median(self.dsi_s) / statistics.median(self.floor_s)

    @property
    def met(self) -> bool:
        """Whether the goal is met."""
        return self.ratio <= self.goal


HEAD = ("what", "compared with", "n", "dsi p50", "p99", "floor p50", "p99", "ratio", "goal", "")


def table(comparisons: Sequence[Comparison]) -> str:
    """Give a text table."""
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
        *(
            comparison.shown(time_s)
            for samples in (comparison.dsi_s, comparison.floor_s)
            for time_s in _p50_p99(samples)
        ),
        _ratio(comparison.ratio),
        *(
            ("", "")
            if comparison.goal == math.inf
            else (_ratio(comparison.goal), "met" if comparison.met else "MISSED")
        ),
    )


def _ratio(value: float) -> str:
    return f"{value:.{2 if value > 0.1 else 3}f}"


def _p50_p99(samples: Sequence[float]) -> tuple[float, float]:
    """Give both; of fewer than 100 samples the largest stands for the second."""
    ordered = sorted(samples)
    return statistics.median(ordered), ordered[len(ordered) * 99 // 100]
