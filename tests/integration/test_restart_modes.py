"""Restarts of a replica set that aren't the usual one: by present role, by a crash, one member after another."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from pymongo import AsyncMongoClient
from pymongo.errors import OperationFailure
from tests.integration.mongodb_bed import Bed, bed_of, client, pids, until

from dsi.errors import ClusterError, InvalidCommand
from dsi.hosts import LocalHost
from dsi.systems.mongodb import Deployment, election, embedded_mongod
from dsi.systems.mongodb.client import Client
from dsi.systems.mongodb.deployment import RestartMode
from dsi.systems.mongodb.node import Node

pytestmark = pytest.mark.skipif(embedded_mongod() is None, reason="needs the extra `embedded`")

WHOLE = {"first": "PRIMARY", "second": "SECONDARY", "third": "SECONDARY"}
SOON = {"settings": {"electionTimeoutMillis": 4000}}
"""Sooner than in ten seconds, and not within the heartbeats' two, or there are elections that nothing asked for."""

WRITERS = 2

STATE_CHANGED = 21358
ANOTHER_WAS_ELECTED = 21402
STOPPING = 4695400
"""What the server calls these messages of its log."""


@pytest.fixture
async def three(tmp_path: Path) -> AsyncIterator[Bed]:
    """Three local hosts."""
    async with bed_of(tmp_path, 3) as made:
        yield made


async def started(bed: Bed, *topology: dict[str, Any]) -> Deployment:
    deployment = await bed.deployment(*topology)
    await deployment.install()
    await deployment.start()
    return deployment


def changed(before: dict[str, int], after: dict[str, int]) -> set[str]:
    return {name for name in before if before[name] != after.get(name)}


class Load:
    """Clients with retryable writes, the driver's default, that write as fast as they can."""

    def __init__(self, connected: AsyncMongoClient[dict[str, Any]]) -> None:
        self.written = 0
        self._things = connected.test.things

    async def write(self) -> None:
        while True:
            await self._things.insert_one({"n": self.written})
            self.written += 1


@asynccontextmanager
async def load(deployment: Deployment) -> AsyncIterator[Load]:
    """Write while the block runs. That one write fails ends the block with its error."""
    async with client(deployment) as connected:
        writing = Load(connected)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(writing.write()) for _ in range(WRITERS)]
            while not writing.written:
                await asyncio.sleep(0.01)
            yield writing
            for task in tasks:
                task.cancel()
        kept = await connected.test.things.count_documents({})
        assert writing.written <= kept <= writing.written + WRITERS


async def test_a_rolling_restart_shows_a_client_with_retryable_writes_no_error(three: Bed) -> None:
    deployment = await started(three, three.replica_set())
    before = pids(deployment)
    async with load(deployment) as writing:
        report = await deployment.restart(mode="rolling")
        written = writing.written
        while writing.written <= written:  # and it goes on
            await asyncio.sleep(0.01)
    assert report.restarted == ("first", "second", "third")
    assert changed(before, pids(deployment)) == {"first", "second", "third"}
    assert await deployment.status() == WHOLE
    assert 0 < report.writes_refused_s["rs0"] < report.duration_s
    for host in three.hosts.values():
        assert await stopped_as_primary(host) == 0


async def test_where_all_are_refused_the_primary_waits_for_them_and_steps_down(
    three: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    async def ask(node: Client, command: str, value: Any = 1, **arguments: Any) -> Any:
        asked.append(command)
        if command == "replSetStepUp" and "replSetStepDown" not in asked:  # as while nobody has what the primary has
            raise OperationFailure("Election failed.", 125)
        return await really_ask(node, command, value, **arguments)

    deployment = await started(three, three.replica_set())
    before = pids(deployment)
    really_ask = Client.ask
    monkeypatch.setattr(Client, "ask", ask)
    monkeypatch.setattr(election, "_REFUSED_S", 0.2)
    async with load(deployment):
        await deployment.restart(nodes=["rs0:primary"], mode="rolling")
    assert "replSetStepDown" in asked
    assert changed(before, pids(deployment)) == {"first"}
    assert await deployment.status() == WHOLE


async def stopped_as_primary(host: LocalHost) -> int:
    """Count the stops of a node that was primary when it was told to stop: what clients would notice."""
    ids = "|".join(map(str, (STATE_CHANGED, ANOTHER_WAS_ELECTED, STOPPING)))
    log = (await host.run(f"grep -aE '\"id\":({ids}),' data/logs/mongod.log")).stdout
    count, is_primary = 0, False
    for entry in map(json.loads, log.splitlines()):
        if entry["id"] == STATE_CHANGED and entry["attr"]["newState"] == "PRIMARY":
            is_primary = True
        elif entry["id"] == ANOTHER_WAS_ELECTED:
            is_primary = False
        elif entry["id"] == STOPPING:
            count, is_primary = count + is_primary, False
    return count


async def test_the_usual_restart_stops_a_primary_as_primary(three: Bed) -> None:
    """That a rolling one doesn't is seen in the server's log, and this is what it would look like there."""
    deployment = await started(three, three.replica_set())
    await deployment.restart(nodes=["first"])
    assert await stopped_as_primary(three.hosts[three.addresses[0]]) == 1


async def test_a_rolling_restart_of_secondaries_changes_no_primary(three: Bed) -> None:
    deployment = await started(three, three.replica_set())
    before = pids(deployment)
    report = await deployment.restart(mode="rolling", nodes=["rs0:secondaries"])
    assert report.restarted == ("second", "third")
    assert report.writes_refused_s == {"rs0": 0.0}
    assert changed(before, pids(deployment)) == {"second", "third"}


async def test_a_rolling_restart_brings_back_a_set_of_which_too_few_run_for_a_primary(three: Bed) -> None:
    deployment = await started(three, three.replica_set())
    before = pids(deployment)
    await asyncio.gather(*(node.crash() for node in deployment.nodes[1:]))
    await deployment.restart(mode="rolling")
    assert changed(before, pids(deployment)) == {"first", "second", "third"}
    assert await deployment.status() == WHOLE


async def test_a_rolling_restart_brings_back_a_set_of_which_nobody_runs(three: Bed) -> None:
    deployment = await started(three, three.replica_set())
    await asyncio.gather(*(node.crash() for node in deployment.nodes))
    await deployment.restart(mode="rolling")
    assert await deployment.status() == WHOLE


async def ended(nodes: Sequence[Node]) -> bool:
    return not any([await node.look() for node in nodes])


@pytest.mark.parametrize("mode", ["clean", "crash"])
async def test_a_restart_after_which_too_few_run_for_a_primary_is_refused_before_anything_is_stopped(
    three: Bed, mode: RestartMode
) -> None:
    deployment = await started(three, three.replica_set())
    before = pids(deployment)
    for address in three.addresses[1:]:
        await three.hosts[address].run("pkill -KILL mongod")
    await until(lambda: ended(deployment.nodes[1:]))  # a signal that was sent has ended nothing yet
    with pytest.raises(
        ClusterError, match=r"^rs0: nothing was stopped: .* down: second \(.*, third \(.* restart them too"
    ):
        await deployment.restart(nodes=["first"], mode=mode)
    assert pids(deployment) == {"first": before["first"]}

    await deployment.restart(nodes=["second", "third"], mode=mode)
    assert pids(deployment)["first"] == before["first"]
    assert await deployment.status() == WHOLE


async def test_members_that_a_test_took_out_of_the_set_are_not_missed_by_a_restart(three: Bed) -> None:
    deployment = await started(three, three.replica_set())
    first, *others = deployment.nodes
    config = (await first.ask("replSetGetConfig"))["config"]
    alone = {**config, "members": config["members"][:1], "version": config["version"] + 1}
    await first.ask("replSetReconfig", alone, force=True)
    await asyncio.gather(*(node.crash() for node in others))
    await deployment.restart(nodes=["first"])
    assert await deployment.status() == {"first": "PRIMARY", "second": "down", "third": "down"}


async def test_what_nobody_can_take_over_from_is_restarted_all_the_same(three: Bed) -> None:
    mongod = [three.node(1, id="only"), three.node(2, id="never", rs_conf_member={"priority": 0})]
    deployment = await started(three, three.standalone(), {"id": "rs0", "cluster_type": "replset", "mongod": mongod})
    before = pids(deployment)
    report = await deployment.restart(mode="rolling")
    assert changed(before, pids(deployment)) == {"alone", "only", "never"}
    assert all(seconds > 0 for seconds in report.writes_refused_s.values())
    assert await deployment.status() == {"alone": "STANDALONE", "only": "PRIMARY", "never": "SECONDARY"}


async def test_members_are_chosen_by_the_role_that_they_have_now(three: Bed) -> None:
    deployment = await started(three, three.replica_set(rs_conf=SOON))
    before = pids(deployment)
    report = await deployment.restart(nodes=["rs0:primary"])
    assert report.restarted == ("first",)
    assert changed(before, pids(deployment)) == {"first"}

    await deployment.nodes[0].stop()
    states: dict[str, str] = {}
    async with asyncio.timeout(60):
        while "PRIMARY" not in states.values():
            states = dict(await deployment.status())
    (primary,) = (name for name, state in states.items() if state == "PRIMARY")
    report = await deployment.restart(nodes=["rs0:primary"])
    assert report.restarted == (primary,)
    assert primary != "first"


async def test_a_set_without_a_primary_is_an_error_that_says_what_its_members_are(three: Bed) -> None:
    deployment = await started(three, three.replica_set(rs_conf=SOON))
    await asyncio.gather(*(node.crash() for node in deployment.nodes[:2]))
    async with asyncio.timeout(60):
        while (await deployment.status())["third"] == "PRIMARY":
            await asyncio.sleep(0.02)
    with pytest.raises(ClusterError, match=r"rs0: has no primary at present: first .* is down, .* third .*SECONDARY"):
        await deployment.restart(nodes=["rs0:primary"])
    with pytest.raises(InvalidCommand, match=r'no role "primry" \(did you mean "rs0:primary"\?\)'):
        await deployment.restart(nodes=["rs0:primry"])


async def test_a_crash_is_recovered_from_and_leaves_the_other_nodes_alone(three: Bed) -> None:
    deployment = await started(three, three.replica_set())
    before = pids(deployment)
    async with client(deployment) as connected:
        await connected.test.things.insert_many([{"n": n} for n in range(100)])
        report = await deployment.restart(mode="crash", nodes=["rs0:primary"])
        assert report.restarted == ("first",)
        assert changed(before, pids(deployment)) == {"first"}
        host = three.hosts[three.addresses[0]]
        assert (await host.run("grep -c 'Detected unclean shutdown' data/logs/mongod.log")).stdout == "1\n"

        await deployment.restart(mode="crash")
        assert len(changed(before, pids(deployment))) == 3
        assert await deployment.status() == WHOLE
        assert await connected.test.things.count_documents({}) == 100
