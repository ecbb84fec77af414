"""fio: its JSON (`--output-format=json`), and the text it writes without that."""

import re
from collections.abc import Iterator
from itertools import chain
from typing import Any

from dsi.parsers.documents import json_documents, objects
from dsi.parsers.lines import Lines
from dsi.parsers.metric import Found, Metric, PassedOver
from dsi.parsers.numbers import number, number_in
from dsi.parsers.output import Output, Parser, files_then_log

_DIRECTIONS = ("read", "write", "trim", "mixed")
"""`mixed` is there with `--unified_rw_reporting`."""
_JOB = re.compile(r"(\S[^:]{0,200}): \(groupid=(\d+), jobs=\d+\): err=\s*(\d+)")
_PROCESS = re.compile(r": pid=(\d+):")
_IOPS = re.compile(r"\s+(read|write|trim|mixed)\s*: .*?\bi(?:ops|OPS)=\s?([\d.]+)([kMG]?)", re.IGNORECASE)
_CLAT = re.compile(r"\s+clat \((nsec|usec|msec)\): .*?\bavg=\s*([\d.]+)([kMG]?)")
_TO_US = {"nsec": 0.001, "usec": 1.0, "msec": 1000.0}
_MOST_JOBS = 10_000
"""More are not kept at once."""

_WHOLE_SECONDS_S = 1.1
"""fio says in whole seconds for how long it has run."""

_RAN_MOSTLY = 0.8
"""For this share of the time between two documents of a run its jobs ran; of another run all have begun anew."""

_SCALE = {"": 1.0, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9}


def parse(output: Output) -> Iterator[Found]:
    """Give for each job and direction `fio_JOB_DIRECTION_iops` and `fio_JOB_DIRECTION_clat_mean` (microseconds)."""
    yield from files_then_log(output, _read)


def _read(lines: Lines) -> Iterator[Found]:
    has_json = False
    for where, content in _whole_runs(lines):
        if isinstance(content, PassedOver):
            yield content
            continue
        for metric in _of_document(where, content):
            has_json = True
            yield metric
    if not has_json:
        yield from _of_text(lines)


def _whole_runs(lines: Lines) -> Iterator[tuple[str, Any]]:
    """Give the last document of each run: with `--status-interval` there are more, each of all until then."""
    latest: tuple[str, Any] | None = None
    for document in json_documents(lines):
        if isinstance(document, PassedOver):
            yield document.where, document
            continue
        if latest is not None and not _goes_on(latest[1], document[1]):
            yield latest
        latest = document
    if latest is not None:
        yield latest


def _goes_on(earlier: Any, later: Any) -> bool:
    """Tell whether two documents are of one run: its jobs, begun when it was, have run on meanwhile."""
    try:
        before, after = list(objects(_jobs_of(earlier))), list(objects(_jobs_of(later)))
        if not before or [job.get("jobname") for job in before] != [job.get("jobname") for job in after]:
            return False
        begun_s = [
            number_in(one, "timestamp_ms") / 1000 - number_in(jobs[0], "elapsed")
            for one, jobs in ((earlier, before), (later, after))
        ]
        passed_ms = number_in(later, "timestamp_ms") - number_in(earlier, "timestamp_ms")
        ran_ms = sum(
            number_in(new, "job_runtime") - number_in(old, "job_runtime")
            for old, new in zip(before, after, strict=True)
        )
    except ValueError:  # of a fio that doesn't say so
        return False
    return abs(begun_s[1] - begun_s[0]) <= _WHOLE_SECONDS_S and passed_ms > 0 and ran_ms >= _RAN_MOSTLY * passed_ms


def _jobs_of(content: Any) -> Any:
    return (content.get("jobs") or content.get("client_stats")) if isinstance(content, dict) else None


def _of_document(where: str, content: Any) -> Iterator[Found]:
    for job in objects(_jobs_of(content)):
        name = str(job.get("jobname", ""))[:200]
        if job.get("error"):
            yield PassedOver(where, f"job {name} ended with error {job['error']}")
        for direction in _DIRECTIONS:
            try:
                if number_in(job, direction, "iops") > 0:
                    yield from _of_direction(f"fio_{name}_{direction}", job[direction])
            except ValueError as problem:
                if direction in job:
                    yield PassedOver(where, f"job {name}, {direction}: {problem}")


def _of_direction(name: str, result: dict[str, Any]) -> Iterator[Metric]:
    """Completion latency is in nanoseconds since fio 3, was in microseconds (`clat`), and may be turned off."""
    yield Metric(name=f"{name}_iops", value=number_in(result, "iops"), unit="ops/s")
    latency, to_us = ("clat", 1.0) if "clat" in result else ("clat_ns", 0.001)
    if (mean := number_in(result, latency, "mean") * to_us) > 0:
        deviation = number_in(result, latency, "stddev") * to_us
        yield _clat(f"{name}_clat_mean", mean)
        yield _clat(f"{name}_clat_stddev", deviation, "stddev", in_perf_json=False)
    if "bw_bytes" in result:
        yield Metric(name=f"{name}_bw", value=number_in(result, "bw_bytes"), unit="bytes/s", in_perf_json=False)
    percentiles = result[latency].get("percentile")
    for text in percentiles if isinstance(percentiles, dict) else ():
        value = number_in(percentiles, text) * to_us if "." in text else 0
        if value > 0:
            percentile = number(text)
            yield _clat(f"{name}_clat_{percentile:g}th", value, "percentile", percentile=percentile, in_perf_json=False)


def _clat(
    name: str, value: float, statistic: str = "mean", *, percentile: float | None = None, in_perf_json: bool = True
) -> Metric:
    return Metric(
        name=name,
        value=value,
        unit="us",
        better="lower",
        statistic=statistic,
        percentile=percentile,
        in_perf_json=in_perf_json,
    )


def _of_text(lines: Lines) -> Iterator[Found]:
    """Read the text. With `--status-interval` a process tells of itself several times: the last time counts."""
    job = name = ""
    told: dict[tuple[str, str, str], list[Found]] = {}
    found: list[Found] = []
    for line in lines:
        if "groupid=" in line and (begin := _JOB.match(line)):
            job, name = begin[1], ""
            if len(told) >= _MOST_JOBS:
                yield from chain.from_iterable(told.values())
                told.clear()
            process = _PROCESS.search(line[:1000])
            found = told[begin[1], begin[2], process[1] if process else ""] = []
            if begin[3] != "0":
                found.append(PassedOver(lines.where(), f"job {job} ended with error {begin[3]}"))
        elif job and (iops := _IOPS.match(line[:1000])):
            name = f"fio_{job}_{iops[1].lower()}"
            found.append(Metric(name=f"{name}_iops", value=_scaled(iops[2], iops[3]), unit="ops/s"))
        elif name and (clat := _CLAT.match(line[:1000])):
            found.append(_clat(f"{name}_clat_mean", _scaled(clat[2], clat[3]) * _TO_US[clat[1]]))
    yield from chain.from_iterable(told.values())


def _scaled(text: str, suffix: str) -> float:
    return number(text) * _SCALE[suffix]


PARSER = Parser(
    parse,
    looked_for="fio's results, best as JSON (`--output-format=json --output=fio.json` and `output_files: [fio.json]`)",
)
