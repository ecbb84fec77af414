"""The dsisocket's port in a real run: taken by somebody else, and free again when the test is over."""

import socket
from pathlib import Path

from tests.integration.test_cli import free_port
from tests.integration.work_directory import WorkDirectory

HOSTS = "provider: local\ntfvars: {workload_instance_count: 1}\n"


def task(port: int, cmd: str) -> str:
    """A test that is over with `cmd`; then somebody else listens on the port of its dsisocket."""
    listen = f"""python3 -c 'import socket; socket.create_server(("127.0.0.1", {port})); print("it is free")'"""
    return (
        f"dsisocket: {{enabled: true, port: {port}}}\n"
        f"run:\n  - id: talk\n    type: shell\n    cmd: |\n      {cmd}\n"
        f"    post_test:\n      - on_workload_client:\n          exec: |\n            {listen}\n"
    )


TALK = """
      exec 3<>"/dev/tcp/${DSI_SOCKET%:*}/${DSI_SOCKET##*:}"
      echo '{"on_workload_client": {"exec": "true"}}' >&3
      read -r reply <&3 && echo "$reply"
""".strip()
"""Its connection ends with it."""


def test_post_test_can_listen_on_the_port(tmp_path: Path) -> None:
    it = WorkDirectory(tmp_path, infrastructure_provisioning=HOSTS, test_control=task(free_port(), TALK))
    assert "it is free" in it.dsi("run").stderr
    assert '"status": "OK"' in it.read("reports/talk/test_output.log")


def test_where_the_port_is_taken_cmd_does_not_run_and_the_error_says_what_to_change(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        it = WorkDirectory(
            tmp_path, infrastructure_provisioning=HOSTS, test_control=task(port, f"touch {tmp_path}/it_ran")
        )
        error = it.dsi("run", exit_status=3).stderr
    for part in ("workload_client.0", f"127.0.0.1:{port}", "set test_control.dsisocket.port"):
        assert part in error
    assert not (tmp_path / "it_ran").exists()
    assert it.events("cmd_begin") == []
    assert "infrastructure error" in it.read("test_control.out.yml")
