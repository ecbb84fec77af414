"""Clients of the dsisocket of every kind, good and bad: each goes on until the soak is over, once at least.

What they ask for to be counted writes its number into the file `counted` on the host, one line each.
"""

import asyncio
import itertools
import json
import random
import socket
import struct
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

LINE_BYTES = 1 << 22


@dataclass
class Ground:
    """What the clients share: where they connect to, the host's home folder, and what they have seen."""

    port: int
    home: Path
    over: asyncio.Event = field(default_factory=asyncio.Event)
    chance: random.Random = field(default_factory=random.Random)
    asked: list[str] = field(default_factory=list)
    """The ids of all commands whose client stays to read the reply."""
    replies: Counter[str] = field(default_factory=Counter)
    """How many replies each id got."""
    to_count: list[int] = field(default_factory=list)
    """What must stand in `counted` in the end, once each."""
    rounds: Counter[str] = field(default_factory=Counter)
    """How often each kind of client did what it does."""
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def number(self) -> int:
        return next(self._numbers)

    def counted(self) -> tuple[int, str]:
        """Give a number, and shell text that writes it."""
        number = self.number()
        self.to_count.append(number)
        return number, f"echo {number} >> counted"


class Talk:
    """One connection."""

    def __init__(self, ground: Ground, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self._ground = ground

    def send(self, command: Mapping[str, Any]) -> str:
        """Send a command under a new id, which is given."""
        id_ = f"id {self._ground.number()}"
        self._ground.asked.append(id_)
        self.writer.write(json.dumps({"id": id_, **command}).encode() + b"\n")
        return id_

    async def receive(self) -> dict[str, Any]:
        """Read a line, and count it if it is a reply."""
        message: dict[str, Any] = json.loads(await self.reader.readline())
        if "event" not in message:
            self._ground.replies[message["id"]] += 1
        return message

    async def ask(self, command: Mapping[str, Any]) -> tuple[str, str]:
        """Give the status of the reply, and all output that was streamed before it."""
        id_, output = self.send(command), ""
        while "event" in (message := await self.receive()):
            output += message.get("data", "")
        assert message["id"] == id_
        return message["status"], output

    def vanish(self) -> None:
        """End the connection with a reset, as a killed client's is."""
        self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


@asynccontextmanager
async def connected(ground: Ground) -> AsyncIterator[Talk]:
    reader, writer = await asyncio.open_connection("127.0.0.1", ground.port, limit=LINE_BYTES)
    try:
        yield Talk(ground, reader, writer)
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


def on_client(text: str, **beside: Any) -> dict[str, Any]:
    return {"on_workload_client": {"exec": text}, **beside}


MIXED: list[tuple[dict[str, Any], str, str]] = [
    (on_client("true"), "OK", ""),
    (on_client("exit 3"), "EXECUTION_ERROR", ""),
    ({"on_workload_client": {"foo": 1}}, "EXECUTION_ERROR", ""),
    (on_client("sleep 1000", timeout=0.1), "TIMEOUT", ""),
    (on_client("seq 20000", stream=True), "OK", "".join(f"{number}\n" for number in range(1, 20001))),
    ({"mark": "soak"}, "OK", ""),
    ({"describe": {}}, "OK", ""),
]
"""Commands, their status, and what they stream."""


async def orderly(ground: Ground) -> None:
    """One command after the other, of every kind."""
    async with connected(ground) as talk:
        await talk.ask(on_client(ground.counted()[1]))
        command, status, output = ground.chance.choice(MIXED)
        assert await talk.ask(command) == (status, output)


async def hasty(ground: Ground) -> None:
    """Sends many at once: the replies come in order."""
    async with connected(ground) as talk:
        sent = [talk.send(on_client(ground.counted()[1])) for _ in range(10)]
        assert [(await talk.receive())["id"] for _ in sent] == sent


async def leaving(ground: Ground) -> None:
    """Vanishes in mid-command: it runs to its end all the same."""
    async with connected(ground) as talk:
        number, write = ground.counted()
        line = json.dumps(on_client(f"touch sign{number}; sleep 0.05; {write}", id="left"))
        talk.writer.write(line.encode() + b"\n")
        await _sign(ground, number)
        talk.vanish()


async def cancelling(ground: Ground) -> None:
    """Cancels what it began."""
    async with connected(ground) as talk:
        number = ground.number()
        id_ = talk.send(on_client(f"touch sign{number}; sleep 1000"))
        await _sign(ground, number)
        cancel = talk.send({"cancel": id_})
        replies = [await talk.receive(), await talk.receive()]
        assert {reply["id"]: reply["status"] for reply in replies} == {id_: "CANCELLED", cancel: "OK"}


async def deaf(ground: Ground) -> None:
    """Has much streamed to it, reads nothing, and vanishes: then the command goes on to its end."""
    async with connected(ground) as talk:
        number = ground.number()
        text = f"head -c 10000000 /dev/zero | tr '\\0' x; touch sign{number}"
        much = on_client(text, id="deaf", stream=True)
        talk.writer.write(json.dumps(much).encode() + b"\n")
        await asyncio.sleep(0.3)  # reading nothing is what it does
        talk.vanish()
        await _sign(ground, number)


async def noisy(ground: Ground) -> None:
    """Sends garbage: each line is answered, and it may go on."""
    async with connected(ground) as talk:
        lines = [ground.chance.randbytes(ground.chance.randrange(1, 200)).replace(b"\n", b"") for _ in range(500)]
        lines.append(b'{"' + b"x" * (1 << 21))
        talk.writer.write(b"\n".join(lines) + b'\n{"half": ')
        talk.writer.write_eof()
        while line := await talk.reader.readline():
            assert json.loads(line)["status_code"] in (1, 2)


async def crowd(ground: Ground) -> None:
    """A hundred at once that have little to say, and some of them nothing."""
    async with asyncio.TaskGroup() as tasks:
        for silent in [True, False] * 50:
            tasks.create_task(_brief(ground, silent=silent))


async def _brief(ground: Ground, *, silent: bool) -> None:
    async with connected(ground) as talk:
        if not silent:
            assert await talk.ask({"mark": "one of a crowd"}) == ("OK", "")


async def _sign(ground: Ground, number: int) -> None:
    """Wait for the file by which a command tells how far it is."""
    file = ground.home / f"sign{number}"
    while not file.exists():
        await asyncio.sleep(0.01)
    file.unlink()


KINDS: Mapping[Callable[[Ground], Awaitable[None]], int] = {
    orderly: 6,
    hasty: 2,
    leaving: 2,
    cancelling: 2,
    deaf: 2,
    noisy: 1,
    crowd: 1,
}
"""Every kind of client, and how many of it there are at once."""


async def soak(ground: Ground) -> None:
    """Have all clients at it until `ground.over` is set, and have done what they then were at."""

    async def go_on(kind: Callable[[Ground], Awaitable[None]]) -> None:
        while not ground.over.is_set():
            await kind(ground)
            ground.rounds[kind.__name__] += 1

    async with asyncio.TaskGroup() as clients:
        for kind, count in KINDS.items():
            for _ in range(count):
                clients.create_task(go_on(kind))
