"""`dsi send` from dsi's machine, while the port is on the remote workload client; and the files that lie there."""

from pathlib import Path

from tests.integration.running_test import running
from tests.integration.work_directory import WorkDirectory
from tests.system.conftest import StartHosts
from tests.system.test_whole_path import listing

HOLD = """\
run:
  - id: hold
    type: shell
    cmd: |
      dsi-send '{"on_workload_client": {"exec": "echo from the workload"}}'
      python3 -c 'import dsi_client; print(dsi_client.DsiSocket.from_env().exec("on_mongod", "echo there").results)'
      until [ -e done ]; do sleep 0.02; done
dsisocket: {enabled: true, token: auto}
"""


def test_from_dsis_machine_and_beside_the_workload(tmp_path: Path, ssh_hosts: StartHosts) -> None:
    hosts = ssh_hosts(2)
    work = WorkDirectory(
        tmp_path,
        infrastructure_provisioning=(
            f"provider: static\nhosts:\n  mongod: [{listing(hosts[1])}]\n  workload_client: [{listing(hosts[0])}]\n"
        ),
        test_control=HOLD,
    )
    with running(work):
        sent = work.dsi("send", '{"on_mongod": {"exec": "hostname; echo oh >&2"}}')
        assert sent.stdout.startswith("mongod.0: ")
        assert sent.stderr == "mongod.0: oh\n"
        assert work.dsi("send", '{"on_mongod": {"exec": "exit 1"}}', exit_status=2).stderr.startswith("EXECUTION_ERROR")
        (hosts[0].home / "done").touch()
    by_program, by_library, end = work.read("reports/hold/test_output.log").splitlines()
    assert by_program == "workload_client.0: from the workload"
    assert "stdout='there\\n'" in by_library
    assert end == "exit_status: 0 'success'"
    there = {path.name for path in (hosts[0].home / ".dsi" / "bin").iterdir()}
    assert there - {"__pycache__"} == {"dsi-send", "dsi_client.py"}
