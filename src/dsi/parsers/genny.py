"""genny: the JSON of `genny-metrics-legacy-report`, or the metrics that it is made of (`-m cedar-csv`)."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from dsi.parsers.documents import entries, json_documents, objects
from dsi.parsers.lines import Lines
from dsi.parsers.metric import OPS_PER_SEC, Found, Metric, PassedOver
from dsi.parsers.numbers import count, number_in
from dsi.parsers.output import Output, Parser

_COLUMNS = "timestamp,actor,thread,operation,duration,"
_MOST_OPERATIONS = 10_000


def parse(output: Output) -> Iterator[Found]:
    """Give each operation's rate under its own name: `ACTOR-OPERATION` where it is made of the metrics themselves.

    The report is taken where there is one; the metrics it was made of say the same.
    """
    for read in (_of_report, _of_metrics):
        found_any = False
        for lines in output.sources():
            for found in read(lines):
                found_any = found_any or isinstance(found, Metric)
                yield found
        if found_any:
            return


def _of_report(lines: Lines) -> Iterator[Found]:
    for document in json_documents(lines):
        if isinstance(document, PassedOver):
            yield document
            continue
        where, content = document
        for result in objects(content.get("results") if isinstance(content, dict) else None):
            yield from _of_result(where, result)


def _of_result(where: str, result: dict[str, Any]) -> Iterator[Found]:
    name = str(result.get("name", ""))[:500]
    for threads, values in entries(result.get("results")):
        try:
            value = number_in(values, OPS_PER_SEC)
            better, unit = ("lower", "") if value < 0 else ("higher", "ops/s")
            yield Metric(name=name, value=abs(value), unit=unit, better=better, threads=count(threads))  # type: ignore[arg-type]
        except ValueError as problem:
            yield PassedOver(where, f"{name}: {problem}")


@dataclass
class _Operation:
    """What one operation of an actor did. Times are in nanoseconds."""

    rows: int = 0
    first_ns: int = 0
    last_ns: int = 0
    busy_ns: int = 0
    threads: set[str] = field(default_factory=set)

    def add(self, end_ns: int, thread: str, duration_ns: int) -> None:
        begin_ns = end_ns - duration_ns
        self.first_ns = min(self.first_ns, begin_ns) if self.rows else begin_ns
        self.last_ns = max(self.last_ns, end_ns)
        self.rows += 1
        self.busy_ns += duration_ns
        self.threads.add(thread)


def _of_metrics(lines: Lines) -> Iterator[Found]:
    operations: dict[tuple[str, str], _Operation] = {}
    begun, unreadable = False, 0
    for line in lines:
        if not begun:
            begun = line.replace(" ", "").startswith(_COLUMNS)
            continue
        fields = line.split(",", 5)
        try:
            end_ns, duration_ns = int(fields[0]), int(fields[4])
        except (ValueError, IndexError):
            unreadable += bool(line.strip())
            continue
        name = (fields[1].strip(), fields[3].strip())
        if name not in operations and len(operations) >= _MOST_OPERATIONS:
            continue
        operations.setdefault(name, _Operation()).add(end_ns, fields[2].strip(), duration_ns)
    if unreadable:
        yield PassedOver(lines.name, f"{unreadable:,} lines are no rows of genny's metrics")
    for (actor, operation), done in operations.items():
        yield from _rates(f"{actor}-{operation}", done)


def _rates(name: str, done: _Operation) -> Iterator[Metric]:
    threads, took_ns = len(done.threads), done.last_ns - done.first_ns
    if took_ns > 0:
        yield Metric(name=name, value=done.rows / took_ns * 1e9, unit="ops/s", threads=threads)
        yield Metric(
            name=name,
            value=done.busy_ns / done.rows,
            unit="ns",
            better="lower",
            threads=threads,
            key="average_latency_ns",
            statistic="mean",
            in_perf_json=False,
        )


PARSER = Parser(
    parse,
    looked_for="genny-perf.json (of `genny-metrics-legacy-report`) or metrics of `-m cedar-csv`, as output_files",
)
