"""Hosts with OpenSSH's own sshd, for the tests of this folder."""

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack
from typing import Any

import pytest
from tests.system.sshds import Sshd, start_sshds
from tests.system.testbed import TestbedHost, start_hosts

from dsi.hosts import SshHost, connect_ssh

StartHosts = Callable[..., list[TestbedHost]]
Connect = Callable[..., Awaitable[SshHost]]


@pytest.fixture
def ssh_hosts() -> Iterator[StartHosts]:
    """`ssh_hosts(3)`: three hosts of their own (see `testbed`), once in a test; `config=` adds to sshd_config."""
    if os.geteuid() != 0:
        pytest.skip("network namespaces and mounts need root; ./run test in CI is root")
    with ExitStack() as stack:
        yield lambda count, **options: stack.enter_context(start_hosts(count, **options))


@pytest.fixture
def sshd() -> Iterator[Sshd]:
    """One plain sshd on this machine."""
    with start_sshds(1) as (server,):
        yield server


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    """`await connect(server)`: an SshHost that is closed with the test; further arguments are those of connect_ssh."""
    async with AsyncExitStack() as stack:

        async def connected(server: Sshd, **options: Any) -> SshHost:
            host = await connect_ssh(server.name, **{**server.login, **options})
            stack.push_async_callback(host.close)
            return host

        yield connected
