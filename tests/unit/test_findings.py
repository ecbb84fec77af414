"""What a test ends as, of all that was found out about it."""

from typing import get_args

import pytest

from dsi.errors import (
    ClusterError,
    ConnectionLost,
    DsiError,
    HookFailed,
    HostUnreachable,
    NoEffect,
    ReportError,
    SeveralFailed,
    SourceMissing,
)
from dsi.runner import Status
from dsi.runner.findings import Findings
from dsi.runner.outcome import status_of


def test_nothing_found_is_passed_without_a_reason_and_a_note_changes_nothing() -> None:
    findings = Findings()
    findings.note("a file is missing")
    assert findings.verdict() == ("passed", "", ("a file is missing",))


def test_what_can_be_the_cause_of_the_rest_is_the_verdict_and_the_rest_are_notes() -> None:
    findings = Findings()
    order: list[Status] = [status for status in get_args(Status) if status not in ("passed", "not run")]
    for status in order[:-1][::-1]:
        findings.add(status, f"{status}, first")
        findings.add(status, f"{status}, second")
        findings.add(status, f"{status}, second")
        assert findings.status == status
    _, reason, notes = findings.verdict()
    words = [f"{status}, {which}" for status in order[:-1] for which in ("first", "second")]
    assert [reason, *notes] == words


def test_the_lines_of_a_lost_nodes_log_are_kept_once_and_apart_from_the_sentence_that_says_why() -> None:
    findings = Findings()
    lost = ClusterError("rs0.first", "went down", ["assertion", "aborting"])
    findings.add_problem(lost, "failed (validation)")
    findings.add_problem(HookFailed("post_test", "post_test.0", SeveralFailed([lost, NoEffect("none")])), "invalid")
    findings.note(str(lost))
    notes = ("rs0.first: went down",)
    _, *said = findings.verdict()
    assert said == ["post_test (post_test.0): rs0.first: went down; none", ("rs0.first: went down", *notes)]
    assert findings.log_lines == ["rs0.first: the last lines of its log:", "assertion", "aborting"]


def test_what_is_found_after_an_interrupt_is_a_note_and_what_was_found_before_stays() -> None:
    findings = Findings()
    findings.add("cancelled", "interrupted")
    findings.add("failed (workload)", "post_test failed")
    assert findings.verdict() == ("cancelled", "interrupted", ("post_test failed",))

    findings = Findings()
    findings.add("failed (workload)", "cmd: exit status 1")
    findings.add("cancelled", "interrupted")
    assert findings.verdict() == ("failed (workload)", "cmd: exit status 1", ("interrupted",))


def test_a_restart_that_was_never_begun_is_no_reason_for_what_else_went_wrong() -> None:
    findings = Findings()
    findings.add_not_tried("restart: was not due")
    assert findings.verdict() == ("invalid", "restart: was not due", ())
    findings.add("failed (workload)", "cmd: exit status 1")
    assert findings.verdict() == ("failed (workload)", "cmd: exit status 1", ("restart: was not due",))


def hook_failed(cause: DsiError) -> HookFailed:
    failed = HookFailed("post_test", "run.0", cause)
    failed.__cause__ = cause
    return failed


@pytest.mark.parametrize(
    ("problem", "status"),
    [
        (ClusterError("rs0", "differs"), "failed (validation)"),
        (NoEffect("restart_mongodb failed"), "invalid"),
        (HostUnreachable("mongod.0", "no login"), "infrastructure error"),
        (ConnectionLost("mongod.0", "broke"), "infrastructure error"),
        (ReportError("the disk is full"), "infrastructure error"),
        (SourceMissing("mongod.0", "no such file"), "failed (validation)"),
        (hook_failed(ConnectionLost("mongod.0", "broke")), "infrastructure error"),
        (hook_failed(ClusterError("rs0", "differs")), "failed (validation)"),
        (SeveralFailed([ClusterError("rs0", "differs"), ConnectionLost("h", "broke")]), "infrastructure error"),
    ],
)
def test_a_lost_host_is_no_failure_of_the_test_nor_is_a_restart_that_failed(problem: DsiError, status: Status) -> None:
    assert status_of(problem, "failed (validation)") == status


def test_of_several_errors_in_one_each_is_a_finding_of_its_own() -> None:
    findings = Findings()
    findings.add_problem(SeveralFailed([ClusterError("a", "differs"), ConnectionLost("h", "broke")]), "timed out")
    assert findings.verdict() == ("infrastructure error", "h: broke", ("a: differs",))
