"""k6: its summary as JSON, of `--summary-export` or of `handleSummary`, in the old form and the new one, or as text."""

import re
from collections.abc import Iterator
from typing import Any

from dsi.parsers import k6_text
from dsi.parsers.documents import entries, json_documents, objects
from dsi.parsers.lines import Lines
from dsi.parsers.metric import OPS_PER_SEC, Better, Found, Metric, PassedOver
from dsi.parsers.numbers import number, number_in
from dsi.parsers.output import Output, Parser, files_then_log

_PERCENTILE = re.compile(r"p(\()?(\d{1,2}(?:\.\d{1,6})?)(?(1)\))")
_TIMES = re.compile(r"http_req_\w+|\w*_duration|\w*_connecting|\w*_handshaking")
_WORSE_WHEN_MORE = re.compile(r"fail|error|dropped|blocked|timeout", re.IGNORECASE)
_LEFT_OUT = ("vus", "vus_max")
_STATISTICS = {"avg": "mean", "med": "percentile", "min": "min", "max": "max"}


def parse(output: Output) -> Iterator[Found]:
    """Give HTTP requests (of a script without them: iterations) under the test's id, each metric as `TEST_METRIC`."""
    yield from files_then_log(output, lambda lines: _read(output.test, lines))


def _read(test: str, lines: Lines) -> Iterator[Found]:
    found_any = False
    for found in _read_json(test, lines):
        found_any = found_any or isinstance(found, Metric)
        yield found
    if not found_any:  # the text is of the same run, and rounded
        for where, metrics in k6_text.summaries(lines):
            yield from _of_summary(test, where, metrics)


def _read_json(test: str, lines: Lines) -> Iterator[Found]:
    for document in json_documents(lines):
        if isinstance(document, PassedOver):
            yield document
            continue
        where, content = document
        if isinstance(content, dict):
            yield from _of_summary(test, where, _metrics_of(content))


def _metrics_of(summary: dict[str, Any]) -> dict[str, Any]:
    """Give the metrics by name, as the older forms have them.

    With `--new-machine-readable-summary` (1.5 and later) they are a list, and of a counter only the count is there.
    """
    if isinstance(summary.get("metrics"), dict):
        return dict(summary["metrics"])
    results = summary.get("results")
    listed = {
        str(one.get("name")): one for one in objects(results.get("metrics") if isinstance(results, dict) else None)
    }
    for metric in listed.values():
        values = metric.get("values")
        if metric.get("type") == "counter" and isinstance(values, dict) and "rate" not in values:
            metric["values"] = {**values, "rate": _rate(summary, values)}
    return listed


def _rate(summary: dict[str, Any], values: dict[str, Any]) -> float | None:
    try:
        duration_s = number_in(summary, "config", "duration")
        return number_in(values, "count") / duration_s if duration_s > 0 else None
    except ValueError:  # who reads the rate says that there is none
        return None


def _of_summary(test: str, where: str, metrics: dict[str, Any]) -> Iterator[Found]:
    """Read a summary. `handleSummary` has `type`, `contains` and `values`; in the other form a metric is its values."""
    threads = _threads(metrics)
    main = "http_req" if "http_reqs" in metrics else "iteration"
    for name, metric in entries(metrics):
        if name in _LEFT_OUT or len(name) > 500:
            continue
        values = metric["values"] if isinstance(metric.get("values"), dict) else metric
        is_main = name in (f"{main}s", f"{main}_duration")
        place = test if is_main else f"{test}_{name}"
        try:
            if _is_trend(values):
                yield from _trend(place, values, _unit(name, metric), threads, is_main=is_main, tagged="{" in name)
            elif "count" in values and "rate" in values:
                yield _counter(place, name, values, threads, unit=_counted(name, metric))
            elif "rate" in values or "passes" in values:
                yield _share(place, name, values, threads)
        except ValueError as problem:
            yield PassedOver(where, f"{name}: {problem}")


def _is_trend(values: dict[str, Any]) -> bool:
    """Tell a trend by any of its statistics, since `--summary-trend-stats` says which it has; a gauge has `value`."""
    return "value" not in values and any(name in _STATISTICS or _PERCENTILE.fullmatch(name) for name in values)


def _threads(metrics: dict[str, Any]) -> int:
    for place in (
        ("vus_max", "max"),
        ("vus_max", "values", "max"),
        ("vus_max", "value"),
        ("vus_max", "values", "value"),
    ):
        try:
            return max(int(number_in(metrics, *place)), 1)
        except ValueError:
            continue
    return 1


def _unit(name: str, metric: dict[str, Any]) -> str:
    contains = metric.get("contains") or ("time" if _TIMES.match(name) else "default")
    return {"time": "ms", "data": "bytes"}.get(str(contains), "")


def _counted(name: str, metric: dict[str, Any]) -> str:
    is_data = metric.get("contains") == "data" or name in ("data_received", "data_sent")
    return "bytes/s" if is_data else "ops/s"


def _better(name: str) -> Better:
    return "lower" if _WORSE_WHEN_MORE.search(name) else "higher"


def _trend(
    place: str, values: dict[str, Any], unit: str, threads: int, *, is_main: bool, tagged: bool
) -> Iterator[Metric]:
    for name in values:
        share = _PERCENTILE.fullmatch(name)
        if not share and name not in _STATISTICS:
            continue  # thresholds, a count
        percentile = number(share[2]) if share else 50.0 if name == "med" else None
        prefix = f"{percentile:g}th" if percentile is not None else {"avg": "average"}.get(name, name)
        alone = not is_main and name == "avg" and not tagged
        yield Metric(
            name=place,
            value=number_in(values, name),
            unit=unit,
            better="lower",
            threads=threads,
            key=OPS_PER_SEC if alone else f"{prefix}_latency_{unit}".rstrip("_"),
            statistic=_STATISTICS.get(name, "percentile"),
            percentile=percentile,
            in_perf_json=alone or (is_main and name not in ("min", "max")),
        )


def _counter(place: str, name: str, values: dict[str, Any], threads: int, *, unit: str) -> Metric:
    return Metric(
        name=place,
        value=number_in(values, "rate"),
        unit=unit,
        better=_better(name),
        threads=threads,
        in_perf_json="{" not in name,
    )


def _share(place: str, name: str, values: dict[str, Any], threads: int) -> Metric:
    value = number_in(values, "rate" if "rate" in values else "value")
    return Metric(
        name=place, value=value, unit="", better=_better(name), threads=threads, key="share", in_perf_json=False
    )


PARSER = Parser(
    parse,
    looked_for="k6's summary, best as JSON (`--summary-export summary.json` and `output_files: [summary.json]`)",
)
