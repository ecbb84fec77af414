"""Locust: its file of statistics (`--csv`), its JSON (`--json`, `--json-file`), and the table of its log."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from dsi.parsers.documents import csv_rows, json_documents, objects
from dsi.parsers.lines import Lines
from dsi.parsers.metric import Found, Metric, PassedOver
from dsi.parsers.numbers import count, number, number_in
from dsi.parsers.output import Output, Parser

_USERS = re.compile(r"All users spawned: .{0,2000}\((\d{1,9}) total users\)")
_PERCENTILE = re.compile(r"(\d{1,2}(?:\.\d{1,4})?)%")
_IN_PERF_JSON = (50.0, 95.0, 99.0)
_ROW = re.compile(
    r"(\S{0,40})\s+(\S.{0,200}?)\s+(\d+)\s+(\d+)\([\d.]+%\)\s+\|\s+([\d.]+)\s+([\d.]+)\s+([\d.]+)\s+([\d.]+)\s+\|"
    r"\s+([\d.]+)\s+([\d.]+)\s*"
)
_HEAD = re.compile(r"Type\s+Name\s+# reqs\s+# fails \|.*")


@dataclass
class _Entry:
    """One kind of request, or all of them (`name` is empty then). Times are in milliseconds."""

    name: str
    per_s: float
    failures_per_s: float
    mean_ms: float
    percentiles: dict[float, float] = field(default_factory=dict)


def parse(output: Output) -> Iterator[Found]:
    """Give all requests under the test's id, each kind as `TEST_METHOD_NAME`: rate, mean, percentiles.

    The statistics as CSV are taken where there are some, else JSON, else the table of the log.
    """
    users = _users(output.log)
    for read in (_of_csv, _of_json, _of_table):
        found_any = False
        for lines in output.sources():
            for found in read(lines):
                if isinstance(found, _Entry):
                    found_any = True
                    yield from _metrics(output.test, found, users)
                else:
                    yield found
        if found_any:
            return


def _users(log: Lines) -> int:
    users = 1
    for line in log:
        if "total users)" in line and (found := _USERS.search(line[-4000:])):
            users = max(int(found[1]), 1)
    return users


def _name(method: str, name: str) -> str:
    return "" if name == "Aggregated" and not method else f"{method}_{name}"[:500].strip("_")


def _of_csv(lines: Lines) -> Iterator[_Entry | PassedOver]:
    for row in csv_rows(lines, "Type", "Name", "Request Count", "Requests/s"):
        try:
            if count_of(row["Request Count"]):
                yield _Entry(
                    _name(row["Type"], row["Name"]),
                    number(row["Requests/s"]),
                    number(row.get("Failures/s", "0")),
                    number(row["Average Response Time"]),
                    {
                        number(share[1]): number(value)
                        for column, value in row.items()
                        if (share := _PERCENTILE.fullmatch(column)) and value != "N/A"
                    },
                )
        except (ValueError, KeyError) as problem:
            yield PassedOver(lines.where(), f"{row['Name'][:200]}: {problem}")


def count_of(text: str) -> int:
    """Read a number of requests, which may be none."""
    return 0 if text.strip("0") == "" else count(text)


def _of_json(lines: Lines) -> Iterator[_Entry | PassedOver]:
    for document in json_documents(lines):
        if isinstance(document, PassedOver):
            yield document
            continue
        where, content = document
        kinds = [entry for entry in objects(content) if "num_requests" in entry and "response_times" in entry]
        try:
            histories = [_History.of(kind) for kind in kinds]
            for history in [*histories, _History.all(histories)]:
                if history.requests:
                    yield history.entry()
        except (ValueError, OverflowError) as problem:
            yield PassedOver(where, f"Locust's statistics can't be read: {problem}")


@dataclass
class _History:
    """What Locust's JSON says of a kind of request: how many took how many milliseconds."""

    name: str
    begin_s: float
    end_s: float
    requests: float
    failures: float
    total_ms: float
    times: dict[float, float]

    @classmethod
    def of(cls, kind: Mapping[str, Any]) -> "_History":
        times = kind["response_times"] if isinstance(kind["response_times"], dict) else {}
        begin_s = number_in(kind, "start_time")
        return cls(
            _name(str(kind.get("method") or ""), str(kind.get("name", ""))),
            begin_s,
            number_in(kind, "last_request_timestamp") if kind.get("last_request_timestamp") else begin_s,
            number_in(kind, "num_requests"),
            number_in(kind, "num_failures"),
            number_in(kind, "total_response_time"),
            {number(time): number_in(times, time) for time in times},
        )

    @classmethod
    def all(cls, parts: "list[_History]") -> "_History":
        times: dict[float, float] = {}
        for part in parts:
            for time, requests in part.times.items():
                times[time] = times.get(time, 0) + requests
        return cls(
            "",
            min((part.begin_s for part in parts), default=0),
            max((part.end_s for part in parts), default=0),
            sum(part.requests for part in parts),
            sum(part.failures for part in parts),
            sum(part.total_ms for part in parts),
            times,
        )

    def entry(self) -> _Entry:
        took_s = self.end_s - self.begin_s
        if took_s <= 0:
            raise ValueError("its requests took no time")
        shares = {share: self._percentile(share) for share in _IN_PERF_JSON} if self.times else {}
        return _Entry(self.name, self.requests / took_s, self.failures / took_s, self.total_ms / self.requests, shares)

    def _percentile(self, share: float) -> float:
        wanted, seen = sum(self.times.values()) * share / 100, 0.0
        for time in sorted(self.times):
            seen += self.times[time]
            if seen >= wanted:
                return time
        return max(self.times)


def _of_table(lines: Lines) -> Iterator[_Entry | PassedOver]:
    """Give the last table of the log: Locust prints one every few seconds."""
    rows: dict[str, _Entry] = {}
    for line in lines:
        if "# reqs" in line and _HEAD.match(line):
            rows = {}
        elif "%)" in line and "|" in line and len(line) < 1000 and (row := _ROW.fullmatch(line)) and int(row[3]):
            method, name = row[1], row[2]
            try:
                entry = _Entry(_name(method, name), number(row[9]), number(row[10]), number(row[5]))
            except ValueError:  # 1.2.3: no number
                continue
            rows[entry.name] = entry
    yield from rows.values()


def _metrics(test: str, entry: _Entry, users: int) -> Iterator[Metric]:
    name = f"{test}_{entry.name}" if entry.name else test
    yield Metric(name=name, value=entry.per_s, unit="ops/s", threads=users)
    yield Metric(
        name=name,
        value=entry.failures_per_s,
        unit="1/s",
        better="lower",
        threads=users,
        key="failures_per_sec",
        in_perf_json=False,
    )
    yield Metric(
        name=name,
        value=entry.mean_ms,
        unit="ms",
        better="lower",
        threads=users,
        key="average_latency_ms",
        statistic="mean",
    )
    for share, value in entry.percentiles.items():
        yield Metric(
            name=name,
            value=value,
            unit="ms",
            better="lower",
            threads=users,
            key=f"{share:g}th_latency_ms",
            statistic="percentile",
            percentile=share,
            in_perf_json=share in _IN_PERF_JSON,
        )


PARSER = Parser(
    parse,
    looked_for="Locust's statistics (`--csv NAME` and `output_files: [NAME_stats.csv]`), its JSON or its table",
)
