"""A command with a retry_id is never started twice."""

import asyncio
import json
import resource
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.integration.dsisocket_bed import WAIT_LIMIT_S, Client, Socket, opened

from dsi.control import Journal
from dsi.errors import StateError


@pytest.fixture
async def dsi() -> AsyncIterator[Socket]:
    async with asyncio.timeout(WAIT_LIMIT_S), opened() as it:
        yield it


@pytest.fixture
async def client(dsi: Socket) -> AsyncIterator[Client]:
    async with dsi.client() as it:
        yield it


def exec_(text: str, **beside: Any) -> dict[str, Any]:
    return {**beside, "on_workload_client": {"exec": text}}


@pytest.mark.parametrize("text", ["say hello", "pkill mongod", "long", "bug"])
async def test_a_repeat_gets_the_first_outcome_whoever_asks(dsi: Socket, client: Client, text: str) -> None:
    first = await client.ask(exec_(text, id=1, retry_id="r"))
    async with dsi.client() as other:
        assert await other.ask(exec_(text, id=1, retry_id="r")) == first
    assert await client.ask(exec_(text, id=1, retry_id="r", timeout=5)) == first
    assert len(dsi.execute.begun) == 1


async def test_a_repeat_waits_for_what_runs_and_takes_over_its_stream(dsi: Socket, client: Client) -> None:
    client.exec("say one wait two", id=1, stream=True, retry_id="r")
    assert (await client.read())["data"] == "one"
    async with dsi.client() as other:
        other.exec("say one wait two", id="again", stream=True, retry_id="r")
        await other.ask({"mark": "by now the repeat waits"})
        dsi.execute.go_on.set()
        assert (await other.read()) == {
            "id": "again",
            "event": "output",
            "host": "workload_client.0",
            "stream": "stdout",
            "data": "two",
        }
        again, first = await other.read(), await client.read()
        assert again == {**first, "id": "again"}
    assert len(dsi.execute.begun) == 1


async def test_a_client_that_is_stuck_does_not_hold_back_the_repeat_that_another_connection_sends(
    dsi: Socket, client: Client
) -> None:
    client.exec("say flood", id=1, stream=True, retry_id="r")
    await dsi.execute.until(lambda: len(dsi.execute.begun) == 1)
    async with dsi.client() as other:
        other.exec("say flood", id=2, stream=True, retry_id="r")
        while "event" in (line := await other.read()):
            pass
        assert line["status"] == "OK"
    assert len(dsi.execute.begun) == 1


async def test_a_client_that_vanished_gets_its_outcome_when_it_asks_again(dsi: Socket) -> None:
    async with dsi.client() as client:
        client.exec("wait", id=1, retry_id="r")
        await dsi.execute.until(lambda: len(dsi.execute.begun) == 1)
        client.writer.transport.abort()
    dsi.execute.go_on.set()
    async with dsi.client() as client:
        assert (await client.ask(exec_("wait", id=1, retry_id="r")))["status"] == "OK"
    assert len(dsi.execute.begun) == 1


async def test_another_command_under_the_same_retry_id_is_refused(dsi: Socket, client: Client) -> None:
    await client.ask(exec_("say x", retry_id="r"))
    reply = await client.ask(exec_("say y", retry_id="r"))
    assert (reply["status_code"], "'r' belongs to another command" in reply["message"]) == (2, True)
    assert len(dsi.execute.begun) == 1


async def test_a_command_that_is_refused_has_not_taken_its_retry_id(dsi: Socket, client: Client) -> None:
    refused = await client.ask({"on_workload_client": {"foo": "x"}, "retry_id": "r"})
    assert refused["message"] == "Invalid command type"
    assert (await client.ask(exec_("say y", retry_id="r")))["status_code"] == 0


async def test_a_repeat_in_the_same_segment_is_started_once(dsi: Socket, client: Client) -> None:
    for _ in range(3):
        client.exec("say x", id=1, retry_id="r")
    assert [(await client.read())["status"] for _ in range(3)] == ["OK"] * 3
    assert len(dsi.execute.begun) == 1


async def test_repeats_from_many_clients_at_once_are_started_once(dsi: Socket) -> None:
    async def ask() -> str:
        async with dsi.client() as client:
            return str((await client.ask(exec_("say x", id=1, retry_id="r")))["status"])

    assert await asyncio.gather(*(ask() for _ in range(50))) == ["OK"] * 50
    assert len(dsi.execute.begun) == 1


async def test_what_a_dsi_began_that_died_is_unknown_and_what_it_ended_is_known(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    dead = Socket(journal=path)
    async with dead.open(), dead.client() as client:
        ended = await client.ask(exec_("say x", id=1, retry_id="ended"))
        client.exec("wait", id=1, retry_id="begun")
        await dead.execute.until(lambda: len(dead.execute.begun) == 2)
        left = path.read_bytes()  # as a SIGKILL of dsi leaves it
    path.write_bytes(left + b'{"retry_id": "never beg')
    it = Socket(journal=path)
    async with it.open(), it.client() as client:
        assert await client.ask(exec_("say x", id=1, retry_id="ended")) == ended
        for _ in range(2):
            unknown = await client.ask(exec_("wait", id=1, retry_id="begun"))
            assert (unknown["status_code"], unknown["status"]) == (6, "UNKNOWN")
        assert (await client.ask(exec_("say new", id=1, retry_id="never begun")))["status"] == "OK"
    assert len(it.execute.begun) == 1
    assert all(json.loads(line) for line in path.read_text().splitlines())


async def test_a_client_learns_whether_the_journal_is_that_of_its_first_attempt(tmp_path: Path) -> None:
    async def named(name: str) -> object:
        it = Socket(journal=tmp_path / name)
        async with it.open(), it.client() as client:
            first, second = [(await client.ask({"id": 1, "auth": ""}))["description"] for _ in range(2)]
        assert first == second
        return first

    name = await named("of a test")
    assert await named("of a test") == name  # taken over by another dsi
    assert await named("of the next test") != name


async def test_a_connection_to_a_host_that_broke_leaves_a_command_unknown(dsi: Socket, client: Client) -> None:
    for _ in range(2):
        assert (await client.ask(exec_("lost", id=1, retry_id="r")))["status"] == "UNKNOWN"
    assert (await client.ask(exec_("lost")))["status"] == "EXECUTION_ERROR"
    assert len(dsi.execute.begun) == 2


async def test_what_can_not_be_noted_is_not_started(tmp_path: Path) -> None:
    with pytest.raises(StateError):
        Journal(tmp_path / "no folder" / "journal")
    it = Socket(journal=tmp_path / "journal")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    async with it.open(), it.client() as client:
        resource.setrlimit(resource.RLIMIT_FSIZE, (10, limits[1]))  # as a full disk: half a line can be written
        try:
            reply = await client.ask(exec_("say x", id=1, retry_id="r"))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert (reply["status"], "can't be written" in reply["message"]) == ("EXECUTION_ERROR", True)
        assert not it.execute.begun
        assert (await client.ask(exec_("say x", id=1, retry_id="r")))["status"] == "OK"
    left = Journal(tmp_path / "journal")
    assert left.digest_of("r")
    left.close()
