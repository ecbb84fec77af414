"""Listings of hosts → hosts that one can work with."""

import asyncio
from collections.abc import Mapping, Sequence

from dsi.errors import DsiError, Preflight, raise_together
from dsi.hosts import Host, conn_argv, local_host, this_machine
from dsi.model import HostEntry
from dsi.provisioning import local
from dsi.state import State

_THIS_MACHINE = ("localhost", "127.0.0.1")


async def connect(entries: Sequence[HostEntry], state: State) -> dict[HostEntry, Host]:
    """Connect to every listed host, the machines side by side; listings of one machine share a connection.

    Raises:
        HostUnreachable: one can't be reached, or lets nobody in; SeveralFailed: several. Nothing stays open then.
        StateError: a local host isn't up any more.
    """
    return {entry: local_host(local.alive(state, entry.name)) for entry in entries}


async def close_all(hosts: Mapping[HostEntry, Host]) -> None:
    """Close every connection."""
    await asyncio.gather(*(host.close() for host in hosts.values()))


def shell_argv(entry: HostEntry, state: State) -> list[str]:
    """Give the command line of an interactive shell on a host."""
    return conn_argv(local.alive(state, entry.name))
