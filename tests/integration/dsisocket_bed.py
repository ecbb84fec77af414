"""A dsisocket over real sockets for the tests beside this file: its commands are fakes that do what their text says."""

import asyncio
import json
import random
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from dsi.config.models import Dsisocket
from dsi.control import Hearing, Journal, Run, open_dsisocket
from dsi.errors import ClusterError, CommandFailed, ConnectionLost, InvalidCommand, SeveralFailed
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

    def __call__(self, raw: Any) -> Run:
        if len(raw) != 1:
            raise InvalidCommand("unknown command", allowed=["restart_mongodb"])
        match raw:
            case {"restart_mongodb": _}:
                return lambda hearing: self.run(raw, "", hearing)
            case {"on_workload_client": {"exec": str(text)}}:
                return lambda hearing: self.run(raw, text, hearing)
            case {"on_workload_client": _}:
                raise InvalidCommand("Invalid command type", path="on_workload_client.foo", allowed=["exec"])
        raise InvalidCommand("unknown command", allowed=["restart_mongodb"])

    async def run(self, raw: Any, text: str, hearing: Hearing) -> None:
        await self.note(self.begun, raw)
        try:
            if text.startswith("wait"):
                await self.go_on.wait()
            elif text.startswith("say "):
                await self.say(text.removeprefix("say "), hearing)
            elif text == "pkill mongod":
                raise CommandFailed([Result(host="workload_client.0", command=text, exit_status=1)])
            elif text == "cluster":
                raise ClusterError("mongod.0", "does not start", ["line one", "line two"])
            elif text == "long":
                raise ClusterError("mongod.0", "x" * 10_000)
            elif text == "lost":
                raise SeveralFailed([ClusterError("a", "b"), ConnectionLost("mongod.0", "the connection broke")])
            elif text == "bug":
                raise KeyError("ours")
        except asyncio.CancelledError:
            await self.note(self.cancelled, raw)
            raise
        await self.note(self.finished, raw)

    async def say(self, words: str, hearing: Hearing) -> None:
        """Write each word to the standard output of one host; wait at the word `wait`."""
        host = "workload_client.0"
        hearing.begun(host)
        for word in words.split():
            if word == "wait":
                await self.go_on.wait()
            elif word == "flood":  # more than all buffers on the way hold
                for _ in range(20_000):
                    await hearing.output(host, "stdout", b"x" * 1000)
            else:
                await hearing.output(host, "stdout", word.encode())
        hearing.ended(Result(host=host, command=words, exit_status=0))

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

    def __init__(
        self,
        *,
        journal: Path | None = None,
        token: str | None = None,
        token_within_s: float = WAIT_LIMIT_S,
        **settings: Any,
    ) -> None:
        self.journal = journal
        self.token = token
        self.token_within_s = token_within_s
        self.execute = FakeExecute()
        self.timeline = KeptTimeline()
        self.failed: list[tuple[Any, str]] = []
        """What was asked for and not done, with the status it was answered with."""
        # A loopback address of our own, so that no other test can have the port.
        address = f"127.{random.randint(16, 254)}.{random.randint(0, 255)}.{random.randint(1, 254)}"
        self.settings = Dsisocket(enabled=True, bind_addr=address, **settings)
        self.host = this_machine("workload_client.0", Path.cwd())

    def open(self) -> AbstractAsyncContextManager[str]:
        journal = Journal(self.journal) if self.journal else None
        return open_dsisocket(
            self.host,
            self.settings,
            self.execute,
            self.timeline,
            journal=journal,
            token=self.token,
            token_within_s=self.token_within_s,
            on_failure=lambda value, outcome: self.failed.append((value, outcome.code.name)),
        )

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(self.settings.bind_addr, self.settings.port, limit=1 << 18)

    @asynccontextmanager
    async def client(self) -> "AsyncIterator[Client]":
        reader, writer = await self.connect()
        try:
            yield Client(reader, writer)
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

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


def line_of(raw: Any) -> bytes:
    return json.dumps(raw).encode() + b"\n"


class Client:
    """One connection, whose lines are JSON."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def send(self, raw: Any) -> None:
        self.writer.write(line_of(raw))

    def exec(self, text: str, **beside: Any) -> None:
        self.send({**beside, "on_workload_client": {"exec": text}})

    async def read(self) -> Any:
        line = await self.reader.readline()
        return json.loads(line) if line else None

    async def ask(self, raw: Any) -> Any:
        self.send(raw)
        return await self.read()


def reset(writer: asyncio.StreamWriter) -> None:
    """Vanish: the connection ends with a reset, as when the client's process is killed with data unread."""
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


@asynccontextmanager
async def opened(**settings: Any) -> AsyncIterator[Socket]:
    it = Socket(**settings)
    async with it.open():
        yield it
