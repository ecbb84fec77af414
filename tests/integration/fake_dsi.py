"""A fake of dsi's side of the dsisocket, for what the real one can't be made to do: to break at a certain moment."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

OK = {"status_code": 0, "status": "OK", "message": "I think the command might have succeeded."}

NO_ROOM = {"status_code": 2, "status": "EXECUTION_ERROR", "message": "Too many connections"}


class FakeDsi:
    """Answers OK to everything, and keeps what was said to it.

    `cuts`: so many connections are closed once a command has come in, `login_cuts`: once a token has; `events`: so many
    come before each reply; `turned_out`: so many connections are told that there is no room, and closed.
    """

    def __init__(self) -> None:
        self.cuts = 0
        self.login_cuts = 0
        self.turned_out = 0
        self.events = 0
        self.token: str | None = None
        self.lines: list[dict[str, Any]] = []
        self.connections = 0
        self.go_on = asyncio.Event()
        self.go_on.set()
        self.address = ""
        self._writers: set[asyncio.StreamWriter] = set()

    async def hang_up(self) -> None:
        for writer in self._writers:
            writer.close()
        while self._writers:
            await asyncio.sleep(0.01)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.add(writer)
        authorized = self.token is None
        try:
            while line := await reader.readline():
                message = json.loads(line)
                if "auth" in message:
                    if self.turned_out:
                        self.turned_out -= 1
                        self._say(writer, NO_ROOM)
                        return
                    if self.login_cuts:
                        self.login_cuts -= 1
                        return
                    authorized = self.token in (None, message["auth"])
                    self._say(writer, {"id": message["id"], **(OK if authorized else self._refusal())})
                    continue
                self.lines.append(message)
                if not authorized:
                    self._say(writer, {"id": message["id"], **self._refusal()})
                    continue
                for number in range(self.events):
                    event = {"event": "output", "host": "mongod.0", "stream": "stdout", "data": f"{number}\n"}
                    self._say(writer, {"id": message["id"], **event})
                await writer.drain()
                if self.cuts:
                    self.cuts -= 1
                    return
                await self.go_on.wait()
                self._say(writer, {"id": message["id"], **OK, "results": []})
        finally:
            self._writers.discard(writer)
            writer.close()

    @staticmethod
    def _say(writer: asyncio.StreamWriter, message: dict[str, Any]) -> None:
        writer.write(json.dumps(message).encode() + b"\n")

    @staticmethod
    def _refusal() -> dict[str, Any]:
        return {"status_code": 5, "status": "UNAUTHORIZED", "message": "wrong token"}


def address_of(server: asyncio.Server) -> str:
    return f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


@asynccontextmanager
async def fake_dsi() -> AsyncIterator[FakeDsi]:
    it = FakeDsi()
    server = await asyncio.start_server(it.serve, "127.0.0.1", 0)
    it.address = address_of(server)
    try:
        yield it
    finally:
        server.close()
        await server.wait_closed()
