"""Options of MongoDB Enterprise: a real community server refuses each, and dsi says why before it is started."""

import json
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.integration.mongodb_bed import CONFIG, Bed, bed_of
from tests.integration.test_old_options import with_options

from dsi.errors import ConfigError
from dsi.systems.mongodb import embedded_mongod, enterprise

MONGOD = embedded_mongod()

pytestmark = pytest.mark.skipif(MONGOD is None, reason="needs the extra `embedded`")

VALUES: dict[str, Any] = {
    "auditLog": {"destination": "file", "format": "JSON", "path": "data/logs/audit.json"},
    "security.enableEncryption": True,
    "security.encryptionCipherMode": "AES256-GCM",
    "security.encryptionKeyFile": "key",
    "security.kmip": {"serverName": "kmip"},
    "security.ldap": {"servers": "ldap"},
    "snmp": {"subagent": True},
    "storage.inMemory": {"engineConfig": {"inMemorySizeGB": 1}},
    "storage.engine": "inMemory",
}


@pytest.fixture
async def bed(tmp_path: Path) -> AsyncIterator[Bed]:
    """One local host."""
    async with bed_of(tmp_path, 1) as made:
        yield made


def test_each_option_is_tried() -> None:
    assert VALUES.keys() == {*enterprise.OPTIONS, "storage.engine"}


@pytest.mark.parametrize("option", VALUES)
def test_a_community_server_refuses_the_option(option: str, tmp_path: Path) -> None:
    assert MONGOD is not None
    log = tmp_path / "log"
    plain = {
        "net": {"bindIp": "127.0.0.1", "unixDomainSocket": {"enabled": False}},
        "storage": {"dbPath": str(tmp_path)},
        "systemLog": {"destination": "file", "path": str(log)},
    }
    file = tmp_path / "mongod.conf"
    file.write_text(json.dumps(with_options(plain, (option, VALUES[option]))))
    done = subprocess.run(
        [MONGOD, "--config", file], capture_output=True, timeout=60
    )  # one that takes it would not end
    said = done.stderr + done.stdout + (log.read_bytes() if log.exists() else b"")
    assert b"Unrecognized option" in said or b"Cannot start server with an unknown storage engine" in said


@pytest.mark.parametrize("option", VALUES)
async def test_it_is_said_before_anything_is_started(bed: Bed, option: str) -> None:
    deployment = await bed.deployment(bed.standalone(config=with_options(CONFIG, (option, VALUES[option]))))
    with pytest.raises(ConfigError) as caught:
        await deployment.install()
    (problem,) = caught.value.problems
    assert problem.path == f"mongodb_setup.topology.0.config_file.{option}"
    assert "needs MongoDB Enterprise" in problem.message


async def test_a_server_that_names_the_module_gets_them_all(bed: Bed) -> None:
    host = bed.hosts[bed.addresses[0]]
    says = 'db version v6.0.5\nBuild Info: {\n    "modules": [\n        "enterprise"\n    ]\n}'
    await host.run("mkdir -p mongodb/bin")
    await host.write_file("mongodb/bin/mongod", f"#!/bin/sh\necho '{says}'\n".encode(), mode=0o755)
    config = with_options(CONFIG, *VALUES.items())
    await (await bed.deployment(bed.standalone(config=config))).install()


@pytest.mark.parametrize(
    ("said", "lacks_them"),
    [
        ("db version v4.0.1\nmodules: none\nbuild environment:\n", True),
        ("db version v4.0.1\nmodules: enterprise \nbuild environment:\n", False),
        ('Build Info: {"version": "6.0.9-7", "psmdbVersion": "6.0.9-7", "modules": []}', False),
        ("a server of another maker", False),
    ],
)
def test_older_and_others_servers_are_read_too(said: str, *, lacks_them: bool) -> None:
    found = enterprise.refused({"storage": {"engine": "inMemory"}}, said, path="p")
    assert [problem.path for problem in found] == ["p.storage.engine"] * lacks_them
