"""An SSH host whose disk is full: what could not begin is refused, and what had begun is not taken for that."""

import asyncio

import pytest
from tests.system.conftest import Connect, StartHosts
from tests.system.test_ssh_detached import ORPHAN_S
from tests.system.test_ssh_reconnect import Notes, end_sessions, until
from tests.system.testbed import TestbedHost

from dsi.errors import HostError
from dsi.hosts import SshHost

MOUNT = "mkdir -p -m 700 .dsi/run && mount -t tmpfs -o size=1m,nr_inodes=200,mode=700 tmpfs .dsi/run"

NO_BLOCKS = "cat /dev/zero >.dsi/run/filling 2>/dev/null"

NO_INODES = "n=0; while : >.dsi/run/filling$((n++)); do :; done 2>/dev/null"

no_room = pytest.mark.parametrize("fill", [NO_BLOCKS, NO_INODES])


def inside(server: TestbedHost, script: str) -> str:
    return server.run_inside("bash", "-c", f"cd; {script}; exit 0")


async def with_a_small_disk(server: TestbedHost, connect: Connect, note: Notes) -> SshHost:
    host = await connect(server, note=note)
    await host.run(MOUNT)
    return host


@no_room
async def test_what_has_begun_goes_on_though_the_disk_was_full_after_a_cut(
    ssh_hosts: StartHosts, connect: Connect, fill: str
) -> None:
    """It had not written anything by then, so that dsi did not know that it had begun."""
    (server,) = ssh_hosts(1)
    notes = Notes()
    host = await with_a_small_disk(server, connect, notes)
    command = "touch begun; until [[ -e over ]]; do sleep 0.05; done; exit 7"
    running = asyncio.create_task(host.run(command, outlives_s=ORPHAN_S, check=False))

    async def has_begun() -> bool:
        return (server.home / "begun").exists()

    await until(has_begun, "it has begun")
    inside(server, fill)
    end_sessions(server)

    async def is_asked_again() -> bool:
        return "connection_regained" in notes.names() and (running.done() or await is_followed())

    async def is_followed() -> bool:
        return "tail" in server.run_inside("ps", "-eo", "args=")

    await until(is_asked_again, "it is asked for over the next connection")
    (server.home / "over").touch()
    assert (await running).exit_status == 7


@no_room
async def test_what_has_no_room_for_its_output_is_refused(ssh_hosts: StartHosts, connect: Connect, fill: str) -> None:
    (server,) = ssh_hosts(1)
    host = await with_a_small_disk(server, connect, Notes())
    inside(server, fill)
    async with asyncio.timeout(60):
        with pytest.raises(HostError, match="is the disk full"):
            await host.run("touch begun", outlives_s=ORPHAN_S)
    inside(server, "rm .dsi/run/filling*")
    await host.run("true", outlives_s=ORPHAN_S)
    assert not (server.home / "begun").exists()
