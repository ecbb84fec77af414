"""The way from a client to dsi, which can be cut, and stay cut."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress


class Relay:
    """Hands connections on to dsi. `is_broken`: new ones are closed at once."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.address = ""
        self.is_broken = False
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._tasks.add(asyncio.create_task(self.serve(reader, writer)))

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            if self.is_broken:
                return
            their_reader, their_writer = await asyncio.open_connection("127.0.0.1", self.port)
        except ConnectionRefusedError:
            return
        else:
            self._writers.add(their_writer)
            async with asyncio.TaskGroup() as both:
                both.create_task(self._pass_on(reader, their_writer))
                both.create_task(self._pass_on(their_reader, writer))
        finally:
            writer.close()
            self._writers.discard(writer)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while block := await reader.read(65_536):
                writer.write(block)
        writer.close()
        self._writers.discard(writer)

    def cut(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def end(self) -> None:
        self.cut()
        await asyncio.gather(*self._tasks)


@asynccontextmanager
async def relay_to(port: int) -> AsyncIterator[Relay]:
    it = Relay(port)
    async with await asyncio.start_server(it.begin, "127.0.0.1", 0) as server:
        it.address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield it
        await it.end()
