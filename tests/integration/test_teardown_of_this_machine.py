"""Teardown of a hosts list that says 127.0.0.1: dsi made no host there, and yet leaves no secret."""

import json
import os
import signal
import socket
from pathlib import Path

import pytest
from tests.integration.work_directory import STANDALONE, WorkDirectory, wait_until

from dsi.systems.mongodb import embedded_mongod

pytestmark = pytest.mark.skipif(embedded_mongod() is None, reason="needs the extra `embedded`")

THIS_MACHINE = "provider: static\nhosts: {mongod: [{public_ip: 127.0.0.1}]}\n"


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.mark.parametrize("killed", [False, True])
def test_key_and_configuration_go_from_the_users_home_also_where_its_node_was_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, killed: bool
) -> None:
    home, folder = tmp_path / "home", tmp_path / "work"
    home.mkdir()
    folder.mkdir()
    monkeypatch.setenv("HOME", str(home))
    port = free_port()
    setup = STANDALONE.replace("{storage:", f"{{net: {{port: {port}, bindIp: 127.0.0.1}}, storage:")
    work = WorkDirectory(folder, infrastructure_provisioning=THIS_MACHINE, mongodb_setup=setup)
    work.dsi("provision")
    work.dsi("mongodb-setup")
    key = home / ".dsi" / f"mongod.{port}.key"
    assert key.stat().st_mode & 0o777 == 0o600
    assert key.with_suffix(".conf").exists()
    pid = json.loads(work.read(".dsi/nodes.json"))["single"]["process"]["pid"]
    if killed:
        os.kill(pid, signal.SIGKILL)
    work.dsi("teardown")
    wait_until(lambda: not Path(f"/proc/{pid}").exists(), "the end of the server")
    assert not (home / ".dsi").exists()
    assert (home / "data" / "logs" / "mongod.log").exists()


def test_files_on_a_host_that_is_no_longer_listed_are_told_of_and_removed_once_it_is_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, folder = tmp_path / "home", tmp_path / "work"
    home.mkdir()
    folder.mkdir()
    monkeypatch.setenv("HOME", str(home))
    port = free_port()
    setup = STANDALONE.replace("{storage:", f"{{net: {{port: {port}, bindIp: 127.0.0.1}}, storage:")
    work = WorkDirectory(folder, infrastructure_provisioning=THIS_MACHINE, mongodb_setup=setup)
    work.dsi("provision")
    work.dsi("mongodb-setup")
    os.kill(json.loads(work.read(".dsi/nodes.json"))["single"]["process"]["pid"], signal.SIGKILL)
    for listed, told in ((THIS_MACHINE.replace("127.0.0.1", "localhost"), True), (THIS_MACHINE, False)):
        (folder / "infrastructure_provisioning.yml").write_text(listed)
        (folder / "infrastructure_provisioning.out.yml").unlink(missing_ok=True)
        work.dsi("provision")
        said = " ".join(work.dsi("teardown").stderr.split())
        assert ("files with secrets stay on a host" in said and f".dsi/mongod.{port}.key" in said) == told, said
        assert (home / ".dsi").exists() == told
