"""iperf3 (JSON and text) and iperf 2 (text and CSV)."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from dsi.parsers.documents import json_documents
from dsi.parsers.lines import Lines
from dsi.parsers.metric import Found, Metric, PassedOver
from dsi.parsers.numbers import number, number_in
from dsi.parsers.output import Output, Parser, files_then_log

NAME = "NetworkBandwidth"
_BACK = "_reverse"
"""Of what came back at the same time, with `--bidir`. iperf3's own word."""

_ROW = re.compile(
    r"\[\s{0,4}(SUM|\d{1,6})\](?:\[(TX-C|RX-C|TX-S|RX-S)\])?\s+([\d.]{1,20})-\s*([\d.]{1,20})\s+sec\s+"
    r"[\d.]{1,20} [KMGT]?Bytes\s+([\d.]{1,20}) ([KMGT]?)(bits|Bytes)/sec(.{0,200})"
)
_LONGEST = 1000
"""A row has some 100 characters; before it may stand a time (`--timestamps`) and a title (`-T`)."""

_BEGINS = ("Connecting to host", "Client connecting to")
_SENT_BY_THE_SERVER = ("RX-C", "TX-S")
_CSV_ROW = re.compile(
    r"\d{14}(?:\.\d+)?(?:[+-]\d{4})?,[^,]{0,80},\d+,[^,]{0,80},\d+,(-?\d+),([\d.]+)-([\d.]+),\d+,(\d+)(?:,.*)?"
)
_BITS = {"": 1.0, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}
_BYTES = {scale: 8.0 * 1024**power for power, scale in enumerate(_BITS)}
"""iperf counts bits in thousands and bytes in 1024s (`unit_snprintf` in its src/units.c)."""


def parse(output: Output) -> Iterator[Found]:
    """Give what was sent as `NetworkBandwidth`, in bits per second; of parallel streams the sum.

    With `--bidir`, what came back is `NetworkBandwidth_reverse`.
    """
    yield from files_then_log(output, _read)


def _read(lines: Lines) -> Iterator[Found]:
    has_json = False
    for document in json_documents(lines):
        if isinstance(document, PassedOver):
            yield document
            continue
        for found in _of_document(*document):
            has_json = True
            yield found
    if not has_json:
        yield from _of_text(lines)


def _of_document(where: str, content: Any) -> Iterator[Found]:
    """Read a result; with `--json-stream` that is the event `end`."""
    if not isinstance(content, dict):
        return
    if content.get("event") in ("end", "error"):
        content = {content["event"]: content.get("data")}
    if content.get("error"):
        yield PassedOver(where, f"iperf3 says: {str(content['error'])[:200]}")
    if "end" not in content:
        return
    end = content["end"]
    sent = "sum_sent" if isinstance(end, dict) and "sum_sent" in end else "sum"
    try:
        yield Metric(name=NAME, value=number_in(end, sent, "bits_per_second"), unit="bits/s")
        if f"{sent}_bidir{_BACK}" in end:
            back = number_in(end, f"{sent}_bidir{_BACK}", "bits_per_second")
            yield Metric(name=f"{NAME}{_BACK}", value=back, unit="bits/s")
    except ValueError as problem:
        yield PassedOver(where, f"end: {problem}")
        return
    yield from _details(end, sent)


def _details(end: dict[str, Any], sent: str) -> Iterator[Metric]:
    for place, key, name, unit in (
        ("sum_received", "bits_per_second", "received", "bits/s"),
        (sent, "retransmits", "retransmits", ""),
        ("sum", "jitter_ms", "jitter_ms", "ms"),
        ("sum", "lost_percent", "lost_percent", "%"),
    ):
        try:
            value = number_in(end, place, key)
        except ValueError:  # TCP has no jitter, UDP no retransmits
            continue
        yield Metric(
            name=f"{NAME}_{name}",
            value=value,
            unit=unit,
            better="higher" if unit == "bits/s" else "lower",
            statistic="rate" if unit == "bits/s" else "mean" if unit else "total",
            in_perf_json=False,
        )


@dataclass
class _Row:
    """A line of the text: how much of one stream (`SUM`: of all) in an interval."""

    stream: str
    back: bool
    begin_s: float
    end_s: float
    bits_per_s: float
    rest: str = ""


@dataclass
class _Direction:
    """What the text of one run says: of each stream the longest interval from the beginning, and how far it went."""

    where: str = ""
    streams: dict[str, tuple[float, float]] = field(default_factory=dict)
    sent: dict[str, float] = field(default_factory=dict)
    until_s: float = 0.0

    def add(self, row: _Row, where: str) -> None:
        self.where = where
        self.until_s = max(self.until_s, row.end_s)
        if "sender" in row.rest:
            self.sent[row.stream] = row.bits_per_s
        elif (
            row.begin_s == 0 and "receiver" not in row.rest and row.end_s >= self.streams.get(row.stream, (0.0, 0.0))[0]
        ):
            self.streams[row.stream] = (row.end_s, row.bits_per_s)

    def result(self, name: str) -> Iterator[Found]:
        if self.sent:
            yield Metric(name=name, value=_total(self.sent), unit="bits/s")
        elif self.streams:
            longest_s = max(end_s for end_s, _ in self.streams.values())
            if longest_s < 0.9 * self.until_s:
                yield PassedOver(
                    self.where, f"iperf's total is missing: it went on for {self.until_s:g} s, and was cut off"
                )
            else:
                total = _total({stream: bits for stream, (_, bits) in self.streams.items()})
                yield Metric(name=name, value=total, unit="bits/s")


def _total(streams: dict[str, float]) -> float:
    return streams["SUM"] if "SUM" in streams else sum(streams.values())


class _Run:
    """One run, in both directions."""

    def __init__(self) -> None:
        self.there, self.back = _Direction(), _Direction()

    def result(self) -> Iterator[Found]:
        yield from self.there.result(NAME)
        yield from self.back.result(f"{NAME}{_BACK}")


def _of_text(lines: Lines) -> Iterator[Found]:
    run = _Run()
    for line in lines:
        if any(words in line[:_LONGEST] for words in _BEGINS):
            yield from run.result()
            run = _Run()
        elif row := _row(line):
            (run.back if row.back else run.there).add(row, lines.where())
    yield from run.result()


def _row(line: str) -> _Row | None:
    try:
        if "/sec" in line[:_LONGEST] and (row := _ROW.search(line[:_LONGEST])):
            stream, role, begin, end, value, scale, unit, rest = row.groups()
            to_bits = (_BITS if unit == "bits" else _BYTES)[scale]
            back = role in _SENT_BY_THE_SERVER
            return _Row(stream, back, number(begin), number(end), number(value) * to_bits, rest)
        if line[:14].isdigit() and (row := _CSV_ROW.fullmatch(line[:_LONGEST])):
            return _Row(row[1].replace("-1", "SUM"), False, number(row[2]), number(row[3]), number(row[4]))
    except ValueError:  # 1.2.3, say: another program's
        return None
    return None


PARSER = Parser(
    parse,
    looked_for="iperf's result, best as JSON (`iperf3 --json --logfile iperf.json` and `output_files: [iperf.json]`)",
)
