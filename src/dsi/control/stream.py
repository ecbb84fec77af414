"""One client's view of a running command: its output as events, as it appears."""

import asyncio
import codecs
from typing import Any

from dsi import wire
from dsi.control.outbox import Outbox
from dsi.model import StreamName

_decoder = codecs.getincrementaldecoder("utf-8")


class Stream:
    """Sends a command's output to the client that asked for it.

    A client that doesn't read holds its stream back (and on a local host the command): what is streamed comes whole.
    Dropping would leave gaps for every client that is merely slower than its command. It holds up nobody else, and no
    longer than until the client is gone, another takes the stream over, or the command is ended.
    """

    def __init__(self, outbox: Outbox, id_: wire.Id) -> None:
        self._outbox = outbox
        self._id = id_
        self._left = False
        self._sending: set[asyncio.Timeout] = set()
        self._decoders: dict[tuple[str, StreamName], codecs.IncrementalDecoder] = {}

    async def output(self, host: str, stream: StreamName, block: bytes) -> None:
        """Send what was written, when there is room; characters that a block has halved come whole in the next."""
        if (decoder := self._decoders.get((host, stream))) is None:
            decoder = self._decoders[host, stream] = _decoder(errors="replace")
        if data := decoder.decode(block):
            await self._send("output", host=host, stream=stream, data=data)

    async def waiting(self, for_what: str) -> None:
        """Send that the command waits."""
        await self._send("waiting", **{"for": for_what})

    async def finish(self) -> None:
        """Send what a character cut off by the end of the output has left."""
        for (host, stream), decoder in self._decoders.items():
            if data := decoder.decode(b"", final=True):
                await self._send("output", host=host, stream=stream, data=data)

    def leave(self) -> None:
        """Send no more, also not what is about to be sent: nobody waits for this client any longer."""
        self._left = True
        for limit in self._sending:
            if not limit.expired():
                limit.reschedule(0)

    async def _send(self, event: wire.Event, **fields: Any) -> None:
        if self._left:
            return
        limit = asyncio.timeout(None)
        try:
            async with limit:
                self._sending.add(limit)
                await self._outbox.send(wire.encode_event(self._id, event, **fields))
        except TimeoutError:
            pass  # `leave`
        finally:
            self._sending.discard(limit)
