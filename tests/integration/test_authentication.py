"""Clusters with authentication: who gets in, what a restart keeps, and where the password never appears."""

import asyncio
import os
import stat
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from cryptography.hazmat.primitives import serialization
from pymongo import AsyncMongoClient
from pymongo.errors import AutoReconnect, OperationFailure
from tests.integration.mongodb_bed import Bed, bed_of
from tests.integration.work_directory import WorkDirectory, hosts

from dsi.state import State
from dsi.systems.mongodb import embedded_mongod, kept_secrets, make_tls_material

pytestmark = pytest.mark.skipif(embedded_mongod() is None, reason="needs the extra `embedded`")

PASSWORD = "p@ss:w$rd/%'\"é"
ENABLED = {"enabled": True, "username": "us:er", "password": PASSWORD}


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


def as_user(places: str, options: str = "appname=test") -> AsyncMongoClient[dict[str, Any]]:
    login = f"{quote('us:er', safe='')}:{quote(PASSWORD, safe='')}"
    return AsyncMongoClient(f"mongodb://{login}@{places}/?authSource=admin&{options}")


async def test_only_the_user_gets_in_before_and_after_every_restart(bed: Bed) -> None:
    deployment = await bed.deployment(bed.standalone(), authentication=ENABLED)
    await deployment.install()
    await deployment.start()
    address = bed.addresses[0]
    async with as_user(f"{address}:27017") as user:
        await user.test.things.insert_one({"kept": True})
        async with AsyncMongoClient[dict[str, Any]](address, 27017) as nobody:
            with pytest.raises(OperationFailure, match="requires authentication"):
                await nobody.test.things.find_one()
        await deployment.restart()
        assert await user.test.things.count_documents({}) == 1
        await deployment.restart(clean_db_dir=True)
        assert await user.test.things.count_documents({}) == 0

    made = kept_secrets(bed.state)
    assert made is not None
    shown = await bed.hosts[address].run("stat -c %a .dsi/mongod.27017.key; cat .dsi/mongod.27017.key")
    assert shown.stdout == f"600\n{made.key}"


async def test_a_later_dsi_gets_in_also_one_that_would_start_the_node_without_authentication(bed: Bed) -> None:
    first = await bed.deployment(bed.standalone(), authentication=ENABLED)
    await first.install()
    await first.start()
    await first.close()

    second = await bed.deployment(bed.standalone(), authentication=ENABLED)
    assert await second.attach() == []
    assert await second.status() == {"alone": "STANDALONE"}
    await second.restart()
    await second.close()

    third = await bed.deployment(bed.standalone())
    assert await third.attach() == []
    await third.start()
    address = bed.addresses[0]
    async with AsyncMongoClient[dict[str, Any]](address, 27017) as nobody:
        await nobody.test.things.insert_one({})


async def test_kept_data_that_knows_the_user_by_another_password_learns_the_new_one(bed: Bed) -> None:
    first = await bed.deployment(bed.standalone(), authentication={**ENABLED, "password": "old one"})
    await first.install()
    await first.start()
    await first.stop()
    second = await bed.deployment(bed.standalone(), authentication=ENABLED, clean_db_dir=False)
    await second.start()
    async with as_user(f"{bed.addresses[0]}:27017") as user:
        await user.test.things.insert_one({})


async def test_every_member_knows_the_user_and_a_running_client_gets_over_a_restart(three: Bed) -> None:
    deployment = await three.deployment(three.replica_set(), authentication=ENABLED)
    await deployment.install()
    await deployment.start()
    assert await deployment.status() == {"first": "PRIMARY", "second": "SECONDARY", "third": "SECONDARY"}
    for address in three.addresses:
        async with as_user(f"{address}:27017", "directConnection=true&readPreference=secondaryPreferred") as user:
            await user.test.things.find_one()
    async with as_user(",".join(f"{address}:27017" for address in three.addresses), "replicaSet=rs0") as user:
        await until_signed(user)
        await deployment.restart()
        await insert(user)
    assert await deployment.status() == {"first": "PRIMARY", "second": "SECONDARY", "third": "SECONDARY"}


async def until_signed(user: AsyncMongoClient[dict[str, Any]]) -> None:
    """Wait until the servers sign the times that they give to clients, which they begin to seconds after the start."""
    async with asyncio.timeout(30), AsyncMongoClient[dict[str, Any]](*(await user.address or ())) as nobody:
        while not (await nobody.admin.command("hello")).get("$clusterTime", {}).get("signature", {}).get("keyId"):
            await asyncio.sleep(0.02)
    await user.test.things.insert_one({})


async def insert(user: AsyncMongoClient[dict[str, Any]]) -> None:
    """Insert; a connection of before the restart may be what the driver notices it by."""
    for _ in range(3):
        try:
            await user.test.things.insert_one({})
        except AutoReconnect:
            continue
        return


MONGOSH = """#!/bin/sh
# Stands in for mongosh: a script's connection, in Python.
exec python3 -c '
import os, pymongo
client = pymongo.MongoClient(os.environ["DSI_CONNECTION_STRING"])
print("mongosh:", client.admin.command("connectionStatus")["authInfo"])'
"""

SETUP = """
mongod_config_file: {{storage: {{wiredTiger: {{engineConfig: {{cacheSizeGB: 0.25}}}}}}}}
authentication: {{username: me, password: {password}}}
topology:
  - {{cluster_type: standalone, id: alone, public_ip: "${{infrastructure_provisioning.out.mongod.0.public_ip}}"}}
"""

TASK = """
run:
  - id: ping
    type: shell
    config_filename: ycsb.properties
    workload_config: "mongodb.url=${mongodb_setup.meta.mongodb_url}"
    cmd: |
      python3 -c 'import os, pymongo; print(pymongo.MongoClient(os.environ["MONGODB_URL"]).t.t.insert_one({}))'
    post_test:
      - on_mongod: {exec_mongo_shell: {script: "1"}}
      - restart_mongodb: {clean_db_dir: true}
      - on_workload_client: {exec_mongo_shell: {script: "1"}}
      - on_workload_client: "false '${mongodb_setup.meta.mongodb_url}'"
      - on_workload_client: "echo '${mongodb_setup.meta.mongodb_url}' >&2; exit 3"
pre_task:
  - on_all_hosts: {upload_files: [{source: mongosh, target: mongodb/bin/mongosh}]}
"""


def test_no_secret_is_in_any_log_report_or_list_of_processes(tmp_path: Path) -> None:
    """A real run, with commands that fail with the connection string in them; everything it left is searched."""
    password = "s3cr3t@:$x'y"
    work = WorkDirectory(
        tmp_path,
        infrastructure_provisioning=hosts(1),
        mongodb_setup=SETUP.format(password='"s3cr3t@:$x\'y"'),
        test_control=TASK,
    )
    (tmp_path / "mongosh").write_text(MONGOSH)
    (tmp_path / "mongosh").chmod(0o755)
    seen: set[bytes] = set()
    with processes_watched(seen):
        process = work.start("run", environment={"DSI_DEBUG": "1"})
        out, err = process.communicate(timeout=120)
    assert process.returncode == 1, err
    assert err.count("mongosh:") == 2, "both scripts got in"
    assert "'user': 'me'" in err
    assert any(b"mongod\0--config" in command for command in seen)

    made = kept_secrets_of(tmp_path)
    forms = [form.encode() for form in (password, quote(password, safe=""), "s3cr3t", made)]
    reports = {path: path.read_bytes() for path in (tmp_path / "reports").rglob("*") if path.is_file()}
    assert {"mongodb_setup.yml", "timeline.jsonl", "ycsb.properties"} <= {path.name for path in reports}
    for form in forms:
        assert form not in out.encode()
        assert form not in err.encode()
        assert not [command for command in seen if form in command]
        assert not [path for path, content in reports.items() if form in content]
        assert form not in (tmp_path / "test_control.out.yml").read_bytes()
    shown = work.dsi("config", "show", "mongodb_setup.authentication").stdout
    assert "s3cr3t" not in shown
    assert "password: '***'" in shown or "password: ***" in shown
    assert "s3cr3t" in work.dsi("config", "show", "mongodb_setup.authentication", "--secrets").stdout


LOCKED = """
mongod_config_file:
  storage: {{wiredTiger: {{engineConfig: {{cacheSizeGB: 0.25}}}}{more}}}
  net:
    tls:
      mode: requireTLS
      CAFile: tls/ca.pem
      certificateKeyFile: tls/server.pem
      certificateKeyFilePassword: 0pen-s3same
      allowInvalidHostnames: true
pre_cluster_start:
  - on_all_hosts: {{upload_files: [{{source: tls, target: tls}}]}}
topology:
  - {{cluster_type: standalone, id: alone, public_ip: "${{infrastructure_provisioning.out.mongod.0.public_ip}}"}}
"""


@pytest.mark.parametrize(("more", "exit_status"), [("", 1), (", nonsense: 1", 3)], ids=["it starts", "it does not"])
def test_the_password_of_a_tls_key_is_in_nothing_that_is_fetched_or_shown(
    tmp_path: Path, more: str, exit_status: int
) -> None:
    """The test fetches the logs, as the defaults do when the server does not start."""
    task = """
run: [{id: fetched, type: shell, cmd: "false"}]
post_task:
  - on_all_servers: {retrieve_files: [{source: data/logs, target: logs}]}
"""
    work = WorkDirectory(
        tmp_path,
        infrastructure_provisioning=hosts(1),
        mongodb_setup=LOCKED.format(more=more),
        test_control=task,
    )
    make_tls_material(tmp_path / "tls", ["localhost"])
    lock(tmp_path / "tls" / "server.pem", b"0pen-s3same")
    seen: set[bytes] = set()
    with processes_watched(seen):
        process = work.start("run", environment={"DSI_DEBUG": "1"})
        out, err = process.communicate(timeout=120)
    assert process.returncode == exit_status, err
    assert ("Unrecognized option: storage.nonsense" in err) == bool(more)
    assert any(b"mongod\0--config" in command for command in seen)
    assert "0pen-s3same" not in out + err
    assert not [command for command in seen if b"0pen-s3same" in command]
    reports = {path: path.read_bytes() for path in (tmp_path / "reports").rglob("*") if path.is_file()}
    assert "mongod.27017.out" in {path.name for path in reports}
    assert not [path for path, content in reports.items() if b"0pen-s3same" in content]


def lock(path: Path, password: bytes) -> None:
    """Have the key in a file of certificate and key opened with this password alone."""
    both = path.read_bytes()
    key = serialization.load_pem_private_key(both, password=None)
    locked = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(password),
    )
    path.write_bytes(both[: both.index(b"-----BEGIN PRIVATE")] + locked)


def kept_secrets_of(folder: Path) -> str:
    """Give the servers' key, which only its owner can read."""
    path = folder / ".dsi" / "secrets.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    made = kept_secrets(State(folder))
    assert made is not None
    return made.key


@contextmanager
def processes_watched(seen: set[bytes]) -> Iterator[None]:
    """Collect what `ps` would show, again and again, while the block runs."""
    ended = threading.Event()
    watching = threading.Thread(target=watch_processes, args=(seen, ended))
    watching.start()
    try:
        yield
    finally:
        ended.set()
        watching.join()


def watch_processes(seen: set[bytes], ended: threading.Event) -> None:
    """Collect command lines until it has ended."""
    own = str(os.getpid())
    while not ended.wait(0.005):
        for process in Path("/proc").iterdir():
            if process.name.isdigit() and process.name != own:
                try:
                    seen.add((process / "cmdline").read_bytes())
                except OSError:
                    continue
