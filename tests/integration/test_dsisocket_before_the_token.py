"""What a connection that hasn't shown the token can have of dsi: little, not for long, and nobody else's place."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
from tests.integration.dsisocket_bed import WAIT_LIMIT_S, Client, Socket, hang_up, line_of, opened

from dsi.client import AsyncDsiSocket, NotConnected, Unauthorized
from dsi.control.gate import MAX_LINE_BYTES

TOKEN = "a secret of the test"
TRUE = {"on_workload_client": {"exec": "true"}}
SOON_S = 0.2
"""Enough for nobody: those who show the token in these tests do so at once."""


@pytest.fixture
async def hasty() -> AsyncIterator[Socket]:
    async with opened(token=TOKEN, token_within_s=SOON_S) as it:
        yield it


async def said(client: Client) -> list[Any]:
    """Give all that it is told until its connection is closed."""
    lines = []
    async with asyncio.timeout(WAIT_LIMIT_S):
        while (line := await client.read()) is not None:
            lines.append(line)
    return lines


def is_unauthorized(reply: Any, why: str) -> bool:
    return reply["status"] == "UNAUTHORIZED" and why in reply["message"]


async def test_a_line_is_at_most_4_kib_long_and_after_the_token_as_long_as_any() -> None:
    async with asyncio.timeout(WAIT_LIMIT_S), opened(token=TOKEN) as dsi, dsi.client() as client:
        long = {"on_workload_client": {"exec": "x" * MAX_LINE_BYTES}}
        client.writer.write(line_of(long) + line_of({"auth": TOKEN}) + line_of(long))  # may be one segment
        assert is_unauthorized(await client.read(), "longer than 4096 bytes")
        assert [(await client.read())["status"] for _ in range(2)] == ["OK", "OK"]
    assert dsi.execute.finished == [long]


async def test_who_does_not_show_it_in_time_is_told_so_and_disconnected_and_nobody_else(hasty: Socket) -> None:
    async with hasty.client() as good, hasty.client() as silent, hasty.client() as chatting, hasty.client() as halting:
        await good.ask({"auth": TOKEN})
        halting.writer.write(b'{"auth": ')
        assert is_unauthorized(await chatting.ask(TRUE), "has not shown the token")
        for client in (silent, chatting, halting):
            (why,) = await said(client)
            assert is_unauthorized(why, "in time")
        assert (await good.ask(TRUE))["status"] == "OK"


async def test_where_no_token_is_asked_for_nobody_is_in_a_hurry() -> None:
    async with asyncio.timeout(WAIT_LIMIT_S), opened(token_within_s=0) as dsi, dsi.client() as client:
        await asyncio.sleep(0.05)  # by far more than 0
        assert (await client.ask(TRUE))["status"] == "OK"


async def test_where_it_is_full_the_oldest_that_has_not_shown_it_makes_room() -> None:
    async with asyncio.timeout(WAIT_LIMIT_S), opened(token=TOKEN, max_connections=3) as dsi, dsi.client() as good:
        await good.ask({"auth": TOKEN})
        async with dsi.client() as oldest, dsi.client() as newer, dsi.client() as workload:
            (why,) = await said(oldest)
            assert is_unauthorized(why, "max_connections")
            for client in (workload, newer):
                assert (await client.ask({"auth": TOKEN}))["status"] == "OK"
            async with dsi.client() as one_more:  # all have shown it
                (refusal,) = await said(one_more)
            assert "max_connections" in refusal["message"]
            for client in (good, workload, newer):
                assert (await client.ask(TRUE))["status"] == "OK"


async def test_who_must_make_room_before_it_was_listened_to_is_told_so_too() -> None:
    limit = 3
    async with asyncio.timeout(WAIT_LIMIT_S), opened(token=TOKEN, max_connections=limit) as dsi:
        place = (dsi.settings.bind_addr, dsi.settings.port)
        # Connecting like this keeps dsi, which shares our loop, from looking at one before the next has come.
        at_once = [socket.create_connection(place) for _ in range(2 * limit)]
        clients = [Client(*(await asyncio.open_connection(sock=each))) for each in at_once]
        for client in clients[:limit]:
            (why,) = await said(client)
            assert is_unauthorized(why, "make room")
        for client in clients[limit:]:
            assert (await client.ask({"auth": TOKEN}))["status"] == "OK"
        for client in clients:
            await hang_up(client.writer)


async def test_who_sends_and_reads_nothing_is_disconnected_though_it_takes_not_even_the_reason() -> None:
    """At once: its time would be over in a minute only."""
    async with asyncio.timeout(WAIT_LIMIT_S), opened(token=TOKEN) as dsi:
        _, writer = await dsi.connect()
        try:
            while True:
                writer.write(b"xx\n" * 10_000)
                await writer.drain()
        except ConnectionError:
            pass
        writer.transport.abort()
        async with dsi.client() as good:
            assert (await good.ask({"auth": TOKEN}))["status"] == "OK"
            assert (await good.ask(TRUE))["status"] == "OK"


async def test_nothing_is_left_of_those_who_were_turned_out() -> None:
    tasks = asyncio.all_tasks()
    it = Socket(token=TOKEN, token_within_s=SOON_S)
    async with asyncio.timeout(WAIT_LIMIT_S), it.open():
        listening = asyncio.all_tasks()
        _, stuck = await it.connect()
        stuck.write(b"xx\n" * 1_000_000)
        async with it.client() as silent:
            assert len(await said(silent)) == 1
        while asyncio.all_tasks() != listening:
            await asyncio.sleep(0.01)
        stuck.transport.abort()
    assert asyncio.all_tasks() == tasks


def served() -> int:
    return sum(task.get_name().startswith("dsisocket") for task in asyncio.all_tasks())


async def test_who_connects_again_and_again_without_it_holds_no_more_connections_than_are_allowed() -> None:
    """Those who must go have a moment to read why; they would take all of dsi's file descriptors meanwhile."""
    limit = 3
    async with (
        asyncio.timeout(WAIT_LIMIT_S),
        opened(token=TOKEN, max_connections=limit) as dsi,
        dsi.client() as good,
        AsyncExitStack() as others,
    ):
        await good.ask({"auth": TOKEN})
        for _ in range(30):
            await others.enter_async_context(dsi.client())
            assert served() <= 2 * limit + 1
        async with dsi.client() as another:
            assert (await another.ask({"auth": TOKEN}))["status"] == "OK"
        assert (await good.ask(TRUE))["status"] == "OK"


async def test_who_is_refused_again_and_again_holds_no_more_connections_than_are_allowed() -> None:
    limit = 3
    async with (
        asyncio.timeout(WAIT_LIMIT_S),
        opened(token=TOKEN, max_connections=limit) as dsi,
        AsyncExitStack() as others,
    ):
        for _ in range(limit):
            good = await others.enter_async_context(dsi.client())
            await good.ask({"auth": TOKEN})
        for _ in range(30):
            await others.enter_async_context(dsi.client())
            assert served() <= 2 * limit
        assert (await good.ask(TRUE))["status"] == "OK"


async def test_a_client_that_finds_no_room_tries_again_and_one_with_a_wrong_token_does_not() -> None:
    async with asyncio.timeout(WAIT_LIMIT_S), opened(token=TOKEN, max_connections=1) as dsi:
        address = f"{dsi.settings.bind_addr}:{dsi.settings.port}"
        async with AsyncDsiSocket(address, token="wrong") as wrong:
            with pytest.raises(Unauthorized):
                await wrong.send(TRUE)
        async with dsi.client() as good, AsyncDsiSocket(address, token=TOKEN, patience_s=0.3) as hasty:
            await good.ask({"auth": TOKEN})
            with pytest.raises(NotConnected, match="max_connections"):
                await hasty.send(TRUE)
        async with AsyncDsiSocket(address, token=TOKEN) as later:
            assert (await later.send(TRUE)).status == "OK"
