"""Runs that break or are interrupted outside of a `cmd`: before the tests nothing says that any has passed."""

import signal
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from tests.integration.work_directory import LIMIT_S, REPLICA_SET, STANDALONE, WorkDirectory, hosts, wait_until

TASK = (
    "run:\n  - {id: first, type: shell, cmd: 'echo \">>> speed : 7 1\"'}\n  - {id: second, type: shell, cmd: 'true'}\n"
)
HOLD = "touch held; sleep 1000"


def green(folder: Path) -> WorkDirectory:
    work = WorkDirectory(folder, infrastructure_provisioning=hosts(0), test_control=TASK)
    work.dsi("run")
    assert "speed" in work.read("perf.json")
    return work


def insist_on_none_passed(work: WorkDirectory, why: str) -> None:
    """See to it that each file says that no test has run, and why; those of the run before are kept."""
    for path in ("test_control.out.yml", "reports/test_control.out.yml"):
        out = " ".join(work.read(path).split())
        assert "outcome: not run" in out
        assert "passed" not in out
        assert why in out
        assert f"reports: {(work.folder / 'reports').readlink()}" in out
    root = ET.fromstring(work.read("reports/junit.xml"))
    assert [case[0].tag for case in root.iter("testcase")] == ["skipped", "skipped", "error"]
    assert why in str(next(root.iter("error")).text)
    for folder in ("", "reports/"):
        assert "speed" not in work.read(f"{folder}perf.json")
        assert work.read(f"{folder}metrics.jsonl") == ""
    earlier = min(work.folder.glob("reports-*"))
    assert "outcome: passed" in (earlier / "test_control.out.yml").read_text()


def test_a_cluster_that_does_not_start(tmp_path: Path) -> None:
    work = green(tmp_path)
    (tmp_path / "infrastructure_provisioning.yml").write_text(hosts(1))
    (tmp_path / "mongodb_setup.yml").write_text(
        STANDALONE.replace("mongod_config_file: {", "mongod_config_file: {noSuchOption: 1, ")
    )
    work.dsi("run", exit_status=3)
    insist_on_none_passed(work, "mongodb_setup: ")
    found = work.dsi("analyze", exit_status=1).stdout
    assert "an error stopped the task, and no further test ran: mongodb_setup: " in found


def test_stage_by_stage_a_node_that_is_lost_before_the_tests(tmp_path: Path) -> None:
    work = WorkDirectory(
        tmp_path,
        infrastructure_provisioning=hosts(1),
        mongodb_setup=STANDALONE,
        test_control=TASK + "between_tests: []\n",
    )
    for stage in ("provision", "mongodb-setup", "test-control"):
        work.dsi(stage)
    work.dsi("conn", "md.0", "-c", "pkill -9 mongod")
    work.dsi("test-control", exit_status=3)
    insist_on_none_passed(work, "these nodes are not up: single")
    work.dsi("teardown")


def test_after_an_interrupted_setup_no_test_runs_on_a_cluster_that_is_none_yet(tmp_path: Path) -> None:
    hold = f"post_cluster_start: [{{on_mongod: '[ -e again ] || {{ {HOLD}; }}'}}]\n"
    work = WorkDirectory(
        tmp_path, infrastructure_provisioning=hosts(1), mongodb_setup=STANDALONE + hold, test_control=TASK
    )
    work.dsi("provision")
    process = work.start("mongodb-setup")
    wait_until(lambda: list(tmp_path.glob(".dsi/hosts/**/held")) or process.poll() is not None, "it is under way")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 130, err
    refused = work.dsi("test-control", exit_status=3).stderr
    assert "did not come to its end (it failed, or was interrupted): run `dsi mongodb-setup` again first" in refused
    assert not (tmp_path / "reports").exists()
    assert not (tmp_path / "test_control.out.yml").exists()
    work.dsi("conn", "md.0", "-c", "touch again")
    work.dsi("mongodb-setup")
    work.dsi("test-control")
    work.dsi("teardown")


def holding_in_provisioning(folder: Path) -> tuple[WorkDirectory, Callable[[], object]]:
    work = green(folder)
    (folder / "infrastructure_provisioning.yml").write_text(
        f"{hosts(0)}local_post_provisioning: true\npost_provisioning: [{{on_workload_client: '{HOLD}'}}]\n"
    )
    return work, lambda: list(folder.glob(".dsi/hosts/**/held"))


def holding_in_cluster_start(folder: Path) -> tuple[WorkDirectory, Callable[[], object]]:
    work = green(folder)
    (folder / "infrastructure_provisioning.yml").write_text(hosts(3))
    (folder / "mongodb_setup.yml").write_text(REPLICA_SET)
    return work, lambda: work.events("cluster_start_begin")


Holding = Callable[[Path], tuple[WorkDirectory, Callable[[], object]]]


@pytest.mark.parametrize(
    ("holding", "stage"),
    [(holding_in_provisioning, "infrastructure_provisioning"), (holding_in_cluster_start, "mongodb_setup")],
)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interrupt_or_a_sigkill_before_the_tests(tmp_path: Path, number: int, holding: Holding, stage: str) -> None:
    work, held = holding(tmp_path)
    process = work.start("run")
    wait_until(lambda: held() or process.poll() is not None, f"{stage} is under way")
    process.send_signal(number)
    _, err = process.communicate(timeout=LIMIT_S)
    killed = number == signal.SIGKILL
    assert process.returncode == (-number if killed else 130), err
    insist_on_none_passed(
        work, f"dsi was killed before the task had ended, in {stage}" if killed else f"interrupted in {stage}"
    )
    found = work.dsi("analyze", exit_status=1).stdout
    assert "CancelledError" not in found
    assert ("the task was interrupted by somebody" in found) == (not killed)
    assert (f"the timeline ends in stage {stage}" in found) == killed
    if not killed:
        assert len(work.events("interrupted")) == 1
        assert "CancelledError" not in work.read("reports/timeline.jsonl")
    wait_until(lambda: work.processes() == [], "all processes gone")
    work.dsi("teardown")


def test_a_run_without_tests_is_over_when_its_stages_are(tmp_path: Path) -> None:
    work = WorkDirectory(tmp_path, infrastructure_provisioning=hosts(0), mongodb_setup="{}\n")
    for options in ((), ("--keep",)):
        work.dsi("run", *options)
        assert "0 errors, 0 warnings" in work.dsi("analyze").stdout
    work.dsi("teardown")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_run_without_tests_that_is_interrupted_or_killed_is_told_as_such(tmp_path: Path, number: int) -> None:
    work = WorkDirectory(
        tmp_path,
        infrastructure_provisioning=hosts(0),
        mongodb_setup=f"post_cluster_start: [{{on_workload_client: '{HOLD}'}}]\n",
    )
    process = work.start("run", "--keep")
    wait_until(lambda: list(tmp_path.glob(".dsi/hosts/**/held")) or process.poll() is not None, "it is under way")
    process.send_signal(number)
    process.communicate(timeout=LIMIT_S)
    found = work.dsi("analyze", exit_status=1).stdout
    assert ("the task was interrupted by somebody" in found) == (number == signal.SIGINT)
    assert ("the timeline ends in stage mongodb_setup" in found) == (number == signal.SIGKILL)
    work.dsi("teardown")


def test_a_task_that_was_interrupted_twice_is_not_taken_for_one_that_was_killed(tmp_path: Path) -> None:
    task = f"run: [{{id: first, type: shell, cmd: sleep 1000, post_test: [{{on_workload_client: '{HOLD}'}}]}}]\n"
    work = WorkDirectory(tmp_path, infrastructure_provisioning=hosts(0), test_control=task)
    process = work.start("run", "--keep")
    wait_until(lambda: work.events("cmd_begin") or process.poll() is not None, "cmd has begun")
    process.send_signal(signal.SIGINT)
    wait_until(
        lambda: list(tmp_path.glob(".dsi/hosts/**/held")) or process.poll() is not None, "post_test is under way"
    )
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=LIMIT_S)
    found = work.dsi("analyze", exit_status=1).stdout
    assert "the task was interrupted by somebody" in found
    assert "dsi was killed" not in found
    work.dsi("teardown")


def test_an_interrupt_in_the_restart_between_tests_is_told_as_one_and_not_as_a_restart_that_failed(
    tmp_path: Path,
) -> None:
    work = WorkDirectory(tmp_path, infrastructure_provisioning=hosts(3), mongodb_setup=REPLICA_SET, test_control=TASK)
    process = work.start("run")
    wait_until(lambda: work.events("restart_mongodb_begin") or process.poll() is not None, "the restart has begun")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 130, err
    table = err.partition("restarts of the cluster")[2]
    assert "interrupted" in table
    assert "failed" not in table
    (end,) = work.events("restart_mongodb_end")
    assert (end["interrupted"], end["error"]) == (True, None)
    out = work.read("test_control.out.yml")
    assert "outcome: passed" in out
    assert "outcome: cancelled" in out
    found = work.dsi("analyze", exit_status=1).stdout
    assert "restart_failed" not in found
    assert "CancelledError" not in found
    assert work.processes() == []


@pytest.mark.parametrize("interrupts", [1, 2])
def test_an_interrupt_when_all_tests_have_run_leaves_what_came_of_them(tmp_path: Path, interrupts: int) -> None:
    """It comes while the clocks are read once more: BASH_ENV has the next command of a host wait for us."""
    (tmp_path / "wait").write_text(
        f"cd {tmp_path}; [ ! -e last ] || {{ touch held; until [ -e go-on ]; do sleep 0.01; done; }}; cd ~-\n"
    )
    task = f"{TASK}post_task: [{{on_workload_client: touch {tmp_path}/last}}]\n"
    work = WorkDirectory(tmp_path, infrastructure_provisioning=hosts(0), test_control=task)
    process = work.start("run", environment={"BASH_ENV": str(tmp_path / "wait")})
    wait_until(lambda: (tmp_path / "held").exists() or process.poll() is not None, "the clocks are read")
    for _ in range(interrupts):
        process.send_signal(signal.SIGINT)
        wait_until(lambda: work.events("interrupted") or process.poll() is not None, "it is told")
    if interrupts == 1:
        (tmp_path / "go-on").touch()
    _, err = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 130, err
    for path in ("test_control.out.yml", "reports/junit.xml"):
        assert "dsi was killed" not in work.read(path)
    out = work.read("test_control.out.yml")
    assert out.count("outcome: passed") == 2
    assert "exit_status: 130" in out
    assert "interrupted by the user" in work.read("reports/junit.xml")
    assert "the task was interrupted by somebody" in work.dsi("analyze", exit_status=1).stdout
    assert work.processes() == []
