"""Clients of the dsisocket that try again, half of them by hand: `python retrying_clients.py PORT COUNT OVER`.

Each runs one command after the other, that writes its number into the file `ran`, until the file OVER exists. When its
connection breaks, it connects again and asks for the same under the same `retry_id`. In the end they print as JSON what
each command got.
"""

import asyncio
import itertools
import json
import sys
from contextlib import suppress
from pathlib import Path

from dsi.client import AsyncDsiSocket, CommandError

AGAIN_S = 0.02


class Client:
    """One client by hand, and the replies to each of its commands."""

    def __init__(self, name: str, port: int, over: Path) -> None:
        self._ids = (f"{name}.{number}" for number in itertools.count())
        self._port = port
        self._over = over
        self._unanswered: str | None = None
        self.replies: dict[str, list[str]] = {}
        self.broken = 0

    async def run(self) -> None:
        """Ask until it is over, on one connection after the other."""
        while not self._over.exists() or self._unanswered:
            try:
                await self._converse()
            except (OSError, EOFError):
                self.broken += 1
                await asyncio.sleep(AGAIN_S)

    async def _converse(self) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            while not self._over.exists() or self._unanswered:
                self._unanswered = self._unanswered or next(self._ids)
                writer.write(_command(self._unanswered))
                while self._unanswered:
                    self._take(await reader.readuntil())
            writer.write_eof()
            while line := await reader.readline():  # nothing may come behind the last reply
                self._take(line)
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    def _take(self, line: bytes) -> None:
        message = json.loads(line)
        if "event" not in message:
            self.replies.setdefault(message["id"], []).append(message["status"])
            self._unanswered = None


def _command(id_: str) -> bytes:
    return (
        json.dumps({"id": id_, "retry_id": id_, "stream": True, "on_workload_client": {"exec": _text(id_)}}).encode()
        + b"\n"
    )


def _text(id_: str) -> str:
    """Every third takes longer than a cut takes to be mended."""
    return f"echo {id_} >> ran; seq 100; sleep {'0.4' if id_.endswith(('0', '3', '6')) else '0.01'}"


class LibraryClient:
    """The same by dsi.client, which does all that by itself."""

    def __init__(self, name: str, port: int, over: Path) -> None:
        self._ids = (f"{name}.{number}" for number in itertools.count())
        self._address = f"127.0.0.1:{port}"
        self._over = over
        self.replies: dict[str, list[str]] = {}
        self.broken = 0

    async def run(self) -> None:
        """Ask until it is over."""
        async with AsyncDsiSocket(self._address) as dsi:
            while not self._over.exists():
                id_ = next(self._ids)
                self.replies[id_] = []
                try:
                    reply = await dsi.exec("on_workload_client", _text(id_))
                except CommandError as failure:
                    reply = failure.reply
                self.replies[id_].append(reply.status)


async def main(port: int, count: int, over: Path) -> None:
    """Have the clients at it, and print what they got."""
    clients = [(LibraryClient if number % 2 else Client)(f"client{number}", port, over) for number in range(count)]
    async with asyncio.TaskGroup() as tasks:
        for client in clients:
            tasks.create_task(client.run())
    replies = {id_: got for client in clients for id_, got in client.replies.items()}
    sys.stdout.write(json.dumps({"replies": replies, "broken": sum(client.broken for client in clients)}))


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])))
