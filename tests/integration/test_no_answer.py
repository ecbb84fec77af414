"""A server that was started, listens, and does not answer."""

import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pymongo import AsyncMongoClient
from pymongo.errors import ServerSelectionTimeoutError
from tests.integration.mongodb_bed import Bed, bed_of

from dsi.errors import ClusterError
from dsi.systems.mongodb import embedded_mongod
from dsi.systems.mongodb.client import said

pytestmark = pytest.mark.skipif(embedded_mongod() is None, reason="needs the extra `embedded`")


@pytest.fixture
async def bed(tmp_path: Path) -> AsyncIterator[Bed]:
    """One local host."""
    async with bed_of(tmp_path, 1) as made:
        yield made


DIES_WHEN_ASKED = """#!/usr/bin/env python3
import json, os, signal, socket, sys
if "--version" in sys.argv:
    sys.exit()
net = json.load(open(sys.argv[2]))["net"]
print("it came this far", flush=True)
listening = socket.create_server((net["bindIp"], net["port"]))
while True:
    if listening.accept()[0].recv(1):  # whoever looks whether it listens says nothing
        os.kill(os.getpid(), signal.SIGKILL)
"""


async def test_a_server_that_dies_before_its_first_answer_is_named_with_how_it_ended_and_what_it_said(bed: Bed) -> None:
    deployment = await bed.deployment(bed.standalone())
    await deployment.install()
    host = bed.hosts[bed.addresses[0]]
    await host.run("rm mongodb/bin/mongod")
    await host.write_file("mongodb/bin/mongod", DIES_WHEN_ASKED.encode(), mode=0o755)
    with pytest.raises(ClusterError, match=r"was ended by signal 9 \(SIGKILL\) before it answered") as caught:
        await deployment.start()
    assert caught.value.log_tail == ("it came this far",)
    assert bed.state.read("nodes") is None


async def test_what_the_driver_says_of_itself_is_not_shown() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        port = silent.getsockname()[1]
        async with AsyncMongoClient[dict[str, object]]("127.0.0.1", port, serverSelectionTimeoutMS=50) as connected:
            with pytest.raises(ServerSelectionTimeoutError) as caught:
                await connected.admin.command("ping")
    assert "Topology Description" in str(caught.value)
    assert said(caught.value) == f"127.0.0.1:{port}: [Errno 111] Connect call failed ('127.0.0.1', {port})"
