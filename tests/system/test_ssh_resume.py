"""A command that one dsi has begun, and another goes on with."""

import asyncio
import contextlib

import pytest
from tests.system.conftest import Connect, StartHosts
from tests.system.test_ssh_detached import ORPHAN_S, Streams, left, lines, nothing_is_left
from tests.system.test_ssh_reconnect import end_sessions
from tests.system.testbed import TestbedHost

from dsi.errors import ConnectionLost, HostError
from dsi.hosts import Handle, SshHost

COUNT = "for ((n = 0; n < 300; n++)); do echo out $n; sleep 0.01; done; exit 7"


async def begun_by_one_that_is_gone(host: SshHost, server: TestbedHost, command: str) -> tuple[Handle, bytes]:
    """Begin a command, and lose the connection for good once it has written; give what came of it until then."""
    streams, handle = Streams(), host.new_handle()
    running = asyncio.create_task(
        host.run(command, outlives_s=ORPHAN_S, on_output=streams, joined=True, handle=handle, check=False)
    )
    await streams.begun.wait()
    end_sessions(server)
    with contextlib.suppress(HostError):
        await running
    return handle, streams.text["stdout"]


async def test_another_connection_goes_on_where_the_first_one_ended(ssh_hosts: StartHosts, connect: Connect) -> None:
    (server,) = ssh_hosts(1)
    handle, first = await begun_by_one_that_is_gone(await connect(server, reconnect_s=0), server, COUNT)
    host, streams = await connect(server), Streams()
    result = await host.resume(handle, "count", skip_bytes=len(first), outlives_s=ORPHAN_S, on_output=streams)
    assert result.exit_status == 7
    assert first + streams.text["stdout"] == lines("out", 300)
    again = await host.resume(handle, "count", skip_bytes=len(first), outlives_s=ORPHAN_S)
    assert (again.exit_status, again.stdout) == (7, result.stdout)
    await host.release(handle, outlives_s=ORPHAN_S)
    await nothing_is_left(host, server)


async def test_what_was_released_is_gone_with_its_processes(ssh_hosts: StartHosts, connect: Connect) -> None:
    (server,) = ssh_hosts(1)
    command = "echo begun; sleep 1000 & sleep 1000"
    handle, _ = await begun_by_one_that_is_gone(await connect(server, reconnect_s=0), server, command)
    host = await connect(server)
    await host.release(handle, outlives_s=ORPHAN_S)
    assert "sleep" not in left(server)
    with pytest.raises(ConnectionLost, match="is gone, and how it ended nobody knows"):
        await host.resume(handle, "it", skip_bytes=0, outlives_s=ORPHAN_S)
    await host.release(handle, outlives_s=ORPHAN_S)
    await nothing_is_left(host, server)
