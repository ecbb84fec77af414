"""dsi is killed while a test's `cmd` runs on a host behind SSH, and `dsi test-control --attach` goes on with it."""

import re
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.integration.work_directory import WorkDirectory, wait_until
from tests.system.conftest import StartHosts
from tests.system.test_ssh_detached import left
from tests.system.test_whole_path import listing
from tests.system.testbed import TestbedHost

TASK = """\
run:
  - {id: first, type: shell, cmd: echo first}
  - id: count
    type: shell
    cmd: |
      ask() { dsi-send "{\\"on_workload_client\\": {\\"exec\\": \\"echo ran >>asked\\"}, \\"retry_id\\": \\"$1\\"}"; }
      for ((n = 0; n < 1000000; n++)); do
        echo line $n
        if ((n == 5)); then ask before; fi
        if [[ -e done ]]; then break; fi
        sleep 0.01
      done
      ask before && ask after
      echo last $n
      echo kept >output
      exit 4
    output_files: [output]
    during_test:
      - {at: 0, on_workload_client: {exec: echo at 0 >>timed}}
    post_test:
      - on_workload_client: {exec: echo post >>timed}
  - {id: third, type: shell, cmd: echo third}
pre_task:
  - on_workload_client: {exec: echo pre_task >>timed}
dsisocket: {enabled: true, token: auto}
"""


def work_directory(folder: Path, host: TestbedHost, task: str = TASK) -> WorkDirectory:
    return WorkDirectory(
        folder,
        infrastructure_provisioning=f"provider: static\nhosts:\n  workload_client: [{listing(host)}]\n",
        test_control=task,
    )


def killed(work: WorkDirectory, *arguments: str, lines: int, just_before: Callable[[], object] = lambda: None) -> None:
    """Run dsi until the test has written so many lines, and kill it."""
    process = work.start(*arguments)
    log = work.folder / "reports" / "count" / "test_output.log"
    before = len(log.read_bytes().splitlines()) if log.exists() else 0
    wait_until(
        lambda: process.poll() is not None or (log.exists() and len(log.read_bytes().splitlines()) >= before + lines),
        "it has written",
    )
    just_before()
    process.send_signal(signal.SIGKILL)
    _, err = process.communicate()
    assert process.returncode == -signal.SIGKILL, err


@pytest.mark.parametrize("kills", [[1, 1, 1], [100, 50], [0, 30, 200]])
def test_killed_at_several_moments_the_task_is_finished_as_if_it_had_not_been(
    tmp_path: Path, ssh_hosts: StartHosts, kills: list[int]
) -> None:
    (host,) = ssh_hosts(1)
    work = work_directory(tmp_path, host)
    work.dsi("provision")
    killed(work, "test-control", lines=kills[0] or 1)
    for lines in kills[1:]:
        killed(work, "test-control", "--attach", lines=lines)
    assert "`dsi test-control --attach` takes it over" in work.dsi("test-control", exit_status=3).stderr
    (host.home / "done").touch()
    work.dsi("test-control", "--attach", exit_status=1)

    log = work.read("reports/count/test_output.log").splitlines()
    count = int(re.fullmatch(r"last (\d+)", log[-2])[1])  # type: ignore[index]
    assert [line for line in log if line.startswith("line")] == [f"line {number}" for number in range(count + 1)]
    assert log[-1] == "exit_status: 4 'failed'"
    assert (host.home / "asked").read_text() == "ran\n" * 2
    assert (host.home / "timed").read_text() == "pre_task\nat 0\npost\n"
    assert work.read("reports/count/output") == "kept\n"
    outcomes = {end["test"]: end["status"] for end in work.events("test_end")}
    assert outcomes == {"first": "passed", "count": "failed (workload)", "third": "passed"}
    assert len(list(tmp_path.glob("reports-*"))) == 1

    assert left(host) == ""
    refused = work.dsi("test-control", "--attach", exit_status=3)
    assert "there is nothing to take over" in refused.stderr


def test_an_sshd_that_was_not_told_of_the_crash_of_dsis_machine_does_not_keep_the_port(
    tmp_path: Path, ssh_hosts: StartHosts
) -> None:
    (host,) = ssh_hosts(1)
    work = work_directory(tmp_path, host)
    work.dsi("provision")

    def vanish() -> None:
        """From now on nothing that dsi's connection brings is heard there."""
        (connection,) = host.run_inside("ss", "-Htn", "state", "established", "sport = :22").splitlines()
        port = connection.split()[3].rpartition(":")[2]
        host.run_inside("iptables", "-I", "INPUT", "-p", "tcp", "--sport", port, "-j", "DROP")

    killed(work, "test-control", lines=10, just_before=vanish)
    assert "27007" in host.run_inside("ss", "-Hltn")
    assert len(served(host)) == 1
    (host.home / "done").touch()
    work.dsi("test-control", "--attach", exit_status=1)
    assert work.read("reports/count/test_output.log").splitlines()[-1] == "exit_status: 4 'failed'"
    assert (host.home / "asked").read_text() == "ran\n" * 2
    wait_until(lambda: served(host) == [], "no session is left")


def served(host: TestbedHost) -> list[str]:
    """The processes of sshd that serve a connection."""
    return host.run_inside("sh", "-c", "pgrep -P 1 sshd || true").split()


HOLD = """\
run:
  - {id: count, type: shell, cmd: 'echo begun; sleep 12345 & sleep 12345'}
  - {id: second, type: shell, cmd: echo second}
"""


def sleeps(host: TestbedHost) -> str:
    return host.run_inside("sh", "-c", "pgrep -f 'sleep 1234[5]' || true")


def test_a_command_that_its_host_has_ended_is_an_error_and_what_it_wrote_is_kept(
    tmp_path: Path, ssh_hosts: StartHosts
) -> None:
    (host,) = ssh_hosts(1)
    work = work_directory(tmp_path, host, HOLD + "orphan_timeout: 1\n")
    work.dsi("provision")
    killed(work, "test-control", lines=1)
    wait_until(lambda: sleeps(host) == "", "the host has ended it")
    ended = work.dsi("test-control", "--attach", exit_status=3)
    assert "ended it after test_control.orphan_timeout" in ended.stderr
    log = work.read("reports/count/test_output.log").splitlines()
    assert log[0] == "begun"
    assert log[1].startswith("exit_status: 1 'workload_client.0: what ran there is gone")
    assert {end["test"]: end["status"] for end in work.events("test_end")} == {"count": "infrastructure error"}
    again = work.dsi("test-control", "--attach", exit_status=3)
    assert "there is nothing to take over; `dsi test-control` begins the task again" in again.stderr


def test_teardown_ends_what_was_left(tmp_path: Path, ssh_hosts: StartHosts) -> None:
    (host,) = ssh_hosts(1)
    work = work_directory(tmp_path, host, HOLD)
    work.dsi("provision")
    killed(work, "test-control", lines=1)
    for stage in ("run", "mongodb-setup"):
        assert "its cmd goes on without it" in work.dsi(stage, exit_status=3).stderr
    assert sleeps(host)
    work.dsi("teardown")
    assert left(host) == ""


def test_an_interrupt_of_who_took_it_over_ends_it(tmp_path: Path, ssh_hosts: StartHosts) -> None:
    (host,) = ssh_hosts(1)
    work = work_directory(tmp_path, host, HOLD)
    work.dsi("provision")
    killed(work, "test-control", lines=1)
    process = work.start("test-control", "--attach")
    wait_until(lambda: work.events("cmd_taken_over"), "it is taken over")
    process.send_signal(signal.SIGINT)
    process.communicate()
    assert process.returncode == 130
    assert left(host) == ""


def test_another_task_than_the_one_that_was_begun_takes_nothing_over(tmp_path: Path, ssh_hosts: StartHosts) -> None:
    (host,) = ssh_hosts(1)
    work = work_directory(tmp_path, host, HOLD)
    work.dsi("provision")
    killed(work, "test-control", lines=1)
    (tmp_path / "test_control.yml").write_text("run:\n  - {id: other, type: shell, cmd: echo other}\n")
    refused = work.dsi("test-control", "--attach", exit_status=3)
    assert "test count still runs, but is no longer number 1 of test_control.run" in refused.stderr
    assert sleeps(host)
    work.dsi("teardown")
