"""YCSB's summary: `[READ], 99thPercentileLatency(us), 3000`, or the same as JSON."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from dsi.parsers.lines import Lines
from dsi.parsers.metric import OPS_PER_SEC, Found, Metric, PassedOver
from dsi.parsers.numbers import count, number
from dsi.parsers.output import Output, Parser, log_then_files

_RESULT = re.compile(r"\s*\[([A-Za-z0-9_-]{1,64})\], ([^,]{1,64}), (\S+)\s*")
_FIELD = re.compile(r'"(metric|measurement|value)"\s*:\s*(?:"([^"]{1,64})"|([^\s",}\]]{1,100}))')
_THREADS = re.compile(r"\s-(?:threads|p\s*threadcount)[ =](\d{1,9})(?=\s|$)")
_LATENCY = re.compile(r"(Average|Min|Max|([\d.]{1,9})(?:st|nd|rd|th)?Percentile)Latency\((ns|us|ms)\)")
_TO_US = {"ns": 0.001, "us": 1.0, "ms": 1000.0}
_STATISTICS = {"Average": "mean", "Min": "min", "Max": "max"}


def parse(output: Output) -> Iterator[Found]:
    """Read the summaries of one run or more; each begins with YCSB's `Command line:`, which has the threads.

    A summary that YCSB wrote to a file (`exportfile`) doesn't say the threads: then the log does.
    """
    yield from log_then_files(output, lambda lines: _read(output, lines))


def _read(output: Output, lines: Lines) -> Iterator[Found]:
    threads = 1 if lines is output.log else _last_threads(output.log)
    run = _Run()
    fields: dict[str, str] = {}
    for line in lines:
        if _begins_a_run(line):
            yield from run.end()
            run, threads = _Run(), _threads_of(line)
        for operation, what, value in _results_in(line, fields):
            try:
                for metric in _metrics(output.test, operation, what, value, threads):
                    run.add(metric, lines)
                    yield metric
            except ValueError as problem:
                yield PassedOver(lines.where(), f"[{operation}], {what}: {problem}")
    yield from run.end()


def _results_in(line: str, fields: dict[str, str]) -> Iterator[tuple[str, str, str]]:
    """Give operation, measurement and value of a line of text, or of each JSON object that comes to its end in it.

    The exporters for JSON write objects one after another, in an array or with nothing but a space between, and each
    field in a line of its own. `fields` are those that were seen of an object.
    """
    if "], " in line and (result := _RESULT.fullmatch(line)):
        yield result[1], result[2], result[3]
    elif '"' in line:
        for name, text, plain in _FIELD.findall(line):
            if name == "metric":
                fields.clear()
            fields[name] = text or plain
            if name == "value" and len(fields) == len(("metric", "measurement", "value")):
                yield fields["metric"], fields["measurement"], fields["value"]
                fields.clear()


@dataclass
class _Run:
    """What was seen of one run's summary. `where`: its last line; empty until there is one."""

    where: str = ""
    has_throughput: bool = False

    def add(self, metric: Metric, lines: Lines) -> None:
        self.where = lines.where()
        self.has_throughput = self.has_throughput or metric.key == OPS_PER_SEC

    def end(self) -> Iterator[PassedOver]:
        if self.where and not self.has_throughput:
            why = "the summary that ends here has no `[OVERALL], Throughput(ops/sec)`, so its main result is missing"
            yield PassedOver(self.where, why)


def _begins_a_run(line: str) -> bool:
    return "ycsb.Client" in line or line.lstrip().startswith("Command line:")


def _threads_of(line: str) -> int:
    found = _THREADS.search(line)
    try:
        return count(found[1]) if found else 1
    except ValueError:
        return 1


def _last_threads(log: Lines) -> int:
    threads = 1
    for line in log:
        if _begins_a_run(line):
            threads = _threads_of(line)
    return threads


def _metrics(test: str, operation: str, what: str, text: str, threads: int) -> Iterator[Metric]:
    if operation == "OVERALL":
        if what == "Throughput(ops/sec)":
            yield Metric(name=test, value=number(text), unit="ops/s", threads=threads)
        elif what == "RunTime(ms)":
            yield Metric(
                name=test,
                value=number(text),
                unit="ms",
                better="lower",
                threads=threads,
                key="run_time_ms",
                statistic="total",
                in_perf_json=False,
            )
    elif latency := _LATENCY.fullmatch(what):
        yield _latency(test, operation, latency, number(text), threads)


def _latency(test: str, operation: str, latency: re.Match[str], value: float, threads: int) -> Metric:
    """Give a latency under the key that perf.json has had for it: `95th_read_latency_us`, `average_read_latency_us`."""
    kind, percentile, unit = latency.groups()
    prefix = f"{percentile}th" if percentile else kind.lower()
    return Metric(
        name=test,
        value=value * _TO_US[unit],
        unit="us",
        better="lower",
        threads=threads,
        key=f"{prefix}_{operation.lower()}_latency_us",
        statistic=_STATISTICS.get(kind, "percentile"),
        percentile=number(percentile) if percentile else None,
        in_perf_json=kind not in ("Min", "Max") and operation != "CLEANUP" and not operation.endswith("FAILED"),
    )


PARSER = Parser(parse, looked_for="YCSB's summary, lines like `[OVERALL], Throughput(ops/sec), VALUE`")
