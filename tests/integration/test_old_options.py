"""Options of old configurations: what a real server really refuses, and what dsi makes of it."""

import json
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.integration.mongodb_bed import CONFIG, Bed, bed_of

from dsi.config.models import Mapping
from dsi.errors import ConfigError
from dsi.systems.mongodb import embedded_mongod
from dsi.systems.mongodb.options import at

MONGOD = embedded_mongod()

pytestmark = pytest.mark.skipif(MONGOD is None, reason="needs the extra `embedded`")

LEFT_OUT: list[tuple[str, Any]] = [
    ("storage.mmapv1", {"smallFiles": True}),
    ("replication.secondaryIndexPrefetch", "all"),
    ("net.http", {"enabled": False}),
    ("storage.indexBuildRetry", True),
    ("setParameter.failIndexKeyTooLong", False),
    ("net.serviceExecutor", "synchronous"),
]
REFUSED: list[tuple[str, Any]] = [
    ("storage.engine", "mmapv1"),
    ("net.http", {"enabled": True}),
    ("storage.indexBuildRetry", False),
    ("systemLog.timeStampFormat", "ctime"),
    ("net.serviceExecutor", "adaptive"),
    ("replication.enableMajorityReadConcern", False),
    ("setParameter.maxTargetSnapshotHistoryWindowInSeconds", 5),
    ("sharding.clusterRole", "shardsvr"),
]
TAKEN: list[tuple[str, Any]] = [
    ("storage.engine", "wiredTiger"),
    ("systemLog.timeStampFormat", "iso8601-utc"),
    ("replication.enableMajorityReadConcern", True),
    ("storage.journal.enabled", True),
    ("storage.journal.commitIntervalMs", 50),
]


@pytest.fixture
async def bed(tmp_path: Path) -> AsyncIterator[Bed]:
    """One local host."""
    async with bed_of(tmp_path, 1) as made:
        yield made


def with_options(config: Mapping, *options: tuple[str, Any]) -> Mapping:
    made: dict[str, Any] = json.loads(json.dumps(config))
    for path, value in options:
        section = made
        *sections, key = path.split(".")
        for name in sections:
            section = section.setdefault(name, {})
        section[key] = value
    return made


def name_of(value: Any) -> str | None:
    return value if isinstance(value, str) else None


@pytest.mark.parametrize(("path", "value"), LEFT_OUT + REFUSED, ids=name_of)
def test_the_server_refuses_the_option(path: str, value: Any, tmp_path: Path) -> None:
    assert refuses((path, value), folder=tmp_path)


def refuses(*options: tuple[str, Any], folder: Path) -> bool:
    """Start the server itself with these options, and give whether it ended before it took connections."""
    assert MONGOD is not None
    plain: Mapping = {
        "net": {"bindIp": "127.0.0.1", "unixDomainSocket": {"enabled": False}},
        "storage": {"dbPath": str(folder)},
        "systemLog": {"destination": "file", "path": str(folder / "log")},
    }
    file = folder / "mongod.conf"
    file.write_text(json.dumps(with_options(plain, *options)))
    subprocess.run([MONGOD, "--config", file], capture_output=True, timeout=60)  # one that takes it would not end
    log = folder / "log"
    return not log.exists() or "Waiting for connections" not in log.read_text()


async def test_a_member_of_a_replica_set_without_a_journal_is_refused_by_the_server_and_by_dsi_beforehand(
    bed: Bed, tmp_path: Path
) -> None:
    off = ("storage.journal.enabled", False)
    data = tmp_path / "by-itself"
    data.mkdir()
    assert refuses(off, ("replication.replSetName", "rs0"), folder=data)
    assert "without journaling in a replica set" in (data / "log").read_text()

    members = [bed.node(0, config=with_options(CONFIG, off))]
    with pytest.raises(ConfigError, match="members of a replica set always have a journal"):
        await (await bed.deployment({"cluster_type": "replset", "mongod": members})).install()
    assert not bed.state.read("nodes")


@pytest.mark.parametrize(("path", "value"), REFUSED, ids=name_of)
async def test_what_cannot_be_left_out_is_said_before_anything_is_started(bed: Bed, path: str, value: Any) -> None:
    topology = bed.standalone(config=with_options(CONFIG, (path, value)))
    with pytest.raises(ConfigError) as caught:
        await (await bed.deployment(topology)).install()
    (problem,) = (problem for problem in caught.value.problems if not problem.warning)
    assert problem.path == f"mongodb_setup.topology.0.config_file.{path}"
    assert not (bed.state.read("nodes"))


async def test_what_changes_nothing_is_left_out_and_the_server_starts(bed: Bed) -> None:
    config = with_options(CONFIG, *LEFT_OUT, *TAKEN, ("cloud.monitoring.free.state", "off"))
    deployment = await bed.deployment(bed.standalone(config=config))
    await deployment.install()
    await deployment.start()
    options = (await deployment.nodes[0].ask("getCmdLineOpts"))["parsed"]
    assert options["storage"]["journal"] == {"enabled": True, "commitIntervalMs": 50}
    assert "cloud" not in options
    for path, _ in LEFT_OUT:
        assert at(options, path) is None
    await deployment.stop()
