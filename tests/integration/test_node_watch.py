"""A node that goes down is noticed, and said to be meant or not."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from tests.integration.mongodb_bed import Bed, bed_of, mongods, pids

from dsi.errors import InvalidCommand
from dsi.systems.mongodb import Deployment, NodeDown, NodeWatch, embedded_mongod

pytestmark = pytest.mark.skipif(embedded_mongod() is None, reason="needs the extra `embedded`")

LIMIT_S = 30
BEFORE = "before cmd began"


@pytest.fixture
async def two(tmp_path: Path) -> AsyncIterator[Bed]:
    """Two local hosts."""
    async with bed_of(tmp_path, 2) as made:
        yield made


class Told:
    """What a watch has told."""

    def __init__(self) -> None:
        self.all: list[NodeDown] = []
        self._more = asyncio.Event()

    def __call__(self, down: NodeDown) -> None:
        self.all.append(down)
        self._more.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(LIMIT_S):
            while not condition():
                self._more.clear()
                await self._more.wait()


async def started(bed: Bed) -> Deployment:
    """Two standalones on one host each: `one` and `two`."""
    names = ("one", "two")
    topology = [{"cluster_type": "standalone", **bed.node(number, id=name)} for number, name in enumerate(names)]
    deployment = await bed.deployment(*topology)
    await deployment.install()
    await deployment.start()
    return deployment


async def test_a_node_that_is_killed_is_noticed_while_it_is_watched_with_signal_and_log(two: Bed) -> None:
    deployment, told = await started(two), Told()
    watch = NodeWatch(deployment.nodes, told)
    async with watch.running(before=BEFORE):
        await two.hosts[two.addresses[0]].run("pkill -9 mongod")
        await told.until(lambda: len(told.all) == 1)
        (down,) = told.all
        assert (down.node.name, down.exit_status, down.expected) == ("one", 137, False)
        assert down.process.pid == pids(deployment)["one"]
    (failure,) = watch.failures
    assert "one (127." in str(failure)
    assert "went down during the test, signal 9 (SIGKILL)" in str(failure)
    assert "write expect_down: [one] beside the command" in str(failure)
    assert "the last lines of its log" in str(failure)


async def test_a_restart_by_dsi_is_no_loss_and_what_it_started_is_watched(two: Bed) -> None:
    deployment, told = await started(two), Told()
    watch = NodeWatch(deployment.nodes, told)
    async with watch.running(before=BEFORE):
        await deployment.restart(nodes=["one"])
        await deployment.restart(nodes=["one"], mode="crash")
        assert watch.failures == []
        await two.hosts[two.addresses[0]].run("pkill mongod")  # a clean end is one too
        await told.until(lambda: any(not down.expected for down in told.all))
    (down,) = (down for down in told.all if not down.expected)
    assert down.process.pid == pids(deployment)["one"]
    assert down.how == "exit status 0"
    assert len(watch.failures) == 1


async def test_an_end_that_was_announced_is_no_failure_nor_is_it_one_of_the_next_test(two: Bed) -> None:
    deployment, told = await started(two), Told()
    watch = NodeWatch(deployment.nodes, told)
    async with watch.running(before=BEFORE):
        await deployment.expect_down(["one", "two"])
        await two.hosts[two.addresses[0]].run("pkill -9 mongod")
    assert [(down.node.name, down.expected) for down in told.all] == [("one", True)]
    assert watch.failures == []

    # `two` was announced and stayed: that is over with the test.
    watch = NodeWatch(deployment.nodes, told)
    async with watch.running(before=BEFORE):
        await two.hosts[two.addresses[1]].run("pkill -9 mongod")
    assert [str(failure).split()[0] for failure in watch.failures] == ["two"]
    with pytest.raises(InvalidCommand, match='did you mean "two"'):
        await deployment.expect_down(["tow"])


async def test_a_node_that_is_down_when_a_test_begins_fails_it_and_is_told_once_until_it_is_started(two: Bed) -> None:
    deployment, told = await started(two), Told()
    await two.hosts[two.addresses[0]].run("pkill -9 mongod")
    await deployment.nodes[0].look()
    watch = NodeWatch(deployment.nodes, told)
    async with watch.running(before=BEFORE):
        pass
    (failure,) = watch.failures
    assert "one (127." in str(failure)
    assert "went down before cmd began, signal 9 (SIGKILL); if it is meant to" in str(failure)

    known = {(down.node.name, down.process) for down in told.all}
    watch = NodeWatch(deployment.nodes, told, known=known)
    async with watch.running(before=BEFORE):
        pass
    assert (watch.failures, watch.still_down, len(told.all)) == ([], known, 1)

    await deployment.restart(nodes=["one"])
    watch = NodeWatch(deployment.nodes, told, known=known)
    async with watch.running(before=BEFORE):
        assert watch.still_down == set()
        await two.hosts[two.addresses[0]].run("pkill -9 mongod")
    assert "went down during the test" in str(watch.failures[0])


async def test_what_goes_down_after_the_test_is_seen_when_it_is_looked_once_more(two: Bed) -> None:
    deployment, told = await started(two), Told()
    watch = NodeWatch(deployment.nodes, told)
    async with watch.running(before=BEFORE):
        pass
    await two.hosts[two.addresses[0]].run("pkill -9 mongod")
    await deployment.expect_down(["two"])
    await two.hosts[two.addresses[1]].run("pkill -9 mongod")
    await watch.look_once_more("after cmd")
    assert [str(failure).split(", signal")[0].split(": ")[1] for failure in watch.failures] == ["went down after cmd"]
    assert {(down.node.name, down.expected) for down in told.all} == {("one", False), ("two", True)}


async def test_it_goes_on_when_somebody_ends_all_that_runs_on_the_host(two: Bed) -> None:
    deployment, told = await started(two), Told()
    watch = NodeWatch(deployment.nodes, told)
    async with watch.running(before=BEFORE):
        await two.hosts[two.addresses[0]].run("kill -9 -1", check=False)
        await told.until(lambda: bool(told.all))
    (down,) = told.all
    assert down.exit_status is None
    assert "its exit status is not known" in str(watch.failures[0])
    assert not await mongods(two.hosts[two.addresses[0]])
