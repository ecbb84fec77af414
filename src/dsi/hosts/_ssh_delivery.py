"""The output of a detached command on its way to who gets it, and takes the time that it needs."""

import asyncio
from typing import Final

from dsi.hosts._output import Output
from dsi.model import StreamName

HELD_S: Final = 1.0
"""How long one block may take before its shell is given to others: what is to come lies in files on the host. Who reads
at all takes a block of 256 KiB in less."""


class Held(Exception):
    """Who gets the output holds it back. The shell is wanted elsewhere: what follows there is to be followed later."""


class Delivery:
    """Hands on blocks, of each stream one after the other, and goes on with one whatever becomes of the shell.

    A block that was counted and then dropped in the middle would be missing.
    """

    def __init__(self, output: Output) -> None:
        self._output = output
        self._under_way: set[asyncio.Task[None]] = set()
        self.was_held = False

    async def take(self, stream: StreamName, block: bytes) -> None:
        """Hand on a block.

        Raises:
            Held: that takes long, and goes on.
        """
        handing = asyncio.create_task(self._output.take(stream, block))
        self._under_way.add(handing)
        await asyncio.wait({handing}, timeout=HELD_S)
        if not handing.done():
            self.was_held = True
            raise Held
        self._under_way.discard(handing)
        handing.result()

    async def finish(self) -> None:
        """Return when all that it has begun with is handed on."""
        while self._under_way:
            done, self._under_way = await asyncio.wait(self._under_way, return_when=asyncio.FIRST_COMPLETED)
            for handing in done:
                handing.result()

    async def stop(self) -> None:
        """Drop what is not handed on yet: nobody wants it any more."""
        for handing in self._under_way:
            handing.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)
