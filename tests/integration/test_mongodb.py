"""Clusters of real servers on local hosts: up, restarted, found again, stopped, and what breaks on the way."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from pymongo.errors import AutoReconnect
from tests.integration.mongodb_bed import CONFIG, Bed, bed_of, client, mongods, pids, until

from dsi.config.models import Mapping
from dsi.errors import ClusterError, CommandFailed, DsiError, HostError, InvalidCommand, Preflight
from dsi.systems.mongodb import embedded_mongod

pytestmark = pytest.mark.skipif(embedded_mongod() is None, reason="needs the extra `embedded`")


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


# --- one server ---------------------------------------------------------------------------------------------------


async def test_a_standalone_is_up_restarted_and_gone(bed: Bed) -> None:
    deployment = await bed.deployment(bed.standalone())
    await deployment.install()
    await deployment.start()
    assert await deployment.status() == {"alone": "STANDALONE"}
    assert deployment.ids() == {"alone": [bed.hosts[bed.addresses[0]]]}
    async with client(deployment) as connected:
        await connected.test.things.insert_one({"kept": True})
    before = pids(deployment)

    report = await deployment.restart()
    assert report.restarted == ("alone",)
    assert 0 < report.writes_refused_s["alone"] <= report.duration_s
    assert pids(deployment) != before
    async with client(deployment) as connected:
        assert await connected.test.things.count_documents({}) == 1

    await deployment.stop()
    host = bed.hosts[bed.addresses[0]]
    assert not await mongods(host)
    assert bed.state.read("nodes") is None
    assert (await host.run("cat data/logs/mongod.27017.exit")).stdout == "0\n"


async def test_cleaning_deletes_what_is_asked_and_nothing_else(bed: Bed) -> None:
    host = bed.hosts[bed.addresses[0]]
    deployment = await bed.deployment(bed.standalone())
    await deployment.install()
    await deployment.start()
    async with client(deployment) as connected:
        await connected.test.things.insert_one({})
    await host.run(
        "mkdir -p data/dbs/diagnostic.data; touch data/dbs/diagnostic.data/metrics.old;"
        "touch data/logs/own.txt data/logs/core.123 core.456 core.of.mine"
    )

    await deployment.restart(clean_db_dir=True)
    async with client(deployment) as connected:
        assert await connected.test.things.count_documents({}) == 0
    kept = (await host.run("ls data/logs core* data/dbs/diagnostic.data")).stdout
    assert "core.123" in kept
    assert "core.456" in kept
    assert "metrics.old" in kept

    await deployment.restart(clean_logs=True)
    left = (await host.run("ls data/logs core*; find data/dbs")).stdout
    assert "metrics.old" not in left
    assert "own.txt" in left
    assert "core.of.mine" in left
    assert "core.123" not in left
    assert "core.456" not in left
    assert (await host.run("grep -c 'MongoDB starting' data/logs/mongod.log")).stdout == "1\n"
    async with client(deployment) as connected:
        assert await connected.test.things.count_documents({}) == 0


async def test_a_folder_of_other_peoples_files_is_never_cleaned(bed: Bed) -> None:
    host = bed.hosts[bed.addresses[0]]
    await host.run("mkdir -p data/dbs; echo mine > data/dbs/thesis.txt")
    deployment = await bed.deployment(bed.standalone())
    await deployment.install()
    with pytest.raises(CommandFailed, match=r"no server's files: nothing was deleted"):
        await deployment.start()
    assert (await host.run("cat data/dbs/thesis.txt")).stdout == "mine\n"


async def test_a_server_that_hangs_is_ended_itself_and_no_other(bed: Bed) -> None:
    host = bed.hosts[bed.addresses[0]]
    limits = {"shutdown_ms": 200, "sigterm_ms": 100}
    deployment = await bed.deployment(bed.standalone(), timeouts=limits)
    await deployment.install()
    await deployment.start()
    bystander = (await host.run("(exec -a mongod sleep 1000) > /dev/null 2>&1 & echo $!")).stdout.strip()
    await host.run(f"kill -STOP {pids(deployment)['alone']}")
    await deployment.stop()
    assert (await host.run("cat data/logs/mongod.27017.exit")).stdout == "137\n"
    await host.run(f"kill -0 {bystander}")


async def test_a_lost_host_keeps_no_other_node_from_being_stopped(three: Bed) -> None:
    deployment = await three.deployment(three.replica_set())
    await deployment.install()
    await deployment.start()
    await three.lose(1)
    with pytest.raises(HostError, match=r"^mongod\.1"):
        await deployment.stop()
    assert [bool(node.process) for node in deployment.nodes] == [False, True, False]
    assert list(three.state.read("nodes") or ()) == ["second"]
    assert not await mongods(three.hosts[three.addresses[0]])


# --- a server that does not come up -------------------------------------------------------------------------------


async def failing_start(bed: Bed, config: Mapping, **fields: Any) -> ClusterError:
    deployment = await bed.deployment(bed.standalone(config=config), **fields)
    await deployment.install()
    with pytest.raises(ClusterError) as caught:
        await deployment.start()
    return caught.value


async def test_a_server_that_refuses_its_configuration_is_named_with_what_it_said(bed: Bed) -> None:
    error = await failing_start(bed, {**CONFIG, "storage": {"dbPath": "data/dbs", "nonsense": 1}})
    assert error.node == f"alone ({bed.addresses[0]}:27017)"
    assert "mongodb/bin/mongod --config .dsi/mongod.27017.conf on mongod.0 ended with exit status 2" in str(error)
    assert any("Unrecognized option: storage.nonsense" in line for line in error.log_tail)


async def test_what_an_earlier_start_logged_is_not_shown_for_one_that_wrote_nothing(bed: Bed) -> None:
    good = await bed.deployment(bed.standalone())
    await good.install()
    await good.start()
    await good.stop()
    error = await failing_start(bed, {**CONFIG, "storage": {"nonsense": 1}}, clean_logs=False)
    assert all("Unrecognized option" in line or "try " in line for line in error.log_tail)


async def test_a_server_that_dies_while_it_starts_is_named_with_the_end_of_its_log(bed: Bed) -> None:
    error = await failing_start(bed, {**CONFIG, "net": {**CONFIG["net"], "bindIp": "192.0.2.1"}})
    assert "exit status" in str(error)
    assert any("Cannot assign requested address" in line for line in error.log_tail)
    assert len(error.log_tail) <= 10


async def test_a_server_that_ends_with_status_0_has_not_started(bed: Bed) -> None:
    deployment = await bed.deployment(bed.standalone())
    await deployment.install()
    await bed.hosts[bed.addresses[0]].run("ln -sfn /bin/true mongodb/bin/mongod")
    with pytest.raises(ClusterError, match="ended with exit status 0 before it took a connection"):
        await deployment.start()


async def test_a_taken_port_is_an_error_that_says_who_has_it(bed: Bed) -> None:
    host = bed.hosts[bed.addresses[0]]
    listen = f"s = socket.create_server(('{bed.addresses[0]}', 27017))"
    program = f"import socket, time; {listen}; print(flush=True); time.sleep(1000)"
    await host.run(f'read -r < <(exec python3 -c "{program}" 2>/dev/null & )')
    error = await failing_start(bed, CONFIG)
    assert f"port 27017 of {bed.addresses[0]} on mongod.0 is taken" in str(error)
    assert "(python3" in str(error)
    assert bed.state.read("nodes") is None


async def test_a_port_that_a_process_outside_of_the_host_has_is_named_with_it_too(bed: Bed) -> None:
    with socket.create_server((bed.addresses[0], 27017)):
        error = await failing_start(bed, CONFIG)
    assert f"is taken by process {os.getpid()} (" in str(error)


# --- a replica set ------------------------------------------------------------------------------------------------


async def test_a_replica_set_has_the_configuration_that_was_asked_for(three: Bed) -> None:
    plan = three.replica_set(rs_conf={"settings": {"electionTimeoutMillis": 9000}})
    plan["mongod"][1]["rs_conf_member"] = {"priority": 5, "tags": {"dc": "east"}}
    deployment = await three.deployment(plan)
    await deployment.install()
    await deployment.start()
    assert await deployment.status() == {"first": "SECONDARY", "second": "PRIMARY", "third": "SECONDARY"}
    async with client(deployment) as connected:
        made = (await connected.admin.command("replSetGetConfig"))["config"]
    assert made["settings"]["electionTimeoutMillis"] == 9000
    assert [(member["host"], member["priority"]) for member in made["members"]] == [
        (f"{three.addresses[0]}:27017", 2),
        (f"{three.addresses[1]}:27017", 5),
        (f"{three.addresses[2]}:27017", 1),
    ]
    assert made["members"][1]["tags"] == {"dc": "east"}


async def test_a_refused_rs_conf_is_an_error_with_the_servers_reason(bed: Bed) -> None:
    plan = {"cluster_type": "replset", "mongod": [bed.node(0)], "rs_conf": {"nonsense": True}}
    deployment = await bed.deployment(plan)
    await deployment.install()
    with pytest.raises(ClusterError, match=r"replSetInitiate of rs0 failed: .*nonsense"):
        await deployment.start()


async def test_a_member_that_the_others_cannot_reach_is_named_with_the_servers_reason(three: Bed) -> None:
    nowhere = f"{three.addresses[2]}:27018"
    misled = three.node(2, rs_conf_member={"host": nowhere})
    members = [three.node(0), three.node(1), misled]
    deployment = await three.deployment({"cluster_type": "replset", "mongod": members})
    await deployment.install()
    with pytest.raises(ClusterError, match=rf"does not reach all of rs0: {nowhere}: .*Connection refused"):
        await deployment.start()


async def test_a_member_that_keeps_the_data_of_another_set_is_not_taken_into_one_that_is_made(three: Bed) -> None:
    earlier = await three.deployment({"cluster_type": "replset", "mongod": [three.node(1)]})
    await earlier.install()
    await earlier.start()
    await earlier.stop()

    members = [three.node(0), three.node(1, clean_db_dir=False)]
    deployment = await three.deployment({"cluster_type": "replset", "mongod": members})
    await deployment.install()
    with pytest.raises(ClusterError, match=r"replSetInitiate of rs0 failed: .*not all proposed set members"):
        await deployment.start()


async def test_a_restart_of_a_replica_set_keeps_data_and_primary_and_a_clean_one_begins_anew(three: Bed) -> None:
    deployment = await three.deployment(three.replica_set())
    await deployment.install()
    await deployment.start()
    whole = {"first": "PRIMARY", "second": "SECONDARY", "third": "SECONDARY"}
    assert await deployment.status() == whole
    before = pids(deployment)
    async with client(deployment) as connected:
        # Acknowledged by the primary alone: the restart must not lose even these.
        await connected.test.get_collection("things").insert_many([{"n": n} for n in range(1000)])
        await deployment.restart()
        assert await connected.test.things.count_documents({}) == 1000
    assert await deployment.status() == whole
    assert not set(before.items()) & set(pids(deployment).items())

    await deployment.restart(clean_db_dir=True)
    assert await deployment.status() == whole
    async with client(deployment) as connected:
        assert await connected.test.things.count_documents({}) == 0
        assert (await connected.admin.command("replSetGetConfig"))["config"]["members"][0]["priority"] == 2


async def test_some_nodes_are_restarted_and_the_others_keep_their_process(three: Bed) -> None:
    deployment = await three.deployment(three.replica_set())
    await deployment.install()
    await deployment.start()
    before = pids(deployment)

    report = await deployment.restart(nodes=["second"])
    after = pids(deployment)
    assert report.restarted == ("second",)
    assert report.writes_refused_s == {"rs0": 0.0}
    assert {name for name in before if before[name] != after[name]} == {"second"}

    report = await deployment.restart(nodes=["first"])
    assert report.writes_refused_s["rs0"] > 0
    assert await deployment.status() == {"first": "PRIMARY", "second": "SECONDARY", "third": "SECONDARY"}
    assert pids(deployment)["third"] == before["third"]

    with pytest.raises(InvalidCommand, match='did you mean "third"'):
        await deployment.restart(nodes=["thrid"])
    with pytest.raises(InvalidCommand, match="clean_db_dir"):
        await deployment.restart(nodes=["third"], clean_db_dir=True)
    assert pids(deployment)["third"] == before["third"]


async def test_what_others_have_ended_is_started_again_by_the_next_restart(three: Bed) -> None:
    deployment = await three.deployment(three.replica_set())
    await deployment.install()
    await deployment.start()
    await three.hosts[three.addresses[0]].run("pkill -KILL mongod")
    await deployment.restart(nodes=["third"])
    states = await deployment.status()
    assert states.pop("first") == "down"
    assert sorted(states.values()) == ["PRIMARY", "SECONDARY"]

    await three.hosts[three.addresses[2]].run("pkill -KILL mongod")
    await deployment.restart()
    assert await deployment.status() == {"first": "PRIMARY", "second": "SECONDARY", "third": "SECONDARY"}
    # Kept connections are another matter than new ones: this one still goes to what is there now.
    async with client(deployment) as connected:
        with suppress(AutoReconnect):
            await connected.test.things.insert_one({})


# --- found again --------------------------------------------------------------------------------------------------


async def test_a_later_dsi_finds_what_an_earlier_one_has_started(bed: Bed) -> None:
    first = await bed.deployment(bed.standalone())
    await first.install()
    await first.start()
    await first.close()

    second = await bed.deployment(bed.standalone())
    assert await second.attach() == []
    assert pids(second) == pids(first)
    assert await second.status() == {"alone": "STANDALONE"}
    await second.restart()

    third = await bed.deployment()  # a topology that has no such node any more
    assert await third.attach() == []
    await third.stop()
    assert not await mongods(bed.hosts[bed.addresses[0]])
    assert bed.state.read("nodes") is None


async def test_a_node_that_is_gone_or_whose_pid_is_anothers_is_not_taken_for_it(bed: Bed) -> None:
    first = await bed.deployment(bed.standalone())
    await first.install()
    await first.start()
    kept = bed.state.read("nodes")
    kept["alone"]["process"]["start"] += 1
    bed.state.write("nodes", kept)
    second = await bed.deployment(bed.standalone())
    assert await second.attach() == ["alone"]
    assert await second.status() == {"alone": "down"}
    await second.stop()
    assert await mongods(bed.hosts[bed.addresses[0]]) == str(pids(first)["alone"])


async def test_a_start_that_was_cut_short_leaves_nothing_that_cannot_be_found(bed: Bed) -> None:
    host = bed.hosts[bed.addresses[0]]
    first = await bed.deployment(bed.standalone())
    await first.install()
    starting = asyncio.create_task(first.start())

    async def has_begun() -> bool:
        return bool(await mongods(host))

    await until(has_begun)
    starting.cancel()
    with suppress(asyncio.CancelledError, DsiError):
        await starting
    second = await bed.deployment(bed.standalone())
    await second.attach()
    await second.stop()
    assert not await mongods(host)


async def test_a_restart_that_was_cut_short_is_made_good_by_the_next_one(bed: Bed) -> None:
    host = bed.hosts[bed.addresses[0]]
    deployment = await bed.deployment(bed.standalone())
    await deployment.install()
    await deployment.start()
    before = await mongods(host)
    restarting = asyncio.create_task(deployment.restart(clean_db_dir=True))

    async def is_starting() -> bool:
        return await mongods(host) not in ("", before)

    await until(is_starting)
    assert not restarting.done()
    restarting.cancel()
    with suppress(asyncio.CancelledError):
        await restarting
    await deployment.restart(clean_db_dir=True)
    assert await deployment.status() == {"alone": "STANDALONE"}
    assert await mongods(host) == str(pids(deployment)["alone"])


@pytest.mark.parametrize(("section", "option"), [("storage", "dbPath"), ("systemLog", "path")])
async def test_two_hosts_of_this_machine_never_share_a_path(
    three: Bed, tmp_path: Path, section: str, option: str
) -> None:
    config = {**CONFIG, section: {option: str(tmp_path / "shared")}}
    nodes = [three.node(0, config=config), three.node(1, config=config)]
    with pytest.raises(Preflight, match=rf"would share {section}\.{option}"):
        await three.deployment({"cluster_type": "replset", "mongod": nodes})


async def test_a_node_that_is_to_keep_its_data_keeps_it_at_the_first_start(bed: Bed) -> None:
    deployment = await bed.deployment(bed.standalone(clean_db_dir=False))
    await deployment.install()
    await deployment.start()
    async with client(deployment) as connected:
        await connected.test.things.insert_one({"_id": 1})
    await deployment.start()
    async with client(deployment) as connected:
        assert await connected.test.things.count_documents({}) == 1
    await deployment.stop()
