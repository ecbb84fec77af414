"""The kinds of host there are. Each test of this folder runs over all of them."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.system.sshds import start_sshds

from dsi.hosts import Host, SshHost, connect_ssh, end_local_hosts, local_host, start_local_hosts, this_machine
from dsi.model import Result


@asynccontextmanager
async def local(folder: Path, *, isolate: bool = True) -> AsyncIterator[Host]:
    records = await start_local_hosts(["mongod.0"], folder / "hosts", tied=True, isolate=isolate)
    host = local_host(records[0])
    try:
        yield host
    finally:
        await host.close()
        await end_local_hosts(records)


def local_without_namespace(folder: Path) -> AbstractAsyncContextManager[Host]:
    return local(folder, isolate=False)


@asynccontextmanager
async def machine_itself(folder: Path) -> AsyncIterator[Host]:
    host = this_machine("localhost", folder)
    try:
        yield host
    finally:
        await host.close()


@asynccontextmanager
async def over_ssh(folder: Path) -> AsyncIterator[Host]:
    with start_sshds(1) as (server,):
        host = await connect_ssh("mongod.0", **server.login)
        try:
            yield host
        finally:
            await host.close()


class Outliving(SshHost):
    """A host whose commands outlive the connection, where they can: they must be like any others."""

    async def run(self, command: str, **options: Any) -> Result:
        return await super().run(command, **{"outlives_s": 600, **options})


@asynccontextmanager
async def outliving_ssh(folder: Path) -> AsyncIterator[Host]:
    async with over_ssh(folder) as host:
        assert isinstance(host, SshHost)
        outliving = Outliving(host.name, host._machine)
        try:
            yield outliving
        finally:
            await outliving.close()


# A new kind of host: one line here.
KINDS: dict[str, Callable[[Path], AbstractAsyncContextManager[Host]]] = {
    "local": local,
    "local-without-namespace": local_without_namespace,
    "this-machine": machine_itself,
    "ssh": over_ssh,
    "ssh-outliving": outliving_ssh,
}


@pytest.fixture(params=KINDS)
async def host(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Host]:
    folder = tmp_path / "host"
    folder.mkdir()
    async with KINDS[request.param](folder) as made:
        yield made
