"""Clusters with TLS: real servers, and certificates that `dsi tls-material` makes."""

import asyncio
import itertools
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from pymongo import AsyncMongoClient, WriteConcern
from pymongo.errors import ConnectionFailure, PyMongoError
from tests.integration.mongodb_bed import CONFIG, Bed, bed_of
from tests.integration.work_directory import WorkDirectory, hosts

from dsi.config.models import Mapping
from dsi.errors import ClusterError, DsiError, Preflight
from dsi.systems.mongodb import embedded_mongod, make_tls_material

pytestmark = pytest.mark.skipif(embedded_mongod() is None, reason="needs the extra `embedded`")

TLS = {"mode": "requireTLS", "CAFile": "tls/ca.pem", "certificateKeyFile": "tls/server.pem"}


@pytest.fixture
async def bed(tmp_path: Path) -> AsyncIterator[Bed]:
    """One local host with certificates, which the work directory has, too."""
    async with bed_of(tmp_path, 1) as made:
        await hand_out(made, tmp_path / "tls", made.addresses)
        yield made


@pytest.fixture
async def three(tmp_path: Path) -> AsyncIterator[Bed]:
    """Three local hosts with certificates."""
    async with bed_of(tmp_path, 3) as made:
        await hand_out(made, tmp_path / "tls", made.addresses)
        yield made


async def hand_out(bed: Bed, folder: Path, names: list[str]) -> None:
    make_tls_material(folder, names)
    for host in bed.hosts.values():
        await host.put(folder, "tls")


def with_net(**net: Any) -> Mapping:
    return {**CONFIG, "net": {**CONFIG["net"], **net}}


async def test_a_replica_set_with_tls_and_authentication_starts_restarts_and_refuses_plain_clients(three: Bed) -> None:
    plan = three.replica_set()
    for node in plan["mongod"]:
        node["config_file"] = with_net(tls=TLS)
    deployment = await three.deployment(plan, authentication={"enabled": True, "username": "u", "password": "p@:/"})
    await deployment.install()
    await deployment.start()
    await deployment.restart()
    assert await deployment.status() == {"first": "PRIMARY", "second": "SECONDARY", "third": "SECONDARY"}
    host = three.hosts[three.addresses[0]]
    url = deployment.url_on(host)
    # As on the host: the paths in the connection string are relative to its home folder, and the name is checked.
    insert = "import os, pymongo; print(pymongo.MongoClient(os.environ['URL']).t.t.insert_one({}).acknowledged)"
    assert (await host.run(f'python3 -c "{insert}"', env={"URL": str(url)})).stdout == "True\n"
    plain = f"mongodb://u:p%40%3A%2F@{three.addresses[0]}:27017/?authSource=admin&serverSelectionTimeoutMS=300"
    refused = await host.run(f'python3 -c "{insert}"', env={"URL": plain}, check=False)
    assert "ServerSelectionTimeoutError" in refused.stderr


async def test_members_that_know_each_other_by_certificates_need_no_key_and_let_dsi_in_by_one(
    three: Bed, tmp_path: Path
) -> None:
    plan = three.replica_set()
    for node in plan["mongod"]:
        node["config_file"] = {**with_net(tls=TLS), "security": {"clusterAuthMode": "x509"}}
    setup: dict[str, Any] = {
        "authentication": {"enabled": True, "username": "u"},
        "client_tls": {"certificateKeyFile": "tls/client.pem"},
    }
    first = await three.deployment(plan, **setup)
    await first.install()
    await first.start()
    await first.restart(clean_db_dir=True)
    assert await first.status() == {"first": "PRIMARY", "second": "SECONDARY", "third": "SECONDARY"}
    parsed = (await first.nodes[0].ask("getCmdLineOpts"))["parsed"]["security"]
    assert parsed == {"clusterAuthMode": "x509", "authorization": "enabled"}
    host = three.hosts[three.addresses[0]]
    assert (await host.run("ls .dsi/*.key", check=False)).stdout == ""
    insert = "import os, pymongo; print(pymongo.MongoClient(os.environ['URL']).t.t.insert_one({}).acknowledged)"
    assert (await host.run(f'python3 -c "{insert}"', env={"URL": str(first.url_on(host))})).stdout == "True\n"
    stranger = f"mongodb://{three.addresses[0]}/?tls=true&tlsCAFile=tls/ca.pem&tlsCertificateKeyFile=tls/client.pem"
    refused = await host.run(f'python3 -c "{insert}"', env={"URL": stranger}, check=False)
    assert "requires authentication" in refused.stderr
    await first.close()

    second = await three.deployment()
    assert await second.attach() == []
    await second.stop()
    for host in three.hosts.values():
        assert '"Received signal"' not in (await host.run("cat data/logs/mongod.log")).stdout

    (tmp_path / "tls/server.pem").unlink()
    third = await three.deployment(plan, **setup)
    with pytest.raises(DsiError, match=r"net\.tls\.certificateKeyFile: tls/server\.pem is on the hosts") as lacking:
        await third.start()
    assert "client_tls" not in str(lacking.value)


async def test_no_acknowledged_write_is_lost_by_restarts_under_load_with_tls_and_authentication(
    three: Bed, tmp_path: Path
) -> None:
    plan = three.replica_set()
    for node in plan["mongod"]:
        node["config_file"] = with_net(tls=TLS)
    deployment = await three.deployment(plan, authentication={"enabled": True, "username": "u", "password": "p@:$/"})
    await deployment.install()
    await deployment.start()
    client = AsyncMongoClient[dict[str, Any]](
        ",".join(f"{address}:27017" for address in three.addresses),
        username="u",
        password="p@:$/",
        replicaSet="rs0",
        tls=True,
        tlsCAFile=str(tmp_path / "tls/ca.pem"),
        tlsCertificateKeyFile=str(tmp_path / "tls/client.pem"),
    )
    async with client:
        writing = Writing(client)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(writing.write(name)) for name in range(3)]
            await writing.goes_on()
            for mode in ("clean", "crash", "rolling"):
                await deployment.restart(mode=mode)
                await writing.goes_on()
            for task in tasks:
                task.cancel()
        kept = {document["_id"] async for document in writing.things.find({}, {"_id": 1})}
    assert writing.acknowledged <= kept


class Writing:
    """Writes that a majority is to have. What may be tried again is what a restart looks like; the rest is an error."""

    def __init__(self, connected: AsyncMongoClient[dict[str, Any]]) -> None:
        self.things = connected.test.get_collection("things", write_concern=WriteConcern("majority"))
        self.acknowledged: set[str] = set()

    async def write(self, name: int) -> None:
        for number in itertools.count():
            try:
                await self.things.insert_one({"_id": f"{name}.{number}"})
            except PyMongoError as error:
                if not isinstance(error, ConnectionFailure) and not error.has_error_label("RetryableWriteError"):
                    raise
                continue
            self.acknowledged.add(f"{name}.{number}")

    async def goes_on(self) -> None:
        """Wait for further acknowledged writes."""
        before = len(self.acknowledged)
        while len(self.acknowledged) < before + 20:
            await asyncio.sleep(0.01)


async def test_a_later_dsi_that_knows_no_configuration_stops_the_node_cleanly(bed: Bed) -> None:
    plan = bed.standalone(config=with_net(tls={**TLS, "CAFile": "tls/ca.pem"}))
    own = {"certificateKeyFile": "tls/client.pem"}
    first = await bed.deployment(plan, client_tls=own, authentication={"enabled": True, "username": "u"})
    await first.install()
    await first.start()
    await first.close()
    second = await bed.deployment()
    assert await second.attach() == []
    await second.stop()
    host = bed.hosts[bed.addresses[0]]
    assert (await host.run("cat data/logs/mongod.27017.exit")).stdout == "0\n"
    assert '"Received signal"' not in (await host.run("cat data/logs/mongod.log")).stdout


@pytest.mark.parametrize("left", [None, "no certificate"])
async def test_a_node_that_dsi_cannot_get_into_any_more_gets_a_signal_at_once(
    bed: Bed, tmp_path: Path, left: str | None
) -> None:
    deployment = await bed.deployment(bed.standalone(config=with_net(tls=TLS)))
    await deployment.install()
    await deployment.start()
    await deployment.close()
    (tmp_path / "tls/ca.pem").unlink()
    if left is not None:
        (tmp_path / "tls/ca.pem").write_text(left)
    later = await bed.deployment(timeouts={"shutdown_ms": 50_000})
    await later.attach()
    async with asyncio.timeout(30):
        await later.stop()
    host = bed.hosts[bed.addresses[0]]
    assert (await host.run("cat data/logs/mongod.27017.exit")).stdout == "0\n"


OLD: dict[str, dict[str, Any]] = {
    "requireSSL": {"mode": "requireSSL"},
    "preferSSL": {"mode": "preferSSL"},
    "allowSSL": {"mode": "allowSSL"},
    "sslOnNormalPorts": {"sslOnNormalPorts": True},
    "weakCertificateValidation": {"mode": "requireSSL", "weakCertificateValidation": True},
    "allowConnectionsWithoutCertificates": {"mode": "requireSSL", "allowConnectionsWithoutCertificates": True},
    "allowInvalidHostnames": {"mode": "requireSSL", "allowInvalidHostnames": True},
    "allowInvalidCertificates": {"mode": "requireSSL", "allowInvalidCertificates": True},
    "disabledProtocols": {"mode": "requireSSL", "disabledProtocols": "TLS1_0,TLS1_1"},
    "clusterFile": {"mode": "requireSSL", "clusterFile": "tls/server.pem"},
    "clusterCAFile": {"mode": "requireSSL", "clusterCAFile": "tls/ca.pem"},
}


@pytest.mark.parametrize("name", OLD)
async def test_each_old_spelling_starts_a_server_that_understands_it(bed: Bed, name: str) -> None:
    old = {"PEMKeyFile": "tls/server.pem", "CAFile": "tls/ca.pem", **OLD[name]}
    deployment = await bed.deployment(bed.standalone(config=with_net(ssl=old)))
    await deployment.install()
    await deployment.start()
    (node,) = deployment.nodes
    parsed = (await node.ask("getCmdLineOpts"))["parsed"]["net"]
    assert "ssl" not in parsed
    assert parsed["tls"] == node.layout.config["net"]["tls"]
    assert parsed["tls"]["mode"] in {"requireTLS", "preferTLS", "allowTLS"}
    assert parsed["tls"]["certificateKeyFile"] == "tls/server.pem"


async def test_a_key_with_a_password_is_opened_with_it_by_the_server_and_by_dsi(bed: Bed, tmp_path: Path) -> None:
    both = (tmp_path / "tls/server.pem").read_bytes()
    key = serialization.load_pem_private_key(both, password=None)
    locked = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"opensesame"),
    )
    certificate = both[: both.index(b"-----BEGIN PRIVATE")]
    (tmp_path / "tls/server.pem").write_bytes(certificate + locked)
    await bed.hosts[bed.addresses[0]].put(tmp_path / "tls/server.pem", "tls/server.pem")
    old = {"mode": "requireSSL", "PEMKeyFile": "tls/server.pem", "PEMKeyPassword": "opensesame", "CAFile": "tls/ca.pem"}
    deployment = await bed.deployment(bed.standalone(config=with_net(ssl=old)))
    await deployment.install()
    await deployment.start()
    assert await deployment.status() == {"alone": "STANDALONE"}


async def start_fails(bed: Bed, **fields: Any) -> ClusterError:
    deployment = await bed.deployment(bed.standalone(config=with_net(tls=TLS)), **fields)
    await deployment.install()
    with pytest.raises(ClusterError) as caught:
        await deployment.start()
    return caught.value


async def test_a_certificate_for_another_name_is_an_error_that_says_so(bed: Bed, tmp_path: Path) -> None:
    await hand_out(bed, tmp_path / "tls", ["other.example.net"])
    error = await start_fails(bed)
    address = bed.addresses[0]
    assert f"certificate is not valid for '{address}'. Its members" in str(error)
    assert f"dsi tls-material DIR --name {address}" in str(error)
    tolerant = with_net(tls={**TLS, "allowInvalidHostnames": True})
    deployment = await bed.deployment(bed.standalone(config=tolerant))
    await deployment.attach()
    await deployment.start()


async def test_a_certificate_of_an_unknown_authority_is_an_error_that_names_the_key(bed: Bed, tmp_path: Path) -> None:
    make_tls_material(tmp_path / "other", bed.addresses)
    error = await start_fails(bed, client_tls={"CAFile": "other/ca.pem"})
    assert "client_tls: {CAFile: PATH}" in str(error)


async def test_a_certificate_that_is_on_the_hosts_alone_is_an_error_before_the_start(bed: Bed, tmp_path: Path) -> None:
    (tmp_path / "tls/ca.pem").unlink()
    deployment = await bed.deployment(bed.standalone(config=with_net(tls=TLS)))
    await deployment.install()
    with pytest.raises(Preflight, match=r"net\.tls\.CAFile: tls/ca\.pem is on the hosts"):
        await deployment.start()
    assert (await bed.hosts[bed.addresses[0]].run("pgrep -x mongod", check=False)).stdout == ""


def test_made_certificates_are_for_their_owner_alone_and_the_authority_stays(tmp_path: Path) -> None:
    folder = tmp_path / "tls"
    names = ["ca.pem", "ca.key", "server.pem", "client.pem"]
    assert make_tls_material(folder, ["10.0.0.1", "db.example.net"]) == [folder / name for name in names]
    authority, server = ((folder / name).read_bytes() for name in ("ca.pem", "server.pem"))
    for name in ("ca.key", "server.pem", "client.pem"):
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600
    make_tls_material(folder, ["10.0.0.2"])
    assert (folder / "ca.pem").read_bytes() == authority
    assert (folder / "server.pem").read_bytes() != server


SETUP = """
mongod_config_file:
  net: {tls: {mode: requireTLS, CAFile: tls/ca.pem, certificateKeyFile: tls/server.pem}}
  storage: {wiredTiger: {engineConfig: {cacheSizeGB: 0.25}}}
topology:
  - {cluster_type: standalone, id: alone, public_ip: "${infrastructure_provisioning.out.mongod.0.public_ip}"}
pre_cluster_start:
  - on_localhost: dsi tls-material tls
  - on_all_hosts: {upload_files: [{source: tls, target: tls}]}
"""
TASK = """
run:
  - {id: ping, type: shell, cmd: 'python3 -c "import os, pymongo; pymongo.MongoClient(os.environ[\\"MONGODB_URL\\"]).t.t.insert_one({})"'}
"""  # noqa: E501  a command


def test_certificates_can_be_made_and_handed_out_by_the_hooks(tmp_path: Path) -> None:
    work = WorkDirectory(tmp_path, infrastructure_provisioning=hosts(1), mongodb_setup=SETUP, test_control=TASK)
    work.dsi("run")
    assert "no hosts yet" in work.dsi("tls-material", "more", exit_status=3).stderr
    assert work.dsi("tls-material", "more", "--name", "10.0.0.1").stdout.splitlines()[-1] == "more/client.pem"
