"""Where a node is to be there may be somebody: a server that dsi didn't start, or one of another work directory."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from pymongo import AsyncMongoClient
from tests.integration.mongodb_bed import Bed, bed_of, mongods, until

from dsi.config.models import MongodbSetup
from dsi.errors import ClusterError, CommandFailed
from dsi.hosts import LocalHost
from dsi.state import State
from dsi.systems.mongodb import Deployment, embedded_mongod

pytestmark = pytest.mark.skipif(embedded_mongod() is None, reason="needs the extra `embedded`")


@pytest.fixture
async def bed(tmp_path: Path) -> AsyncIterator[Bed]:
    """One local host."""
    async with bed_of(tmp_path, 1) as made:
        yield made


@pytest.fixture
async def two(tmp_path: Path) -> AsyncIterator[Bed]:
    """Two local hosts."""
    async with bed_of(tmp_path, 2) as made:
        yield made


async def put_by_hand(host: LocalHost, address: str, port: int) -> str:
    """Start a mongod in data/dbs that dsi knows nothing of; give its pid once it takes connections."""
    await host.run("mkdir -p data/dbs by-hand")
    options = f"--dbpath data/dbs --bind_ip {address} --port {port} --nounixsocket --logpath by-hand/log"
    started = await host.run(f"setsid {embedded_mongod()} {options} > /dev/null 2>&1 < /dev/null & echo $!")

    async def is_up() -> bool:
        return (await host.run("grep -q 'Waiting for connections' by-hand/log", check=False)).exit_status == 0

    await until(is_up)
    return started.stdout.strip()


async def insert_by_hand(address: str, port: int) -> int:
    """Write to a server without users, and have it write that to its files; give how much it has."""
    async with AsyncMongoClient[dict[str, Any]](address, port) as connected:
        await connected.test.things.insert_one({})
        await connected.admin.command("fsync")
        return await connected.test.things.count_documents({})


@pytest.mark.parametrize(
    ("port", "said"),
    [
        (27017, r"port 27017 of .* on mongod\.0 is taken by process \d+ \(mongod\)"),
        (27018, r"storage\.dbPath data/dbs on mongod\.0 is in use by process \d+ \(mongod\): nothing was deleted"),
    ],
)
async def test_the_data_of_a_server_that_runs_are_never_cleaned(bed: Bed, port: int, said: str) -> None:
    address, host = bed.addresses[0], bed.hosts[bed.addresses[0]]
    pid = await put_by_hand(host, address, port)
    await insert_by_hand(address, port)
    deployment = await bed.deployment(bed.standalone())
    await deployment.install()
    with pytest.raises(ClusterError, match=said):
        await deployment.start()
    assert bed.state.read("nodes") is None
    assert await mongods(host) == pid
    assert await insert_by_hand(address, port) == 2

    await host.run(f"kill -KILL {pid}; while [ -e /proc/{pid} ]; do sleep 0.01; done", timeout_s=20)
    await deployment.start()  # what a crash leaves behind is nobody's


async def test_the_data_of_another_work_directorys_server_are_never_cleaned(two: Bed, tmp_path: Path) -> None:
    theirs, ours = (two.hosts[address] for address in two.addresses[:2])
    first = await two.deployment({"cluster_type": "standalone", "id": "theirs", **two.node(0)})
    await first.install()
    await first.start()
    home = (await theirs.run("pwd")).stdout.strip()
    await ours.run(f"mkdir -p data && ln -s {home}/data/dbs data/dbs")
    another = tmp_path / "another"
    another.mkdir()
    setup = {"topology": [{"cluster_type": "standalone", "id": "ours", **two.node(1)}]}
    async with Deployment(MongodbSetup.model_validate(setup), lambda _: ours, state=State(another)) as second:
        await second.install()
        with pytest.raises(ClusterError, match=r"data/dbs on mongod\.1 is in use by a process that is not to be seen"):
            await second.start()
        await first.nodes[0].ask("ping")
        assert await first.status() == {"theirs": "STANDALONE"}
        with pytest.raises(CommandFailed, match=r"is in use by .*: nothing was deleted"):
            await second.nodes[0].prepare(clean_logs=False, clean_db_dir=True)
        await first.nodes[0].ask("fsync")
        await first.stop()
        await second.start()


async def test_the_journal_of_another_work_directorys_server_is_never_cleaned(two: Bed, tmp_path: Path) -> None:
    ours = two.hosts[two.addresses[1]]
    journal_dir = str(tmp_path / "disk")
    first = await two.deployment({"cluster_type": "standalone", "id": "theirs", **two.node(0)}, journal_dir=journal_dir)
    await first.install()
    await first.start()
    files = sorted(file.name for file in (tmp_path / "disk/mongod.27017").iterdir())
    assert "WiredTigerLog.0000000001" in files
    another = tmp_path / "another"
    another.mkdir()
    setup = {
        "topology": [{"cluster_type": "standalone", "id": "ours", **two.node(1)}],
        "journal_dir": journal_dir,
        "authentication": {"enabled": False},
    }
    async with Deployment(MongodbSetup.model_validate(setup), lambda _: ours, state=State(another)) as second:
        await second.install()
        with pytest.raises(ClusterError, match=r"mongod\.27017 on mongod\.1 is the journal of a process"):
            await second.start()
        assert sorted(file.name for file in (tmp_path / "disk/mongod.27017").iterdir()) == files
        await first.stop()
        await second.start()
        assert await second.status() == {"ours": "STANDALONE"}
