"""A host's SSH connection breaks for good while commands of the dsisocket run there."""

import contextlib
import json
import os
import signal
from pathlib import Path

from tests.integration.work_directory import WorkDirectory, wait_until
from tests.system.sshds import Sshd, start_sshds
from tests.system.test_tunnel_cuts import free_port

CMD = """
ask() {
  dsi-send --json "{\\"on_mongod\\": {\\"exec\\": \\"echo begun; sleep 12345\\"}, \\"retry_id\\": \\"$1\\"}"
}
ask before
ask after
ask before
"""


def listing(server: Sshd) -> dict[str, object]:
    return {
        "public_ip": server.address,
        "ssh_port": server.port,
        "ssh_user": server.user,
        "ssh_key_file": str(server.key_file),
    }


def end_for_good(server: Sshd) -> None:
    """End sshd with the sessions that it has: nobody can log in any more."""
    sessions = Path(f"/proc/{server.process}/task/{server.process}/children").read_text().split()
    for process in [server.process, *map(int, sessions)]:
        os.kill(process, signal.SIGKILL)


def at_work_in(folder: Path) -> list[str]:
    """The processes whose working directory this is."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (process / "cwd").readlink() == folder:
                found.append(process.name)
    return found


def test_what_ran_there_is_unknown_and_what_had_not_begun_has_failed(tmp_path: Path) -> None:
    with start_sshds(2) as (client, server):
        infrastructure = {
            "provider": "static",
            "tfvars": {"ssh_reconnect_seconds": 1},
            "hosts": {"workload_client": [listing(client)], "mongod": [listing(server)]},
        }
        test_control = {
            "run": [{"id": "talk", "type": "shell", "cmd": CMD}],
            "dsisocket": {"enabled": True, "port": free_port()},
            "orphan_timeout": 1,
        }
        work = WorkDirectory(
            tmp_path,
            infrastructure_provisioning=json.dumps(infrastructure),
            test_control=json.dumps(test_control),
        )
        log = tmp_path / "reports" / "talk" / "test_output.log"
        with work.start("run") as dsi:
            wait_until(lambda: log.exists() and "begun" in log.read_text(), "the command has begun")
            end_for_good(server)
            dsi.communicate()
        wait_until(lambda: not at_work_in(server.home), "the host has ended the command")
    said = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    before, after, again = [line for line in said if "event" not in line]
    assert before["status"] == "UNKNOWN"
    assert "may have taken effect or not" in before["message"]
    assert after["status"] == "EXECUTION_ERROR"
    assert {**again, "id": 1} == {**before, "id": 1}
