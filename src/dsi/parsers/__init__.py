"""Benchmark output → metrics. Pure: lines in, numbers out; whoever calls reads the files.

To add one: a file beside these with a `PARSER`, and a line in `PARSERS`. docs/results.md says what each gives.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from dsi.errors import NoResults
from dsi.parsers import (
    fio,
    genny,
    genny_canaries,
    iperf,
    k6,
    linkbench,
    locust,
    mongoshell,
    sysbench,
    tpcc,
    ycsb,
)
from dsi.parsers.lines import Lines, text_lines
from dsi.parsers.metric import OPS_PER_SEC, Metric, PassedOver
from dsi.parsers.output import Output, Parser

__all__ = [
    "KNOWN_TYPES",
    "MOST_METRICS",
    "OPS_PER_SEC",
    "PARSERS",
    "Lines",
    "Measured",
    "Metric",
    "Output",
    "Parser",
    "parse_output",
    "text_lines",
]

PARSERS: Final[Mapping[str, Parser]] = {
    "cpu_noise": mongoshell.PARSER,
    "fio": fio.PARSER,
    "genny": genny.PARSER,
    "genny_canaries": genny_canaries.PARSER,
    "iperf": iperf.PARSER,
    "k6": k6.PARSER,
    "linkbench": linkbench.PARSER,
    "linkbench2": linkbench.PARSER,
    "locust": locust.PARSER,
    "mongoshell": mongoshell.PARSER,
    "shell": mongoshell.SHELL,
    "sysbench": sysbench.PARSER,
    "tpcc": tpcc.PARSER,
    "ycsb": ycsb.PARSER,
}
"""What `type` of a test may be. `shell` and `cpu_noise` are older names of mongoshell; `shell` may measure nothing."""

KNOWN_TYPES: Final = tuple(PARSERS)

MOST_METRICS: Final = 100_000
"""More of one test are not read: they are kept in memory, and nobody looks at them."""

_MOST_NOTES = 10


@dataclass
class Measured:
    """What was found in a test's output. `passed_over`: what looks like results and can't be read (at most ten, then
    how many more).
    """

    metrics: list[Metric] = field(default_factory=list)
    passed_over: list[str] = field(default_factory=list)


def parse_output(kind: str, output: Output) -> Measured:
    """Read the output of a test of this type, whatever is in it.

    Raises:
        NoResults: there is none in it; the message says what was looked for, where, and what could not be read.
        KeyError: there is no such type (the configuration's check has refused it).
    """
    parser = PARSERS[kind]
    measured, more = Measured(), 0
    for found in parser.parse(output):
        if isinstance(found, PassedOver):
            more += len(measured.passed_over) >= _MOST_NOTES
            measured.passed_over += [str(found)] if len(measured.passed_over) < _MOST_NOTES else []
        else:
            measured.metrics.append(found)
            if len(measured.metrics) >= MOST_METRICS:
                measured.passed_over.append(f"there are more than {MOST_METRICS:,} results; the rest is not read")
                break
    measured.passed_over += [f"{name}: its last line is cut off" for name in output.unfinished]
    if more:
        measured.passed_over.append(f"… and {more:,} more")
    if not measured.metrics and (measured.passed_over or not parser.may_find_nothing):
        raise NoResults(_no_results(kind, parser, output, measured.passed_over))
    return measured


def _no_results(kind: str, parser: Parser, output: Output, passed_over: list[str]) -> str:
    places = ", ".join([*(f"{name} (missing)" for name in output.missing), *(lines.name for lines in output.sources())])
    unreadable = f"; could not be read: {'; '.join(passed_over[:3])}" if passed_over else ""
    return f"no result of type {kind} in {places}: looked for {parser.looked_for}{unreadable}"
