"""`test_control.out.yml`, `reports/junit.xml` and the table at the end of a real `dsi run` without servers."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from tests.integration.work_directory import LIMIT_S, WorkDirectory, hosts

from dsi.errors import HookFailed
from dsi.report.plain import PlainProgress
from dsi.stages.run import run
from dsi.stages.session import Session
from dsi.timeline import Timeline

TASK = """
task_name: words
timeouts: {no_output_ms: 500}
run:
  - {id: good, type: shell, cmd: "echo fine"}
  - {id: bad, type: shell, cmd: "printf '\\033[31mred\\001\\n'; yes 0123456789 | head -n 5000; exit 4"}
  - {id: hung, type: shell, cmd: sleep 1000}
"""


def cases(work: WorkDirectory) -> dict[str, ET.Element]:
    suite = ET.fromstring(work.read("reports/junit.xml")).find("testsuite")
    assert suite is not None
    return {str(case.get("name")): case for case in suite.findall("testcase")}


def test_each_test_stands_in_all_places_with_outcome_and_reason(tmp_path: Path) -> None:
    work = WorkDirectory(tmp_path, infrastructure_provisioning=hosts(0), test_control=TASK)
    shown = work.dsi("run", exit_status=1).stderr
    out = work.read("test_control.out.yml")
    for text in (shown, out):
        for outcome in ("passed", "failed (workload)", "timed out"):
            assert outcome in text
        assert "cmd: exit status 4" in text
    assert "exit_status: 1" in out
    assert "wrote no output for 0.5 s" in " ".join(out.split())
    good, bad, hung = cases(work).values()
    assert [child.tag for child in good] == ["system-out"]
    assert [(child.tag, child.get("message")) for child in bad] == [
        ("failure", "cmd: exit status 4"),
        ("system-out", None),
    ]
    assert str(bad.findtext("system-out")).startswith("… (the last 16384 of")
    assert (hung[0].tag, hung[0].get("type")) == ("failure", "timed out")
    work.dsi("run", "--original-exit-status")


def test_a_task_that_breaks_outside_of_its_tests_is_an_error_for_a_ci_system_too(tmp_path: Path) -> None:
    broken = "pre_task: [{on_workload_client: 'exit 9'}]\n"
    work = WorkDirectory(tmp_path, infrastructure_provisioning=hosts(0), test_control=TASK + broken)
    work.dsi("run", exit_status=3)
    whole = cases(work).pop("(the task itself)")
    assert "exit status 9" in str(whole[0].get("message"))
    assert [case[0].tag for case in cases(work).values()] == ["skipped"] * 3 + ["error"]


def test_a_post_task_that_fails_stands_in_the_files_for_programs_though_all_tests_passed(tmp_path: Path) -> None:
    task = "run: [{id: good, type: shell, cmd: 'true'}]\npost_task: [{on_workload_client: 'exit 9'}]\n"
    work = WorkDirectory(tmp_path, infrastructure_provisioning=hosts(0), test_control=task)
    work.dsi("run")
    out = work.read("test_control.out.yml")
    assert "notes:" in out
    for text in (out, work.read("reports/junit.xml"), str(work.events("task_end"))):
        assert "post_task (test_control.post_task.0): workload_client.0: exit status 9" in " ".join(text.split())


BREAKS = "local_post_provisioning: true\npost_provisioning: [{on_workload_client: 'exit 3'}]\n"


@pytest.mark.parametrize("more", ["", BREAKS], ids=["after the tests", "before the tests"])
async def test_when_the_timeline_tells_that_the_task_is_over_what_came_of_it_is_written(
    tmp_path: Path, more: str
) -> None:
    task = "run: [{id: good, type: shell, cmd: 'true'}]\n"
    work = WorkDirectory(tmp_path, infrastructure_provisioning=hosts(0) + more, test_control=task)
    written = []

    def see(event: Mapping[str, Any]) -> None:
        if event["event"] == "task_end":
            written.append(work.read("test_control.out.yml"))

    async with Session(tmp_path, PlainProgress(), tied=True) as session:
        session.timeline.on_event = see
        with suppress(HookFailed):
            await run(session)
    (out,) = written
    assert "reports" in out
    assert "killed" not in out


async def test_who_watches_reports_finds_a_timeline_there_at_any_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = "run: [{id: good, type: shell, cmd: 'true'}]\n"
    work = WorkDirectory(tmp_path, infrastructure_provisioning=hosts(0), test_control=task)
    work.dsi("run")
    earlier = (tmp_path / "reports").readlink()
    shown = []

    def see(timeline: Timeline, path: Path) -> None:
        shown.append((tmp_path / "reports").readlink())
        move_to(timeline, path)

    move_to = Timeline.move_to
    monkeypatch.setattr(Timeline, "move_to", see)
    async with Session(tmp_path, PlainProgress(), tied=True) as session:
        await run(session)
    assert shown == [earlier]
    assert (tmp_path / "reports").readlink() != earlier


def test_what_is_written_does_not_depend_on_the_locale(tmp_path: Path) -> None:
    task = """
task_name: wörter
run: [{id: first, type: shell, cmd: "printf '\\\\xff ü\\\\n'; exit 3"}]
post_task: [{on_workload_client: "echo größer >&2; exit 3"}]
"""
    ascii_alone = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    work = WorkDirectory(tmp_path, infrastructure_provisioning=hosts(0), test_control=task)
    for command in ("run", "analyze"):
        process = work.start(command, environment=ascii_alone)
        _, err = process.communicate(timeout=LIMIT_S)
        assert process.returncode == 1, err
        assert "Traceback" not in err
    assert "� ü" in str(cases(work)["first"].findtext("system-out"))
    assert "größer" in (tmp_path / "reports" / "junit.xml").read_text(encoding="utf-8")
