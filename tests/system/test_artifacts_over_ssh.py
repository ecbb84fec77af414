"""What the servers leave behind, fetched over SSH, also when one of the hosts is lost."""

import json
from pathlib import Path

from tests.integration.work_directory import wait_until
from tests.system.conftest import StartHosts
from tests.system.test_whole_path import has_begun, work_directory


def test_of_a_lost_host_it_is_told_and_the_artifacts_of_the_others_come(tmp_path: Path, ssh_hosts: StartHosts) -> None:
    hosts = ssh_hosts(4)
    cmd = "echo begun; until [ -e go-on ]; do sleep 0.05; done"
    run = {"run": [{"id": "loses", "type": "shell", "cmd": cmd, "skip_validate": True}]}
    work = work_directory(tmp_path, hosts, json.dumps(run))
    process = work.start("run")
    try:
        wait_until(lambda: has_begun(tmp_path / "reports" / "loses"), "the test has begun")
        hosts[2].crash()
        (hosts[0].home / "go-on").touch()
        _, err = process.communicate(timeout=100)
    finally:
        process.kill()
    folders = {index: tmp_path / "reports" / "loses" / f"mongod.{index}" / f"member{index}" for index in range(3)}
    for index in (0, 2):
        assert "Build Info" in (folders[index] / "mongod.log").read_text()
        assert list((folders[index] / "diagnostic.data").glob("metrics.*"))
    assert not folders[1].exists()
    told = [event for event in work.events("warning") if "artifacts" in event["message"]]
    assert [event["node"] for event in told] == ["member1"], err
