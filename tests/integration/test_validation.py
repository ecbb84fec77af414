"""Damaged collections and members that differ, made so for real, are found and named."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from pymongo import WriteConcern
from tests.integration.mongodb_bed import CONFIG, Bed, bed_of, client, until

from dsi.config.models import Validated
from dsi.errors import ClusterError, SeveralFailed
from dsi.systems.mongodb import Deployment, embedded_mongod
from dsi.systems.mongodb.node import Node

pytestmark = pytest.mark.skipif(embedded_mongod() is None, reason="needs the extra `embedded`")

MANY = 2000
"""Documents: enough for a table of many pages."""


@pytest.fixture
async def bed(tmp_path: Path) -> AsyncIterator[Bed]:
    """One local host."""
    async with bed_of(tmp_path, 1) as made:
        yield made


@pytest.fixture
async def three(tmp_path: Path) -> AsyncIterator[Bed]:
    """Three local hosts."""
    async with bed_of(tmp_path, 3) as made:
        yield made


async def started(bed: Bed, *topology: dict[str, Any], **fields: Any) -> Deployment:
    deployment = await bed.deployment(*topology, **fields)
    await deployment.install()
    await deployment.start()
    return deployment


async def fill(deployment: Deployment, *collections: str) -> None:
    """Write documents that every member has when this returns: one that is changed by hand next must not lack any."""
    everywhere = WriteConcern(w=len(deployment.nodes))
    async with client(deployment) as connected:
        for name in collections:
            collection = connected.test[name].with_options(write_concern=everywhere)
            await collection.insert_many([{"_id": n, "text": f"{n} " * 50} for n in range(MANY)])


async def by_hand(node: Node, *commands: dict[str, Any]) -> None:
    """Stop a member, run a mongod by hand on its data, have it do this, and start the member again."""
    await node.stop()
    address, host = node.plan.address, node.host
    program = f"mongodb/bin/mongod --dbpath data/dbs --bind_ip {address} --port 27999"
    await host.run(
        f"{program} --nounixsocket --fork --logpath by_hand.log --setParameter disableLogicalSessionCacheRefresh=true"
    )
    talk = (
        f"import pymongo; client = pymongo.MongoClient('{address}', 27999)\n"
        f"for command in {commands!r}: client.test.command(command)\n"
    )
    await host.run("python3 -", stdin=talk.encode())
    await host.run("pkill mongod; while pgrep -x mongod; do sleep 0.02; done")
    await node.start()


async def test_what_is_whole_passes(three: Bed) -> None:
    arbiter = three.node(2, id="arbiter", rs_conf_member={"arbiterOnly": True})
    members = [three.node(0, id="first"), three.node(1, id="second"), arbiter]
    deployment = await started(three, {"id": "rs0", "cluster_type": "replset", "mongod": members})
    async with client(deployment) as connected:
        await connected.test.things.insert_many([{"n": n} for n in range(100)])
        await connected.test.create_collection("series", timeseries={"timeField": "t"})
        await connected.test.create_collection("round", capped=True, size=4096)
        await connected.test.command({"create": "seen", "viewOn": "things"})
        await connected["other-one"].things.create_index("n")
    await deployment.validate()


async def test_a_table_of_which_bytes_were_overwritten_is_found_and_named(bed: Bed) -> None:
    deployment = await started(bed, bed.standalone())
    await fill(deployment, "good", "damaged")
    async with client(deployment) as connected:
        stats = await connected.test.command("collStats", "damaged")
    file = stats["wiredTiger"]["uri"].rpartition(":")[2]
    (node,) = deployment.nodes
    await node.stop()
    await node.host.run(
        f"printf 'not what was here %.0s' {{1..200}} | dd of=data/dbs/{file}.wt bs=1 seek=12288 conv=notrunc"
    )
    await node.start()
    with pytest.raises(ClusterError) as caught:
        await deployment.validate()
    assert str(caught.value).startswith(f"alone ({bed.addresses[0]}:27017): validate ")
    assert "test.damaged" in str(caught.value)
    assert "test.good" not in str(caught.value).partition("the last lines of its log")[0]


async def test_an_index_that_lacks_documents_is_found_and_named(bed: Bed) -> None:
    config = {**CONFIG, "setParameter": {"enableTestCommands": 1}}
    deployment = await started(bed, bed.standalone(config=config))
    await fill(deployment, "good", "bad")
    async with client(deployment) as connected:
        fail_point = {"configureFailPoint": "skipIndexNewRecords", "mode": "alwaysOn"}
        await connected.admin.command(fail_point)
        await connected.test.bad.insert_one({})
        await connected.admin.command({**fail_point, "mode": "off"})
    with pytest.raises(ClusterError, match=r"alone .*: validate found damaged collections: test\.bad \(.*_id_"):
        await deployment.validate()


async def test_a_member_with_other_data_is_found_and_its_collections_are_named(three: Bed) -> None:
    deployment = await started(three, three.replica_set())
    await fill(deployment, "changed", "gone", "same")
    await by_hand(
        deployment.nodes[2],
        {"update": "changed", "updates": [{"q": {"_id": 7}, "u": {"$set": {"text": "other"}}}]},
        {"drop": "gone"},
        {"create": "more"},
    )
    with pytest.raises(ClusterError) as caught:
        await deployment.validate()
    third, first = deployment.nodes[2].plan.label, deployment.nodes[0].plan.label
    assert str(caught.value) == f"{third}: has other data than {first} in: test.changed, test.gone, test.more"

    # Where the primary differs, so do all others, and each is named.
    await by_hand(deployment.nodes[1], {"delete": "same", "deletes": [{"q": {"_id": 1}, "limit": 1}]})
    with pytest.raises(SeveralFailed, match=r"second .*: has other data than first .* in: test\.same; third "):
        await deployment.validate()


async def test_a_server_that_dies_while_it_validates_is_named_with_the_collection(bed: Bed) -> None:
    config = {**CONFIG, "setParameter": {"enableTestCommands": 1}}
    deployment = await started(bed, bed.standalone(config=config))
    await fill(deployment, "things")
    async with client(deployment) as connected:
        await connected.admin.command({"configureFailPoint": "pauseCollectionValidationWithLock", "mode": "alwaysOn"})
        validating = asyncio.create_task(deployment.validate())

        async def is_validating() -> bool:
            running = await connected.admin.command({"currentOp": 1, "command.validate": {"$exists": True}})
            return bool(running["inprog"])

        await until(is_validating)
    await bed.hosts[bed.addresses[0]].run("pkill -9 mongod")
    with pytest.raises(ClusterError, match=r"alone .*: validate broke off at [a-z.]+: .*closed") as caught:
        await validating
    assert caught.value.log_tail


async def test_only_listed_nodes_are_validated_and_what_was_taken_down_on_purpose_is_left_out(three: Bed) -> None:
    place = f"{three.addresses[0]}:27017"
    alone = {"cluster_type": "standalone", **three.node(1, id="other")}
    deployment = await started(three, three.standalone(), alone)
    listed = Validated(standalone=[place])
    await three.hosts[three.addresses[1]].run("pkill -9 mongod")
    await deployment.validate(listed)

    await deployment.expect_down(["alone"])
    await three.hosts[three.addresses[0]].run("pkill -9 mongod; while pgrep -x mongod; do sleep 0.02; done")
    await deployment.validate(listed)

    everything = await three.deployment(three.standalone(), alone)
    await everything.attach()
    with pytest.raises(SeveralFailed, match=r"(?s)alone .*: is down.*other .*: is down"):
        await everything.validate()


async def test_a_member_that_is_down_is_said_to_be_that_and_no_more(three: Bed) -> None:
    deployment = await started(three, three.replica_set())
    await three.hosts[three.addresses[1]].run("pkill -9 mongod; while pgrep -x mongod; do sleep 0.02; done")
    with pytest.raises(ClusterError, match=r"second .*: is down, and was not compared\n"):
        await deployment.validate()
