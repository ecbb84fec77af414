"""The original DSI's kinds of clusters in its own form, alone and above a defaults.yml of that form."""

import os
from pathlib import Path

import pytest
from tests.integration.sharded_bed import PROGRAM
from tests.integration.test_originals_files import NO_DELAYS, SMALL, WRITE, node, talk
from tests.integration.work_directory import WorkDirectory

from dsi.stages.load import load
from dsi.stages.validate import check
from dsi.systems.mongodb import embedded_mongod

pytestmark = pytest.mark.skipif(embedded_mongod() is None, reason="needs the extra `embedded`")

DEFAULTS = """
bootstrap: {storageEngine: wiredTiger, platform: linux}
infrastructure_provisioning:
  tfvars: {cluster_name: x, ssh_user: ec2-user, ssh_key_file: aws_ssh_key.pem, mongod_instance_count: 1}
mongodb_setup:
  mongo_dir: mongodb
  journal_dir: /media/ephemeral1/journal
  clean_db_dir: true
  mongodb_binary_archive: https://archives.invalid/mongodb-4.0.16.tar.gz
  mongod_config_file: &mongod
    net: {port: 27017, bindIp: 0.0.0.0}
    processManagement: {fork: true}
    setParameter: {enableTestCommands: 1}
    storage: {dbPath: data/dbs, engine: wiredTiger}
    systemLog: {destination: file, path: data/logs/mongod.log}
  configsvr_config_file: *mongod
  mongos_config_file:
    net: ${mongodb_setup.mongod_config_file.net}
    processManagement: {fork: true}
    setParameter: {enableTestCommands: 1}
    systemLog: {destination: file, path: data/logs/mongos.log}
  authentication: {enabled: true, username: username, password: password}
  rs_conf: {settings: {chainingAllowed: false}}
  shutdown_options: {force: true, timeoutSecs: 30}
  timeouts: {shutdown_ms: 540000, sigterm_ms: 60000}
  pre_cluster_start:
    - on_mongod: {exec: "echo -n 'mongodclusterkey' > clusterKeyFile; chmod 400 clusterKeyFile"}
  meta:
    hostname: ${mongodb_setup.topology.0.mongos.0.private_ip}
    hosts: ${mongodb_setup.topology.0.private_ip}:27017
    mongodb_url_base: "mongodb://${mongodb_setup.authentication.username}:\
${mongodb_setup.authentication.password}@${mongodb_setup.meta.hosts}/admin"
    mongodb_url: "${mongodb_setup.meta.mongodb_url_base}?ssl=false"
    shell_ssl_options: []
    is_sharded: false
    is_replset: false
    secondary: null
    storageEngine: ${mongodb_setup.mongod_config_file.storage.engine}
    primaries: 1
    secondaries: 0
  post_test:
    - on_all_servers: {retrieve_files: [{source: data/logs/, target: ./}]}
    - on_configsvr: {retrieve_files: [{source: data/dbs/diagnostic.data, target: ./diagnostic.data}]}
test_control:
  between_tests: [{restart_mongodb: {clean_logs: true, clean_db_dir: true}}]
"""

GENERAL = """
journal_dir: /media/ebs2/journal
mongod_config_file:
  storage: {engine: "${bootstrap.storageEngine}"}
  replication: {oplogSizeMB: 153600}
"""


def meta(hosts: str, **more: str) -> str:
    lines = {
        "hosts": f"${{mongodb_setup.topology.0.{hosts}}}:27017",
        "hostname": f"${{mongodb_setup.topology.0.{hosts}}}",
    }
    lines |= {"port": "27017", **more}
    return "meta:\n" + "".join(f"  {name}: {value}\n" for name, value in lines.items())


def validated(kind: str, *places: str) -> str:
    return f"validate:\n  {kind}:\n" + "".join(
        f"    - ${{mongodb_setup.topology.0.{place}}}:27017\n" for place in places
    )


def of_kind(kind: str, number: int) -> str:
    return node(number).replace("out.mongod", f"out.{kind}")


STANDALONE = (
    GENERAL.replace("  replication: {oplogSizeMB: 153600}\n", "")
    + f"topology:\n  - {{cluster_type: standalone, {node(0)[1:]}\n"
    + NO_DELAYS
    + meta("private_ip", is_sharded="false", is_replset="false", mongodb_setup="standalone")
    + validated("standalone", "private_ip")
)

SINGLE_REPLICA = (
    f"{GENERAL}topology:\n  - {{cluster_type: replset, id: rs0, mongod: [{node(0)}]}}\n"
    + NO_DELAYS
    + meta(
        "mongod.0.private_ip",
        is_replset="true",
        mongodb_url="${mongodb_setup.meta.mongodb_url_base}?replicaSet=${mongodb_setup.topology.0.id}",
    )
    + validated("primaries", "mongod.0.private_ip")
)

SHARD_LITE = (
    f"""{GENERAL}  sharding: {{clusterRole: shardsvr}}
topology:
  - id: mycluster
    cluster_type: sharded_cluster
    configsvr_type: csrs
    configsvr: [{of_kind("configsvr", 0)}]
    mongos: [{of_kind("mongos", 0)}]
    shard:
      - {{id: shard1, cluster_type: replset, mongod: [{node(0)}]}}
      - {{id: shard2, cluster_type: replset, mongod: [{node(1)}]}}
"""
    + NO_DELAYS
    + meta("mongos.0.private_ip", is_sharded="true", primaries="2", mongodb_setup="shard-lite")
    + validated("primaries", "configsvr.0.private_ip", "shard.0.mongod.0.private_ip", "shard.1.mongod.0.private_ip")
)

PING = 'import os, pymongo\npymongo.MongoClient(os.environ["MONGODB_URL"]).admin.command("ping")'
"""The stand-in for mongos carries no writes."""

CLUSTERS = {
    "standalone": (STANDALONE, 1, WRITE),
    "single-replica": (SINGLE_REPLICA, 1, WRITE),
    "shard-lite": (SHARD_LITE, 2, PING),
}


@pytest.mark.parametrize("defaults", [False, True], ids=["alone", "above-defaults"])
@pytest.mark.parametrize("name", CLUSTERS)
def test_it_comes_up_and_is_checked_with_an_override_of_paths_and_sizes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, *, defaults: bool
) -> None:
    programs, folder = tmp_path / "programs", tmp_path / "work"
    programs.mkdir()
    folder.mkdir()
    (programs / "mongos").write_text(PROGRAM)
    (programs / "mongos").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    setup, mongods, program = CLUSTERS[name]
    others = ", mongos_instance_count: 1, configsvr_instance_count: 1" if name == "shard-lite" else ""
    files = {
        "infrastructure_provisioning": f"tfvars: {{mongod_instance_count: {mongods}{others}}}\n",
        "mongodb_setup": setup,
        "overrides": SMALL,
        "test_control": talk(program),
        **({"defaults": DEFAULTS} if defaults else {}),
    }
    work = WorkDirectory(folder, **files)
    assert [str(problem) for problem in check(load(folder)) if not problem.warning] == []
    work.dsi("run")
    assert "exit_status: 0" in work.read("reports/talk/test_output.log")
