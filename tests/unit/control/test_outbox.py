"""What goes out to a client that takes nothing."""

import asyncio

import structlog
from tests.unit.control.memory import Wire

from dsi.control.outbox import Outbox


class Deaf(Wire):
    """A client whose connection takes nothing more."""

    async def drain(self) -> None:
        await asyncio.Event().wait()


async def test_a_client_that_reads_nothing_is_disconnected_and_nobody_waits_for_it() -> None:
    wire = Deaf()
    outbox = Outbox(wire, structlog.get_logger(), patience_s=0)
    await outbox.send(b"{}\n")
    assert outbox.is_gone
    assert wire.is_closed
    await outbox.send(b"{}\n")
    assert len(wire.lines) == 1
