"""What each node may have of its own: its journal's disk, its binaries, its configuration, a program before it."""

import io
import tarfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from tests.integration.mongodb_bed import CONFIG, Bed, bed_of, client, pids

from dsi.config.models import MongodbSetup
from dsi.errors import CommandFailed, DsiError, Preflight
from dsi.hosts import LocalHost, this_machine
from dsi.state import State
from dsi.systems.mongodb import Deployment, embedded_mongod

MONGOD = embedded_mongod()

pytestmark = pytest.mark.skipif(MONGOD is None, reason="needs the extra `embedded`")

JOURNAL = "second-disk/journal/mongod.27017"


@pytest.fixture
async def bed(tmp_path: Path) -> AsyncIterator[Bed]:
    """Two local hosts."""
    async with bed_of(tmp_path, 2) as made:
        yield made


async def environment(host: LocalHost, pid: int) -> list[str]:
    return (await host.run(f"tr '\\0' '\\n' < /proc/{pid}/environ")).stdout.splitlines()


# --- journal_dir --------------------------------------------------------------------------------------------------


async def test_the_journal_lies_where_journal_dir_says_and_a_clean_restart_cleans_it(bed: Bed) -> None:
    host = bed.hosts[bed.addresses[0]]
    deployment = await bed.deployment(bed.standalone(), journal_dir="second-disk/journal")
    await deployment.install()
    await deployment.start()
    assert (
        await host.run("readlink data/dbs/journal")
    ).stdout == f"{(await host.run('pwd')).stdout.strip()}/{JOURNAL}\n"
    assert "WiredTigerLog" in (await host.run(f"ls {JOURNAL}")).stdout
    async with client(deployment) as connected:
        await connected.test.things.insert_one({})
    await deployment.restart()
    async with client(deployment) as connected:
        assert await connected.test.things.count_documents({}) == 1

    await host.run(f"touch {JOURNAL}/WiredTigerLog.0000099999 {JOURNAL}/mine.txt")
    await deployment.restart(clean_db_dir=True)
    left = (await host.run(f"ls {JOURNAL}; readlink data/dbs/journal")).stdout
    assert "WiredTigerLog.0000099999" not in left
    assert "WiredTigerLog.0000000001" in left
    assert "mine.txt" in left
    assert f"{JOURNAL}\n" in left
    async with client(deployment) as connected:
        assert await connected.test.things.count_documents({}) == 0


async def test_a_journal_that_is_kept_is_never_parted_from_its_data(bed: Bed) -> None:
    host = bed.hosts[bed.addresses[0]]
    plain = await bed.deployment(bed.standalone())
    await plain.install()
    await plain.start()
    await plain.stop()
    moved = await bed.deployment(bed.standalone(), journal_dir="second-disk/journal", clean_db_dir=False)
    with pytest.raises(CommandFailed, match=r"is a journal already, .* write clean_db_dir: true once"):
        await moved.start()
    assert "WiredTigerLog" in (await host.run("ls data/dbs/journal/")).stdout


async def test_a_node_may_have_a_journal_dir_of_its_own_or_none(bed: Bed) -> None:
    nodes = [
        bed.node(0, id="first", journal_dir="own"),
        bed.node(1, id="second"),
        bed.node(1, id="third", use_journal_mnt=False, config=elsewhere()),
    ]
    deployment = await bed.deployment({"cluster_type": "replset", "mongod": nodes}, journal_dir="all")
    assert [node.layout.journal for node in deployment.nodes] == ["own/mongod.27017", "all/mongod.27017", None]


async def test_two_local_hosts_never_share_a_journal(bed: Bed, tmp_path: Path) -> None:
    nodes = [bed.node(0), bed.node(1)]
    with pytest.raises(
        Preflight, match=r"would share journal_dir .* write mongodb_setup: \{journal_dir: data/journal\}"
    ):
        await bed.deployment({"cluster_type": "replset", "mongod": nodes}, journal_dir=str(tmp_path / "shared"))


async def test_what_a_local_hosts_node_has_outside_of_the_work_directory_is_warned_of(
    bed: Bed, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("media")
    for journal_dir, warned in ((tmp_path / "media", False), (elsewhere, True)):
        deployment = await bed.deployment(bed.standalone(), journal_dir=str(journal_dir))
        with capture_logs() as logs:
            await deployment.install()
        said = [line["event"] for line in logs if "outside of the work directory" in line["event"]]
        assert bool(said) is warned
    assert f"journal_dir {elsewhere}/mongod.27017" in said[0]
    assert "in overrides.yml, write mongodb_setup: {journal_dir: data/journal}" in said[0]


async def test_a_folder_that_this_machine_cannot_have_is_said_before_anything_is_started(tmp_path: Path) -> None:
    machine = this_machine("mongod.0", tmp_path)
    node = {"cluster_type": "standalone", "public_ip": "127.0.0.1", "journal_dir": "/proc/journal"}
    setup = MongodbSetup.model_validate({"topology": [node]})
    async with Deployment(setup, lambda _: machine, state=State(tmp_path)) as deployment:
        with pytest.raises(Preflight, match=r"can't have journal_dir /proc/journal/mongod.27017: .*in overrides.yml"):
            await deployment.install()


# --- numactl_prefix -----------------------------------------------------------------------------------------------


async def test_the_prefix_is_put_before_mongod(bed: Bed) -> None:
    deployment = await bed.deployment(bed.standalone(), prefix=("env", "PUT_BEFORE=yes"))
    await deployment.install()
    await deployment.start()
    host = bed.hosts[bed.addresses[0]]
    assert "PUT_BEFORE=yes" in await environment(host, pids(deployment)["alone"])

    later = await bed.deployment(bed.standalone(), prefix=("env", "PUT_BEFORE=yes"))
    assert await later.attach() == []
    await later.restart()
    assert "PUT_BEFORE=yes" in await environment(host, pids(later)["alone"])


@pytest.mark.parametrize(
    ("prefix", "said"),
    [
        (("no-such-numactl", "--interleave=all"), "there is no program no-such-numactl"),
        (("bash", "-c", "echo no such node >&2; exit 3"), "no such node"),
    ],
)
async def test_a_prefix_that_does_not_run_is_said_before_anything_is_started(
    bed: Bed, prefix: tuple[str, ...], said: str
) -> None:
    deployment = await bed.deployment(bed.standalone(), prefix=prefix)
    with pytest.raises(Preflight, match=rf"mongod\.0: .*numactl_prefix .*{said}.*in overrides\.yml"):
        await deployment.install()


# --- binaries and configuration; several clusters -----------------------------------------------------------------


def elsewhere() -> dict[str, object]:
    """Give the configuration of another node of a host."""
    return {
        **CONFIG,
        "net": {"port": 27018, "bindIp": "0.0.0.0"},
        "storage": {"dbPath": "data/second", "wiredTiger": {"engineConfig": {"cacheSizeGB": 0.3}}},
        "systemLog": {"destination": "file", "path": "data/logs/second.log"},
    }


def archive_of(folder: Path, name: str) -> str:
    """Make an archive with a mongod that can be told from others by its environment."""
    text = f'#!/bin/sh\nexport CAME_FROM={name}\nexec "{MONGOD}" "$@"\n'.encode()
    path = folder / f"{name}.tgz"
    with tarfile.open(path, "w:gz") as archive:
        member = tarfile.TarInfo(f"mongodb-{name}/bin/mongod")
        member.size, member.mode = len(text), 0o755
        archive.addfile(member, io.BytesIO(text))
    return str(path)


async def test_several_clusters_run_side_by_side_each_node_with_its_own_binaries_and_configuration(
    bed: Bed, tmp_path: Path
) -> None:
    own = {"mongo_dir": "other", "mongodb_binary_archive": archive_of(tmp_path, "other")}
    deployment = await bed.deployment(
        {"id": "rs0", "cluster_type": "replset", "mongod": [bed.node(0, id="first"), bed.node(1, id="second")]},
        {"cluster_type": "standalone", "id": "alone", **bed.node(0, config=elsewhere(), **own)},
        mongodb_binary_archive=archive_of(tmp_path, "general"),
    )
    await deployment.install()
    await deployment.start()
    assert await deployment.status() == {"first": "PRIMARY", "second": "SECONDARY", "alone": "STANDALONE"}
    before = pids(deployment)
    came_from = {
        node.name: next(
            line for line in await environment(bed.hosts[node.plan.address], before[node.name]) if "CAME" in line
        )
        for node in deployment.nodes
    }
    assert came_from == {"first": "CAME_FROM=general", "second": "CAME_FROM=general", "alone": "CAME_FROM=other"}
    cache_bytes = {
        node.name: (await node.ask("serverStatus"))["wiredTiger"]["cache"]["maximum bytes configured"]
        for node in deployment.nodes
    }
    assert cache_bytes["alone"] > cache_bytes["first"] == cache_bytes["second"]

    report = await deployment.restart(nodes=["alone"])
    after = pids(deployment)
    assert report.restarted == ("alone",)
    assert {name for name in before if before[name] != after[name]} == {"alone"}

    report = await deployment.restart(clean_db_dir=True)
    assert set(report.writes_refused_s) == {"rs0", "alone"}
    assert await deployment.status() == {"first": "PRIMARY", "second": "SECONDARY", "alone": "STANDALONE"}


async def test_an_archive_for_another_platform_leaves_no_node_started(bed: Bed, tmp_path: Path) -> None:
    path = tmp_path / "arm.tgz"
    with tarfile.open(path, "w:gz") as archive:
        member = tarfile.TarInfo("mongodb-arm/bin/mongod")
        member.size, member.mode = 64, 0o755
        archive.addfile(member, io.BytesIO(b"\x7fELF\x02\x01\x01" + b"\0" * 57))
    nodes = [bed.node(0), bed.node(1, mongodb_binary_archive=str(path))]
    deployment = await bed.deployment({"cluster_type": "replset", "mongod": nodes})
    with pytest.raises(DsiError, match=r"mongod\.1: mongodb/bin/mongod \(from .*arm\.tgz\) does not run on this host"):
        await deployment.install()
    assert bed.state.read("nodes") is None
