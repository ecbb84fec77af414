"""genny's self-tests: lines `nop_real,220264`, a name and picoseconds."""

import re
from collections.abc import Iterator

from dsi.parsers.lines import Lines
from dsi.parsers.metric import Found, Metric
from dsi.parsers.numbers import number
from dsi.parsers.output import Output, Parser, files_then_log

_ROW = re.compile(r"\s*([A-Za-z][\w.-]{0,200}),\s*(\d{1,30}(?:\.\d{1,20})?)\s*")


def parse(output: Output) -> Iterator[Found]:
    """Give each task's mean latency as `NAME_avg_latency_picoseconds`."""
    yield from files_then_log(output, _read)


def _read(lines: Lines) -> Iterator[Found]:
    for line in lines:
        if "," in line and (row := _ROW.fullmatch(line)):
            yield Metric(
                name=f"{row[1]}_avg_latency_picoseconds",
                value=number(row[2]),
                unit="ps",
                better="lower",
                statistic="mean",
            )


PARSER = Parser(parse, looked_for="lines `NAME,PICOSECONDS` in nop.csv and ping.csv, as output_files")
