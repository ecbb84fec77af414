"""k6's summary as text, which it prints at its end: as the metrics that its JSON has, rounded as they are there."""

import re
from collections.abc import Iterator
from typing import Any

from dsi.parsers.lines import Lines
from dsi.parsers.numbers import number

_METRIC = re.compile(r"\s*(?:[✓✗] )?([A-Za-z_]\w{0,200}|\{ [^{}]{1,200} \})\.{3,}: (\S.*)", re.ASCII)
_PART_BEGINS = re.compile(r"\s*█ (GROUP|SCENARIO|TOTAL RESULTS)\b")
_NAMED = re.compile(r"(avg|min|med|max|count|p\([\d.]{1,10}\))=(\S+)", re.ASCII)
_COUNTER = re.compile(r"(\S+(?: [kMGTPEZY]?B)?)\s+(\S+(?: [kMGTPEZY]?B)?)/s\s*")
_SHARE = re.compile(r"[\d.]{1,20}%\s+(?:✓ )?(\d{1,18})\s+(✗|out of) (\d{1,18})\s*", re.ASCII)
_BYTES = re.compile(r"([\d.]{1,40}) ([kMGTPEZY]?)B", re.ASCII)
_DURATION = re.compile(r"(?:(\d{1,9})h)?(?:(\d{1,9})m(?!s))?([\d.]{1,40})(s|ms|\u00b5s|us|ns)", re.ASCII)
_TO_MS = {"s": 1000.0, "ms": 1.0, "\u00b5s": 0.001, "us": 0.001, "ns": 1e-6}


def summaries(lines: Lines) -> Iterator[tuple[str, dict[str, Any]]]:
    """Give the metrics of each summary by name, as `handleSummary` has them, with where the last of them stands.

    Where a name comes again another summary has begun. Those of single groups and scenarios (`--summary-mode=full`)
    are parts of the total before them, and left out.
    """
    metrics: dict[str, Any] = {}
    where = parent = ""
    of_all = True
    for line in lines:
        if begin := _PART_BEGINS.match(line):
            of_all = begin[1] == "TOTAL RESULTS"
        elif of_all and "...: " in line and (metric := _METRIC.fullmatch(line)):
            name, values = metric.groups()
            if name.startswith("{"):
                name = parent + "{" + name[2:-2] + "}"
            else:
                parent = name
            if name in metrics:
                yield where, metrics
                metrics = {}
            metrics[name], where = _metric(values), lines.where()
    if metrics:
        yield where, metrics


def _metric(text: str) -> dict[str, Any]:
    if share := _SHARE.fullmatch(text):
        passes, total = int(share[1]), int(share[3]) + (int(share[1]) if share[2] == "✗" else 0)
        return {"values": {"rate": passes / total if total else 0.0}}
    if counter := _COUNTER.fullmatch(text):
        values = dict(zip(("count", "rate"), counter.groups(), strict=True))
    else:
        values = dict(_NAMED.findall(text))
        if "=" not in (value := text.split()[0]):  # a gauge
            values["value"] = value
    contains = "data" if any(map(_BYTES.fullmatch, values.values())) else "default"
    contains = "time" if any(map(_DURATION.fullmatch, values.values())) else contains
    return {"contains": contains, "values": {name: _plain(value) for name, value in values.items()}}


def _plain(text: str) -> float | str:
    """Give bytes, or milliseconds; anything else as it is: whoever reads it says so if it is no number."""
    try:
        if size := _BYTES.fullmatch(text):
            return number(size[1]) * 1000.0 ** " kMGTPEZY".index(size[2] or " ")
        if duration := _DURATION.fullmatch(text):
            hours, minutes, rest, unit = duration.groups()
            return int(hours or 0) * 3_600_000 + int(minutes or 0) * 60_000 + number(rest) * _TO_MS[unit]
    except ValueError:
        pass
    return text
