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

_ROW = re.compile(
    r"\[\s{0,4}(SUM|\d{1,6})\]\s+([\d.]{1,20})-\s*([\d.]{1,20})\s+sec\s+[\d.]{1,20} [KMGT]?Bytes\s+"
    r"([\d.]{1,20}) ([KMGT]?)bits/sec(.{0,200})"
)
_CSV_ROW = re.compile(
    r"\d{14}(?:\.\d+)?(?:[+-]\d{4})?,[^,]{0,80},\d+,[^,]{0,80},\d+,(-?\d+),([\d.]+)-([\d.]+),\d+,(\d+)(?:,.*)?"
)
_SCALE = {"": 1.0, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}


def parse(output: Output) -> Iterator[Found]:
    """Give what was sent as `NetworkBandwidth`, in bits per second; of parallel streams the sum."""
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
    if not isinstance(content, dict) or "end" not in content:
        return
    if content.get("error"):
        yield PassedOver(where, f"iperf3 says: {str(content['error'])[:200]}")
    end = content["end"]
    sent = "sum_sent" if isinstance(end, dict) and "sum_sent" in end else "sum"
    try:
        yield Metric(name=NAME, value=number_in(end, sent, "bits_per_second"), unit="bits/s")
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
class _Run:
    """What the text of one run says: of each stream the longest interval from the beginning, and how far it went."""

    where: str = ""
    streams: dict[str, tuple[float, float]] = field(default_factory=dict)
    sent: dict[str, float] = field(default_factory=dict)
    until_s: float = 0.0

    def add(self, stream: str, begin_s: float, end_s: float, bits_per_s: float, rest: str) -> None:
        self.until_s = max(self.until_s, end_s)
        if "sender" in rest:
            self.sent[stream] = bits_per_s
        elif begin_s == 0 and "receiver" not in rest and end_s >= self.streams.get(stream, (0.0, 0.0))[0]:
            self.streams[stream] = (end_s, bits_per_s)

    def result(self) -> Iterator[Found]:
        if self.sent:
            yield Metric(name=NAME, value=_total(self.sent), unit="bits/s")
        elif self.streams:
            longest_s = max(end_s for end_s, _ in self.streams.values())
            if longest_s < 0.9 * self.until_s:
                yield PassedOver(
                    self.where, f"iperf's total is missing: it went on for {self.until_s:g} s, and was cut off"
                )
            else:
                yield Metric(
                    name=NAME, value=_total({stream: bits for stream, (_, bits) in self.streams.items()}), unit="bits/s"
                )


def _total(streams: dict[str, float]) -> float:
    return streams["SUM"] if "SUM" in streams else sum(streams.values())


def _of_text(lines: Lines) -> Iterator[Found]:
    run = _Run()
    for line in lines:
        if line.startswith(("Connecting to host", "Client connecting to")):
            yield from run.result()
            run = _Run()
        elif row := _row(line):
            run.where = lines.where()
            run.add(*row)
    yield from run.result()


def _row(line: str) -> tuple[str, float, float, float, str] | None:
    try:
        if line.startswith("[") and (row := _ROW.match(line)):
            return row[1], number(row[2]), number(row[3]), number(row[4]) * _SCALE[row[5]], row[6]
        if line[:14].isdigit() and (row := _CSV_ROW.fullmatch(line[:1000])):
            return row[1].replace("-1", "SUM"), number(row[2]), number(row[3]), number(row[4]), ""
    except ValueError:  # 1.2.3, say: another program's
        return None
    return None


PARSER = Parser(
    parse,
    looked_for="iperf's result, best as JSON (`iperf3 --json --logfile iperf.json` and `output_files: [iperf.json]`)",
)
