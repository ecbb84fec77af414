"""`dsi analyze` as a person runs it; `test_cli` and `test_nodes_of_a_test` have it read what real servers wrote."""

import json
from pathlib import Path

import pytest
from tests.integration.work_directory import WorkDirectory
from tests.unit.analysis.folder_bed import Reports, election


@pytest.fixture
def work(tmp_path: Path) -> WorkDirectory:
    """A work directory whose reports have an election in mid-test."""
    (tmp_path / "reports").mkdir()
    reports = Reports(tmp_path / "reports")
    reports.a_test()
    reports.log(election(50))
    return WorkDirectory(tmp_path)


def test_findings_are_plain_lines_with_their_place_and_the_summary_is_last(work: WorkDirectory) -> None:
    lines = work.dsi("analyze", exit_status=1).stdout.splitlines()
    assert lines[0] == "error    election  test t  mongod.0/first  2027-01-15T08:00:50.000Z"
    assert lines[2] == "         t/mongod.0/first/mongod.log:1"
    assert lines[-1] == "tests: 1 passed; 1 error, 0 warnings; 1 server log read (1 line)"
    assert work.dsi("analyze", "reports", exit_status=1).stdout.splitlines() == lines


def test_report_json_has_the_originals_form(work: WorkDirectory) -> None:
    before, beside = work.folder / "reports" / "report.json", work.folder / "beside"
    before.write_text("old")
    beside.hardlink_to(before)
    work.dsi("analyze", exit_status=1)
    assert beside.read_text() == "old", "it was written anew beside the old one, not over it"
    report = json.loads(work.read("reports/report.json"))
    assert report["failures"] == 1
    assert {result["test_file"]: result["status"] for result in report["results"]} == {
        "t": "pass",
        "t/mongod.0/first/mongod.log": "fail",
        "core.t.mongod.0": "pass",
        "run": "pass",
    }
    log = next(result for result in report["results"] if result["status"] == "fail")
    assert log.keys() == {"test_file", "status", "start", "end", "exit_code", "log_raw"}
    assert (log["exit_code"], log["start"]) == (1, 1_800_000_050)
    assert "Starting an election" in log["log_raw"]


def test_for_programs_it_is_json_with_times_as_text(work: WorkDirectory) -> None:
    found = json.loads(work.dsi("analyze", "--json", exit_status=1).stdout)
    assert (found["version"], found["exit_status"], found["ignored"]) == (1, 1, 0)
    (finding,) = found["findings"]
    assert (finding["rule"], finding["time"]) == ("election", "2027-01-15T08:00:50.000Z")
    assert found["tests"][0] == {
        "id": "t",
        "status": "passed",
        "reason": "",
        "exit_status": 0,
        "start": "2027-01-15T08:00:10.000Z",
        "end": "2027-01-15T08:01:40.000Z",
    }


def test_the_configuration_silences_a_rule_or_a_pattern_and_a_wrong_name_is_exit_status_2(work: WorkDirectory) -> None:
    settings = work.folder / "analysis.yml"
    settings.write_text("ignore: [{rule: election, pattern: no PRIMARY}]\nchecks: [exit, core, log]\n")
    assert "0 errors, 0 warnings" in work.dsi("analyze").stdout
    settings.write_text("ignore: [{pattern: something else}, {rule: stepdown}]\n")
    work.dsi("analyze", exit_status=1)
    settings.write_text("ignore: [{rule: elections}]\n")
    (work.folder / "test_control.yml").write_text("run: []\n")
    for command in ("analyze", "run"):
        told = work.dsi(command, exit_status=2).stderr
        assert 'analysis.yml:1:17: ignore.0.rule: no rule "elections" (did you mean "election"?)' in told
    settings.write_text("ignore: [{pattern: '('}]\n")
    assert "no regular expression" in work.dsi("analyze", exit_status=2).stderr
    # A copy that a full disk has cut off is no reason not to look at the rest.
    (work.folder / "reports" / "mongodb_setup.yml").write_text("topology: [")
    result = work.dsi("analyze", "reports", exit_status=1)
    assert "nothing is ignored" in result.stderr
    assert "1 error, 0 warnings" in result.stdout


def test_what_cannot_be_read_is_exit_status_3_and_a_wrong_argument_2(tmp_path: Path) -> None:
    work = WorkDirectory(tmp_path)
    assert "run `dsi test-control` first" in work.dsi("analyze", exit_status=3).stderr
    (tmp_path / "reports").mkdir()
    assert "has nothing to analyze" in work.dsi("analyze", exit_status=3).stderr
    assert "does not exist" in work.dsi("analyze", "elsewhere", exit_status=2).stderr


def test_findings_are_shown_also_where_report_json_cannot_be_written(work: WorkDirectory) -> None:
    (work.folder / "reports" / "report.json").mkdir()
    result = work.dsi("analyze", exit_status=3)
    assert "error    election" in result.stdout
    assert "report.json can't be written: Is a directory" in result.stderr


def test_the_rules_are_listed_with_what_they_look_for(work: WorkDirectory) -> None:
    listing = work.dsi("analyze", "--rules").stdout
    assert "core_file             core files" in listing
