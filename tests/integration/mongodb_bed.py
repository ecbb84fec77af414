"""Clusters of real servers on local hosts, for tests."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from pymongo import AsyncMongoClient

from dsi.config.models import Mapping, MongodbSetup, Node
from dsi.hosts import Host, LocalHost, LocalHostRecord, end_local_hosts, local_host, start_local_hosts
from dsi.state import State
from dsi.systems.mongodb import Deployment

CONFIG: Mapping = {
    "net": {"port": 27017, "bindIp": "0.0.0.0"},
    "processManagement": {"fork": True},
    "storage": {"dbPath": "data/dbs", "wiredTiger": {"engineConfig": {"cacheSizeGB": 0.25}}},
    "systemLog": {"destination": "file", "path": "data/logs/mongod.log"},
}


class Bed:
    """Local hosts in a work directory, and deployments on them."""

    def __init__(
        self, folder: Path, hosts: dict[str, LocalHost], records: Sequence[LocalHostRecord], stack: AsyncExitStack
    ) -> None:
        self.state = State(folder)
        self.hosts = hosts
        self._records = records
        self.addresses = list(hosts)
        self._stack = stack

    async def deployment(
        self, *topology: dict[str, Any], prefix: Sequence[str] = (), clients: Sequence[Host] = (), **fields: Any
    ) -> Deployment:
        """Give a deployment, closed at the end of the test. `clients`: its workload clients."""
        setup = MongodbSetup.model_validate({"topology": list(topology), **fields})
        made = Deployment(setup, self._host_of, workload_clients=clients, state=self.state, prefix=prefix)
        return await self._stack.enter_async_context(made)

    def node(self, number: int, *, config: Mapping = CONFIG, **fields: Any) -> dict[str, Any]:
        address = self.addresses[number]
        return {"public_ip": address, "private_ip": address, "config_file": config, **fields}

    def standalone(self, **fields: Any) -> dict[str, Any]:
        return {"cluster_type": "standalone", "id": "alone", **self.node(0, **fields)}

    def replica_set(self, **fields: Any) -> dict[str, Any]:
        names = ("first", "second", "third")
        return {
            "id": "rs0",
            "cluster_type": "replset",
            "mongod": [self.node(number, id=name) for number, name in enumerate(names)],
            **fields,
        }

    async def lose(self, number: int) -> None:
        """End a host, with all that runs there."""
        await end_local_hosts([self._records[number]])

    def _host_of(self, node: Node) -> LocalHost:
        return self.hosts[node.public_ip]


@asynccontextmanager
async def bed_of(folder: Path, count: int) -> AsyncIterator[Bed]:
    names = [f"mongod.{number}" for number in range(count)]
    records = await start_local_hosts(names, folder / ".dsi" / "hosts", tied=True)
    hosts = {record.address: local_host(record) for record in records}
    try:
        async with AsyncExitStack() as stack:
            yield Bed(folder, hosts, records, stack)
    finally:
        await asyncio.gather(*(host.close() for host in hosts.values()))
        await end_local_hosts(records)


@asynccontextmanager
async def client(deployment: Deployment) -> AsyncIterator[AsyncMongoClient[dict[str, Any]]]:
    """Connect as any user would."""
    place = ",".join(f"{node.plan.address}:{node.plan.port}" for node in deployment.nodes)
    options = "?replicaSet=rs0" if len(deployment.nodes) > 1 else ""
    async with AsyncMongoClient[dict[str, Any]](f"mongodb://{place}/{options}") as connected:
        yield connected


def pids(deployment: Deployment) -> dict[str, int]:
    return {node.name: node.process.pid for node in deployment.nodes if node.process}


async def mongods(host: LocalHost) -> str:
    """Give the pids of the host's mongods: in its PID namespace there are only its own."""
    return (await host.run("pgrep -x mongod", check=False)).stdout.strip()


async def until(is_so: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(20):
        while not await is_so():
            await asyncio.sleep(0.01)
