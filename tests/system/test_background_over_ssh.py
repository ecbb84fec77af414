"""Background tasks on a host behind SSH: not lost with the connection nor with dsi, and never left behind."""

import signal
from pathlib import Path

from tests.integration.work_directory import LIMIT_S, WorkDirectory, wait_until
from tests.system.conftest import StartHosts
from tests.system.test_attach import killed, work_directory
from tests.system.test_ssh_detached import left
from tests.system.test_ssh_reconnect import end_sessions
from tests.system.test_whole_path import listing
from tests.system.testbed import TestbedHost

TASK = """\
run:
  - id: count
    type: shell
    cmd: |
      for ((n = 0; n < 1000000; n++)); do
        echo line $n
        if [[ -e done ]]; then break; fi
        sleep 0.01
      done
    background_tasks:
      watch: 'trap "echo last \\$n; exit" TERM; for ((n = 0; n < 1000000; n++)); do echo watched $n; sleep 0.01; done'
      gone: echo no such tool; exit 3
"""


def log(work: WorkDirectory, name: str) -> list[str]:
    path = work.folder / "reports" / "count" / "background" / f"{name}@workload_client.0.log"
    return path.read_text().splitlines() if path.exists() else []


def is_whole(lines: list[str]) -> bool:
    """Whether every line came once, in order, to the very end."""
    watched = [line for line in lines if line.startswith("watched")]  # bash itself says that its `sleep` was ended
    return watched == [f"watched {number}" for number in range(len(watched))] and lines[-1].startswith("last ")


def test_after_cuts_and_after_dsi_was_killed_their_output_comes_once_and_whole(
    tmp_path: Path, ssh_hosts: StartHosts
) -> None:
    (host,) = ssh_hosts(1)
    work = work_directory(tmp_path, host, TASK)
    work.dsi("provision")
    killed(work, "test-control", lines=20)
    lengths = [len(log(work, "watch"))]
    process = work.start("test-control", "--attach")
    for _ in range(3):
        wait_until(lambda: process.poll() is not None or len(log(work, "watch")) > lengths[-1] + 20, "it goes on")
        lengths.append(len(log(work, "watch")))
        if len(lengths) < 4:
            end_sessions(host)
    (host.home / "done").touch()
    _, err = process.communicate()
    assert process.returncode == 0, err
    assert is_whole(log(work, "watch")), log(work, "watch")[-3:]
    assert log(work, "gone") == ["no such tool"]
    notes = [end["last_line"] for end in work.events("background_task_end") if end["exit_status"] == 3]
    assert notes == ["no such tool"] * len(notes)
    assert "ended before the test did: exit status 3: no such tool" in work.read("test_control.out.yml")
    assert left(host) == ""


HOLD = """\
run:
  - {id: count, type: shell, cmd: echo cmd, background_tasks: {watch: 'echo begun; sleep 12345 & sleep 12345'}}
test_delay_seconds: DELAY
"""


def test_one_that_a_killed_dsi_has_left_before_cmd_began_is_ended_by_the_next(
    tmp_path: Path, ssh_hosts: StartHosts
) -> None:
    (host,) = ssh_hosts(1)
    work = work_directory(tmp_path, host, HOLD.replace("DELAY", "1000"))
    work.dsi("provision")
    for ending in (["test-control"], ["teardown"]):
        (tmp_path / "test_control.yml").write_text(HOLD.replace("DELAY", "1000"))
        process = work.start("test-control")
        wait_until(lambda: sleeps(host), "it has begun")
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert "there is nothing to take over" in work.dsi("test-control", "--attach", exit_status=3).stderr
        (tmp_path / "test_control.yml").write_text(HOLD.replace("DELAY", "0"))
        work.dsi(*ending)
        assert not sleeps(host)
        assert left(host) == ""


def test_with_a_host_that_crashes_they_are_told_as_lost_and_the_task_ends(
    tmp_path: Path, ssh_hosts: StartHosts
) -> None:
    (host,) = ssh_hosts(1)
    work = WorkDirectory(
        tmp_path,
        infrastructure_provisioning=(
            "provider: static\ntfvars: {ssh_keepalive_seconds: 2, ssh_reconnect_seconds: 2}\n"
            f"hosts:\n  workload_client: [{listing(host)}]\n"
        ),
        test_control=HOLD.replace("DELAY", "0").replace("echo cmd", "sleep 12345"),
    )
    work.dsi("provision")
    process = work.start("test-control")
    wait_until(lambda: process.poll() is not None or log(work, "watch") == ["begun"], "it has begun")
    host.crash()
    _, err = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 3, err
    (end,) = work.events("test_end")
    assert end["status"] == "infrastructure error"
    assert any(note.startswith("background task watch ended before the test did") for note in end["notes"])
    assert log(work, "watch") == ["begun"]


def sleeps(host: TestbedHost) -> str:
    return host.run_inside("sh", "-c", "pgrep -f 'sleep 1234[5]' || true")
