"""When the test ends, whatever dsi has read by then is answered, each line once."""

import asyncio
from typing import Any

from tests.unit.control.memory import Commands, Wire

from dsi.config.models import Dsisocket
from dsi.control import DsisocketServer
from dsi.control.inbox import MAX_LINES
from dsi.timeline import Timeline

NOT_STARTED = "The test has ended: the command was not started"

LIMIT_S = 60
"""Of a test that would hang otherwise."""


class Description:
    """A `describe` that is answered when a test says so."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.go_on = asyncio.Event()

    async def __call__(self) -> dict[str, Any]:
        self.begun.set()
        await self.go_on.wait()
        return {"test": "it"}


async def test_what_dsi_itself_answers_is_answered_if_the_test_ends_just_then() -> None:
    describe, wire = Description(), Wire()
    server = DsisocketServer(Commands(), Timeline(None), Dsisocket(), describe=describe)
    for line in ({"id": 1, "describe": {}}, {"id": 2, "describe": {}}, {"id": 3, "mark": "the end"}):
        wire.send(line)
    async with asyncio.timeout(LIMIT_S), asyncio.TaskGroup() as tasks:
        tasks.create_task(server.serve(wire.reader, wire))
        await describe.begun.wait()
        asyncio.get_running_loop().call_soon(describe.go_on.set)  # when the end has begun
        await server.end()
    described, late, marked = wire.lines
    assert (described["id"], described["description"]) == (1, {"test": "it"})
    assert (late["id"], late["message"]) == (2, NOT_STARTED)
    assert (marked["id"], marked["status"]) == (3, "OK")


async def test_every_line_that_was_there_is_answered_however_many_wait_and_one_that_is_not_whole_is_none() -> None:
    commands, wire = Commands(), Wire()
    server = DsisocketServer(commands, Timeline(None), Dsisocket())
    sent = 3 * MAX_LINES
    for number in range(sent):
        wire.send({"id": number, "exec": f"command {number}"})
    wire.reader.feed_data(b'{"id": 1, "exec": "ha')
    async with asyncio.timeout(LIMIT_S), asyncio.TaskGroup() as tasks:
        tasks.create_task(server.serve(wire.reader, wire))
        while not commands.running:
            await asyncio.sleep(0)
        asyncio.get_running_loop().call_soon(commands.end, "command 0", 0)
        await server.end()
    assert [line["id"] for line in wire.lines] == list(range(sent))
    assert [line["message"] for line in wire.lines[1:]] == [NOT_STARTED] * (sent - 1)
    assert (wire.lines[0]["status"], commands.begun) == ("OK", ["command 0"])


async def test_a_client_that_comes_when_the_end_has_begun_is_told_that_nothing_is_started() -> None:
    """The listener has handed it over; the conversation has not begun."""
    commands, wire = Commands(), Wire()
    server = DsisocketServer(commands, Timeline(None), Dsisocket())
    wire.send({"id": 1, "exec": "late"})
    async with asyncio.timeout(LIMIT_S):
        serving = asyncio.create_task(server.serve(wire.reader, wire))
        await asyncio.sleep(0)
        await server.end()
        await serving
    assert [(line["id"], line["message"]) for line in wire.lines] == [(1, NOT_STARTED)]
    assert commands.begun == []
