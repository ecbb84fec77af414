"""What a parser finds."""

from dataclasses import dataclass
from typing import Final, Literal

Better = Literal["higher", "lower"]

OPS_PER_SEC: Final = "ops_per_sec"
"""The key of perf.json that every reader of it knows. Higher is better there, whatever it is: see `report.perf`."""


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One number that a benchmark gave, as it gave it.

    `name`, `threads` and `key` are its place in perf.json; what is not `in_perf_json` stands in metrics.jsonl alone.
    `unit`: "ops/s", "us", "ms", "bits/s" …; empty where the tool doesn't say. `statistic` says what was made of many
    measurements: "rate", "mean", "percentile" (which: `percentile`, 0 to 100), "min", "max", "stddev", "total".
    """

    name: str
    value: float
    unit: str
    better: Better = "higher"
    threads: int = 1
    key: str = OPS_PER_SEC
    statistic: str = "rate"
    percentile: float | None = None
    in_perf_json: bool = True


@dataclass(frozen=True)
class PassedOver:
    """Something that looks like a result and can't be read as one: where it stands, and why not."""

    where: str
    why: str

    def __str__(self) -> str:
        """Give both, in one line."""
        return f"{self.where}: {self.why}"


Found = Metric | PassedOver
