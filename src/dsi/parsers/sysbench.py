"""sysbench: its text, and the JSON that the Lua scripts of MongoDB's benchmarks print between two marks."""

import json
import re
from collections.abc import Iterator
from typing import Any

from dsi.parsers.lines import Lines
from dsi.parsers.metric import Found, Metric, PassedOver
from dsi.parsers.numbers import count, number, number_in
from dsi.parsers.output import Output, Parser, log_then_files

_MARK = re.compile(r"--- sysbench json (options|results) (start|end) ---")
_PERCENTILE = re.compile(r"latency_(\d{1,2}(?:\.\d{1,3})?)_")
_NUMBER = r"([\d.]{1,30})"
_RATES = {
    re.compile(rf"\s*events per second:\s*{_NUMBER}\s*"): ("events_per_sec", "ops/s"),
    re.compile(rf"\s*transactions:\s*\d+\s*\({_NUMBER} per sec\.\)\s*"): ("transactions_per_sec", "ops/s"),
    re.compile(rf"\s*queries:\s*\d+\s*\({_NUMBER} per sec\.\)\s*"): ("queries_per_sec", "ops/s"),
    re.compile(rf"\s*Total operations:\s*\d+\s*\(\s*{_NUMBER} per second\)\s*"): ("operations_per_sec", "ops/s"),
    re.compile(rf"\s*[\d.]+ MiB transferred \({_NUMBER} MiB/sec\)\s*"): ("mib_per_sec", "MiB/s"),
    re.compile(rf"\s*reads/s:\s*{_NUMBER}\s*"): ("reads_per_sec", "ops/s"),
    re.compile(rf"\s*writes/s:\s*{_NUMBER}\s*"): ("writes_per_sec", "ops/s"),
    re.compile(rf"\s*fsyncs/s:\s*{_NUMBER}\s*"): ("fsyncs_per_sec", "ops/s"),
    re.compile(rf"\s*read, MiB/s:\s*{_NUMBER}\s*"): ("read_mib_per_sec", "MiB/s"),
    re.compile(rf"\s*written, MiB/s:\s*{_NUMBER}\s*"): ("written_mib_per_sec", "MiB/s"),
    # fileio of 1.1: `read:  IOPS=1857.00 29.02 MiB/s (30.43 MB/s)`
    re.compile(rf"\s*read:\s*IOPS={_NUMBER} .*"): ("reads_per_sec", "ops/s"),
    re.compile(rf"\s*write:\s*IOPS={_NUMBER} .*"): ("writes_per_sec", "ops/s"),
    re.compile(rf"\s*fsync:\s*IOPS={_NUMBER}\s*"): ("fsyncs_per_sec", "ops/s"),
    re.compile(rf"\s*read:\s*IOPS=[\d.]+ {_NUMBER} MiB/s .*"): ("read_mib_per_sec", "MiB/s"),
    re.compile(rf"\s*write:\s*IOPS=[\d.]+ {_NUMBER} MiB/s .*"): ("written_mib_per_sec", "MiB/s"),
}
_THREADS = re.compile(r"\s*Number of threads:\s*(\d{1,9})\s*")
_TOTAL_TIME = re.compile(rf"\s*(?:total time|time elapsed):\s*{_NUMBER}s\s*")
"""The second is that of 1.1."""
_TOTAL_EVENTS = re.compile(r"\s*total number of events:\s*(\d{1,18})\s*")
_LATENCY = re.compile(
    rf"\s*(?:approx\.\s{{1,9}})?(min|avg|max|(\d{{1,2}})(?:st|nd|rd|th)? percentile):\s*{_NUMBER}(?:ms)?\s*"
)
_BEGINS = ("LuaJIT", "multi-threaded system evaluation benchmark")
_LATENCIES = ("Latency (ms)", "response time:", "per-request statistics:")
"""The second of each, and the third, are those of 0.4 and 0.5."""

_LONGEST = 200
"""No line of sysbench's report is longer."""


def parse(output: Output) -> Iterator[Found]:
    """Give each number as `TEST_NAME`: `TEST_reads_per_sec`, `TEST_latency_95_ms`."""
    yield from log_then_files(output, lambda lines: _read(output.test, lines))


def _read(test: str, lines: Lines) -> Iterator[Found]:
    text, marked = _Text(test), _Marked(test)
    for line in lines:
        if "--- sysbench json" in line and (mark := _MARK.search(line)):
            yield from marked.at(mark[1], mark[2], lines.where())
        elif marked.section:
            marked.add(line)
        elif len(line) <= _LONGEST:
            yield from text.line(line)
    yield from text.end()
    if marked.section:
        yield PassedOver(lines.where(), f"the {marked.section} of sysbench are cut off")


class _Marked:
    """The JSON between marks: options, of which threads is one; then results."""

    def __init__(self, test: str) -> None:
        self.section = ""
        self._test = test
        self._threads = 1
        self._lines: list[str] = []

    def add(self, line: str) -> None:
        if sum(map(len, self._lines)) < 1 << 20:
            self._lines.append(line)

    def at(self, section: str, what: str, where: str) -> Iterator[Found]:
        if what == "end" and self.section == section:
            try:
                yield from self._read(section, json.loads("\n".join(self._lines)))
            except (ValueError, RecursionError) as problem:
                yield PassedOver(where, f"the {section} of sysbench can't be read: {problem}")
        self.section = section if what == "start" else ""
        self._lines = []

    def _read(self, section: str, content: Any) -> Iterator[Found]:
        if not isinstance(content, dict):
            raise ValueError("they are no JSON object")
        if section == "options":
            self._threads = count(str(content.get("threads", 1)))
            return
        for name in content:
            try:
                yield self._metric(str(name)[:200], number_in(content, name))
            except ValueError as problem:
                yield PassedOver("sysbench's results", f"{str(name)[:200]}: {problem}")

    def _metric(self, name: str, value: float) -> Metric:
        percentile = _PERCENTILE.match(name)
        is_latency = "latency" in name
        return Metric(
            name=f"{self._test}_{name}",
            value=value,
            unit=("ms" if name.endswith("_ms") else "") if is_latency else "ops/s" if name.endswith("per_sec") else "",
            better="lower" if is_latency else "higher",
            threads=self._threads,
            statistic=("percentile" if percentile else "mean") if is_latency else "rate",
            percentile=number(percentile[1]) if percentile else None,
        )


class _Text:
    """sysbench's own report, line by line; several runs may follow each other."""

    def __init__(self, test: str) -> None:
        self._test = test
        self._begin()

    def _begin(self) -> None:
        self._threads = 1
        self._has_rate = self._in_latency = False
        self._took_s = self._events = 0.0

    def line(self, line: str) -> Iterator[Found]:
        if line.startswith("sysbench ") and any(words in line for words in _BEGINS):
            yield from self.end()
            self._begin()
        elif threads := _THREADS.fullmatch(line):
            self._threads = max(int(threads[1]), 1)
        elif line.strip().startswith(_LATENCIES):
            self._in_latency = True
        elif self._in_latency:
            yield from self._latency(line)
        elif ":" in line or "MiB" in line:
            yield from self._rate(line)

    def end(self) -> Iterator[Found]:
        """Give the rate of a run that printed none: `threads` and `mutex` say how long so many events took."""
        if not self._has_rate and self._took_s and self._events:
            yield self._metric("events_per_sec", self._events / self._took_s, "ops/s")

    def _rate(self, line: str) -> Iterator[Found]:
        for pattern, (name, unit) in _RATES.items():
            if rate := pattern.fullmatch(line):
                yield from self._number(name, rate[1], unit)
        if took := _TOTAL_TIME.fullmatch(line):
            self._took_s = float(took[1]) if took[1].count(".") <= 1 and took[1] != "." else 0.0
        elif events := _TOTAL_EVENTS.fullmatch(line):
            self._events = float(events[1])

    def _number(self, name: str, text: str, unit: str) -> Iterator[Found]:
        try:
            yield self._metric(name, number(text), unit)
            self._has_rate = True
        except ValueError as problem:
            yield PassedOver("sysbench's report", f"{name}: {problem}")

    def _latency(self, line: str) -> Iterator[Found]:
        if not (latency := _LATENCY.fullmatch(line)):
            self._in_latency = bool(line.strip())
            return
        which, percentile, value = latency.groups()
        try:
            yield Metric(
                name=f"{self._test}_latency_{percentile or which}_ms",
                value=number(value),
                unit="ms",
                better="lower",
                threads=self._threads,
                statistic="percentile" if percentile else {"avg": "mean"}.get(which, which),
                percentile=float(percentile) if percentile else None,
                in_perf_json=which not in ("min", "max"),
            )
        except ValueError as problem:
            yield PassedOver("sysbench's report", f"latency {which}: {problem}")

    def _metric(self, name: str, value: float, unit: str) -> Metric:
        return Metric(name=f"{self._test}_{name}", value=value, unit=unit, threads=self._threads)


PARSER = Parser(parse, looked_for="sysbench's report (`events per second:`, `transactions:`, `Latency (ms):` …)")
