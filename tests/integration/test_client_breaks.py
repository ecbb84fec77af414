"""What the client does when the way to dsi breaks, with a fake of dsi that breaks when it is told to."""

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator

import pytest
from tests.integration.fake_dsi import FakeDsi, address_of, fake_dsi

from dsi.client import AsyncDsiSocket, ConnectionLost, DsiSocket, DsiSocketError, NotConnected, Unauthorized

COMMAND = {"on_mongod": {"exec": "true"}}
NOBODY = "127.0.0.1:1"


@pytest.fixture
async def dsi() -> AsyncIterator[FakeDsi]:
    async with asyncio.timeout(60), fake_dsi() as it:
        yield it


async def test_after_cuts_the_very_same_command_is_asked_again(dsi: FakeDsi) -> None:
    dsi.cuts = 3
    with DsiSocket(dsi.address) as client:
        reply = await asyncio.to_thread(client.send, COMMAND)
    assert reply.status == "OK"
    assert len(dsi.lines) == 4
    assert all(line == dsi.lines[0] for line in dsi.lines)
    assert dsi.lines[0]["retry_id"]


async def test_the_same_for_asyncio(dsi: FakeDsi) -> None:
    dsi.cuts = 3
    async with AsyncDsiSocket(dsi.address) as client:
        assert (await client.send(COMMAND)).status == "OK"
    assert len(dsi.lines) == 4
    assert all(line == dsi.lines[0] for line in dsi.lines)


async def test_a_stream_goes_on_after_a_cut(dsi: FakeDsi) -> None:
    dsi.cuts, dsi.events = 1, 2
    with DsiSocket(dsi.address) as client:
        stream = client.stream(COMMAND)
        events = await asyncio.to_thread(list, stream)
    assert [event.data for event in events] == ["0\n", "1\n"] * 2
    assert stream.reply.code == 0
    dsi.cuts = 1
    async with AsyncDsiSocket(dsi.address) as later:
        assert len([event async for event in later.stream(COMMAND)]) == 4


async def test_without_retry_a_cut_is_an_error_that_says_that_it_may_have_run(dsi: FakeDsi) -> None:
    dsi.cuts = 2
    with DsiSocket(dsi.address, retry=False) as client, pytest.raises(ConnectionLost, match="may have run") as caught:
        await asyncio.to_thread(client.send, COMMAND)
    assert not caught.value.definite
    async with AsyncDsiSocket(dsi.address, retry=False) as again:
        with pytest.raises(ConnectionLost):
            await again.send(COMMAND)
    assert "retry_id" not in dsi.lines[0]


async def test_who_gives_up_after_sending_says_with_which_retry_id_one_can_ask_again(dsi: FakeDsi) -> None:
    dsi.cuts = 1000
    with DsiSocket(dsi.address, patience_s=0.3) as client, pytest.raises(ConnectionLost) as caught:
        await asyncio.to_thread(client.send, {**COMMAND, "retry_id": "mine"})
    assert '"retry_id": "mine"' in str(caught.value)


async def test_where_nobody_listens_nothing_was_sent_and_the_error_is_definite() -> None:
    with DsiSocket(NOBODY, patience_s=0) as client, pytest.raises(NotConnected, match="refused") as caught:
        await asyncio.to_thread(client.send, COMMAND)
    assert caught.value.definite
    async with AsyncDsiSocket(NOBODY, patience_s=0.2) as again:
        with pytest.raises(NotConnected, match="nothing was sent"):
            await again.send(COMMAND)


async def test_a_connection_that_was_closed_while_it_was_idle_is_not_used(dsi: FakeDsi) -> None:
    with DsiSocket(dsi.address, retry=False) as client:
        async with AsyncDsiSocket(dsi.address, retry=False) as again:
            await asyncio.to_thread(client.send, COMMAND)
            await again.send(COMMAND)
            await dsi.hang_up()
            await asyncio.to_thread(client.send, COMMAND)
            await again.send(COMMAND)
    assert len(dsi.lines) == 4


async def test_commands_of_many_threads_run_side_by_side_and_connections_are_used_again(dsi: FakeDsi) -> None:
    dsi.go_on.clear()
    with DsiSocket(dsi.address) as client:
        waiting = [asyncio.create_task(asyncio.to_thread(client.send, COMMAND)) for _ in range(4)]
        while len(dsi.lines) < 4:
            await asyncio.sleep(0.01)
        dsi.go_on.set()
        await asyncio.gather(*waiting)
        for _ in range(8):
            await asyncio.to_thread(client.send, COMMAND)
    assert dsi.connections == 4


async def test_commands_of_many_tasks_run_side_by_side_and_connections_are_used_again(dsi: FakeDsi) -> None:
    dsi.go_on.clear()
    async with AsyncDsiSocket(dsi.address) as client:
        waiting = [asyncio.create_task(client.send(COMMAND)) for _ in range(100)]
        while len(dsi.lines) < 100:
            await asyncio.sleep(0.01)
        dsi.go_on.set()
        await asyncio.gather(*waiting)
        await asyncio.gather(*(client.send(COMMAND) for _ in range(50)))
    assert dsi.connections == 100


async def test_a_cancelled_task_or_a_stream_that_is_left_lets_go_of_its_connection(dsi: FakeDsi) -> None:
    dsi.go_on.clear()
    dsi.events = 1
    async with AsyncDsiSocket(dsi.address) as client:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await client.send(COMMAND)
        async with client.stream(COMMAND) as stream:
            async for _ in stream:
                break
        with DsiSocket(dsi.address) as threads, threads.stream(COMMAND) as stream_:
            await asyncio.to_thread(next, stream_)
        dsi.go_on.set()
        assert (await client.send(COMMAND)).raw["id"] == dsi.lines[-1]["id"]


async def test_the_token_is_shown_first_on_each_connection_and_a_wrong_one_is_told(dsi: FakeDsi) -> None:
    dsi.token = "secret"
    async with AsyncDsiSocket(dsi.address, token="secret") as client:
        await client.send(COMMAND)
    with DsiSocket(dsi.address, token="secret") as threads:
        await asyncio.to_thread(threads.send, COMMAND)
    for token in ("wrong", None):
        with DsiSocket(dsi.address, token=token) as threads, pytest.raises(Unauthorized) as caught:
            await asyncio.to_thread(threads.send, COMMAND)
        assert caught.value.definite
        async with AsyncDsiSocket(dsi.address, token=token) as client:
            with pytest.raises(Unauthorized):
                await client.send(COMMAND)


async def test_a_cut_before_the_token_is_answered_is_tried_again_since_nothing_was_sent_yet(dsi: FakeDsi) -> None:
    dsi.token = "secret"
    dsi.login_cuts = 2
    with DsiSocket(dsi.address, token="secret", retry=False) as client:
        await asyncio.to_thread(client.send, COMMAND)
    dsi.login_cuts = 2
    async with AsyncDsiSocket(dsi.address, token="secret", retry=False) as again:
        await again.send(COMMAND)
    assert (dsi.connections, len(dsi.lines)) == (6, 2)


async def test_where_dsi_has_no_room_for_a_connection_it_is_tried_again(dsi: FakeDsi) -> None:
    dsi.turned_out = 2
    with DsiSocket(dsi.address) as client:
        assert (await asyncio.to_thread(client.send, COMMAND)).status == "OK"
    dsi.turned_out = 2
    async with AsyncDsiSocket(dsi.address) as later:
        assert (await later.send(COMMAND)).status == "OK"
    assert dsi.connections == 6
    dsi.turned_out = 1000
    with DsiSocket(dsi.address, patience_s=0.3) as full, pytest.raises(NotConnected, match="Too many connections"):
        await asyncio.to_thread(full.send, COMMAND)
    async with AsyncDsiSocket(dsi.address, patience_s=0.3) as also_full:
        with pytest.raises(NotConnected, match="Too many connections"):
            await also_full.send(COMMAND)


async def test_what_dsi_itself_answers_goes_without_retry_id_and_is_asked_again_too(dsi: FakeDsi) -> None:
    dsi.cuts = 1
    with DsiSocket(dsi.address) as client:
        for call in (client.describe, lambda: client.mark("phase 2"), lambda: client.cancel("an id")):
            await asyncio.to_thread(call)
        client_id = dsi.lines[0]["id"]
    assert dsi.lines[:2] == [{"id": client_id, "describe": {}}] * 2
    assert [list(line) for line in dsi.lines[2:]] == [["id", "mark"], ["id", "cancel"]]


async def test_an_answer_that_is_no_protocol_is_told_as_such() -> None:
    async def babble(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH_9.2\r\n")
        writer.close()

    async with await asyncio.start_server(babble, "127.0.0.1", 0) as server:
        with (
            DsiSocket(address_of(server)) as client,
            pytest.raises(DsiSocketError, match=r"is not dsi: it says b'SSH-2\.0"),
        ):
            await asyncio.to_thread(client.send, COMMAND)


def test_ctrl_c_ends_a_program_that_finds_no_dsi() -> None:
    """It doesn't go on trying to reach dsi, for a minute and in silence, in order to end what was never sent."""
    with socket.socket() as nobody:  # bound, and not listening
        nobody.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{nobody.getsockname()[1]}"
        waits = (
            "import signal, dsi.client as client\n"
            "client.time.sleep = lambda _: signal.raise_signal(signal.SIGINT)\n"
            "exit(client.main(['{}']))"
        )
        process = subprocess.run(
            [sys.executable, "-c", waits], env={**os.environ, "DSI_SOCKET": address}, capture_output=True
        )
    assert (process.returncode, process.stderr) == (130, b"")
