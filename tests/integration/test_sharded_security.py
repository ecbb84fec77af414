"""Sharded clusters with authentication and TLS. Their mongos is a fake; who gets in, real config servers decide."""

import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from pymongo import AsyncMongoClient
from pymongo.errors import OperationFailure
from tests.integration.mongodb_bed import CONFIG, Bed, bed_of, pids
from tests.integration.sharded_bed import PROGRAM, WHOLE, node, sharded, started
from tests.integration.work_directory import WorkDirectory

from dsi.config.models import Mapping
from dsi.systems.mongodb import Deployment, embedded_mongod, make_tls_material

pytestmark = pytest.mark.skipif(embedded_mongod() is None, reason="needs the extra `embedded`")

ENABLED = {"enabled": True, "username": "us:er", "password": "p@ss:w$rd/%'\"é"}
CERTIFICATES = {"mode": "requireTLS", "CAFile": "tls/ca.pem", "certificateKeyFile": "tls/server.pem"}
TLS: Mapping = {"net": {**CONFIG["net"], "tls": CERTIFICATES}}

LOG_IN = (
    "import os, pymongo; client = pymongo.MongoClient(os.environ['URL']);"
    "print(client.admin.command('connectionStatus')['authInfo']['authenticatedUsers'][0]['user'])"
)


@pytest.fixture
async def bed(tmp_path: Path) -> AsyncIterator[Bed]:
    """Five local hosts; the last one has the fake mongos."""
    async with bed_of(tmp_path, 5) as made:
        yield made


@pytest.fixture
async def certified(bed: Bed, tmp_path: Path) -> Bed:
    """Five local hosts with certificates."""
    make_tls_material(tmp_path / "tls", bed.addresses)
    for host in bed.hosts.values():
        await host.put(tmp_path / "tls", "tls")
    return bed


async def users(url: str) -> list[str]:
    """Log in, and give who one is then."""
    async with AsyncMongoClient[dict[str, Any]](url, serverSelectionTimeoutMS=5_000) as client:
        status = await client.admin.command("connectionStatus")
        roles = {role["role"] for role in status["authInfo"]["authenticatedUserRoles"]}
        assert roles == {"root", "dsiTrustedTime"}
        return [user["user"] for user in status["authInfo"]["authenticatedUsers"]]


async def everywhere(bed: Bed, deployment: Deployment) -> set[str]:
    """Log in to each node, as a script does that runs on its host."""
    urls = [deployment.url_on(host) for host in bed.hosts.values()]
    return {name for url in urls for name in await users(str(url))}


async def test_the_user_gets_in_at_mongos_shards_and_config_servers_before_and_after_every_restart(bed: Bed) -> None:
    deployment = await started(bed, authentication=ENABLED)
    assert await everywhere(bed, deployment) == {"us:er"}
    before = pids(deployment)
    await deployment.restart()
    assert await deployment.status() == WHOLE
    assert await everywhere(bed, deployment) == {"us:er"}
    await deployment.restart(clean_db_dir=True)
    assert await deployment.status() == WHOLE
    assert await everywhere(bed, deployment) == {"us:er"}
    assert not set(before.values()) & set(pids(deployment).values())
    await deployment.validate()

    url = str(deployment.url_on(bed.hosts[bed.addresses[4]]))
    with pytest.raises(OperationFailure, match="Authentication failed"):
        await users(url.replace("us%3Aer", "stranger"))


async def test_the_fake_mongos_is_as_strict_as_a_real_one(bed: Bed) -> None:
    """Nobody may do anything at it without logging in, and it comes up with its config servers' key alone."""
    deployment = await started(bed, authentication=ENABLED)
    async with AsyncMongoClient[dict[str, Any]](bed.addresses[4], 27017) as nobody:
        for command in ({"addShard": "c/10.0.0.1:27017", "name": "c"}, {"listShards": 1}, {"shutdown": 1}):
            with pytest.raises(OperationFailure) as refused:
                await nobody.admin.command(command)
            assert refused.value.code == 13
    router, host = node(deployment, "router"), bed.hosts[bed.addresses[4]]
    assert router.layout.config["security"] == {"keyFile": ".dsi/mongod.27017.key"}

    await router.stop()
    await host.write_file(".dsi/mongod.27017.key", b"another key", mode=0o600)
    done = await host.run("mongodb/bin/mongos --config .dsi/mongos.27017.conf", check=False)
    assert "Authentication failed" in done.stderr
    await deployment.restart(nodes=["router"])  # which has dsi's key written again
    assert await deployment.status() == WHOLE


async def test_kept_data_stay_and_their_users_learn_a_new_password(bed: Bed) -> None:
    first = await started(bed, authentication={**ENABLED, "password": "old one"})
    make_database = {"primaryShardId": "b", "writeConcern": {"w": "majority"}}
    await node(first, "config").ask("_configsvrCreateDatabase", "things", **make_database)
    await first.close()

    later = await bed.deployment(sharded(bed), authentication=ENABLED, clean_db_dir=False)
    assert await later.attach() == []
    await later.start()
    assert await later.status() == WHOLE
    assert await everywhere(bed, later) == {"us:er"}
    found = await node(later, "config").ask_at_length("find", "databases", database="config")
    assert [database["_id"] for database in found["cursor"]["firstBatch"]] == ["things"]


async def test_all_of_a_cluster_speaks_tls_and_a_later_dsi_restarts_parts_of_it(certified: Bed) -> None:
    bed = certified
    await (await started(bed, also=TLS, authentication=ENABLED)).close()
    deployment = await bed.deployment(sharded(bed, also=TLS), authentication=ENABLED)
    assert await deployment.attach() == []
    for name, restarted in (("config", {"config"}), ("a:primary", {"a0"}), ("router", {"router"})):
        before = pids(deployment)
        await deployment.restart(nodes=[name])
        assert await deployment.status() == WHOLE
        assert {node for node, pid in pids(deployment).items() if pid != before[node]} == restarted

    for host in bed.hosts.values():  # the paths in the connection string are relative to the host's home folder
        url = str(deployment.url_on(host))
        assert "tlsCAFile=tls/ca.pem" in url
        assert (await host.run(f'python3 -c "{LOG_IN}"', env={"URL": url})).stdout == "us:er\n"
    plain = f"mongodb://{bed.addresses[4]}/?serverSelectionTimeoutMS=300"
    refused = await host.run(f'python3 -c "{LOG_IN}"', env={"URL": plain}, check=False)
    assert "ServerSelectionTimeoutError" in refused.stderr


async def test_a_cluster_whose_nodes_know_each_other_by_certificates_has_no_key(certified: Bed) -> None:
    also: Mapping = {**TLS, "security": {"clusterAuthMode": "x509"}}
    deployment = await started(certified, also=also, authentication=ENABLED)
    await deployment.restart(nodes=["b", "router"])
    assert await deployment.status() == WHOLE
    for host in certified.hosts.values():
        assert (await host.run(f'python3 -c "{LOG_IN}"', env={"URL": str(deployment.url_on(host))})).stdout == "us:er\n"
        assert (await host.run("ls .dsi/*.key", check=False)).stdout == ""


LOGIN = f"""#!{sys.executable}
# Stands in for mongosh: a script's connection, in Python.
import os, pymongo, sys
admin = pymongo.MongoClient(os.environ.get("DSI_CONNECTION_STRING") or os.environ["MONGODB_URL"]).admin
(user,) = admin.command("connectionStatus")["authInfo"]["authenticatedUsers"]
sys.stdout.write("logged in at %s as %s\\n" % (admin.command("hello").get("setName", "mongos"), user["user"]))
"""

TASK = """
run:
  - id: login
    type: shell
    cmd: mongosh
    pre_test:
      - on_configsvr: {exec_mongo_shell: {script: "1"}}
      - on_mongos: {exec_mongo_shell: {script: "1"}}
    post_test:
      - on_mongod: {exec_mongo_shell: {script: "1"}}
"""


def test_the_canned_shard_lite_comes_up_and_scripts_get_in_at_every_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    for name, text in (("mongos", PROGRAM), ("mongosh", LOGIN)):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    chosen = "infrastructure_provisioning: shard-lite\nmongodb_setup: shard-lite\n"
    small = "mongodb_setup: {mongod_config_file: {storage: {wiredTiger: {engineConfig: {cacheSizeGB: 0.25}}}}}"
    work = WorkDirectory(tmp_path, bootstrap=chosen, overrides=small, test_control=TASK)
    err = work.dsi("run").stderr
    for host, place, count in (
        ("configsvr", "configSvrRS", 1), ("mongos", "mongos", 2), ("mongod", "shard0", 2), ("mongod", "shard1", 2),
    ):  # fmt: skip
        said = [line for line in err.splitlines() if host in line and f"logged in at {place} as username" in line]
        assert len(said) == count, err
