"""The dsisocket of a real test: its token, what it allows, and what it says of the run."""

import json
import socket
from pathlib import Path

from tests.integration.work_directory import STANDALONE, WorkDirectory, hosts

CLIENT = """
import json, os, pathlib, socket

host, port = os.environ["DSI_SOCKET"].rsplit(":", 1)
token = os.environ["DSI_SOCKET_TOKEN"]

class Dsi:
    def __init__(self):
        self.lines = socket.create_connection((host, int(port))).makefile("rw")

    def send(self, raw):
        print(json.dumps(raw), file=self.lines, flush=True)

    def read(self):
        return json.loads(self.lines.readline())

    def ask(self, raw):
        self.send(raw)
        return self.read()

dsi, other = Dsi(), Dsi()
replies = [
    dsi.ask({"restart_mongodb": {}}),
    dsi.ask({"auth": token}),
    dsi.ask({"describe": {}, "id": "d"}),
    dsi.ask({"on_mongod": {"exec": "echo $DSI_SOCKET_TOKEN"}, "id": 1}),
    dsi.ask({"on_workload_client": {"exec": "echo to=$DSI_SOCKET token=$DSI_SOCKET_TOKEN"}, "id": 2}),
    dsi.ask({"on_mongod": {"upload_files": [{"source": "a", "target": "b"}]}}),
    dsi.ask({"mark": "here"}),
]
other.ask({"auth": token})
restart = {"restart_mongodb": {}, "id": "first", "retry_id": "r", "timeout": "5m"}
dsi.send(restart)
dsi.ask({"describe": {}, "id": "while it restarts"})  # by now it has begun
other.send({"restart_mongodb": {}, "id": "second", "stream": True})
replies += [other.read(), other.ask({"describe": {}, "id": "while it waits"}), dsi.read(), other.read()]
replies += [dsi.ask(restart)]
shown = [path.read_bytes() for path in pathlib.Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
print(json.dumps({"replies": replies, "in a list of processes": any(token.encode() in text for text in shown)}))
pathlib.Path("token").write_text(token)
"""

TEST_CONTROL = """
task_name: socket
dsisocket: {enabled: true, port: PORT, token: auto, allow: [restart_mongodb, exec]}
run:
  - id: talk
    type: shell
    cmd: python3 client.py
    during_test:
      - {at: 0, on_workload_client: {exec: "echo token=$DSI_SOCKET_TOKEN > beside"}}
pre_task:
  - on_workload_client: {upload_files: [{source: client.py, target: client.py}]}
post_task:
  - on_workload_client: {retrieve_files: [{source: beside, target: beside}, {source: token, target: token}]}
"""


def test_a_token_an_allow_list_and_a_description_in_a_real_test(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    it = WorkDirectory(
        tmp_path,
        infrastructure_provisioning=hosts(1),
        mongodb_setup=STANDALONE,
        test_control=TEST_CONTROL.replace("PORT", str(port)),
    )
    (tmp_path / "client.py").write_text(CLIENT)
    result = it.dsi("run")
    log = (tmp_path / "reports" / "talk" / "test_output.log").read_text()
    said = json.loads(log.splitlines()[0])
    refused, shown, description, own, client, upload, mark, waiting, meanwhile, first, second, again = said["replies"]
    assert (refused["status"], shown["status"]) == ("UNAUTHORIZED", "OK")
    assert own["results"][0]["stdout"] == "\n"
    assert client["results"][0]["stdout"].endswith(f":{port} token=\n")
    assert (upload["status"], "upload_files: not allowed here" in upload["message"]) == ("EXECUTION_ERROR", True)
    assert {reply["status"] for reply in (mark, meanwhile, first, second)} == {"OK"}
    assert waiting == {"id": "second", "event": "waiting", "for": "restart_mongodb"}
    assert meanwhile["id"] == "while it waits"
    assert again == first
    assert {key: description["description"][key] for key in ("protocol", "test", "hosts", "topology", "commands")} == {
        "protocol": 2,
        "test": "talk",
        "hosts": ["mongod.0", "workload_client.0"],
        "topology": [{"node": "single", "host": "mongod.0", "role": "STANDALONE"}],
        "commands": ["restart_mongodb", "exec"],
    }
    assert (len(it.events("restart_mongodb_begin")), len(it.events("mark"))) == (2, 1)
    assert it.read("reports/post_task/workload_client.0/beside") == "token=\n"
    token = it.read("reports/post_task/workload_client.0/token")
    assert len(token) > 30
    (tmp_path / "reports/post_task/workload_client.0/token").unlink()
    assert not said["in a list of processes"]
    assert token not in result.stdout + result.stderr
    reports = [path for path in (tmp_path / "reports").resolve().rglob("*") if path.is_file()]
    assert [path for path in reports if token in path.read_text(errors="replace")] == []
