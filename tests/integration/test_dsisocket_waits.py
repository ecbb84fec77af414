"""A restart over the dsisocket while one of during_test is under way."""

import json
import socket
from pathlib import Path

from tests.integration.work_directory import STANDALONE, WorkDirectory, hosts

CLIENT = """
import json, pathlib, time
from dsi_client import DsiSocket

while not pathlib.Path("FOLDER/held_back").exists():
    time.sleep(0.02)
with DsiSocket.from_env() as dsi, dsi.stream({"restart_mongodb": {}}) as stream:
    first = next(stream)
    pathlib.Path("FOLDER/go").touch()
    print(json.dumps({"first": first.raw, "then": [event.raw for event in stream], "reply": stream.reply.status}))
"""

HELD = """#!/bin/sh
until [ -e FOLDER/go ]; do touch FOLDER/held_back; sleep 0.02; done
exec "$@"
"""

TEST_CONTROL = """
dsisocket: {enabled: true, port: PORT}
run:
  - id: talk
    type: shell
    cmd: python3 FOLDER/client.py
    pre_test:
      - on_localhost: rm FOLDER/go
    during_test:
      - {at: 0, restart_mongodb: {}}
"""


def test_it_waits_says_so_in_its_stream_and_both_happen(tmp_path: Path) -> None:
    """The first can't go on, since no mongod starts until the second has said that it waits."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    held = tmp_path / "held"
    held.write_text(HELD.replace("FOLDER", str(tmp_path)))
    held.chmod(0o755)
    (tmp_path / "go").touch()
    (tmp_path / "client.py").write_text(CLIENT.replace("FOLDER", str(tmp_path)))
    work = WorkDirectory(
        tmp_path,
        infrastructure_provisioning=hosts(1) + f"numactl_prefix: [{held}]\n",
        mongodb_setup=STANDALONE,
        test_control=TEST_CONTROL.replace("PORT", str(port)).replace("FOLDER", str(tmp_path)),
    )
    work.dsi("run")
    said = json.loads(work.read("reports/talk/test_output.log").splitlines()[0])
    assert {key: said["first"][key] for key in ("event", "for")} == {"event": "waiting", "for": "restart_mongodb"}
    assert (said["then"], said["reply"]) == ([], "OK")
    lines = work.read("reports/timeline.jsonl").splitlines()
    spans = [event for event in (json.loads(line)["event"] for line in lines) if event.startswith("restart_mongodb")]
    assert spans == ["restart_mongodb_begin", "restart_mongodb_end"] * 2
