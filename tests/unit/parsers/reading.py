"""Outputs for parsers, from the golden files and from text."""

from pathlib import Path

from dsi.parsers import Measured, Metric, Output, parse_output, text_lines

GOLDEN = Path(__file__).parent / "golden"
"""fio, iperf, sysbench (but not oltp and marked) and Locust wrote theirs; the others follow the formats' sources."""


def golden(kind: str, log: str | None, *files: str) -> Measured:
    """Parse golden files: one as the log, the others as output files."""
    return parse_output(
        kind,
        Output(
            "t",
            text_lines("test_output.log", (GOLDEN / log).read_bytes() if log else b""),
            [text_lines(name, (GOLDEN / name).read_bytes()) for name in files],
        ),
    )


def said(kind: str, text: str | bytes, *files: str | bytes) -> Measured:
    """Parse a text as the log, and more as output files."""
    more = [text_lines(f"file{number}", content) for number, content in enumerate(files)]
    return parse_output(kind, Output("t", text_lines("test_output.log", text), more))


def in_perf_json(measured: Measured) -> dict[tuple[str, int, str], float]:
    """Give what goes to perf.json by name, threads and key; what should be low has a minus here whatever the key."""
    return {
        (metric.name, metric.threads, metric.key): -metric.value if metric.better == "lower" else metric.value
        for metric in measured.metrics
        if metric.in_perf_json
    }


def beside(measured: Measured, name: str, *, percentile: float | None = None) -> Metric:
    """Give the one metric of this name, of those that stand in metrics.jsonl alone."""
    [found] = [
        metric
        for metric in measured.metrics
        if not metric.in_perf_json and metric.name == name and metric.percentile == percentile
    ]
    return found
