"""`mongodb_setup.yml` as users of the original DSI have it; overridden are paths and sizes alone."""

import textwrap
from pathlib import Path

import pytest
from tests.integration.work_directory import WorkDirectory, hosts

from dsi.stages.load import load
from dsi.stages.validate import check
from dsi.systems.mongodb import embedded_mongod, make_tls_material

pytestmark = pytest.mark.skipif(embedded_mongod() is None, reason="needs the extra `embedded`")

SMALL = """
mongodb_setup:
  journal_dir: data/journal
  mongodb_binary_archive: ""
  mongod_config_file: {storage: {wiredTiger: {engineConfig: {cacheSizeGB: 0.25}}}}
"""

GENERAL = """
journal_dir: /media/ebs2/journal
mongodb_binary_archive: https://archives.invalid/mongodb-4.0.16.tar.gz
mongod_config_file:
  storage: {engine: "${bootstrap.storageEngine}", wiredTiger: {engineConfig: {cacheSizeGB: 15}}}
  replication: {replSetName: rs0, oplogSizeMB: 153600}
"""

META = """
meta:
  hosts: ${mongodb_setup.topology.0.mongod.0.private_ip}:27017
  hostname: ${mongodb_setup.topology.0.mongod.0.private_ip}
  secondary: ${mongodb_setup.topology.0.mongod.1.private_ip}
  empty_node: ${mongodb_setup.topology.-1.private_ip}
  port: 27017
  is_sharded: false
  is_replset: true
  secondaries: 2
  mongodb_setup: replica
  mongodb_url: ${mongodb_setup.meta.mongodb_url_base}?replicaSet=${mongodb_setup.topology.0.id}
validate:
  primaries:
    - ${mongodb_setup.topology.0.mongod.0.private_ip}:27017
"""

NO_DELAYS = "network_delays: {clusters: [{default: {delay_ms: 0, jitter_ms: 0}}]}\n"

WRITE = """
import os, pymongo
client = pymongo.MongoClient(os.environ["MONGODB_URL"], **OPTIONS)
client.test.get_collection("things", write_concern=pymongo.WriteConcern("majority")).insert_one({})
"""


def node(number: int) -> str:
    return (
        f"{{public_ip: '${{infrastructure_provisioning.out.mongod.{number}.public_ip}}', "
        f"private_ip: '${{infrastructure_provisioning.out.mongod.{number}.private_ip}}'}}"
    )


def replica_set(members: int) -> str:
    nodes = ", ".join(node(number) for number in range(members))
    return f"topology:\n  - cluster_type: replset\n    id: rs0\n    mongod: [{nodes}]\n"


def talk(program: str) -> str:
    program = textwrap.indent(program.replace(", **OPTIONS", ""), "      ")
    return f"run:\n  - id: talk\n    type: shell\n    cmd: |\n      python3 - <<'END'\n{program}\n      END\n"


def work_directory(
    folder: Path, servers: int, mongodb_setup: str, *, program: str = WRITE, **more: str
) -> WorkDirectory:
    files = {"overrides": SMALL, "test_control": talk(program), **more}
    return WorkDirectory(folder, infrastructure_provisioning=hosts(servers), mongodb_setup=mongodb_setup, **files)


def test_a_replica_set_whose_meta_makes_its_own_connection_string(tmp_path: Path) -> None:
    work = work_directory(tmp_path, 3, GENERAL + replica_set(3) + META.replace("empty_node", "# ") + NO_DELAYS)
    assert check(load(tmp_path)) == []
    work.dsi("run")


def test_delays_between_hosts_are_said_to_be_missing(tmp_path: Path) -> None:
    delays = NO_DELAYS.replace("jitter_ms: 0}", "jitter_ms: 0}, edges: [{node1: a, node2: b, delay: {delay_ms: 200}}]")
    work_directory(tmp_path, 3, GENERAL + replica_set(3) + delays)
    said = [str(problem) for problem in check(load(tmp_path))]
    assert any("network delays are not supported yet: the cluster comes up without them" in line for line in said)


ADD = """
import os, pymongo, time
client = pymongo.MongoClient(os.environ["MONGODB_URL"])
client.test.things.insert_many([{} for _ in range(100)])
config = client.admin.command("replSetGetConfig")["config"]
config["version"] += 1
config["members"].append({"_id": 9, "host": "${mongodb_setup.meta.empty_node}:27017", "priority": 0, "votes": 0})
client.admin.command("replSetReconfig", config)
while len(client.secondaries) < 2:
    client.admin.command("ping")
    time.sleep(0.05)
client.test.get_collection("things", write_concern=pymongo.WriteConcern(3)).insert_one({})
"""


def test_an_empty_node_with_the_name_of_the_set_is_added_to_it_by_the_test(tmp_path: Path) -> None:
    empty = f"  - {{cluster_type: standalone, id: empty, {node(2)[1:]}\n"
    work_directory(tmp_path, 3, GENERAL + replica_set(2) + empty + META, program=ADD).dsi("run")


def test_an_empty_node_that_no_test_adds_is_restarted_and_is_no_failure(tmp_path: Path) -> None:
    empty = f"  - {{cluster_type: standalone, id: empty, {node(1)[1:]}\n"
    twice = talk(WRITE) + talk(WRITE).partition("\n")[2].replace("id: talk", "id: again")
    work_directory(tmp_path, 2, GENERAL + replica_set(1) + empty, test_control=twice).dsi("run")


def test_a_set_with_ssl_and_certificates_in_mongo_dir(tmp_path: Path) -> None:
    ssl = """
  net:
    ssl:
      mode: preferSSL
      PEMKeyFile: ${mongodb_setup.mongo_dir}/member.pem
      PEMKeyPassword: server-perf
      CAFile: ${mongodb_setup.mongo_dir}/root.crt
      allowInvalidHostnames: true
      allowConnectionsWithoutCertificates: true
"""
    make_tls_material(tmp_path / "tls", ["localhost"])
    paths = f"{{ssl: {{CAFile: {tmp_path}/tls/ca.pem, PEMKeyFile: {tmp_path}/tls/server.pem}}}}"
    meta = META.replace("topology.0.id}", "topology.0.id}&ssl=true").replace("empty_node", "# ")
    shell = "  shell_ssl_options: ['--ssl', '--sslCAFile', '${mongodb_setup.mongo_dir}/root.crt']\n"
    program = WRITE.replace("**OPTIONS", f"tlsCAFile='{tmp_path}/tls/ca.pem', tlsAllowInvalidHostnames=True")
    work_directory(
        tmp_path,
        3,
        GENERAL.rstrip() + ssl + replica_set(3) + meta.replace("  port:", f"{shell}  port:"),
        program=program,
        overrides=SMALL.replace("file: {", f"file: {{net: {paths}, "),
    ).dsi("run")
