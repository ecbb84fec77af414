"""The floor: a three-node replica set started and stopped by hand, with the best settings there are."""

import asyncio
import shutil
import signal
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from bson import Timestamp
from pymongo import AsyncMongoClient
from pymongo.errors import PyMongoError

NAME = "floor"
POLL_S = 0.005
CONFIG = """\
storage: {{dbPath: {folder}, wiredTiger: {{engineConfig: {{cacheSizeGB: 0.25}}}}}}
systemLog: {{destination: file, path: {folder}/mongod.log}}
net: {{port: {port}, bindIp: {address}, unixDomainSocket: {{enabled: false}}}}
replication: {{replSetName: {name}}}
setParameter: {{shutdownTimeoutMillisForSignaledShutdown: 0}}
"""
SECURITY = """\
security: {{keyFile: {key_file}, authorization: enabled}}
"""
USER: dict[str, Any] = {"username": "floor", "password": "floor"}

Client = AsyncMongoClient[dict[str, Any]]


class ReplicaSetByHand:
    """Three mongods on three loopback addresses, started as children of this process.

    With a key (hexadecimal digits) they have a key file, authorization, and a user with role root.
    """

    def __init__(
        self, mongod: Path, folder: Path, addresses: list[str], *, port: int = 27017, key: str | None = None
    ) -> None:
        self._mongod = mongod
        self._key = key
        self._members = [f"{address}:{port}" for address in addresses]
        self._folders: list[Path] = []
        self._configs: list[Path] = []
        self._processes: list[Process] = []
        for number, address in enumerate(addresses):
            member = folder / f"member{number}"
            config = folder / f"member{number}.conf"
            config.write_text(CONFIG.format(folder=member, port=port, address=address, name=NAME))
            if key:
                self._secure(config, key)
            self._folders.append(member)
            self._configs.append(config)

    def _secure(self, config: Path, key: str) -> None:
        key_file = config.with_suffix(".key")
        key_file.write_text(key)
        key_file.chmod(0o600)
        with config.open("a") as more:
            more.write(SECURITY.format(key_file=key_file))

    async def first_start(self) -> None:
        """Delete all data, start the servers, and make a replica set of them.

        The first is a set by itself, gets the user, and takes in the others then. Measured: a set of three that is
        made at once takes up to a second longer, by chance, and copying a user to them one more: new secondaries look a
        second for a member to copy from.
        """
        await asyncio.gather(*(asyncio.to_thread(_empty, folder) for folder in self._folders))
        await self._launch()
        async with self._clients() as (first, *_):
            members = [{"_id": number, "host": member} for number, member in enumerate(self._members)]
            await first.admin.command("replSetInitiate", {"_id": NAME, "members": members[:1]})
            await _takes_writes(first, within_s=10)
            if self._key:
                user = {"pwd": USER["password"], "roles": ["root"]}
                await first.admin.command("createUser", USER["username"], **user)
            await first.admin.command("replSetReconfig", {"_id": NAME, "version": 2, "members": members}, force=True)
        await self._whole()

    async def restart_afresh(self) -> None:
        """Stop all the clean way, and begin anew."""
        await self.stop()
        await self.first_start()

    async def insist_on_user(self) -> None:
        """See that every member knows the user. Not timed: who has copied the first one's data does."""
        for member in self._members:
            async with Client(f"mongodb://{member}/?directConnection=true", **USER) as client:
                await client.admin.command("usersInfo")

    async def restart(self) -> None:
        """Stop all, start all, and wait until the set is whole."""
        await self.stop()
        await self._launch()
        await self._whole()

    async def stop(self) -> None:
        """End all servers the clean way."""
        await self._signal(signal.SIGTERM)

    async def crash(self) -> None:
        """End all servers the hard way."""
        await self._signal(signal.SIGKILL)

    async def _signal(self, number: signal.Signals) -> None:
        for process in self._processes:
            with suppress(ProcessLookupError):
                process.send_signal(number)
        await asyncio.gather(*(process.wait() for process in self._processes))

    async def _launch(self) -> None:
        start = [
            asyncio.create_subprocess_exec(self._mongod, "--config", config, stdout=DEVNULL, stderr=DEVNULL)
            for config in self._configs
        ]
        self._processes = list(await asyncio.gather(*start))

    async def _whole(self) -> None:
        """Wait until one member is primary and takes writes, and all others are secondaries."""
        async with self._clients() as clients:
            if not await _has_primary(clients):
                await _elect(clients)
            await asyncio.gather(*(_serves(client) for client in clients))

    @asynccontextmanager
    async def _clients(self) -> AsyncIterator[list[Client]]:
        """Give a direct connection to each member, made once all of them listen."""
        await asyncio.gather(*(_listens(member) for member in self._members))
        async with AsyncExitStack() as stack:
            yield [await stack.enter_async_context(self._connect(member)) for member in self._members]

    def _connect(self, member: str) -> Client:
        system: dict[str, Any] = {}
        if self._key:
            system = {"username": "__system", "password": self._key, "authSource": "local"}
        return AsyncMongoClient(
            f"mongodb://{member}/?directConnection=true&serverSelectionTimeoutMS=5000&serverMonitoringMode=poll",
            **system,
        )


def _empty(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()


async def _listens(member: str) -> None:
    """Wait until something listens: asked of the driver, this would take steps of half a second."""
    host, port = member.split(":")
    while True:
        try:
            _, writer = await asyncio.open_connection(host, int(port))
        except OSError:
            await asyncio.sleep(POLL_S)
        else:
            writer.close()
            return


async def _has_primary(clients: list[Client]) -> bool:
    hellos = await asyncio.gather(*(client.admin.command("hello") for client in clients))
    return any(hello["isWritablePrimary"] for hello in hellos)


async def _elect(clients: list[Client]) -> None:
    """Ask the members to become primary until one is, that with the newest write first: it has nothing to catch up.

    One that has won needs a moment before it takes writes; another that is asked meanwhile takes the post from it.
    """
    while True:
        last_writes = await asyncio.gather(*(_last_write(client) for client in clients))
        for _, client in sorted(zip(last_writes, clients, strict=True), key=lambda pair: pair[0], reverse=True):
            with suppress(PyMongoError):
                await client.admin.command("replSetStepUp")
                if await _takes_writes(client, within_s=0.5):
                    return
        await asyncio.sleep(POLL_S)


async def _last_write(client: Client) -> tuple[int, Timestamp]:
    """Give term and time of its newest write."""
    with suppress(PyMongoError, KeyError):
        written = (await client.admin.command("hello"))["lastWrite"]["opTime"]
        return written["t"], written["ts"]
    return 0, Timestamp(0, 0)


async def _takes_writes(client: Client, within_s: float) -> bool:
    with suppress(TimeoutError):
        async with asyncio.timeout(within_s):
            while not (await client.admin.command("hello"))["isWritablePrimary"]:  # noqa: ASYNC110  asked of another process
                await asyncio.sleep(POLL_S)
            return True
    return False


async def _serves(client: Client) -> None:
    while True:
        with suppress(PyMongoError):
            hello = await client.admin.command("hello")
            if hello["isWritablePrimary"] or hello["secondary"]:
                return
        await asyncio.sleep(POLL_S)
