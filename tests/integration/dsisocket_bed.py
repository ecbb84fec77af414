"""A dsisocket over real sockets for the tests beside this file: its commands are fakes that do what their text says."""

import asyncio
import json
import random
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

from dsi.config.models import Dsisocket
from dsi.control import open_dsisocket
from dsi.errors import ClusterError, CommandFailed, InvalidCommand
from dsi.hosts import this_machine
from dsi.model import Result
from dsi.timeline import Timeline

OK = b'{"status_code": 0, "status": "OK", "message": "I think the command might have succeeded."}\n'
EXEC = (
    rb'{"on_workload_client": {"exec": "echo \"HELLO THIS IS HENRIK CAN YOU HEAR ME?????!!!\"'
    rb'\necho \"(Yes, we can)\"\n"}}'
)
RESTART = b'{"restart_mongodb": {"clean_logs": true, "clean_db_dir": false}}'
WAIT_LIMIT_S = 60
"""Of a test that would hang otherwise; no measure of anything."""


def failed(message: str) -> bytes:
    return b'{"status_code": 2, "status": "EXECUTION_ERROR", "message": %s}\n' % json.dumps(message).encode()


class FakeExecute:
    """Does what the command's text says, and keeps what was asked for and what was finished."""

    def __init__(self) -> None:
        self.begun: list[Any] = []
        self.finished: list[Any] = []
        self.cancelled: list[Any] = []
        self.changed = asyncio.Condition()
        self.go_on = asyncio.Event()

    def __call__(self, raw: Any) -> Awaitable[None]:
        match raw:
            case {"restart_mongodb": _}:
                return self.run(raw, "")
            case {"on_workload_client": {"exec": str(text)}}:
                return self.run(raw, text)
            case {"on_workload_client": _}:
                raise InvalidCommand("Invalid command type", path="on_workload_client.foo", allowed=["exec"])
        raise InvalidCommand("unknown command", allowed=["restart_mongodb"])

    async def run(self, raw: Any, text: str) -> None:
        await self.note(self.begun, raw)
        try:
            if text.startswith("wait"):
                await self.go_on.wait()
            elif text == "pkill mongod":
                raise CommandFailed([Result(host="workload_client.0", command=text, exit_status=1)])
            elif text == "cluster":
                raise ClusterError("mongod.0", "does not start", ["line one", "line two"])
            elif text == "long":
                raise ClusterError("mongod.0", "x" * 10_000)
            elif text == "bug":
                raise KeyError("ours")
        except asyncio.CancelledError:
            await self.note(self.cancelled, raw)
            raise
        await self.note(self.finished, raw)

    async def note(self, kept: list[Any], raw: Any) -> None:
        kept.append(raw)
        async with self.changed:
            self.changed.notify_all()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with self.changed:
            await self.changed.wait_for(condition)


class KeptTimeline(Timeline):
    """A timeline whose lines a test can look at."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        super().__init__(None)

    def add(self, event: str, **fields: Any) -> dict[str, Any]:
        line = super().add(event, **fields)
        self.events.append(line)
        return line


class Socket:
    """A dsisocket for a test: what it runs, what it wrote to the timeline, and clients of it."""

    def __init__(self, **settings: Any) -> None:
        self.execute = FakeExecute()
        self.timeline = KeptTimeline()
        # A loopback address of our own, so that no other test can have the port.
        address = f"127.{random.randint(16, 254)}.{random.randint(0, 255)}.{random.randint(1, 254)}"
        self.settings = Dsisocket(enabled=True, bind_addr=address, **settings)
        self.host = this_machine("workload_client.0", Path.cwd())

    def open(self) -> AbstractAsyncContextManager[str]:
        return open_dsisocket(self.host, self.settings, self.execute, self.timeline)

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(self.settings.bind_addr, self.settings.port)

    async def ask(self, *pieces: bytes, replies: int = 1) -> bytes:
        """Send the pieces, each in a segment of its own, and read so many replies."""
        reader, writer = await self.connect()
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        answer = b"".join([await reader.readline() for _ in range(replies)])
        await hang_up(writer)
        return answer

    def ends(self) -> list[dict[str, Any]]:
        return [event for event in self.timeline.events if event["event"] == "dsisocket_command_end"]


async def hang_up(writer: asyncio.StreamWriter) -> None:
    writer.close()
    await writer.wait_closed()


def exec_(text: str) -> bytes:
    return json.dumps({"on_workload_client": {"exec": text}}).encode() + b"\n"


def reset(writer: asyncio.StreamWriter) -> None:
    """Vanish: the connection ends with a reset, as when the client's process is killed with data unread."""
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


@asynccontextmanager
async def opened(**settings: Any) -> AsyncIterator[Socket]:
    it = Socket(**settings)
    async with it.open():
        yield it
