"""The dsisocket's port on a remote workload client: taken by somebody else, and free again when the test is over."""

import json
import socket
from pathlib import Path

from tests.integration.test_dsisocket_port import TALK, task
from tests.integration.work_directory import WorkDirectory
from tests.system.sshds import Sshd
from tests.system.test_tunnel_cuts import free_port


def work_directory(folder: Path, server: Sshd, test_control: str) -> WorkDirectory:
    client = {
        "public_ip": server.address,
        "ssh_port": server.port,
        "ssh_user": server.user,
        "ssh_key_file": str(server.key_file),
    }
    provisioning = {"provider": "static", "hosts": {"workload_client": [client]}}
    return WorkDirectory(folder, infrastructure_provisioning=json.dumps(provisioning), test_control=test_control)


def test_post_test_can_listen_on_the_port(tmp_path: Path, sshd: Sshd) -> None:
    it = work_directory(tmp_path, sshd, task(free_port(), TALK))
    assert "it is free" in it.dsi("run").stderr
    assert '"status": "OK"' in it.read("reports/talk/test_output.log")


def test_where_the_port_is_taken_cmd_does_not_run_and_the_error_says_what_to_change(tmp_path: Path, sshd: Sshd) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        error = work_directory(tmp_path, sshd, task(port, "touch it_ran")).dsi("run", exit_status=3).stderr
    for part in ("workload_client.0", f"127.0.0.1:{port}", "set test_control.dsisocket.port"):
        assert part in error
    assert not (sshd.home / "it_ran").exists()
