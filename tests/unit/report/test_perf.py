import json
from pathlib import Path
from typing import Any

import pytest

from dsi.errors import ReportError
from dsi.parsers import Metric
from dsi.report.perf import Measurement, PerfFiles, merge

WHEN = Measurement(test="ycsb_load", type="ycsb", start_s=1.001, end_s=2.002)


def rate(value: float, **more: Any) -> Metric:
    return Metric(**{"name": "load", "value": value, "unit": "ops/s", "threads": 8, **more})


def perf(folder: Path) -> Any:
    return json.loads((folder / "perf.json").read_text())


def test_the_form_is_the_originals(tmp_path: Path) -> None:
    files = PerfFiles([tmp_path], storage_engine="wiredTiger")
    files.begin()
    assert perf(tmp_path) == {"results": [], "storageEngine": "wiredTiger"}
    files.add(WHEN, [rate(5), rate(7), rate(12.5, threads=16), rate(30, unit="us", better="lower", key="p")])
    assert perf(tmp_path) == {
        "results": [
            {
                "name": "load",
                "workload": "ycsb",
                "start": 1.001,
                "end": 2.002,
                "results": {
                    "8": {"ops_per_sec": 6, "ops_per_sec_values": [5, 7], "p": 30, "p_values": [30]},
                    "16": {"ops_per_sec": 12.5, "ops_per_sec_values": [12.5]},
                },
            }
        ],
        "storageEngine": "wiredTiger",
    }


def test_another_test_of_the_same_name_adds_to_the_values_and_latencies_are_negative() -> None:
    results: list[dict[str, Any]] = []
    for value in (4.0, 5.0, 9.0):
        merge(results, WHEN, [rate(value, unit="ms", better="lower")])
    assert results[0]["results"] == {"8": {"ops_per_sec": -6.0, "ops_per_sec_values": [-4.0, -5.0, -9.0]}}


def test_metrics_jsonl_says_of_each_number_what_perf_json_cant(tmp_path: Path) -> None:
    files = PerfFiles([tmp_path], storage_engine="wiredTiger")
    files.begin()
    p99 = rate(3, unit="us", better="lower", key="99th", statistic="percentile", percentile=99.0, in_perf_json=False)
    files.add(WHEN, [rate(5)])
    files.add(WHEN, [p99])
    first, second = map(json.loads, (tmp_path / "metrics.jsonl").read_text().splitlines())
    assert (first["value"], first["unit"], first["better"], first["threads"]) == (5, "ops/s", "higher", 8)
    assert second == {
        "version": 1,
        "test": "ycsb_load",
        "type": "ycsb",
        "name": "load",
        "value": 3,
        "unit": "us",
        "better": "lower",
        "threads": 8,
        "key": "99th",
        "statistic": "percentile",
        "percentile": 99.0,
        "in_perf_json": False,
        "start": 1.001,
        "end": 2.002,
    }
    assert "99th" not in (tmp_path / "perf.json").read_text()


def test_a_new_task_begins_anew_and_one_that_is_taken_over_goes_on(tmp_path: Path) -> None:
    reports, work = tmp_path / "reports", tmp_path / "work"
    reports.mkdir()
    work.mkdir()
    first = PerfFiles([reports, work], storage_engine="wiredTiger")
    first.begin()
    first.add(WHEN, [rate(5)])
    second = PerfFiles([reports, work], storage_engine="wiredTiger")
    second.resume()
    second.add(WHEN, [rate(7)])
    assert perf(reports) == perf(work)
    assert perf(work)["results"][0]["results"]["8"]["ops_per_sec_values"] == [5, 7]
    assert len((work / "metrics.jsonl").read_text().splitlines()) == 2
    PerfFiles([tmp_path, work], storage_engine="wiredTiger").begin()
    assert perf(work)["results"] == []
    assert (work / "metrics.jsonl").read_text() == ""


@pytest.mark.parametrize("content", ["", "{", '{"results": 3}', '{"results": [3]}', "[]"])
def test_what_is_no_perf_json_is_not_gone_on_with(tmp_path: Path, content: str) -> None:
    (tmp_path / "perf.json").write_text(content)
    files = PerfFiles([tmp_path], storage_engine="wiredTiger")
    files.resume()
    files.add(WHEN, [rate(7)])
    assert len(perf(tmp_path)["results"]) == 1


def test_a_folder_that_cant_be_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match=r"metrics.jsonl can't be written: No such file"):
        PerfFiles([tmp_path / "gone"], storage_engine="wiredTiger").begin()
