"""Listings of hosts → hosts that one can work with."""

import asyncio
from collections.abc import Sequence

from dsi.errors import DsiError, raise_together
from dsi.hosts import Host, SshConnection, connect_ssh
from dsi.model import HostEntry
from dsi.state import State

_THIS_MACHINE = ("localhost", "127.0.0.1")


async def connect(entries: Sequence[HostEntry], state: State) -> dict[HostEntry, Host]:
    """Connect to every listed host, the machines side by side; listings of one machine share a connection.

    Raises:
        HostUnreachable: one can't be reached, or lets nobody in; SeveralFailed: several. Nothing stays open then.
        StateError: a local host isn't up any more.
    """
    machines = {entry.machine: entry for entry in entries if _by_ssh(entry)}
    connections: dict[object, SshConnection] = {}
    failures: list[DsiError] = []

    async def open_one(entry: HostEntry) -> None:
        try:
            connections[entry.machine] = await connect_ssh(
                entry.name,
                entry.public_ip,
                port=entry.ssh_port,
                user=entry.ssh_user,
                key_file=entry.ssh_key_file,
                known_hosts=state.make_folder() / "known_hosts",
            )
        except DsiError as failure:
            failures.append(failure)

    async with asyncio.TaskGroup() as tasks:
        for entry in machines.values():
            tasks.create_task(open_one(entry))
    if failures:
        await asyncio.gather(*(connection.close() for connection in connections.values()))
        raise_together(failures)
    return {entry: _host(entry, connections.get(entry.machine), state) for entry in entries}
