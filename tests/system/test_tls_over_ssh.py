"""TLS and authentication on hosts that are reached over SSH."""

import sys
from pathlib import Path

from tests.system.conftest import StartHosts
from tests.system.test_whole_path import mongods, task, work_directory

TLS = """
  net: {tls: {mode: requireTLS, CAFile: tls/ca.pem, certificateKeyFile: tls/server.pem}}
pre_cluster_start:
  - on_localhost: dsi tls-material tls
  - on_all_hosts: {upload_files: [{source: tls, target: tls}]}
"""

WRITE = """
import pymongo, sys
things = pymongo.MongoClient(sys.argv[1]).test.get_collection("things", write_concern=pymongo.WriteConcern("majority"))
things.insert_one({})
print("things:", things.count_documents({}))
"""


def test_a_replica_set_with_tls_and_users_is_set_up_restarted_and_stopped_over_ssh(
    tmp_path: Path, ssh_hosts: StartHosts
) -> None:
    script = tmp_path / "talk.sh"
    script.write_text("ls tls/ca.pem; echo $MONGODB_URL\n")
    (tmp_path / "write.py").write_text(WRITE)
    hosts = ssh_hosts(4)
    again = "  - {id: again, type: shell, cmd: bash workload.sh}\n"
    # A client of this machine, since those hosts' python has no driver: its certificates lie in the work directory.
    client = f"{sys.executable} write.py '${{mongodb_setup.meta.mongodb_url}}' >> things.txt"
    hooks = (
        "between_tests:\n  - restart_mongodb: {clean_logs: false, clean_db_dir: false}\n"
        f'pre_test:\n  - on_localhost: "{client}"\n'
    )
    test_control = task(script, hooks).replace("dsisocket:", f"{again}dsisocket:")
    work = work_directory(tmp_path, hosts, test_control)
    setup = tmp_path / "mongodb_setup.yml"
    general, _, topology = setup.read_text().partition("topology:")
    setup.write_text(f"mongod_config_file:\n  {general.partition('{')[2].strip()[:-1]}{TLS}topology:{topology}")
    work.dsi("run")
    assert work.read("things.txt") == "things: 1\nthings: 2\n"
    assert "tls=true&tlsCAFile=tls/ca.pem" in work.read("reports/again/test_output.log")
    assert [mongods(host) for host in hosts] == ["", "", "", ""]
    for host in hosts[1:]:
        log = (host.home / "data/logs/mongod.log").read_text(errors="replace")
        assert log.count("SERVER RESTARTED") >= 1
        assert "Received signal" not in log  # it was asked to shut down, over TLS
