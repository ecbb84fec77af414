"""Clients of the dsisocket that read nothing of much output, on a workload client that is reached over SSH."""

import json
from pathlib import Path

from tests.integration.work_directory import WorkDirectory
from tests.system.sshds import Sshd
from tests.system.test_given_up import listing
from tests.system.test_tunnel_cuts import free_port

COUNT = 16

FLOOD_BYTES = 20_000_000
"""More than all buffers on the way hold."""

CLIENTS = """
import json, os, pathlib, socket, time

host, port = os.environ["DSI_SOCKET"].rsplit(":", 1)

def ask(text):
    client = socket.create_connection((host, int(port)))
    command = {"id": 1, "stream": True, "on_workload_client": {"exec": text}}
    client.sendall(json.dumps(command).encode() + b"\\n")
    return client.makefile()

unread = [ask("yes | head -c FLOOD_BYTES; echo >>ended") for _ in range(COUNT)]
ended = pathlib.Path("ended")
while not ended.exists() or len(ended.read_text()) < COUNT:
    time.sleep(0.02)
print(ask("true").readline(), end="", flush=True)
lines = (json.loads(line) for line in unread[-1])
size = 0
for line in lines:
    size += len(line.get("data", ""))
    if "event" not in line:
        break
print(line["status"], size)
""".replace("COUNT", str(COUNT)).replace("FLOOD_BYTES", str(FLOOD_BYTES))


def test_hold_up_neither_other_commands_nor_their_own(tmp_path: Path, sshd: Sshd) -> None:
    """And that is not since dsi has lost its patience with them: it still has all the output for them."""
    (sshd.home / "clients.py").write_text(CLIENTS)
    stages = {
        "infrastructure_provisioning": {"provider": "static", "hosts": {"workload_client": [listing(sshd)]}},
        "test_control": {
            "run": [{"id": "unread", "type": "shell", "cmd": "python3 clients.py"}],
            "dsisocket": {"enabled": True, "port": free_port()},
        },
    }
    work = WorkDirectory(tmp_path, **{stage: json.dumps(content) for stage, content in stages.items()})
    said = work.dsi("run")
    assert "is disconnected" not in said.stdout + said.stderr
    answer, *rest = work.read("reports/unread/test_output.log").splitlines()
    assert json.loads(answer)["status"] == "OK"
    assert rest[0] == f"OK {FLOOD_BYTES}"
