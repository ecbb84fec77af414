"""`exec_mongo_shell` with the real mongosh, which comes from the npm registry."""

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.integration.work_directory import REPLICA_SET, WorkDirectory, hosts

CACHE = Path(sys.prefix) / "mongosh"
"""Where it is kept between runs: 154 MB are fetched once per virtual environment."""


def mongosh_folder() -> str:
    """Give the folder that has mongosh; it is fetched if need be."""
    if found := shutil.which("mongosh"):
        return str(Path(found).parent)
    folder = CACHE / "node_modules" / ".bin"
    CACHE.mkdir(exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests of another file may be fetching it
        if not (folder / "mongosh").exists():
            if shutil.which("npm") is None and not os.environ.get("CI"):
                pytest.skip("mongosh is neither on the PATH, nor is npm there to get it: apt-get install npm")
            npm = ["npm", "install", "--silent", "--no-fund", "--no-audit", "--prefix", str(CACHE), "mongosh"]
            subprocess.run(npm, check=True, stdin=subprocess.DEVNULL, timeout=500)
    return str(folder)


@pytest.fixture(scope="module")
def mongosh() -> str:
    """The folder that has mongosh."""
    return mongosh_folder()


SHELLS = """
run:
  - id: shells
    type: shell
    cmd: 'true'
    pre_test:
      - on_mongod.1:
          exec_mongo_shell: {script: 'print("own node", db.hello().me)'}
      - on_workload_client:
          exec_mongo_shell: {script: 'print("the set", db.hello().setName, db.hello().isWritablePrimary)'}
      - on_mongod.2:
          exec_mongo_shell:
            script: print("translated", db.hello().me)
            connection_string: mongodb://localhost:27017/?directConnection=true
      - on_mongod.0:
          exec_mongo_shell: {script: 'throw new Error("thrown")'}
"""


def test_scripts_run_against_the_hosts_own_node_or_the_set_and_fail_when_they_throw(
    tmp_path: Path, mongosh: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{mongosh}:{os.environ['PATH']}")
    work = WorkDirectory(tmp_path, infrastructure_provisioning=hosts(3), mongodb_setup=REPLICA_SET, test_control=SHELLS)
    err = work.dsi("run", exit_status=3).stderr
    assert any("own node" in line and ".2:27017" in line for line in err.splitlines())
    assert "workload_client.0: the set rs0 true" in err
    assert any("translated" in line and ".3:27017" in line for line in err.splitlines())
    assert "mongod.0: exit status 1: Error: thrown" in err
