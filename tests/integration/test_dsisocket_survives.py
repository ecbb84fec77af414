"""What the dsisocket survives: many clients, bad ones, and its own end."""

import asyncio
import json
import resource
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest
from tests.integration.dsisocket_bed import EXEC, OK, RESTART, WAIT_LIMIT_S, Socket, exec_, hang_up, opened, reset

from dsi.control import DsisocketServer
from dsi.errors import PortTaken


@pytest.fixture
async def dsi() -> AsyncIterator[Socket]:
    async with asyncio.timeout(WAIT_LIMIT_S), opened() as it:
        yield it


async def test_one_clients_commands_run_in_order_and_those_of_others_side_by_side(dsi: Socket) -> None:
    reader, writer = await dsi.connect()
    writer.write(exec_("wait") + exec_("second"))
    await dsi.execute.until(lambda: len(dsi.execute.begun) == 1)
    assert await dsi.ask(exec_("of another client")) == OK
    assert [raw["on_workload_client"]["exec"] for raw in dsi.execute.begun] == ["wait", "of another client"]
    dsi.execute.go_on.set()
    assert await reader.readline() + await reader.readline() == OK + OK
    await hang_up(writer)


async def test_a_command_whose_client_vanishes_runs_to_its_end(dsi: Socket) -> None:
    _, writer = await dsi.connect()
    writer.write(exec_("wait"))
    await dsi.execute.until(lambda: len(dsi.execute.begun) == 1)
    reset(writer)
    assert await dsi.ask(RESTART) == OK
    dsi.execute.go_on.set()
    await dsi.execute.until(lambda: len(dsi.execute.finished) == 2)
    await dsi.ask(b"xx\n")  # by the time this is answered the outcome is written
    assert [end["error"] for end in dsi.ends()] == [None, None]


async def test_what_a_client_sent_before_it_closed_is_run(dsi: Socket) -> None:
    """`printf … >/dev/tcp/HOST/PORT` waits for no reply."""
    _, writer = await dsi.connect()
    writer.write(exec_("wait") + b"".join(exec_(str(number)) for number in range(20)))
    await writer.drain()
    writer.close()
    await dsi.execute.until(lambda: len(dsi.execute.begun) == 1)
    dsi.execute.go_on.set()
    await dsi.execute.until(lambda: len(dsi.execute.finished) == 21)


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_a_thousand_clients_at_once_are_all_answered_and_nothing_of_them_is_left() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(1024, hard), hard))  # as a shell has it
    files, tasks = open_files(), asyncio.all_tasks()
    async with opened() as dsi:
        clients = [await dsi.connect() for _ in range(1000)]
        for _, writer in clients:
            writer.write(exec_("wait"))
        await dsi.execute.until(lambda: len(dsi.execute.begun) == 1000)
        async with dsi.client() as another:
            assert (await another.ask({"describe": {}}))["status_code"] == 0
        dsi.execute.go_on.set()
        for reader, writer in clients:
            assert await reader.readline() == OK
            await hang_up(writer)
    assert (open_files(), asyncio.all_tasks()) == (files, tasks)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_a_connection_over_the_limit_is_told_so_and_closed() -> None:
    async with opened(max_connections=2) as dsi:
        held = [await dsi.connect(), await dsi.connect()]
        for _, writer in held:
            writer.write(exec_("wait"))
        await dsi.execute.until(lambda: len(dsi.execute.begun) == 2)
        reader, writer = await dsi.connect()
        writer.write(EXEC + b"\n")
        reply = json.loads(await reader.readline())
        assert (reply["status"], "max_connections" in reply["message"]) == ("EXECUTION_ERROR", True)
        assert await reader.read() == b""
        await hang_up(writer)
        dsi.execute.go_on.set()
        for reader, writer in held:
            assert await reader.readline() == OK
            writer.write_eof()
            assert await reader.read() == b""
            await hang_up(writer)
        assert await dsi.ask(EXEC) == OK


async def until_stuck(dsi: Socket) -> None:
    """Wait until no other client's commands are run while ours are."""
    before = -1
    while before != len(dsi.execute.finished):
        before = len(dsi.execute.finished) + 20
        for _ in range(20):
            assert await dsi.ask(EXEC) == OK


async def test_a_client_that_reads_no_replies_is_read_no_further_and_holds_nobody_up(dsi: Socket) -> None:
    _, writer = await dsi.connect()
    sent = 400_000
    writer.write(RESTART * sent)
    await until_stuck(dsi)
    stuck = sum("restart_mongodb" in raw for raw in dsi.execute.finished)
    assert 0 < stuck < sent
    writer.transport.abort()


async def test_a_flood_of_garbage_beside_others_holds_nobody_up(dsi: Socket) -> None:
    reader, writer = await dsi.connect()
    flooding = asyncio.create_task(reader.read())
    for _ in range(20):
        writer.write(b"\x00\xff}{\n" * 2_000)
        assert await dsi.ask(EXEC) == OK
    writer.write_eof()
    assert (await flooding).count(b"JSON_ERROR") == 40_000
    await hang_up(writer)


async def test_a_taken_port_is_named_with_what_to_change() -> None:
    it = Socket()
    async with it.open():
        with pytest.raises(PortTaken) as caught:
            await Socket.open(it).__aenter__()
    for part in ("workload_client.0", f"{it.settings.bind_addr}:27007", "test_control.dsisocket.port"):
        assert part in str(caught.value)


async def test_nothing_is_left_at_the_end_and_the_port_can_be_bound_at_once() -> None:
    it = Socket()
    tasks = asyncio.all_tasks()
    async with it.open():
        reader, writer = await it.connect()
        assert await it.ask(EXEC) == OK
    assert asyncio.all_tasks() == tasks
    assert await reader.read() == b""
    await hang_up(writer)
    async with it.open():
        assert await it.ask(EXEC) == OK


async def test_a_command_that_runs_at_the_end_has_a_moment_to_finish() -> None:
    it = Socket()
    async with it.open():
        reader, writer = await it.connect()
        writer.write(exec_("wait") + EXEC)
        await it.execute.until(lambda: len(it.execute.begun) == 1)
        asyncio.get_running_loop().call_soon(it.execute.go_on.set)
    first, second, *rest = (await reader.read()).splitlines(keepends=True)
    assert first == OK
    assert json.loads(second)["message"] == "The test has ended: the command was not started"
    assert not rest
    assert len(it.execute.begun) == 1
    await hang_up(writer)


async def test_a_repeat_that_waits_at_the_end_is_told_what_came_of_the_first_and_not_that_it_never_began() -> None:
    it = Socket()
    async with it.open():
        reader, writer = await it.connect()
        lost, vanishing = await it.connect()
        repeat = b'{"id": 1, "retry_id": "r", "on_workload_client": {"exec": "say hello"}}\n'
        vanishing.write(repeat)
        first = await lost.readline()
        writer.write(exec_("wait") + repeat)
        await it.execute.until(lambda: len(it.execute.begun) == 2)
        asyncio.get_running_loop().call_soon(it.execute.go_on.set)
    assert await reader.readline() == OK
    assert await reader.readline() == first
    assert len(it.execute.begun) == 2
    await hang_up(writer)
    await hang_up(vanishing)


async def test_a_command_that_does_not_finish_at_the_end_is_ended_and_answered() -> None:
    it = Socket()
    tasks = asyncio.all_tasks()
    async with it.open():
        clients = [await it.connect() for _ in range(3)]
        for _, writer in clients:
            writer.write(exec_("wait"))
        reset(clients[2][1])
        await it.execute.until(lambda: len(it.execute.begun) == 3)
    assert asyncio.all_tasks() == tasks
    assert len(it.execute.cancelled) == 3
    assert len(it.ends()) == 3
    for reader, writer in clients[:2]:
        reply = json.loads(await reader.read())
        assert (reply["status_code"], reply["status"]) == (4, "CANCELLED")
        assert reply["message"].startswith("The test ended")
        await hang_up(writer)


async def test_a_client_that_reads_no_replies_does_not_hold_up_the_end() -> None:
    it = Socket()
    tasks = asyncio.all_tasks()
    async with it.open():
        _, writer = await it.connect()
        writer.write(RESTART * 400_000)
        await until_stuck(it)
    assert asyncio.all_tasks() == tasks
    async with asyncio.timeout(WAIT_LIMIT_S):
        with suppress(ConnectionError):
            await writer.wait_closed()  # it is not left half open


async def test_what_the_block_raises_comes_out_as_it_is_after_the_end() -> None:
    it = Socket()
    with pytest.raises(ZeroDivisionError):
        async with it.open():
            raise ZeroDivisionError
    async with it.open():
        pass


async def test_a_conversation_goes_on_when_its_listener_is_gone_and_another_serves_new_ones() -> None:
    """So that an SSH connection can break, and be made anew, under what runs."""
    it = Socket()
    server = DsisocketServer(it.execute, it.timeline, it.settings)
    handlers: list[asyncio.Task[None]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handlers.append(asyncio.create_task(server.serve(reader, writer)))

    first = await asyncio.start_server(serve, it.settings.bind_addr, it.settings.port)
    reader, writer = await it.connect()
    writer.write(exec_("wait"))
    await it.execute.until(lambda: len(it.execute.begun) == 1)
    first.close()
    handlers[0].cancel()
    async with await asyncio.start_server(serve, it.settings.bind_addr, it.settings.port):
        assert await it.ask(EXEC) == OK
        it.execute.go_on.set()
        assert await reader.readline() == OK
        await server.end()
    await hang_up(writer)
    await asyncio.wait(handlers)


class StuckWriter:
    """A connection whose client takes nothing any more."""

    def __init__(self) -> None:
        self.written = b""

    def write(self, data: bytes, /) -> None:
        self.written += data

    async def drain(self) -> None:
        await asyncio.Event().wait()

    def write_eof(self) -> None:
        pass

    def close(self) -> None:
        pass

    async def wait_closed(self) -> None:
        await asyncio.Event().wait()


async def test_a_client_that_takes_not_even_its_last_reply_does_not_hold_up_the_end() -> None:
    it = Socket()
    server = DsisocketServer(it.execute, it.timeline, it.settings)
    reader, writer = asyncio.StreamReader(), StuckWriter()
    reader.feed_data(exec_("wait"))
    serving = asyncio.create_task(server.serve(reader, writer))
    await it.execute.until(lambda: len(it.execute.begun) == 1)
    async with asyncio.timeout(WAIT_LIMIT_S):
        await server.end()
        await asyncio.wait({serving})
    assert b"The test ended" in writer.written
    assert serving.cancelled()  # so that its listener aborts the connection
