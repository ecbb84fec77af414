"""`perf.json`, in the original DSI's form, and `metrics.jsonl` beside it, which says more of each number.

    {"results": [{"name", "workload", "start", "end",
                  "results": {"<threads>": {"ops_per_sec": mean, "ops_per_sec_values": [...], ...}}}],
     "storageEngine"}

docs/results.md describes both.
"""

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import structlog

from dsi.parsers import OPS_PER_SEC, Metric
from dsi.report.folder import writing
from dsi.whole_file import write_whole

log = structlog.get_logger()

VERSION: Final = 1
"""Of the form of a line of metrics.jsonl, which has it as `version`."""

PERF_JSON: Final = "perf.json"
METRICS: Final = "metrics.jsonl"


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """When something was measured, and by what: the test's id and type; begin and end in seconds since the epoch."""

    test: str
    type: str
    start_s: float
    end_s: float


class PerfFiles:
    """The two files of a task, in its reports folder and, as the original had them, in the work directory.

    They are written after each test, perf.json in one go: what was measured is there if dsi dies.
    """

    def __init__(self, folders: Sequence[Path], *, storage_engine: str) -> None:
        self._folders = folders
        self._storage_engine = storage_engine
        self._results: list[dict[str, Any]] = []

    def begin(self) -> None:
        """Begin anew: what an earlier task has left in the work directory is not of this one.

        Raises:
            ReportError: the files can't be written.
        """
        for folder in self._folders:
            with writing(folder / METRICS):
                write_whole(folder / METRICS, b"")
        self._write()

    def resume(self) -> None:
        """Go on with the files of a dsi that was killed."""
        path = self._folders[0] / PERF_JSON
        try:
            results = json.loads(path.read_text(encoding="utf-8"))["results"]
            self._results = [result for result in results if isinstance(result["results"], dict) and result["name"]]
        except (OSError, ValueError, KeyError, TypeError) as problem:
            log.warning(f"{path} can't be read: it begins anew", error=repr(problem))

    def add(self, measurement: Measurement, metrics: Sequence[Metric]) -> None:
        """Add what a test has measured.

        Raises:
            ReportError: the files can't be written.
        """
        merge(self._results, measurement, metrics)
        text = "".join(f"{json.dumps(line, allow_nan=False)}\n" for line in lines_of(measurement, metrics))
        for folder in self._folders:
            with writing(folder / METRICS), (folder / METRICS).open("a", encoding="utf-8") as file:
                file.write(text)
        self._write()

    def _write(self) -> None:
        content = {"results": self._results, "storageEngine": self._storage_engine}
        text = json.dumps(content, indent=4, sort_keys=True, allow_nan=False)
        for folder in self._folders:
            with writing(folder / PERF_JSON):
                write_whole(folder / PERF_JSON, f"{text}\n".encode())


def merge(results: list[dict[str, Any]], measurement: Measurement, metrics: Iterable[Metric]) -> None:
    """Put metrics in their places: the same name, threads and key again is one more value, and the mean is of all."""
    by_name = {result["name"]: result for result in results}
    for metric in metrics:
        if not metric.in_perf_json:
            continue
        if (result := by_name.get(metric.name)) is None:
            result = by_name[metric.name] = {
                "name": metric.name,
                "workload": measurement.type,
                "start": measurement.start_s,
                "end": measurement.end_s,
                "results": {},
            }
            results.append(result)
        place = result["results"].setdefault(str(metric.threads), {})
        values = place.setdefault(f"{metric.key}_values", [])
        values.append(value_in_perf_json(metric))
        place[metric.key] = math.fsum(values) / len(values)


def value_in_perf_json(metric: Metric) -> float:
    """Give the number as perf.json has it: under `ops_per_sec` higher is better, so what should be low is negative."""
    return -metric.value if metric.key == OPS_PER_SEC and metric.better == "lower" else metric.value


def lines_of(measurement: Measurement, metrics: Iterable[Metric]) -> Iterable[dict[str, Any]]:
    """Give the lines of metrics.jsonl."""
    of_test = {"test": measurement.test, "type": measurement.type}
    when = {"start": measurement.start_s, "end": measurement.end_s}
    for metric in metrics:
        yield {"version": VERSION, **of_test, **asdict(metric), **when}
