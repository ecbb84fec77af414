"""A `cmd` that hangs on a host behind SSH, and one that leaves processes behind there."""

from pathlib import Path

from tests.system.conftest import StartHosts
from tests.system.test_attach import killed, work_directory
from tests.system.test_ssh_detached import left

TASK = """\
run:
  - id: hangs
    type: shell
    cmd: mkfifo never; echo reading; read -r line <never
    timeouts: {no_output_ms: 800}
  - id: count
    type: shell
    cmd: for ((n = 0; n < 1000000; n++)); do echo line $n; sleep 0.01; done
    timeouts: {max_time_ms: 3000}
  - id: forks
    type: shell
    cmd: setsid sleep 12345 & echo left
"""


def test_a_bash_that_waits_for_nothing_is_seen_and_nothing_is_left_of_any_test(
    tmp_path: Path, ssh_hosts: StartHosts
) -> None:
    (host,) = ssh_hosts(1)
    work = work_directory(tmp_path, host, TASK)
    work.dsi("provision")
    killed(work, "test-control", lines=20)
    work.dsi("test-control", "--attach", exit_status=1)
    ends = {end["test"]: end for end in work.events("test_end")}
    assert [end["status"] for end in ends.values()] == ["timed out", "timed out", "passed"]
    assert "wrote no output for 0.8 s" in ends["hangs"]["reason"]
    assert "took longer than 3 s" in ends["count"]["reason"]
    for test in ("hangs", "count"):
        assert ends[test]["reason"].endswith(f"/{test}/hang")
        assert "bash" in work.read(f"reports/{test}/hang/processes.txt").splitlines()[1]
    assert work.read("reports/hangs/hang/output.txt") == "reading\n"
    assert ends["forks"]["notes"] == ["processes were left running when cmd had ended, and were ended: sleep 12345"]
    assert left(host) == ""
