"""LinkBench: its file of statistics (`-csvstats`), and the log where there is none."""

import re
from collections.abc import Iterator

from dsi.parsers.documents import csv_rows
from dsi.parsers.lines import Lines
from dsi.parsers.metric import Found, Metric, PassedOver
from dsi.parsers.numbers import count, number
from dsi.parsers.output import Output, Parser, files_then_log

_OPERATION = re.compile(r"(?:.{0,200}?\s)?([A-Z][A-Z_]{3,40}) count = \d+ .{0,600}?mean = ([\d.,]{1,30})ms")
_RANGE = re.compile(r"p(\d{2}) = \[([\d.]{1,20}),([\d.]{1,20})\]ms")
_DONE = re.compile(r"PHASE COMPLETED\..{0,200}?(Requests|Links)/second = ([\d.,]{1,30})")


def parse(output: Output) -> Iterator[Found]:
    """Give each operation's mean latency as `OPERATION_ms`, and of requests the rate that follows from it."""
    yield from files_then_log(output, lambda lines: _read(output.test, lines))


def _read(test: str, lines: Lines) -> Iterator[Found]:
    has_table = False
    for row in csv_rows(lines, "op", "mean", "threads"):
        try:
            if (mean := number(row["mean"])) > 0:  # an operation that did not happen has 0
                has_table = True
                yield from _metrics(row["op"][:200], mean, count(row["threads"]), _ranges_of(row))
        except ValueError as problem:
            yield PassedOver(lines.where(), f"{row['op'][:200]}: {problem}")
    if not has_table:
        yield from _of_log(test, lines)


def _ranges_of(row: dict[str, str]) -> dict[float, float]:
    """Give the upper end of the range that LinkBench names for each percentile; it keeps no better."""
    return {
        number(column[1:-5]): number(value) for column, value in row.items() if re.fullmatch(r"p\d{1,2}_high", column)
    }


def _metrics(operation: str, mean_ms: float, threads: int, percentiles: dict[float, float]) -> Iterator[Metric]:
    yield Metric(name=f"{operation}_ms", value=mean_ms, unit="ms", better="lower", threads=threads, statistic="mean")
    if not operation.startswith("LOAD_"):  # of one thread
        yield Metric(name=operation, value=1000 / mean_ms, unit="ops/s", threads=threads)
    for percentile, value in percentiles.items():
        yield Metric(
            name=f"{operation}_ms",
            value=value,
            unit="ms",
            better="lower",
            threads=threads,
            key=f"{percentile:g}th_latency_ms",
            statistic="percentile",
            percentile=percentile,
            in_perf_json=False,
        )


def _of_log(test: str, lines: Lines) -> Iterator[Found]:
    for line in lines:
        if len(line) > 2000:
            continue
        try:
            if " count = " in line and (operation := _OPERATION.match(line)):
                mean = number(operation[2])
                if mean > 0:
                    ranges = {float(percentile): number(high) for percentile, _, high in _RANGE.findall(line)}
                    yield from _metrics(operation[1], mean, 1, ranges)
            elif "PHASE COMPLETED" in line and (done := _DONE.search(line)):
                yield Metric(name=f"{test}_{done[1].lower()}_per_sec", value=number(done[2]), unit="ops/s")
        except ValueError as problem:
            yield PassedOver(lines.where(), str(problem))


PARSER = Parser(parse, looked_for="LinkBench's statistics (`-csvstats FILE` and `output_files: [FILE]`)")
