"""What is found in a reports folder, and what is not since somebody asked for it."""

import gzip
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.analysis.folder_bed import LOGS, Reports, election, line, old_line

from dsi.analysis import RULES, analyze
from dsi.analysis.rules import LogRule
from dsi.analysis.rules.logs import NEEDLES
from dsi.errors import ReportError


@pytest.fixture
def reports(tmp_path: Path) -> Reports:
    return Reports(tmp_path)


# --- how tests ended ----------------------------------------------------------------------------------------------


def test_of_a_run_in_which_all_went_well_nothing_is_found(reports: Reports) -> None:
    reports.a_test()
    reports.log(line(20, 51803, "Slow query", component="COMMAND"), "", line(21, 22943, "Connection accepted"))
    found = reports.analyze()
    assert (found.findings, found.exit_status, found.log_lines) == ([], 0, 3)


def test_a_test_that_failed_is_an_error_with_its_reason_and_without_the_pages_of_a_log(reports: Reports) -> None:
    reason = "first: went down\n  the last lines of its log:\n    many lines"
    reports.a_test(status="failed", reason=reason, exit_status=None)
    finding = reports.the_finding()
    assert (finding.rule, finding.severity, finding.test) == ("test_failed", "error", "t")
    assert finding.message == "the test ended as failed: first: went down; its output is in t/test_output.log"


def test_a_run_that_was_killed_is_said_to_be_unfinished_and_its_test_to_have_no_end(reports: Reports) -> None:
    reports.event(10, "test_begin", test="done")
    reports.event(20, "test_end", test="done", status="passed", exit_status=0)
    reports.event(21, "test_begin", test="cut")
    reports.write(
        "test_control.yml", "run: [{id: done, type: x, cmd: x}, {id: cut, type: x, cmd: x}, {id: later, type: x}]"
    )
    # The configuration that is copied when a run begins has what came out of the run before.
    reports.write("test_control.out.yml", "out: {exit_codes: {cut: {status: 0, message: passed, outcome: passed}}}")
    found = reports.analyze()
    assert [(test.id, test.status) for test in found.tests] == [
        ("done", "passed"),
        ("cut", "unfinished"),
        ("later", "not run"),
    ]
    assert reports.found() == [("error", "run_unfinished"), ("error", "test_failed")]
    assert "ends in test cut" in found.findings[0].message
    assert "did not run" in found.findings[1].message


@pytest.mark.parametrize("tests", ["", "run: [{id: t, type: x, cmd: x}]"], ids=["without tests", "with a test"])
def test_a_run_that_was_killed_before_its_tests_is_unfinished_unless_teardown_came(
    reports: Reports, tests: str
) -> None:
    if tests:
        reports.write("test_control.yml", tests)
    reports.event(1, "stage", stage="mongodb_setup")
    assert ("error", "run_unfinished") in reports.found()
    reports.event(2, "cluster_start_begin", span=1)
    assert reports.analyze().findings[0].rule == "run_unfinished"
    assert "the timeline ends in stage mongodb_setup" in reports.analyze().findings[0].message
    reports.event(3, "stage", stage="infrastructure_teardown")
    assert ("error", "run_unfinished") not in reports.found()


def test_a_run_without_tests_whose_stages_are_over_is_in_order(reports: Reports) -> None:
    reports.event(1, "stage", stage="infrastructure_provisioning")
    reports.event(2, "task_end", error="", interrupted=False, notes=[])
    assert reports.found() == []


def test_what_a_killed_dsi_left_of_a_line_is_passed_over_and_said(reports: Reports) -> None:
    reports.event(10, "test_begin", test="t")
    with (reports.path / "timeline.jsonl").open("ab") as file:
        file.write(b'{"time": "2027-01-15T08:00\xff\0')
    assert reports.found() == [("error", "run_unfinished"), ("warning", "timeline_damaged")]


def test_without_a_timeline_the_tests_are_those_of_test_control_out_yml(tmp_path: Path) -> None:
    """As in a folder of the original DSI, which has `status` and `message` alone."""
    reports = Reports(tmp_path, timeline=False)
    codes = "{good: {status: 0, message: exit_status}, bad: {status: 3, message: it broke}}"
    reports.write("test_control.out.yml", f"out: {{exit_codes: {codes}}}")
    reports.log(election(20), path="good/mongod.0/mongod.log")
    assert reports.found() == [("error", "test_failed"), ("warning", "election")]
    assert "nobody knows" not in reports.analyze().findings[0].message


@pytest.mark.parametrize("content", ["", "no JSON\n"])
def test_a_timeline_without_a_line_that_can_be_read_is_none(tmp_path: Path, content: str) -> None:
    reports = Reports(tmp_path, timeline=False)
    reports.write("timeline.jsonl", content)
    with pytest.raises(ReportError, match="has nothing to analyze"):
        reports.analyze()
    reports.write("test_control.out.yml", "out: {exit_codes: {good: {status: 0, message: passed, outcome: passed}}}")
    assert reports.found() == ([("warning", "timeline_damaged")] if content else [])
    assert [(test.id, test.passed) for test in reports.analyze().tests] == [("good", True)]


def test_an_error_that_stopped_the_task_a_failed_restart_and_warnings_are_told(reports: Reports) -> None:
    reports.event(10, "test_begin", test="t")
    reports.span(20, 30, "restart_mongodb", mode="rolling", error="first did not stop")
    reports.event(40, "warning", host="mongod.0", message="there is no data/logs")
    reports.event(50, "test_end", test="t", status="error", reason="first did not stop")
    reports.event(51, "task_end", error="t: first did not stop", interrupted=False)
    assert [rule for _, rule in reports.found()] == ["restart_failed", "test_failed", "task_error", "run_warning"]


@pytest.mark.parametrize("how", [{"interrupted": True}, {"error": "CancelledError"}], ids=["as now", "as it was"])
def test_what_was_interrupted_is_not_said_to_have_failed(reports: Reports, how: dict[str, object]) -> None:
    reports.event(1, "cluster_start_begin", span=1)
    reports.event(2, "cluster_start_end", span=1, duration_s=1, **how)
    reports.event(10, "test_begin", test="t")
    reports.event(20, "restart_mongodb_begin", mode="clean", span=2)
    reports.event(22, "restart_mongodb_end", mode="clean", span=2, duration_s=2, **how)
    reports.event(23, "test_end", test="t", status="cancelled", reason="interrupted")
    reports.event(24, "task_end", error="", interrupted=True, notes=[])
    assert reports.found() == [("error", "test_failed"), ("error", "task_error")]


def test_a_post_task_that_failed_is_a_warning(reports: Reports) -> None:
    reports.event(10, "test_begin", test="t")
    reports.event(20, "test_end", test="t", status="passed", exit_status=0)
    reports.event(
        21,
        "task_end",
        error="",
        interrupted=False,
        notes=["post_task.0: first: went down"],
        log_lines=["first: the last lines of its log:", "no"],
    )
    finding = reports.the_finding()
    assert (finding.rule, finding.severity) == ("post_task_failed", "warning")
    assert finding.message == "the tests are over, and this failed: post_task.0: first: went down"
    assert finding.text == "first: the last lines of its log:\nno"


def test_a_stage_that_failed_is_told_and_not_taken_for_a_dsi_that_was_killed(reports: Reports) -> None:
    reports.span(1, 2, "cluster_start", error="first (127.0.0.2): ended with exit status 1\n    many lines of its log")
    reports.event(3, "stage", stage="infrastructure_teardown")
    reports.write("test_control.yml", "run: [{id: t, type: x, cmd: x}]")
    assert reports.found() == [("error", "stage_failed"), ("error", "test_failed")]
    assert "cluster_start failed, and no test ran after it: first" in reports.analyze().findings[0].message


def test_a_node_that_went_down_unasked_is_an_error_and_what_follows_from_it_a_warning(reports: Reports) -> None:
    reports.event(29, "test_begin", test="t")
    down = {"test": "t", "host": "mongod.0", "node": "first", "how": "signal 9 (SIGKILL)"}
    reports.event(30, "node_down", **down, expected=False, log_tail=["the last"])
    reports.event(60, "test_end", test="t", status="passed", exit_status=0)
    reports.event(61, "task_end")
    reports.log(election(41), path="t/mongod.1/second/mongod.log")
    error, warning = reports.analyze().findings
    assert (error.rule, error.host, error.node, error.test, error.text) == (
        "node_down",
        "mongod.0",
        "first",
        "t",
        "the last",
    )
    assert "signal 9 (SIGKILL)" in error.message
    assert (warning.rule, warning.severity) == ("election", "warning")
    assert "shortly before: first went down" in warning.message


# --- server logs --------------------------------------------------------------------------------------------------


def test_a_finding_has_file_line_time_host_and_node_and_says_what_to_do(reports: Reports) -> None:
    reports.a_test()
    reports.log(line(30, 1, "x"), line(40.5, 22942, "Connection refused because there are too many open connections"))
    finding = reports.the_finding()
    assert (finding.rule, finding.severity) == ("too_many_connections", "error")
    assert (finding.file, finding.line, finding.host, finding.node) == (
        "t/mongod.0/first/mongod.log",
        2,
        "mongod.0",
        "first",
    )
    assert finding.time_s == pytest.approx(1_800_000_040.5)
    assert "maxIncomingConnections" in finding.message
    assert "Connection refused because" in finding.text


@pytest.mark.parametrize("form", [line, None], ids=["structured", "text"])
def test_an_election_is_expected_in_a_restart_a_warning_soon_after_it_and_an_error_elsewhere(
    reports: Reports, form: object
) -> None:
    at = election if form else (lambda at_s: old_line(at_s, "Starting an election, since we've seen no PRIMARY"))
    reports.event(10, "test_begin", test="t")
    reports.span(30, 40, "restart_mongodb", mode="clean", restarted=["first"])
    reports.event(100, "test_end", test="t", status="passed", exit_status=0)
    reports.event(101, "task_end")
    reports.log(at(29), at(35), at(41.5), at(43), at(54), at(70), at(80))
    found = reports.analyze()
    error, warning = found.findings
    assert (error.rule, error.severity, error.line, error.count) == ("election", "error", 6, 2)
    assert (warning.rule, warning.severity, warning.line, warning.count) == ("election", "warning", 4, 2)
    assert "at that time, or shortly before: restart_mongodb (clean)" in warning.message
    assert found.expected == {"election": 3}


def test_a_connection_that_broke_in_a_restart_may_be_noticed_some_time_later(reports: Reports) -> None:
    reports.span(30, 40, "restart_mongodb", mode="clean", restarted=["first"])
    reports.a_test()
    broken = "Error sending response to client. Ending connection from remote"
    reports.log(line(50, 22989, broken, component="NETWORK"), line(60, 22989, broken, component="NETWORK"))
    assert [one.line for one in reports.analyze().findings] == [2]


def test_that_nodes_went_down_in_a_restart_explains_no_more_than_the_restart_does(reports: Reports) -> None:
    reports.event(10, "test_begin", test="t")
    reports.event(30, "restart_mongodb_begin", mode="clean", span=1)
    reports.event(38, "node_down", test="t", host="mongod.0", node="first", expected=True)
    reports.event(40, "restart_mongodb_end", mode="clean", span=1, restarted=["first"], duration_s=10, error=None)
    reports.event(80, "node_down", test="t", host="mongod.0", node="first", expected=True)
    reports.event(100, "test_end", test="t", status="passed", exit_status=0)
    reports.event(101, "task_end")
    reports.log(election(50), election(92))
    found = reports.analyze()
    assert ([one.line for one in found.findings], found.expected) == ([1], {"election": 1})


@pytest.mark.parametrize("how", [{"error": "first failed"}, {"error": "CancelledError"}, {"interrupted": True}])
def test_a_restart_that_did_not_come_to_its_end_explains_what_follows(reports: Reports, how: dict[str, object]) -> None:
    reports.event(10, "test_begin", test="t")
    reports.event(30, "restart_mongodb_begin", mode="clean", span=1)
    reports.event(40, "restart_mongodb_end", mode="clean", span=1, duration_s=10, **how)
    reports.event(100, "test_end", test="t", status="passed", exit_status=0)
    reports.event(101, "task_end")
    reports.log(election(52))
    assert reports.analyze().expected == {"election": 1}


def test_what_somebody_tells_a_set_to_do_is_an_error_as_soon_as_the_cluster_has_been_started(reports: Reports) -> None:
    reports.event(0.1, "stage", stage="mongodb_setup")
    reports.span(1, 8, "cluster_start")
    reports.event(8.1, "stage", stage="test_control")
    reports.a_test(8.2)
    reports.log(
        line(7, 4615661, "Starting an election due to step up request", component="ELECTION"),
        line(8.5, 21579, "Attempting to step down in response to replSetStepDown command", component="COMMAND"),
        line(8.6, 4615661, "Starting an election due to step up request", component="ELECTION"),
    )
    found = reports.analyze()
    assert [(one.severity, one.rule, one.line) for one in found.findings] == [
        ("error", "stepdown", 2),
        ("error", "election", 3),
    ]
    assert found.expected == {"election": 1}


@pytest.mark.parametrize("form", [line, None], ids=["structured", "text"])
def test_a_set_that_gets_another_configuration_in_mid_test_and_a_member_that_is_out_of_it_are_told(
    reports: Reports, form: object
) -> None:
    def at(at_s: float, number: int, message: str) -> str:
        return line(at_s, number, message) if form else old_line(at_s, message)

    reports.span(1, 8, "cluster_start")
    reports.a_test(8.2)
    reports.log(at(5, 21352, "replSetReconfig admin command received from client"))
    reports.log(at(9, 21352, "replSetReconfig admin command received from client"), path="t/mongod.1/b/mongod.log")
    reports.log(at(9.5, 21394, "This node is not a member of the config"), path="t/mongod.2/c/mongod.log")
    assert [(one.severity, one.rule, one.host) for one in reports.analyze().findings] == [
        ("error", "member_removed", "mongod.2"),
        ("warning", "reconfig", "mongod.1"),
    ]


def test_a_node_that_is_lost_just_after_the_start_explains_as_a_warning_what_follows(reports: Reports) -> None:
    reports.span(1, 8, "cluster_start")
    reports.event(8.2, "test_begin", test="t")
    reports.event(9, "node_down", test="t", host="mongod.0", node="first", how="signal 9", expected=False)
    reports.event(60, "test_end", test="t", status="passed", exit_status=0)
    reports.event(61, "task_end")
    reports.log(line(9, 21216, "Member is now in state DOWN"), election(20), path="t/mongod.1/second/mongod.log")
    found = reports.analyze()
    assert [(one.severity, one.rule) for one in found.findings] == [
        ("error", "node_down"),
        ("warning", "member_unreachable"),
        ("warning", "election"),
    ]
    assert all("shortly before: first went down" in one.message for one in found.findings[1:])
    assert found.expected == {}


def test_an_election_while_dsi_ran_a_command_on_the_servers_is_a_warning_that_names_it(reports: Reports) -> None:
    reports.event(10, "test_begin", test="t")
    reports.span(30, 31, "during_test_command", path="x.during_test.0", command={"at": 20, "on_mongod.0": "rs.sh"})
    reports.event(100, "test_end", test="t", status="passed", exit_status=0)
    reports.event(101, "task_end")
    reports.log(election(33))
    finding = reports.the_finding()
    assert (finding.severity, finding.rule) == ("warning", "election")
    assert 'x.during_test.0: {"at": 20, "on_mongod.0": "rs.sh"}' in finding.message


def test_an_election_between_tests_is_but_a_warning(reports: Reports) -> None:
    reports.a_test(10, 50)
    reports.log(election(5))
    assert reports.found() == [("warning", "election")]


def test_a_host_whose_clock_is_off_is_looked_at_by_its_own_time(reports: Reports) -> None:
    reports.event(1, "clock_offset", host="mongod.0", offset_s=120.0, uncertainty_s=0.01)
    reports.span(30, 40, "restart_mongodb", mode="clean")
    reports.a_test()
    reports.log(election(121), election(155))
    finding = reports.the_finding()
    assert (finding.line, finding.count, finding.test) == (1, 1, None)  # 121 by that clock was before the test


def test_a_restart_in_which_dsi_was_killed_lasts_until_another_dsi_goes_on(reports: Reports) -> None:
    reports.event(10, "test_begin", test="t")
    reports.event(30, "restart_mongodb_begin", mode="clean", span=1)
    reports.log(election(60), election(130))
    found = reports.analyze()
    assert ([one.rule for one in found.findings], found.expected) == (["run_unfinished"], {"election": 2})
    reports.event(70, "timeline", version=1)
    reports.event(150, "test_end", test="t", status="passed", exit_status=0)
    reports.event(151, "task_end")
    finding = reports.the_finding()
    assert (finding.rule, finding.line) == ("election", 2)


def test_a_host_whose_clock_was_set_in_mid_run_is_told(reports: Reports) -> None:
    reports.event(1, "clock_offset", host="mongod.0", offset_s=0.0, uncertainty_s=0.01)
    reports.event(9, "clock_offset", host="mongod.1", offset_s=3.0, uncertainty_s=0.01)
    reports.a_test()
    reports.event(102, "clock_offset", host="mongod.0", offset_s=20.0, uncertainty_s=0.01)
    finding = reports.the_finding()
    assert (finding.rule, finding.host, "20.0 s" in finding.message) == ("clock_jump", "mongod.0", True)


def test_an_unclean_shutdown_is_expected_after_a_crash_that_was_asked_for_and_not_after_a_clean_restart(
    reports: Reports,
) -> None:
    unclean = (22271, "Detected unclean shutdown - Lock file is not empty")
    reports.event(10, "test_begin", test="t")
    reports.span(20, 22, "restart_mongodb", mode="crash")
    reports.event(50, "node_down", test="t", host="mongod.1", node="second", expected=True)
    reports.event(100, "test_end", test="t", status="passed", exit_status=0)
    reports.event(101, "task_end")
    reports.log(line(21, *unclean, severity="W", component="STORAGE"))
    reports.log(line(90, *unclean, severity="W"), path="t/mongod.1/second/mongod.log")
    reports.log(line(90, *unclean, severity="W"), path="t/mongod.2/third/mongod.log")
    finding = reports.the_finding()
    assert (finding.rule, finding.severity, finding.host) == ("unclean_shutdown", "error", "mongod.2")


def test_errors_of_a_disturbance_are_expected_in_it_and_other_errors_never(reports: Reports) -> None:
    def error(at_s: float, text: str) -> str:
        return line(at_s, 4879802, "Failed to handle request", severity="E", component="COMMAND", error=text)

    reports.span(30, 40, "restart_mongodb", mode="clean")
    reports.span(80, 82, "during_test_command", path="p", command={"on_mongod": "x"})
    reports.a_test()
    reports.log(
        error(35, "NotWritablePrimary: Not-primary error"),
        error(36, "BSONObjectTooLarge: something"),
        error(70, "NotWritablePrimary: Not-primary error"),
        error(81, "NotWritablePrimary: Not-primary error"),
        error(82, "BSONObjectTooLarge: something"),
        error(83, "CloseConnectionForShutdownCommand: Closing the connection"),
        old_line(84, "ttl query execution for index {a: 1} failed", severity="E", component="INDEX"),
    )
    found = [(one.rule, one.severity, one.line, one.count) for one in reports.analyze().findings]
    assert found == [("log_error", "error", 2, 3), ("log_error", "warning", 4, 1)]


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("WiredTiger error: read checksum error for 4096B block at offset 8192", "data_corruption"),
        ("Error writing journal: No space left on device", "disk_full"),
        ("Invariant failure", "log_fatal"),
    ],
)
def test_fatal_lines_are_told_by_what_they_mean_in_both_forms(reports: Reports, text: str, rule: str) -> None:
    reports.span(30, 40, "restart_mongodb", mode="crash")  # which explains no such thing
    reports.a_test()
    reports.log(line(35, 23079, text, severity="F", component="-"))
    reports.log(old_line(35, text, severity="F", component="STORAGE"), path="t/mongod.1/second/mongod.log")
    assert reports.found() == [("error", rule)] * 2


def test_real_restarts_of_a_replica_set_are_all_expected(reports: Reports) -> None:
    reports.write("timeline.jsonl", (LOGS / "restarts.jsonl").read_bytes())
    reports.write("restarts/mongod.0/first/mongod.log", (LOGS / "restarts.log").read_bytes())
    found = reports.analyze()
    assert [one for one in found.findings if one.severity == "error"] == []
    assert found.expected == {
        "connection_reset": 5,
        "election": 12,
        "member_unreachable": 7,
        "stepdown": 2,
        "unclean_shutdown": 2,
    }


@pytest.mark.parametrize(
    ("log", "rules", "text"),
    [
        (
            "corrupt",
            ["data_corruption", "log_error", "log_fatal"],
            "read checksum error for 4096B block at offset 12288",
        ),
        ("full", ["disk_full", "log_error", "log_fatal"], "No space left on device"),
        ("port", ["log_error"], "Address already in use"),
        ("rollback", ["stepdown", "rollback"], "Transition to ROLLBACK"),
    ],
)
def test_what_really_went_wrong_is_told_by_what_it_is(tmp_path: Path, log: str, rules: list[str], text: str) -> None:
    reports = Reports(tmp_path, timeline=False)
    reports.write("t/mongod.0/first/mongod.log", (LOGS / f"{log}.log").read_bytes())
    found = reports.analyze().findings
    assert [one.rule for one in found] == rules
    assert any(text in one.text for one in found)


def test_a_real_abort_is_found_unless_it_was_asked_for(reports: Reports) -> None:
    log = (LOGS / "sigabrt.log").read_bytes()
    reports.write("timeline.jsonl", "")
    reports.write("t/mongod.0/first/mongod.log", log)
    (finding,) = analyze(reports.path).findings
    assert (finding.rule, finding.line) == ("log_fatal", 2)
    assert 'F CONTROL: Writing fatal message {"message": "Got signal: 6 (Aborted).\\n"}' in finding.text
    down = (
        '{"time": "2026-11-24T03:34:17.895Z", "monotonic_s": 1, "event": "node_down", "expected": true, "node": "%s"}\n'
    )
    reports.write("timeline.jsonl", down % "first")
    assert analyze(reports.path).expected == {"log_fatal": 1}
    reports.write("timeline.jsonl", down % "second")
    assert len(analyze(reports.path).findings) == 1


def test_what_the_copy_after_a_later_test_repeats_is_one_finding_of_the_test_in_which_it_happened(
    reports: Reports,
) -> None:
    for number, name in enumerate(("one", "two", "three")):
        reports.event(10 + 100 * number, "test_begin", test=name)
        reports.event(100 + 100 * number, "test_end", test=name, status="passed", exit_status=0)
    reports.event(400, "task_end")
    start, first, second = line(5, 1, "begin"), election(50), election(150)
    reports.log(start, first, path="one/mongod.0/n/mongod.log")
    reports.log(start, first, second, path="two/mongod.0/n/mongod.log")
    reports.log(start, first, second, path="three/mongod.0/n/mongod.log.2026-01-01T00-00-00")  # rotated since
    assert [(one.test, one.file) for one in reports.analyze().findings] == [
        ("one", "one/mongod.0/n/mongod.log"),
        ("two", "two/mongod.0/n/mongod.log"),
    ]


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("election", "Starting an election, since we've seen no PRIMARY in the past 10000ms"),
        ("election", "election succeeded, assuming primary role in term 4"),
        ("member_unreachable", "Member b:27017 is now in state RS_DOWN - Connection refused"),
        ("stepdown", "Attempting to step down in response to replSetStepDown command"),
        ("stepdown", "can't see a majority of the set, relinquishing primary"),
        ("stepdown", "Stepping down from primary in response to heartbeat"),
        ("stepdown", "stepping down from primary, because a new term has begun: 2"),
        ("rollback", "transition to ROLLBACK from SECONDARY"),
        ("reconfig", 'replSetReconfig admin command received from client; new config: { _id: "rs0" }'),
        ("member_removed", "This node is not a member of the config"),
        ("too_many_connections", "connection refused because too many open connections: 819"),
        ("connection_reset", "Error sending response to client: SocketException: Broken pipe. Ending connection"),
        ("unclean_shutdown", "Detected unclean shutdown - /data/db/mongod.lock is not empty."),
    ],
)
def test_a_log_of_4_2_says_the_same_in_its_own_words(reports: Reports, rule: str, message: str) -> None:
    reports.a_test()
    reports.log(old_line(50, message))
    finding = reports.the_finding()
    assert (finding.rule, finding.line, finding.host, finding.test) == (rule, 1, "mongod.0", "t")
    assert message in finding.text


def test_lines_of_an_earlier_run_in_a_log_that_was_not_cleaned_are_none_of_this_one(reports: Reports) -> None:
    reports.a_test()
    reports.log(line(-5000, 23079, "Invariant failure", severity="F"), line(20, 1, "x"))
    assert reports.found() == []


# --- damage -------------------------------------------------------------------------------------------------------


def test_a_compressed_log_that_is_cut_off_is_read_as_far_as_it_goes(reports: Reports) -> None:
    reports.a_test()
    lines = [election(50), *(line(60 + n / 1000, n, f"noise {n * 7919}") for n in range(5000))]
    whole = gzip.compress("\n".join(lines).encode())
    reports.write("t/mongod.0/first/mongod.log.gz", whole[: len(whole) // 2])
    found = reports.analyze()
    assert [one.rule for one in found.findings] == ["election", "log_damaged"]
    assert "can't be read to its end" in found.findings[1].message
    assert found.log_lines > 100


def test_damaged_lines_are_told_with_the_first_and_how_many_and_the_rest_is_read(reports: Reports) -> None:
    reports.a_test()
    content = [b"the end of a line", line(20, 1, "x").encode(), bytes(range(256)), election(50).encode(), b"\0" * 5000]
    reports.write("t/mongod.0/first/mongod.log", b"\n".join([*content, election(60).encode()[:100]]))
    found = reports.analyze()
    assert [(one.rule, one.line, one.count) for one in found.findings] == [
        ("election", 5, 2),  # the bytes have a newline among them
        ("log_damaged", 3, 3),
        ("log_damaged", 7, 1),
    ]
    assert "the last line is cut off" in found.findings[2].message


def test_a_log_without_newlines_and_an_empty_one_are_told(reports: Reports) -> None:
    reports.a_test()
    reports.write("t/mongod.0/first/mongod.log", b"x" * (5 << 20))
    reports.write("t/mongod.1/second/mongod.log", b"")
    assert reports.found() == [("warning", "log_damaged")] * 2


def test_an_empty_log_of_a_server_that_had_nothing_to_log_in_a_later_test_is_no_damage(reports: Reports) -> None:
    """Each test's folder has what was logged since the test before."""
    reports.a_test(10, 20, "one")
    reports.a_test(30, 40, "two")
    reports.log(line(15, 1, "x"), path="one/mongod.0/first/mongod.log")
    reports.write("two/mongod.0/first/mongod.log", b"")
    reports.write("two/mongod.0/second/mongod.log", b"")
    assert [(one.rule, one.node) for one in reports.analyze().findings] == [("log_damaged", "second")]


def test_clocks_that_were_set_are_told(reports: Reports) -> None:
    reports.event(10, "test_begin", test="t")
    reports.write(
        "timeline.jsonl",
        (reports.path / "timeline.jsonl").read_text()
        + '{"time": "2027-01-15T09:00:00Z", "monotonic_s": 111, "event": "mark"}\n',
    )
    reports.log(line(50, 1, "x"), line(49.9, 1, "another thread"), line(20, 1, "back"), line(30, 1, "x"))
    assert [rule for _, rule in reports.found()] == ["run_unfinished", "clock_jump", "log_damaged"]
    damage = reports.analyze().findings[-1]
    assert (damage.line, "set back by 30.0 s" in damage.message) == (3, True)


def test_a_timeline_of_another_version_is_read_as_far_as_it_is_known(reports: Reports) -> None:
    reports.write(
        "timeline.jsonl", (reports.path / "timeline.jsonl").read_text().replace('"version": 1', '"version": 9')
    )
    reports.event(5, "something_new", test=["whatever"])
    reports.a_test(status="invalid", reason="the fault did not take")
    assert reports.found() == [("error", "test_failed"), ("warning", "timeline_version")]
    assert "version 9" in reports.analyze().findings[1].message


# --- files --------------------------------------------------------------------------------------------------------


def test_core_files_are_found_by_name_and_content(reports: Reports) -> None:
    reports.a_test()
    reports.write("t/mongod.0/first/core.1234", b"\x7fELF and so on")
    reports.write("t/mongod.0/first/core.mongod.9.gz", gzip.compress(b"\x7fELF and so on"))
    reports.write("t/workload_client.0/core.csv", "a,b,c")
    found = reports.analyze()
    assert [(one.rule, one.node, one.file) for one in found.findings] == [
        ("core_file", "first", "t/mongod.0/first/core.1234"),
        ("core_file", "first", "t/mongod.0/first/core.mongod.9.gz"),
    ]
    assert "packed" in found.findings[1].message


def test_logs_of_other_names_are_known_by_what_they_say(reports: Reports) -> None:
    reports.a_test()
    reports.log(election(50), path="t/mongod.0/logs/shard0.log")
    reports.log("Starting an election", path="t/workload_client.0/locust.log")
    finding = reports.the_finding()
    assert (finding.file, finding.host, finding.node) == ("t/mongod.0/logs/shard0.log", "mongod.0", None)


@pytest.mark.parametrize("path", ["mongod.log", "somewhere/mongod.log", "a/b/c/d/e/mongos.log"])
def test_logs_that_somebody_has_put_together_are_read_too(tmp_path: Path, path: str) -> None:
    reports = Reports(tmp_path, timeline=False)
    reports.log(election(50), path=path)
    assert [(one.rule, one.file) for one in reports.analyze().findings] == [("election", path)]


def test_every_line_of_an_old_log_that_a_rule_wants_is_looked_at() -> None:
    wanted = [rule.words.pattern for rule in RULES.values() if isinstance(rule, LogRule) and rule.ids and rule.words]
    words = [alternative.encode() for pattern in wanted for alternative in pattern.split("|")]
    assert len(words) > 10
    assert [one for one in words if not any(needle in one for needle in NEEDLES)] == []


def test_every_rule_says_what_it_looks_for() -> None:
    assert all(rule.looks_for for rule in RULES.values())


@given(places=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.binary(max_size=5)), min_size=1, max_size=5))
@settings(max_examples=25, deadline=None)
def test_no_damage_keeps_the_rest_from_being_analyzed(places: list[tuple[float, bytes]]) -> None:
    def damaged(content: bytes) -> bytes:
        """Put something else in some places, and end at the last."""
        for share, instead in places:
            at = int(share * len(content))
            content = content[:at] + instead + content[at + 3 :]
        return content[: max(int(places[-1][0] * len(content)), 1)]

    with TemporaryDirectory() as folder:
        reports = Reports(Path(folder), timeline=False)
        log = (LOGS / "restarts.log").read_bytes()
        reports.write("timeline.jsonl", damaged((LOGS / "restarts.jsonl").read_bytes()))
        reports.write("test_control.yml", damaged(b"run:\n  - {id: restarts, type: shell, cmd: x}\n"))
        reports.write("restarts/mongod.0/first/mongod.log", damaged(log))
        reports.write("restarts/mongod.1/second/mongod.log.gz", damaged(gzip.compress(log)))
        reports.write("restarts/mongod.2/third/mongod.log.zst", damaged(log))
        found = reports.analyze()
        assert len(found.folder.logs) == 3
        assert found.as_json()
