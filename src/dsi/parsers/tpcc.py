"""py-tpcc: the table at its end, and the line with TpmC that its MongoDB driver adds."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from dsi.parsers.lines import Lines
from dsi.parsers.metric import Found, Metric, PassedOver
from dsi.parsers.numbers import count, number
from dsi.parsers.output import Output, Parser, files_then_log

_DURATION = re.compile(r"\s*(?:Execution )?Results after (\d{1,9}) seconds")
_THREADS = re.compile(r"\s*Threads:\s+(\d{1,9})\b")
_TPMC = re.compile(
    r"TpmC for (?:(?:normal|denorm) )?(\d{1,9}) thr .{0,80}?WH: (\d{1,12}) (\d{1,12}) total (\d{1,9}) durSec"
)
_ROW = re.compile(r"\s{1,8}([A-Z][A-Z_]{2,40})\s+(\d{1,15})\s+([\d.]{1,30})\s+(\S.{0,400})")
_PERCENTILES = ("p50", "p75", "p90", "p95", "p99")


@dataclass(frozen=True)
class _Run:
    """How far the reading has come. `columns` are those of the table that has begun."""

    threads: int = 1
    duration_s: float = 0.0
    columns: tuple[str, ...] = ()
    final: bool = False
    """`Final Results` was seen: a table before that is of the time until then."""


def parse(output: Output) -> Iterator[Found]:
    """Give new orders per second under the test's id; in metrics.jsonl TpmC, each transaction's rate and latencies."""
    yield from files_then_log(output, lambda lines: _read(output.test, lines))


def _read(test: str, lines: Lines) -> Iterator[Found]:
    run = _Run()
    for line in lines:
        if len(line) > 1000:
            continue
        run = _further(run, line)
        try:
            if run.columns and (row := _ROW.match(line)):
                yield from _of_row(test, run, row)
            elif "TpmC for" in line and (tpmc := _TPMC.search(line)):
                yield _tpmc(test, tpmc)
        except ValueError as problem:
            yield PassedOver(lines.where(), str(problem))


def _further(run: _Run, line: str) -> _Run:
    if "Final Results" in line:
        return _Run(final=True)
    if threads := _THREADS.match(line):
        return replace(run, threads=count(threads[1]) if int(threads[1]) else 1)
    if duration := _DURATION.match(line):
        return replace(run, duration_s=number(duration[1]), columns=())
    if "Executed" in line or "Complete" in line:
        columns = tuple(line.replace("Time (", "Time_(").split())
        return replace(run, columns=columns) if columns[0] in ("Executed", "Complete") else run
    return run


def _of_row(test: str, run: _Run, row: re.Match[str]) -> Iterator[Metric]:
    transaction, done, busy, rest = row.groups()
    if run.columns[-1] == "Rate":  # of one thread, while it was busy with such a transaction
        rate = number(rest.split()[0]) * run.threads
    else:
        rate = number(done) / run.duration_s if run.duration_s else 0.0
    if transaction == "NEW_ORDER":
        yield Metric(name=test, value=rate, unit="ops/s", threads=run.threads)
    yield Metric(name=f"{test}_{transaction}", value=rate, unit="ops/s", threads=run.threads, in_perf_json=False)
    values = dict(zip(run.columns, [done, busy, *rest.split()], strict=False))
    for percentile in _PERCENTILES:
        if percentile in values:
            yield Metric(
                name=f"{test}_{transaction}",
                value=number(values[percentile]),
                unit="ms",
                better="lower",
                threads=run.threads,
                key=f"{percentile[1:]}th_latency_ms",
                statistic="percentile",
                percentile=number(percentile[1:]),
                in_perf_json=False,
            )


def _tpmc(test: str, tpmc: re.Match[str]) -> Metric:
    threads = count(tpmc[1])
    return Metric(name=f"{test}_tpmC", value=number(tpmc[2]), unit="1/min", threads=threads, in_perf_json=False)


PARSER = Parser(parse, looked_for="py-tpcc's table (`Results after N seconds`) with a row NEW_ORDER")
