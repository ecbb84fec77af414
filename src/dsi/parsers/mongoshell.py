"""Scripts of the mongo shell, and whatever else prints lines of their form: `>>> insert_ttl : 48277.5 16`."""

from collections.abc import Iterator
from dataclasses import replace

from dsi.parsers.lines import Lines
from dsi.parsers.metric import Found, Metric, PassedOver
from dsi.parsers.numbers import count, number
from dsi.parsers.output import Output, Parser, log_then_files

_LONGEST_NAME = 500


def parse(output: Output) -> Iterator[Found]:
    """Read lines `>>> NAME : VALUE THREADS`. A negative value is a latency or a duration: lower is better."""
    yield from log_then_files(output, _read)


def _read(lines: Lines) -> Iterator[Found]:
    for line in lines:
        if ">>>" not in line:
            continue
        before, _, text = line.partition(">>>")
        name, colon, rest = " ".join(text.split()).partition(" : ")
        if text[:1].isspace() and _may_begin(before) and colon and name:
            yield _metric(name, rest.split(), lines)


def _may_begin(before: str) -> bool:
    """Tell whether a result may stand behind this: nothing, or the prompt of a shell that was given the script."""
    return not before.strip() or before.endswith("> ")


def _metric(name: str, fields: list[str], lines: Lines) -> Found:
    try:
        if len(name) > _LONGEST_NAME:
            raise ValueError("the name is too long")
        if len(fields) < 2:
            raise ValueError(f"{name} has no value and number of threads: is the line cut off?")
        value, threads = number(fields[0]), count(fields[1])
    except ValueError as problem:
        return PassedOver(lines.where(), str(problem))
    if value < 0:
        return Metric(name=name, value=-value, unit="", better="lower", threads=threads, statistic="mean")
    return Metric(name=name, value=value, unit="ops/s", threads=threads)


PARSER = Parser(parse, looked_for="lines like `>>> NAME : VALUE THREADS`")

SHELL = replace(PARSER, may_find_nothing=True)
"""Of type `shell` is also whatever has nothing but an exit status: a test of failover, say."""
