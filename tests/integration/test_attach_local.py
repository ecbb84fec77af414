"""Where `cmd` ends with dsi, nobody can go on with it, and `dsi test-control --attach` says so."""

import signal
from pathlib import Path

from tests.integration.work_directory import WorkDirectory, wait_until

LOCAL = "provider: local\ntfvars: {workload_instance_count: 1}\n"
THIS_MACHINE = "provider: static\nhosts: {workload_client: [{public_ip: localhost}]}\n"


def killed_in_cmd(folder: Path, hosts: str, cmd: str) -> WorkDirectory:
    work = WorkDirectory(
        folder,
        infrastructure_provisioning=hosts,
        test_control=f"run:\n  - {{id: hold, type: shell, cmd: 'echo begun; {cmd}'}}\n",
    )
    work.dsi("provision")
    process = work.start("test-control")
    log = folder / "reports" / "hold" / "test_output.log"
    wait_until(lambda: process.poll() is not None or (log.exists() and log.read_text() == "begun\n"), "it has begun")
    process.send_signal(signal.SIGKILL)
    process.communicate()
    return work


def sleeps(work: WorkDirectory) -> list[str]:
    return [process for process in work.processes() if "sleep 12345" in process]


def test_on_a_local_host_cmd_ends_with_dsi_and_the_task_begins_again(tmp_path: Path) -> None:
    work = killed_in_cmd(tmp_path, LOCAL, "[ -e ../../../../again ] || exec sleep 12345")
    try:
        wait_until(lambda: not sleeps(work), "cmd has ended with dsi")
        out, junit = work.read("test_control.out.yml"), work.read("reports/junit.xml")
        for text in (out, junit):
            assert "infrastructure error" in text
            assert "dsi was killed while it ran" in text
        assert "exit_status: 3" in out
        refused = work.dsi("test-control", "--attach", exit_status=3).stderr
        assert "test hold: its cmd can't be taken over" in refused
        assert "a workload client that is reached over SSH" in refused
        (tmp_path / "again").touch()
        said = " ".join(work.dsi("test-control").stderr.split())
        assert "dsi was killed before the task had ended, in test hold; what it had measured is in reports-" in said
        assert "exit_status: 0" in work.read("test_control.out.yml")
        assert "there is nothing to take over" in work.dsi("test-control", "--attach", exit_status=3).stderr
    finally:
        work.dsi("teardown")


def test_what_ran_on_this_machine_itself_is_ended_before_the_next_test_begins(tmp_path: Path) -> None:
    work = killed_in_cmd(tmp_path, THIS_MACHINE, f"cd {tmp_path}; [ -e again ] || {{ sleep 12345 & sleep 12345; }}")
    try:
        assert sleeps(work)
        (tmp_path / "again").touch()
        work.dsi("test-control")
        assert not sleeps(work)
    finally:
        work.dsi("teardown")
