"""fio: its JSON (`--output-format=json`), and the text it writes without that."""

import re
from collections.abc import Iterator
from typing import Any

from dsi.parsers.documents import json_documents, objects
from dsi.parsers.lines import Lines
from dsi.parsers.metric import Found, Metric, PassedOver
from dsi.parsers.numbers import number, number_in
from dsi.parsers.output import Output, Parser, files_then_log

_DIRECTIONS = ("read", "write", "trim")
_JOB = re.compile(r"(\S[^:]{0,200}): \(groupid=\d+, jobs=\d+\): err=\s*(\d+)")
_IOPS = re.compile(r"\s+(read|write|trim)\s*: .*?\bi(?:ops|OPS)=\s?([\d.]+)([kMG]?)", re.IGNORECASE)
_CLAT = re.compile(r"\s+clat \((nsec|usec|msec)\): .*?\bavg=\s*([\d.]+)([kMG]?)")
_TO_US = {"nsec": 0.001, "usec": 1.0, "msec": 1000.0}
_SCALE = {"": 1.0, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9}


def parse(output: Output) -> Iterator[Found]:
    """Give for each job and direction `fio_JOB_DIRECTION_iops` and `fio_JOB_DIRECTION_clat_mean` (microseconds)."""
    yield from files_then_log(output, _read)


def _read(lines: Lines) -> Iterator[Found]:
    has_json = False
    for document in json_documents(lines):
        if isinstance(document, PassedOver):
            yield document
            continue
        where, content = document
        for metric in _of_document(where, content):
            has_json = True
            yield metric
    if not has_json:
        yield from _of_text(lines)


def _of_document(where: str, content: Any) -> Iterator[Found]:
    if not isinstance(content, dict) or not isinstance(
        jobs := content.get("jobs") or content.get("client_stats"), list
    ):
        return
    for job in objects(jobs):
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
    """Completion latency is in nanoseconds since fio 3 (`clat_ns`), and was in microseconds (`clat`)."""
    yield Metric(name=f"{name}_iops", value=number_in(result, "iops"), unit="ops/s")
    latency, to_us = ("clat", 1.0) if "clat" in result else ("clat_ns", 0.001)
    yield _clat(f"{name}_clat_mean", number_in(result, latency, "mean") * to_us)
    yield _clat(f"{name}_clat_stddev", number_in(result, latency, "stddev") * to_us, "stddev", in_perf_json=False)
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
    job = name = ""
    for line in lines:
        if "groupid=" in line and (begin := _JOB.match(line)):
            job, name = begin[1], ""
            if begin[2] != "0":
                yield PassedOver(lines.where(), f"job {job} ended with error {begin[2]}")
        elif job and (iops := _IOPS.match(line[:1000])):
            name = f"fio_{job}_{iops[1].lower()}"
            yield Metric(name=f"{name}_iops", value=_scaled(iops[2], iops[3]), unit="ops/s")
        elif name and (clat := _CLAT.match(line[:1000])):
            yield _clat(f"{name}_clat_mean", _scaled(clat[2], clat[3]) * _TO_US[clat[1]])


def _scaled(text: str, suffix: str) -> float:
    return number(text) * _SCALE[suffix]


PARSER = Parser(
    parse,
    looked_for="fio's results, best as JSON (`--output-format=json --output=fio.json` and `output_files: [fio.json]`)",
)
