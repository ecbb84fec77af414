"""What a client is told of a command that was ended while it only waited for another that changes the clusters."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from tests.unit.control.memory import Wire

from dsi.commands import Lease
from dsi.config.models import Dsisocket
from dsi.control import DsisocketServer, Hearing
from dsi.timeline import Timeline

LIMIT_S = 60
"""Of a test that would hang otherwise."""


class Restarts:
    """Restarts that take until a test says otherwise, one after the other."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()
        self._lease = Lease()

    def __call__(self, _raw: Any) -> Callable[[Hearing], Awaitable[None]]:
        async def restart(hearing: Hearing) -> None:
            async with self._lease.held("restart_mongodb", hearing):
                await self.go_on.wait()

        return restart


FIRST = {"id": 1, "restart_mongodb": {}, "stream": True}
IN_PART = "it was ended, and may have taken effect in part"


@pytest.mark.parametrize(
    ("second", "cancel", "said"),
    [
        ({}, {"id": 3, "cancel": 2}, "The command was cancelled: it never began"),
        ({"timeout": 0.05}, {"id": 3, "cancel": 9}, "The command took longer than 0.05 s: it never began"),
        ({}, {"id": 3, "cancel": 1}, None),
    ],
    ids=["cancelled", "past its timeout", "its turn came"],
)
async def test_one_that_waits_for_its_turn(second: dict[str, Any], cancel: dict[str, Any], said: str | None) -> None:
    restarts, first, other = Restarts(), Wire(), Wire()
    server = DsisocketServer(restarts, Timeline(None), Dsisocket())
    async with asyncio.timeout(LIMIT_S), asyncio.TaskGroup() as tasks:
        tasks.create_task(server.serve(first.reader, first))
        tasks.create_task(server.serve(other.reader, other))
        first.send(FIRST)
        other.send({"id": 2, "restart_mongodb": {}, "stream": True, **second})
        while not any(line.get("event") == "waiting" for line in other.lines):
            await asyncio.sleep(0)
        third = Wire()
        tasks.create_task(server.serve(third.reader, third))
        third.send(cancel)
        while not third.lines:
            await asyncio.sleep(0)
        while said and not replies(other):
            await asyncio.sleep(0)
        await server.end()
    assert replies(other) == [said or f"The test ended: {IN_PART}"]
    assert replies(first) == ["The command was cancelled: " + IN_PART if said is None else f"The test ended: {IN_PART}"]


def replies(wire: Wire) -> list[str]:
    return [line["message"] for line in wire.lines if "status" in line]
