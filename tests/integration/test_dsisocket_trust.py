"""Who may speak, and what they may use."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.integration.dsisocket_bed import OK, WAIT_LIMIT_S, Socket, exec_, opened

TOKEN = "a secret of the test"
UNAUTHORIZED = 5


@pytest.fixture
async def dsi() -> AsyncIterator[Socket]:
    async with asyncio.timeout(WAIT_LIMIT_S), opened(token=TOKEN) as it:
        yield it


@pytest.mark.parametrize(
    "raw",
    [
        {"on_workload_client": {"exec": "true"}, "id": 1},
        {"id": 1, "mark": "x"},
        {"id": 1, "describe": {}},
        {"id": 1, "cancel": 1},
        {"id": 1, "nonsense": 1},
        {"id": 1, "stream": "bad", "restart_mongodb": {}},
        {"id": 1, "auth": 5},
    ],
)
async def test_before_the_token_every_command_is_unauthorized_and_none_runs(dsi: Socket, raw: Any) -> None:
    async with dsi.client() as client:
        reply = await client.ask(raw)
        assert (reply["id"], reply["status_code"], reply["status"]) == (1, UNAUTHORIZED, "UNAUTHORIZED")
        assert TOKEN not in reply["message"]
        assert (await client.ask({"auth": TOKEN, "id": 2}))["status_code"] == 0
        assert (await client.ask({"on_workload_client": {"exec": "true"}}))["status_code"] == 0
    assert len(dsi.execute.begun) == 1
    assert not [event for event in dsi.timeline.events if event["event"] == "mark"]


async def test_the_token_and_commands_in_one_segment_are_answered_in_order(dsi: Socket) -> None:
    lines = b'{"auth": "' + TOKEN.encode() + b'"}' + exec_("true") + b"xx\n"
    first, second, third = (await dsi.ask(lines, replies=3)).splitlines(keepends=True)
    assert first + second == OK + OK
    assert b"JSON_ERROR" in third


async def test_three_wrong_tries_close_the_connection_and_no_other(dsi: Socket) -> None:
    async with dsi.client() as good, dsi.client() as bad:
        await good.ask({"auth": TOKEN})
        for guess in ("", TOKEN + "x", "ä\ud800"):
            assert (await bad.ask({"auth": guess}))["status_code"] == UNAUTHORIZED
        assert await bad.reader.read() == b""
        assert (await good.ask({"mark": "x"}))["status_code"] == 0


async def test_a_client_may_show_a_token_where_none_is_asked_for() -> None:
    async with opened() as dsi, dsi.client() as client:
        assert (await client.ask({"auth": "anything"}))["status_code"] == 0


async def test_the_token_is_in_no_line_of_the_timeline(dsi: Socket) -> None:
    async with dsi.client() as client:
        await client.ask({"auth": TOKEN})
        await client.ask({"auth": TOKEN, "extra": 1})
        await client.ask({"on_workload_client": {"exec": "true"}})
    assert TOKEN not in str(dsi.timeline.events)
