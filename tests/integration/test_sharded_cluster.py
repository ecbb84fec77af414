"""Sharded clusters: real config servers and real shards behind a fake mongos, which no package index has.

What is not tested here, for want of a mongos: that the real one takes its configuration file, and that it routes.
"""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from pymongo import AsyncMongoClient
from tests.integration.mongodb_bed import Bed, bed_of, pids
from tests.integration.sharded_bed import MONGOS_CONFIG, WHOLE, bring_mongos, node, sharded, started

from dsi.config.models import Validated
from dsi.errors import ClusterError, InvalidCommand, Preflight
from dsi.systems.mongodb import Deployment, embedded_mongod

pytestmark = pytest.mark.skipif(embedded_mongod() is None, reason="needs the extra `embedded`")


@pytest.fixture
async def bed(tmp_path: Path) -> AsyncIterator[Bed]:
    """Five local hosts; the last one has the fake mongos."""
    async with bed_of(tmp_path, 5) as made:
        yield made


async def config_database(deployment: Deployment, collection: str) -> list[dict[str, Any]]:
    """Read the cluster's own catalogue from the real config server."""
    place = node(deployment, "config").plan
    async with AsyncMongoClient[dict[str, Any]](place.address, place.port, directConnection=True) as client:
        return await client.config[collection].find().to_list()


async def test_a_sharded_cluster_is_up_with_its_shards_under_their_ids(bed: Bed) -> None:
    deployment = await started(bed)
    addresses = bed.addresses
    shards = {shard["_id"]: shard["host"] for shard in await config_database(deployment, "shards")}
    assert shards == {"a": f"a/{addresses[1]}:27017,{addresses[2]}:27017", "b": f"b/{addresses[3]}:27017"}
    balancer = [setting for setting in await config_database(deployment, "settings") if setting["_id"] == "balancer"]
    assert balancer[0]["mode"] == "off"

    # The shards know what they are, and the cluster works: a database comes to the shard that it is made on.
    await node(deployment, "config").ask(
        "_configsvrCreateDatabase", "things", primaryShardId="b", writeConcern={"w": "majority"}
    )
    assert [database["primary"] for database in await config_database(deployment, "databases")] == ["b"]
    for name, shard in (("a0", "a"), ("b0", "b")):
        place = node(deployment, name).plan
        async with AsyncMongoClient[dict[str, Any]](place.address, place.port, directConnection=True) as client:
            identity = await client.admin["system.version"].find_one("shardIdentity")
            assert identity is not None
            assert identity["shardName"] == shard

    hosts = [bed.hosts[address] for address in addresses]
    assert deployment.ids() == {
        "mycluster": hosts, "config": [hosts[0]], "a": hosts[1:3], "a0": [hosts[1]], "a1": [hosts[2]],
        "b": [hosts[3]], "b0": [hosts[3]], "router": [hosts[4]],
    }  # fmt: skip


async def test_a_sharded_cluster_is_restarted_in_order_and_anew(bed: Bed) -> None:
    deployment = await started(bed)
    before = pids(deployment)
    report = await deployment.restart()
    assert set(report.writes_refused_s) == {"mycluster"}
    assert report.writes_refused_s["mycluster"] > 0
    assert await deployment.status() == WHOLE
    assert not set(before.items()) & set(pids(deployment).items())
    starts = {node.name: node.process.start for node in deployment.nodes if node.process}
    assert starts.pop("router") > max(starts.values())
    assert {shard["_id"] for shard in await config_database(deployment, "shards")} == {"a", "b"}

    await node(deployment, "config").ask(
        "_configsvrCreateDatabase", "things", primaryShardId="b", writeConcern={"w": "majority"}
    )
    await deployment.restart(clean_db_dir=True)
    assert await deployment.status() == WHOLE
    assert {shard["_id"] for shard in await config_database(deployment, "shards")} == {"a", "b"}
    assert await config_database(deployment, "databases") == []

    await deployment.stop()
    ended = [
        float((await host.run("stat -c %.9Y data/logs/mongo*.exit")).stdout)
        for host in (bed.hosts[address] for address in bed.addresses)
    ]
    assert ended[4] < min(ended[1:4])  # mongos, shards, config server
    assert max(ended[1:4]) < ended[0]
    assert bed.state.read("nodes") is None


async def test_a_shard_or_a_mongos_is_restarted_alone_and_found_by_a_later_dsi(bed: Bed) -> None:
    first = await started(bed)
    await first.close()
    deployment = await bed.deployment(sharded(bed))
    assert await deployment.attach() == []
    for name, restarted in (("a", {"a0", "a1"}), ("router", {"router"}), ("config", {"config"})):
        before = pids(deployment)
        await deployment.restart(nodes=[name])
        assert await deployment.status() == WHOLE
        assert {node for node, pid in pids(deployment).items() if pid != before[node]} == restarted

    stranger = await bed.deployment()  # a topology that has no such cluster any more
    assert await stranger.attach() == []
    await stranger.stop()
    left = await asyncio.gather(*(host.run("pgrep -f -- --config", check=False) for host in bed.hosts.values()))
    assert [done.stdout for done in left] == [""] * 5


async def test_the_primary_of_a_shard_is_chosen_by_its_role_and_nodes_are_restarted_one_by_one(bed: Bed) -> None:
    deployment = await started(bed)
    before = pids(deployment)
    assert (await deployment.restart(nodes=["a:primary"], mode="crash")).restarted == ("a0",)
    assert await deployment.status() == WHOLE
    assert {name for name, pid in pids(deployment).items() if pid != before[name]} == {"a0"}

    before = pids(deployment)
    report = await deployment.restart(nodes=["a", "router"], mode="rolling")
    assert await deployment.status() == WHOLE
    assert {name for name, pid in pids(deployment).items() if pid != before[name]} == {"a0", "a1", "router"}
    starts = {node.name: node.process.start for node in deployment.nodes if node.process}
    assert max(starts, key=lambda name: starts[name]) == "a0"  # the primary goes last
    assert report.writes_refused_s["mycluster"] > 0  # nobody takes over from the only mongos

    with pytest.raises(InvalidCommand, match='"mycluster" is no replica set, and has no primary'):
        await deployment.restart(nodes=["mycluster:primary"])


async def test_a_mongos_that_refuses_its_configuration_is_named_with_what_it_said(bed: Bed) -> None:
    await bring_mongos(bed)
    wrong = {**MONGOS_CONFIG, "storage": {"dbPath": "data/dbs"}}
    deployment = await bed.deployment(sharded(bed, config_file=wrong))
    await deployment.install()
    with pytest.raises(ClusterError) as caught:
        await deployment.start()
    assert caught.value.node == f"router ({bed.addresses[4]}:27017)"
    assert "mongodb/bin/mongos --config .dsi/mongos.27017.conf on mongod.4 ended with exit status" in str(caught.value)
    assert any("Unrecognized option: storage.dbPath" in line for line in caught.value.log_tail)


async def test_no_mongos_is_said_before_anything_is_started(bed: Bed) -> None:
    deployment = await bed.deployment(sharded(bed))
    with pytest.raises(Preflight, match=r"mongod\.4: there is no mongos\. Looked for: mongodb/bin/mongos"):
        await deployment.install()
    assert bed.state.read("nodes") is None


async def test_its_shards_and_config_servers_are_validated(bed: Bed) -> None:
    deployment = await started(bed)
    await deployment.validate()
    shard = node(deployment, "b0")
    await shard.crash()
    with pytest.raises(ClusterError, match=r"b: has no primary, with 0 of 1 members running"):
        await deployment.validate(Validated(primaries=["b0", "config"]))
    await deployment.validate(Validated(primaries=["a0"]))
