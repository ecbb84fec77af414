"""Servers of several versions, in one replica set and by themselves: what each refuses, and what dsi makes of it."""

import json
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.integration.mongodb_bed import CONFIG, Bed, bed_of, client
from tests.integration.other_mongods import archive, fetched
from tests.integration.test_old_options import with_options

from dsi.systems.mongodb import embedded_mongod

MONGOD = embedded_mongod()

pytestmark = pytest.mark.skipif(MONGOD is None, reason="needs the extra `embedded`")

FREE_MONITORING = ("cloud.monitoring.free", {"state": "off"})


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The mongod of each other version."""
    return fetched(tmp_path_factory.mktemp("wheels"))


@pytest.fixture
async def three(tmp_path: Path) -> AsyncIterator[Bed]:
    """Three local hosts."""
    async with bed_of(tmp_path, 3) as made:
        yield made


async def test_members_of_three_versions_are_one_replica_set_and_each_gets_the_options_that_it_knows(
    three: Bed, others: dict[str, Path], tmp_path: Path
) -> None:
    config = with_options(CONFIG, FREE_MONITORING, ("storage.journal.enabled", True))

    def own(version: str) -> dict[str, str]:
        return {"mongodb_binary_archive": archive(tmp_path, others[version])}

    members = [  # the oldest makes the set, with what all of them can read
        three.node(0, id="oldest", config=config, **own("5.0.4")),
        three.node(1, id="embedded", config=config),
        three.node(2, id="newest", config=config, **own("6.0.27")),
    ]
    deployment = await three.deployment({"id": "rs0", "cluster_type": "replset", "mongod": members})
    await deployment.install()
    await deployment.start()
    whole = {"oldest": "PRIMARY", "embedded": "SECONDARY", "newest": "SECONDARY"}
    assert await deployment.status() == whole
    versions = [(await node.ask("buildInfo"))["version"] for node in deployment.nodes]
    assert versions == ["5.0.4", "6.0.5", "6.0.27"]
    async with client(deployment) as connected:
        await connected.test.things.insert_one({})
        await deployment.restart()
        assert await connected.test.things.count_documents({}) == 1
    assert await deployment.status() == whole
    await deployment.validate()


@pytest.mark.parametrize(("version", "takes_it"), [("5.0.4", True), ("6.0.27", False)])
def test_free_monitoring_is_refused_by_the_last_6_0(
    others: dict[str, Path], tmp_path: Path, version: str, *, takes_it: bool
) -> None:
    plain = {"storage": {"dbPath": str(tmp_path)}}
    file = tmp_path / "mongod.conf"
    file.write_text(json.dumps(with_options(plain, FREE_MONITORING)))
    # It says which options it has, and serves nobody.
    done = subprocess.run([others[version], "--config", file, "--outputConfig"], capture_output=True, timeout=60)
    assert (done.returncode == 0) == takes_it
    assert (b"Unrecognized option: cloud.monitoring.free" in done.stderr + done.stdout) != takes_it
