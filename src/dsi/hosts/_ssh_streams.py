"""The streams of a connection that came in over SSH, as whoever serves it expects them."""

from collections.abc import Iterator
from contextlib import contextmanager

import asyncssh

from dsi.hosts.base import Reader, Writer


@contextmanager
def _gone() -> Iterator[None]:
    """Have asyncssh's own exceptions, which are no OSErrors, come out as what a broken socket raises."""
    try:
        yield
    except asyncssh.Error as error:
        raise ConnectionResetError(error.reason) from error


class PlainReader:
    """A `Reader` that raises `ConnectionError` when the SSH connection breaks."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def read(self, n: int = -1, /) -> bytes:
        """See `Reader.read`."""
        with _gone():
            return await self._reader.read(n)


class PlainWriter:
    """A `Writer` that raises `ConnectionError` when the SSH connection breaks."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self.write = writer.write
        self.write_eof = writer.write_eof
        self.close = writer.close

    async def drain(self) -> None:
        """See `Writer.drain`."""
        with _gone():
            await self._writer.drain()

    async def wait_closed(self) -> None:
        """See `Writer.wait_closed`."""
        with _gone():
            await self._writer.wait_closed()
