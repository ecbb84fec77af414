"""Where the password is on hosts that are reached over SSH: in files of its owner's, and nowhere else."""

import json
from pathlib import Path
from urllib.parse import quote

from tests.integration.test_authentication import kept_secrets_of, processes_watched
from tests.system.conftest import StartHosts
from tests.system.test_whole_path import work_directory

PASSWORD = "s3cr3t@:$x'y"
URL = "${mongodb_setup.meta.mongodb_url}"

MONGOSH = """#!/bin/sh
# Stands in for mongosh: has it been told where to connect?
[ -n "$DSI_CONNECTION_STRING" ] && echo "mongosh: it has"
"""


def task() -> str:
    fails = [f"false '{URL}'", f"echo '{URL}' >&2; exit 3"]
    test = {
        "id": "talk",
        "type": "shell",
        "cmd": 'test -n "$MONGODB_URL" && test -n "$DSI_SOCKET" && sleep 1',
        "config_filename": "ycsb.properties",
        "workload_config": f"mongodb.url={URL}",
        "background_tasks": {"beside": 'test -n "$MONGODB_URL" && sleep 100'},
        "during_test": [{"at": 0, "on_mongod": {"exec_mongo_shell": {"script": "1"}}}],
        "post_test": [
            {"restart_mongodb": {"clean_db_dir": True}},
            {"on_workload_client": {"exec_mongo_shell": {"script": "1"}}},
            *({"on_all_hosts": text} for text in fails),
            {"on_all_servers": {"retrieve_files": [{"source": "data/logs", "target": "logs"}]}},
        ],
    }
    mongosh = {"on_all_hosts": {"upload_files": [{"source": "mongosh", "target": "mongodb/bin/mongosh"}]}}
    return json.dumps({"run": [test], "pre_task": [mongosh], "dsisocket": {"enabled": True, "token": "auto"}})


def test_no_secret_is_in_a_list_of_processes_a_log_or_a_report(tmp_path: Path, ssh_hosts: StartHosts) -> None:
    hosts = ssh_hosts(3)
    work = work_directory(tmp_path, hosts, task())
    authentication = json.dumps({"username": "me", "password": PASSWORD})
    (tmp_path / "overrides.yml").write_text(f"mongodb_setup: {{authentication: {authentication}}}\n")
    (tmp_path / "mongosh").write_text(MONGOSH)
    (tmp_path / "mongosh").chmod(0o755)
    seen: set[bytes] = set()
    with processes_watched(seen):  # of all hosts: they are on this machine
        process = work.start("run", environment={"DSI_DEBUG": "1"})
        out, err = process.communicate(timeout=120)
    assert process.returncode == 1, err
    (end,) = work.events("test_end")
    assert (end["status"], end["exit_status"]) == ("failed (workload)", 0), end
    assert err.count("mongosh: it has") == 3, "two servers and the workload client"
    assert sum(b"mongod\0--config" in command for command in seen) >= 1
    assert any(b"sleep\x00100" in command for command in seen)

    made = kept_secrets_of(tmp_path)
    forms = [form.encode() for form in (PASSWORD, quote(PASSWORD, safe=""), "s3cr3t", made)]
    reports = {path: path.read_bytes() for path in (tmp_path / "reports").rglob("*") if path.is_file()}
    assert {"overrides.yml", "timeline.jsonl", "ycsb.properties", "mongod.log"} <= {path.name for path in reports}
    for form in forms:
        assert form not in (out + err).encode()
        assert not [command for command in seen if form in command]
        assert not [path for path, content in reports.items() if form in content]
        assert form not in (tmp_path / "test_control.out.yml").read_bytes()
    for host in hosts[1:]:
        left = {path for path in host.home.rglob("*") if path.is_file() and "dbs" not in path.parts}
        assert not [path for path in left if any(form in path.read_bytes() for form in forms)]
        assert not [path for path in left if path.name in ("mongod.27017.key", "mongod.27017.conf")]
