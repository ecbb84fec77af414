"""What each program writes is read as the numbers that it says."""

import json

import pytest
from tests.unit.parsers.reading import GOLDEN, beside, golden, in_perf_json, said

OPS = "ops_per_sec"


def test_mongoshell_lines_are_rates_and_negative_ones_latencies() -> None:
    measured = golden("mongoshell", "mongoshell.log")
    assert [(metric.name, metric.value, metric.threads, metric.better) for metric in measured.metrics] == [
        ("insert_ttl", 20953.2853834914, 1, "higher"),
        ("insert_ttl", 48277.51341787234, 16, "higher"),
        ("findOne_latency_ms", 1.25, 8, "lower"),
        ("contended_update", 18154.5, 64, "higher"),
        ("contended_update", 12000.0, 64, "higher"),
    ]
    assert golden("shell", "mongoshell.log") == golden("cpu_noise", "mongoshell.log") == measured


def test_each_run_of_ycsb_has_its_threads_and_the_keys_that_perf_json_has_had() -> None:
    measured = golden("ycsb", "ycsb.log")
    assert in_perf_json(measured) == {
        ("t", 32, OPS): 47494.99521487923,
        ("t", 32, "average_read_latency_us"): -1289.2202832346643,
        ("t", 32, "95th_read_latency_us"): -2101,
        ("t", 32, "99th_read_latency_us"): -3201,
        ("t", 32, "99.9th_read_latency_us"): -11999,
        ("t", 32, "average_update_latency_us"): -1395.1558125208226,
        ("t", 32, "95th_update_latency_us"): -2000,  # YCSB said 2 ms
        ("t", 64, OPS): 51000.5,
        ("t", 64, "average_read_latency_us"): -1200.25,
    }
    assert measured.passed_over == ["test_output.log, line 27: [UPDATE-FAILED], AverageLatency(us): 'NaN' is no number"]
    p99 = beside(measured, "t", percentile=99)  # of CLEANUP
    assert (p99.value, p99.unit, p99.statistic) == (2001, "us", "percentile")


def test_a_summary_that_ycsb_exported_to_a_file_has_the_threads_of_the_log() -> None:
    summary = "[OVERALL], RunTime(ms), 1000\n[OVERALL], Throughput(ops/sec), 12.5\n"
    measured = said("ycsb", "Command line: -t -threads 7 -p exportfile=out\nLoading workload...\n", summary)
    assert in_perf_json(measured) == {("t", 7, OPS): 12.5}


@pytest.mark.parametrize("name", ["ycsb.json", "ycsb_array.json"])
def test_what_ycsbs_exporters_write_as_json_are_the_results_of_its_text(name: str) -> None:
    """One writes an object after another without a comma, the other an array of them."""
    measured = said("ycsb", "Command line: -t -threads 16 -p exportfile=out.json\n", (GOLDEN / name).read_bytes())
    assert in_perf_json(measured) == {
        ("t", 16, OPS): 4968.944099378882,
        ("t", 16, "average_read_latency_us"): -611.5,
        ("t", 16, "95th_read_latency_us"): -1042,
        ("t", 16, "99th_read_latency_us"): -2311,
    }
    [problem] = measured.passed_over
    assert problem.endswith("[UPDATE-FAILED], AverageLatency(us): 'NaN' is no number")


def test_ycsbs_json_in_the_log_has_the_threads_of_its_own_run_and_is_read_in_one_line_too() -> None:
    json_of = (GOLDEN / "ycsb.json").read_text()
    in_one_line = " ".join((GOLDEN / "ycsb_array.json").read_text().split())
    measured = said("ycsb", f"Command line: -threads 2\n{json_of}\nCommand line: -threads 4\n{in_one_line}\n")
    values = [(metric.threads, metric.value) for metric in measured.metrics if metric.key == OPS]
    assert values == [(2, 4968.944099378882), (4, 4968.944099378882)]


def test_ycsbs_json_that_is_cut_off_before_its_throughput_is_said() -> None:
    whole = (GOLDEN / "ycsb.json").read_text()
    measured = said("ycsb", whole[: whole.index("4968")])
    assert in_perf_json(measured) == {}
    assert "has no `[OVERALL], Throughput(ops/sec)`" in measured.passed_over[-1]


@pytest.mark.parametrize("name", ["fio.json", "fio_both.txt"])
def test_fios_json_is_read_wherever_it_stands(name: str) -> None:
    measured = golden("fio", None, name)
    assert golden("fio", name).metrics == measured.metrics
    assert sorted({key for _, _, key in in_perf_json(measured)}) == [OPS]
    assert sorted(name for name, _, _ in in_perf_json(measured)) == [
        f"fio_{job}_test_{direction}_{what}"
        for job in ("iops", "latency")
        for direction in ("read", "write")
        for what in ("clat_mean", "iops")
    ]


@pytest.mark.parametrize(("name", "iops"), [("fio_status.json", 199.866755), ("fio_status.txt", 198)])
def test_of_what_fio_tells_while_it_runs_the_last_is_the_result(name: str, iops: float) -> None:
    """`--status-interval=1`: each time of all until then."""
    once = golden("fio", None, name)
    (value,) = [metric.value for metric in once.metrics if metric.name.endswith("_read_iops")]
    assert value == pytest.approx(iops)


def test_runs_of_fio_one_after_another_are_a_value_each() -> None:
    def run(end_ms: int, iops: float, *, took_ms: int) -> str:
        job = {"jobname": "a", "elapsed": -(-took_ms // 1000), "job_runtime": took_ms - 20}
        clat = {"clat_ns": {"mean": 1, "stddev": 1}}
        return json.dumps({"timestamp_ms": end_ms, "jobs": [{**job, "read": {"iops": iops, **clat}}]})

    runs = [(10_000, 1, 500), (10_600, 2, 510), (11_200, 3, 490), (12_800, 4, 1200), (14_100, 5, 1200)]
    measured = said("fio", "\n".join(run(end_ms, iops, took_ms=took_ms) for end_ms, iops, took_ms in runs))
    assert [metric.value for metric in measured.metrics if metric.name == "fio_a_read_iops"] == [1, 2, 3, 4, 5]
    text = (GOLDEN / "fio_status.txt").read_text()
    twice = said("fio", text + text.replace("pid=", "pid=1"))
    assert [metric.value for metric in twice.metrics if metric.name.endswith("iops")] == [198, 198]


@pytest.mark.parametrize("name", ["fio_mixed.json", "fio_mixed.txt"])
def test_reads_and_writes_that_fio_reports_as_one_are_mixed(name: str) -> None:
    values = in_perf_json(golden("fio", None, name))
    assert values["fio_m_mixed_iops", 1, OPS] == pytest.approx(399.6, abs=1)
    assert -300 < values["fio_m_mixed_clat_mean", 1, OPS] < -200


def test_latencies_that_fio_did_not_measure_are_none_and_not_0() -> None:
    assert in_perf_json(golden("fio", None, "fio_without_clat.json")) == {
        ("fio_d_read_iops", 1, OPS): pytest.approx(199.8002),
        ("fio_d_write_iops", 1, OPS): pytest.approx(199.8002),
    }


def test_fios_numbers_have_their_units() -> None:
    measured = golden("fio", None, "fio.json")
    values = in_perf_json(measured)
    assert values["fio_latency_test_read_iops", 1, OPS] == pytest.approx(9334.665335)
    assert values["fio_latency_test_read_clat_mean", 1, OPS] == pytest.approx(-85.296, abs=0.001)
    p99 = beside(measured, "fio_latency_test_read_clat_99th", percentile=99)
    assert (p99.value, p99.unit, p99.better) == (987.136, "us", "lower")


def test_the_text_of_fio_gives_the_same_names() -> None:
    values = in_perf_json(golden("fio", "fio.txt"))
    assert values.keys() == in_perf_json(golden("fio", None, "fio.json")).keys()
    assert values["fio_latency_test_read_iops", 1, OPS] == 4016
    assert values["fio_latency_test_read_clat_mean", 1, OPS] == -221.79
    assert values["fio_latency_test_write_clat_mean", 1, OPS] == pytest.approx(-3.31361)  # in nanoseconds there
    assert values["fio_iops_test_read_iops", 1, OPS] == 18_100


@pytest.mark.parametrize(
    ("name", "bits_per_s"),
    [
        ("iperf3.json", 3758363224.119055),
        ("iperf3.txt", 8.22e9),
        ("iperf3_udp.json", 10218588.454469545),
        ("iperf3_udp.txt", 10.2e6),
        ("iperf2.txt", 49.5e9),
        ("iperf2.csv", 30916636466),
        ("iperf3_megabytes.txt", 425 * 8 * 1024**2),
        ("iperf3_prefixed.txt", 2.40e9),  # with a time and a title before each line
    ],
)
def test_what_iperf_sent_is_the_network_bandwidth(name: str, bits_per_s: float) -> None:
    assert in_perf_json(golden("iperf", None, name)) == {
        ("NetworkBandwidth", 1, OPS): pytest.approx(bits_per_s, rel=1e-6)
    }


@pytest.mark.parametrize(
    ("name", "there", "back"),
    [
        ("iperf3_bidir.json", 1413112601.0613844, 1486400398.486774),
        ("iperf3_bidir.txt", 3.19e9, 2.29e9),
        ("iperf3_bidir_p2.txt", 1.18e9, 4.10e9),
        ("iperf3_udp_bidir.txt", 100e6, 100e6),
    ],
)
def test_what_iperf_sent_in_both_directions_at_once_are_two_results(name: str, there: float, back: float) -> None:
    assert in_perf_json(golden("iperf", None, name)) == {
        ("NetworkBandwidth", 1, OPS): pytest.approx(there),
        ("NetworkBandwidth_reverse", 1, OPS): pytest.approx(back),
    }


def test_iperfs_stream_of_json_has_its_result_in_the_last_event() -> None:
    """`--json-stream` of iperf3 3.17 and later: https://software.es.net/iperf/invoking.html."""
    events = [
        {"event": "start", "data": {"version": "iperf 3.17"}},
        {"event": "interval", "data": {"sum": {"bits_per_second": 1}}},
        {"event": "end", "data": {"sum_sent": {"bits_per_second": 12.5}, "sum_received": {"bits_per_second": 12}}},
    ]
    measured = said("iperf", "\n".join(json.dumps(event) for event in events))
    assert in_perf_json(measured) == {("NetworkBandwidth", 1, OPS): 12.5}


def test_py_tpccs_table_is_new_orders_per_second() -> None:
    assert in_perf_json(golden("tpcc", None, "tpcc_results.log")) == {("t", 50, OPS): 50.0}  # 1.00 of each thread


def test_py_tpccs_wide_table_has_percentiles_of_each_transaction() -> None:
    measured = golden("tpcc", "tpcc_percentiles.log")
    assert list(in_perf_json(measured).values()) == [45.0]
    assert beside(measured, "t_NEW_ORDER", percentile=95).value == 61.75
    assert beside(measured, "t_PAYMENT").value == pytest.approx(13100 / 300)
    tpmc = beside(measured, "t_tpmC")
    assert (tpmc.value, tpmc.threads, tpmc.unit) == (2700, 20, "1/min")


def test_gennys_report_keeps_its_names_and_threads() -> None:
    assert in_perf_json(golden("genny", None, "genny-metrics.csv", "genny-perf.json")) == {
        ("InsertRemove-Insert", 4, OPS): 10780.5
    }


def test_gennys_metrics_are_summed_up_as_its_own_report_does() -> None:
    """Rows by the time from the first begin to the last end: 3 in 2 seconds."""
    measured = golden("genny", None, "genny-metrics.csv")
    assert in_perf_json(measured) == {("InsertRemove-Insert", 2, OPS): 1.5, ("InsertRemove-Remove", 1, OPS): 4.0}
    assert beside(measured, "InsertRemove-Insert").value == 1e9


def test_the_canaries_of_genny_are_latencies() -> None:
    assert in_perf_json(golden("genny_canaries", None, "nop.csv", "ping.csv")) == {
        ("nop_simple_avg_latency_picoseconds", 1, OPS): -29,
        ("nop_real_avg_latency_picoseconds", 1, OPS): -220264,
        ("ping_simple_avg_latency_picoseconds", 1, OPS): -92000000,
    }


def test_the_json_between_sysbenchs_marks_keeps_its_names() -> None:
    measured = golden("sysbench", "sysbench_marked.log")
    assert in_perf_json(measured) == {
        ("t_latency_99_ms", 4, OPS): -1.6078891680383,
        ("t_reads_per_sec", 4, OPS): 789.55321958931,
    }
    assert measured.metrics[0].percentile == 99


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("cpu", {("t_events_per_sec", 2): 2837.18, ("t_latency_avg_ms", 2): -0.70, ("t_latency_95_ms", 2): -4.91}),
        (
            "memory",
            {
                ("t_operations_per_sec", 1): 4566671.71,
                ("t_mib_per_sec", 1): 4459.64,
                ("t_latency_avg_ms", 1): 0,
                ("t_latency_95_ms", 1): 0,
            },
        ),
        (
            "fileio",
            {
                ("t_reads_per_sec", 1): 11579.56,
                ("t_writes_per_sec", 1): 7719.71,
                ("t_fsyncs_per_sec", 1): 386.98,
                ("t_read_mib_per_sec", 1): 180.93,
                ("t_written_mib_per_sec", 1): 120.62,
                ("t_latency_avg_ms", 1): -0.05,
                ("t_latency_95_ms", 1): 0,
            },
        ),
        (
            "mutex",
            {
                ("t_events_per_sec", 1): pytest.approx(1 / 0.286),
                ("t_latency_avg_ms", 1): -282.99,
                ("t_latency_95_ms", 1): -282.25,
            },
        ),
        (
            "oltp",
            {
                ("t_transactions_per_sec", 16): 821.35,
                ("t_queries_per_sec", 16): 16426.98,
                ("t_latency_avg_ms", 16): -19.47,
                ("t_latency_99_ms", 16): -44.17,
            },
        ),
    ],
)
def test_sysbenchs_report_is_read(name: str, values: dict[tuple[str, int], float]) -> None:
    measured = golden("sysbench", f"sysbench_{name}.txt")
    assert {place[:2]: value for place, value in in_perf_json(measured).items()} == values


def test_the_report_of_sysbench_0_4_is_read_too() -> None:
    report = """sysbench 0.4.12:  multi-threaded system evaluation benchmark
Running the test with following options:
Number of threads: 16
OLTP test statistics:
    transactions:                        10000  (821.35 per sec.)
    deadlocks:                           0      (0.00 per sec.)
Test execution summary:
    total time:                          12.1751s
    per-request statistics:
         min:                                  5.11ms
         avg:                                 19.47ms
         max:                                 91.31ms
         approx.  95 percentile:              44.17ms

Threads fairness:
"""
    assert in_perf_json(said("sysbench", report)) == {
        ("t_transactions_per_sec", 16, OPS): 821.35,
        ("t_latency_avg_ms", 16, OPS): -19.47,
        ("t_latency_95_ms", 16, OPS): -44.17,
    }


def test_the_rate_of_sysbench_1_1_is_that_of_its_events_where_a_script_has_no_other() -> None:
    """Its `Throughput:` stands in the place of 1.0's `General statistics:`."""
    report = """sysbench 1.1.0 (using bundled LuaJIT 2.1.0-beta3)
Running the test with following options:
Number of threads: 4
Throughput:
    events/s (eps):                      1520.8733
    time elapsed:                        10.0000s
    total number of events:              15210

Latency (ms):
         min:                                    0.55
         avg:                                    2.66
         max:                                   10.55
         95th percentile:                        3.90
         sum:                                39974.07
"""
    assert in_perf_json(said("sysbench", report)) == {
        ("t_events_per_sec", 4, OPS): 1521.0,
        ("t_latency_avg_ms", 4, OPS): -2.66,
        ("t_latency_95_ms", 4, OPS): -3.9,
    }


def test_fileio_of_sysbench_1_1_has_the_names_of_1_0() -> None:
    report = """Number of threads: 2
Throughput:
         read:  IOPS=1840.50 28.76 MiB/s (30.15 MB/s)
         write: IOPS=1227.00 19.17 MiB/s (20.10 MB/s)
         fsync: IOPS=3926.25

Latency (ms):
         avg:                                  0.25
"""
    measured = said("sysbench", report)
    assert in_perf_json(measured) == {
        ("t_reads_per_sec", 2, OPS): 1840.5,
        ("t_read_mib_per_sec", 2, OPS): 28.76,
        ("t_writes_per_sec", 2, OPS): 1227,
        ("t_written_mib_per_sec", 2, OPS): 19.17,
        ("t_fsyncs_per_sec", 2, OPS): 3926.25,
        ("t_latency_avg_ms", 2, OPS): -0.25,
    }
    assert {metric.unit for metric in measured.metrics} == {"ops/s", "MiB/s", "ms"}


def test_linkbenchs_statistics_are_mean_latencies_and_of_requests_also_rates() -> None:
    measured = golden("linkbench", None, "linkbench_request.csv", "linkbench_load.csv")
    assert in_perf_json(measured) == {
        ("ADD_NODE_ms", 20, OPS): -0.32,
        ("ADD_NODE", 20, OPS): 3125.0,
        ("GET_LINKS_LIST_ms", 20, OPS): -0.4,
        ("GET_LINKS_LIST", 20, OPS): 2500.0,
        ("LOAD_NODE_BULK_ms", 20, OPS): -66529.97,
    }
    assert measured.passed_over == []
    assert beside(measured, "GET_LINKS_LIST_ms", percentile=99).value == 3  # of the range [2,3]
    assert golden("linkbench2", None, "linkbench_request.csv", "linkbench_load.csv") == measured


def test_linkbenchs_log_serves_where_there_are_no_statistics() -> None:
    values = in_perf_json(golden("linkbench", "linkbench.log"))
    assert values["GET_LINKS_LIST_ms", 1, OPS] == -2.427
    assert values["t_requests_per_sec", 1, OPS] == 11029


def test_locusts_csv_has_all_requests_and_each_kind() -> None:
    measured = golden("locust", "locust.log", "locust_stats.csv")
    values = in_perf_json(measured)
    assert values["t", 3, OPS] == pytest.approx(229.04702081086523)
    assert values["t_mongo_find, by id", 3, OPS] == pytest.approx(33.29758452316543)
    assert values["t_mongo_insert", 3, "99th_latency_ms"] == -2
    assert values["t", 3, "average_latency_ms"] == pytest.approx(-1.6431718061674008)
    [failures] = [metric for metric in measured.metrics if metric.key == "failures_per_sec" and metric.name == "t"]
    assert (failures.value, failures.better) == (48.432850215513355, "lower")


@pytest.mark.parametrize("name", ["locust_json.log", "locust.log"])
def test_locusts_json_and_its_table_give_the_names_of_its_csv(name: str) -> None:
    values = in_perf_json(golden("locust", name))
    of_csv = in_perf_json(golden("locust", "locust.log", "locust_stats.csv"))
    assert {place for place in of_csv if "th_" not in place[2]} == {place for place in values if "th_" not in place[2]}
    assert 200 < values["t", 3, OPS] < 300


def test_k6s_export_has_requests_under_the_tests_id_and_the_rest_by_name() -> None:
    measured = golden("k6", None, "k6_export.json")
    assert in_perf_json(measured) == {
        ("t", 10, OPS): 4.36938,
        ("t", 10, "average_latency_ms"): -144.56,
        ("t", 10, "50th_latency_ms"): -110.47,
        ("t", 10, "90th_latency_ms"): -203.54,
        ("t", 10, "95th_latency_ms"): -215.95,
        ("t_data_received", 10, OPS): 31000.5,
        ("t_iteration_duration", 10, OPS): -6450.5,
        ("t_iterations", 10, OPS): 1.092345,
    }
    failed = beside(measured, "t_http_req_failed")
    assert (failed.value, failed.better, failed.key) == (0, "lower", "share")


def test_k6s_new_summary_is_a_list_and_has_counts_without_their_rates() -> None:
    """`--new-machine-readable-summary`, `version` 1.0.0."""

    def metric(name: str, kind: str, **values: float) -> dict[str, object]:
        return {"name": name, "type": kind, "contains": "time" if kind == "trend" else "default", "values": values}

    metrics = [
        metric("http_reqs", "counter", count=100),
        metric("http_req_failed", "rate", matches=10, rate=0.1, total=100),
        metric("http_req_duration", "trend", avg=150, med=120, p95=300, max=450),
        metric("vus_max", "gauge", value=4),
    ]
    summary = {"config": {"duration": 20}, "results": {"metrics": metrics}, "version": "1.0.0"}
    measured = said("k6", json.dumps(summary))
    assert in_perf_json(measured) == {
        ("t", 4, OPS): 5,
        ("t", 4, "average_latency_ms"): -150,
        ("t", 4, "50th_latency_ms"): -120,
        ("t", 4, "95th_latency_ms"): -300,
    }
    assert beside(measured, "t_http_req_failed").value == 0.1
    del summary["config"]
    assert said("k6", json.dumps(summary)).passed_over == ["test_output.log, line 1: http_reqs: there is no rate"]


def test_k6s_own_summary_is_read_the_same_way_and_iterations_stand_in_for_requests() -> None:
    assert in_perf_json(golden("k6", None, "k6_handle_summary.json")) == {
        ("t", 5, OPS): 99.9,
        ("t", 5, "average_latency_ms"): -9.5,
        ("t", 5, "50th_latency_ms"): -9,
        ("t", 5, "95th_latency_ms"): -12.5,
        ("t", 5, "99th_latency_ms"): -20,
        ("t_mongo_insert", 5, OPS): -2.5,
        ("t_insert_errors", 5, OPS): -1,
    }


@pytest.mark.parametrize("name", ["k6_legacy.txt", "k6_full.txt"])
def test_k6s_text_gives_the_names_of_its_json_and_each_request_once(name: str) -> None:
    """Groups and scenarios of `--summary-mode=full` are in the total."""
    measured = golden("k6", name)
    values = in_perf_json(measured)
    assert {place: value for place, value in values.items() if place[0] == "t"} == {
        ("t", 8, OPS): 6.732026,
        ("t", 8, "average_latency_ms"): -152.25,
        ("t", 8, "50th_latency_ms"): -141.5,
        ("t", 8, "90th_latency_ms"): -201.4,
        ("t", 8, "95th_latency_ms"): -250,
    }
    assert values["t_insert_docs", 8, OPS] == 673.2026
    assert values["t_iteration_duration", 8, OPS] == -1180
    assert values["t_data_received", 8, OPS] == 39_000
    assert ("t_queue_depth", 8, OPS) not in values
    failed = beside(measured, "t_http_req_failed")
    assert (failed.value, failed.better, failed.key) == (3 / 412, "lower", "share")
    assert beside(measured, "t_http_req_duration{expected_response:true}", percentile=95).value == 248
    [longest] = [one for one in measured.metrics if (one.name, one.statistic) == ("t_iteration_duration", "max")]
    assert (longest.value, longest.unit) == (62_000, "ms")
    assert measured.passed_over == []


def test_k6s_text_has_microseconds_nanoseconds_and_numbers_without_a_unit() -> None:
    measured = golden("k6", "k6_legacy.txt")
    blocked = {one.statistic: one.value for one in measured.metrics if one.name == "t_http_req_blocked"}
    assert blocked["mean"] == pytest.approx(0.3105)
    assert blocked["min"] == pytest.approx(0.0009)
    [rows] = [
        one for one in golden("k6", "k6_full.txt").metrics if (one.name, one.statistic) == ("t_rows_read", "mean")
    ]
    assert (rows.value, rows.unit) == (101.5, "")


def test_k6s_text_twice_is_two_values_and_none_beside_its_json() -> None:
    text, as_json = (GOLDEN / "k6_legacy.txt").read_text(), (GOLDEN / "k6_export.json").read_text()
    once = golden("k6", "k6_legacy.txt").metrics
    assert said("k6", text * 2).metrics == [*once, *once]
    assert said("k6", text + as_json).metrics == golden("k6", "k6_export.json").metrics


def test_a_value_of_k6s_text_that_is_no_number_is_said() -> None:
    measured = said("k6", "  http_reqs......: 12 4.5/s\n  docs......: 12 x/s\n")
    assert in_perf_json(measured) == {("t", 1, OPS): 4.5}
    assert measured.passed_over == ["test_output.log, line 2: docs: 'x' is no number"]


def test_a_trend_of_k6_without_its_mean_keeps_its_percentiles() -> None:
    """`--summary-trend-stats="med,p(99)"`."""
    trend = {"med": 110, "p(99)": 300}
    metrics = {"http_reqs": {"count": 100, "rate": 5}, "http_req_duration": trend, "depth": {"value": 1, "min": 0}}
    assert in_perf_json(said("k6", json.dumps({"metrics": metrics}))) == {
        ("t", 1, OPS): 5,
        ("t", 1, "50th_latency_ms"): -110,
        ("t", 1, "99th_latency_ms"): -300,
    }
