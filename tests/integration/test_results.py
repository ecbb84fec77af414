"""What real benchmarks measured is in perf.json when their tests are over."""

import json
import shutil
import socket
from pathlib import Path
from typing import Any

import pytest
from tests.integration.work_directory import WorkDirectory, hosts

TASK = """
task_name: results
run:
  - id: fio
    type: fio
    cmd: |
      fio --name=latency_test --rw=randrw --bs=4k --size=1M --runtime=1 --output-format=json --output=fio.json
    output_files: [fio.json]
  - id: iperf
    type: iperf
    cmd: |
      timeout 60 iperf3 --server --one-off --bind 127.0.0.1 --port PORT >/dev/null &
      until ss --listening --tcp --numeric | grep -q ":PORT "; do sleep 0.05; done
      iperf3 --client 127.0.0.1 --port PORT --time 1 --json
      wait
  - id: sysbench
    type: sysbench
    cmd: sysbench cpu --threads=2 --time=1 run
"""

OUTCOMES = """
run:
  - {id: first, type: mongoshell, cmd: "echo '>>> insert : 4 8'"}
  - {id: again, type: mongoshell, cmd: "echo '>>> insert : 6 8'; echo '>>> find : nan 8'"}
  - {id: fails, type: mongoshell, cmd: "echo '>>> measured : -1.5 1'; exit 3"}
  - {id: fails_early, type: ycsb, cmd: exit 3}
  - {id: empty, type: ycsb, cmd: echo hello, output_files: [out.csv]}
  - {id: shell, type: shell, cmd: echo hello}
  - id: never
    type: ycsb
    cmd: echo hello
    pre_test: [{on_workload_client: exit 4}]
between_tests: []
"""


def perf_json(folder: Path) -> dict[str, Any]:
    content = json.loads((folder / "perf.json").read_text())
    assert content["storageEngine"] == "wiredTiger"
    return {result["name"]: result for result in content["results"]}


@pytest.mark.parametrize("program", ["fio", "iperf3", "sysbench"])
def test_the_programs_are_there(program: str) -> None:
    assert shutil.which(program), "./run test installs it"


def test_real_programs_are_read(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    task = TASK.replace("PORT", str(port))
    work = WorkDirectory(tmp_path, infrastructure_provisioning=hosts(0), test_control=task)
    work.dsi("run")
    results = perf_json(tmp_path)
    assert results == perf_json(tmp_path / "reports")
    for name, workload, threads in (
        ("fio_latency_test_read_iops", "fio", "1"),
        ("fio_latency_test_write_iops", "fio", "1"),
        ("NetworkBandwidth", "iperf", "1"),
        ("sysbench_events_per_sec", "sysbench", "2"),
    ):
        result = results[name]
        assert result["workload"] == workload
        assert result["start"] < result["end"]
        assert result["results"][threads]["ops_per_sec"] > 0
    assert results["fio_latency_test_read_clat_mean"]["results"]["1"]["ops_per_sec"] < 0
    lines = [json.loads(line) for line in (tmp_path / "reports" / "metrics.jsonl").read_text().splitlines()]
    [p99] = [line for line in lines if line["name"] == "fio_latency_test_read_clat_99th"]
    assert (p99["percentile"], p99["unit"], p99["better"]) == (99, "us", "lower")


def test_each_outcome_keeps_what_was_measured_and_says_what_was_not(tmp_path: Path) -> None:
    (tmp_path / "perf.json").write_text('{"results": [{"name": "of an earlier run"}]}')
    work = WorkDirectory(tmp_path, infrastructure_provisioning=hosts(0), test_control=OUTCOMES)
    work.dsi("run", exit_status=3)
    assert {name: result["results"] for name, result in perf_json(tmp_path / "reports").items()} == {
        "insert": {"8": {"ops_per_sec": 5, "ops_per_sec_values": [4, 6]}},
        "measured": {"1": {"ops_per_sec": -1.5, "ops_per_sec_values": [-1.5]}},
    }
    out = (tmp_path / "test_control.out.yml").read_text()
    assert "no result of type ycsb in out.csv (missing), test_output.log: looked for" in " ".join(out.split())
    ended = {line["test"]: line for line in work.events("test_end")}
    assert {name: line["status"] for name, line in ended.items()} == {
        "first": "passed",
        "again": "passed",
        "fails": "failed (workload)",
        "fails_early": "failed (workload)",
        "empty": "failed (workload)",
        "shell": "passed",
        "never": "infrastructure error",
    }
    assert ended["fails_early"]["reason"] == "cmd: exit status 3"
    [again] = [line for line in work.events("results") if line["test"] == "again"]
    assert again["passed_over"] == ["test_output.log, line 2: 'nan' is no number"]
