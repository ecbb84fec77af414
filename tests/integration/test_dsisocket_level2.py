"""What a client gets that asks for more than the original document promises."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.integration.dsisocket_bed import WAIT_LIMIT_S, Client, Socket, opened

from dsi.control.inbox import MAX_LINES

OK_MESSAGE = "I think the command might have succeeded."


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


# --- id, results --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("id_", ["a", "", "ä €", 0, -7, 2**63 - 1])
async def test_a_reply_begins_with_the_id_and_has_the_results_of_each_host(client: Client, id_: str | int) -> None:
    reply = await client.ask(exec_("say one two", id=id_))
    assert list(reply) == ["id", "status_code", "status", "message", "results"]
    assert (reply["id"], reply["status_code"], reply["message"]) == (id_, 0, OK_MESSAGE)
    (result,) = reply["results"]
    assert list(result) == ["host", "exit_code", "stdout", "stderr", "duration_s"]
    assert (result["host"], result["exit_code"], result["stdout"]) == ("workload_client.0", 0, "onetwo")


async def test_what_would_have_been_allowed_is_the_detail_of_a_reply_with_an_id(client: Client) -> None:
    reply = await client.ask({"on_workload_client": {"foo": 1}, "id": 1})
    assert list(reply) == ["id", "status_code", "status", "message", "results", "detail"]
    assert (reply["message"], "exec" in reply["detail"]) == ("Invalid command type", True)


async def test_a_message_that_was_cut_is_whole_in_the_detail(client: Client) -> None:
    reply = await client.ask(exec_("long", id=1))
    assert len(reply["message"]) == 4096
    assert "x" * 10_000 in reply["detail"]


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (exec_("true", id=True), "id is text"),
        (exec_("true", id=None), "id is text"),
        (exec_("true", id=1.5), "id is text"),
        (exec_("true", id=[1]), "id is text"),
        (exec_("true", id=2**63), "64 bits"),
        (exec_("true", id="x" * 257), "256 characters"),
        (exec_("true", stream=True), "stream needs an id"),
        (exec_("true", id=1, stream="yes"), "stream is true or false"),
        (exec_("true", timeout="abc"), '"abc" is no time'),
        (exec_("true", timeout=""), '"" is no time'),
        (exec_("true", timeout="1s1m"), "is no time"),
        (exec_("true", timeout=-1), "-1 is no time"),
        (exec_("true", timeout=0), "0 is no time"),
        (exec_("true", timeout=True), "true is no time"),
        (exec_("true", timeout=10**400), "is no time"),
        (exec_("true", timeout=float("nan")), "NaN is no time"),
        (exec_("true", timeout=float("inf")), "Infinity is no time"),
        (exec_("true", timeout=[1]), "is no time"),
        (exec_("true", retry_id=5), "retry_id is text"),
        (exec_("true", retry_id=""), "retry_id is text"),
        (exec_("true", idd=5), 'no key "idd" can stand beside a command (did you mean "id"?)'),
        (exec_("true", time_out=5), '"timeout"'),
        ({"cancel": None}, "cancel is text"),
        ({"cancel": 1, "stream": True, "id": 2}, "stream can't stand beside cancel"),
        ({"mark": 5}, "mark is text"),
        ({"mark": "x", "retry_id": "x"}, "retry_id can't stand beside mark"),
        ({"describe": {"all": 1}}, "empty object"),
        ({"auth": 5}, "auth is the token"),
        ({"id": 1}, "unknown command"),
    ],
)
async def test_bad_input_is_refused_by_name_before_anything_runs(
    dsi: Socket, client: Client, raw: Any, words: str
) -> None:
    reply = await client.ask(raw)
    assert (reply["status_code"], words in reply["message"]) == (2, True), reply
    assert (await client.ask(exec_("say hello")))["status_code"] == 0
    assert len(dsi.execute.begun) == 1


async def test_two_commands_in_one_object_are_none(dsi: Socket, client: Client) -> None:
    for raw in ({**exec_("a"), "restart_mongodb": {}}, {**exec_("a"), "mark": "x"}, {"mark": "x", "cancel": 1}):
        assert (await client.ask(raw))["status_code"] == 2
    assert not dsi.execute.begun


# --- stream -------------------------------------------------------------------------------------------------------


async def test_output_comes_as_it_appears_and_then_the_reply(dsi: Socket, client: Client) -> None:
    client.exec("say first wait second", id=7, stream=True)
    first = await client.read()
    assert first == {
        "id": 7,
        "event": "output",
        "host": "workload_client.0",
        "stream": "stdout",
        "data": "first",
    }
    assert not dsi.execute.finished
    dsi.execute.go_on.set()
    assert (await client.read())["data"] == "second"
    assert (await client.read())["results"][0]["stdout"] == "firstsecond"


async def test_a_client_that_reads_no_stream_holds_back_its_own_command_and_nobody_elses(
    dsi: Socket, client: Client
) -> None:
    client.exec("say flood", id=1, stream=True)
    await dsi.execute.until(lambda: len(dsi.execute.begun) == 1)
    async with dsi.client() as other:
        for _ in range(20):
            assert (await other.ask(exec_("say x", id=1)))["status_code"] == 0
        assert len(dsi.execute.finished) == 20
        assert (await other.ask({"cancel": 1}))["status_code"] == 0
    data = ""
    while "event" in (line := await client.read()):
        data += line["data"]
    assert line["status"] == "CANCELLED"


async def test_a_stream_whose_client_is_gone_no_longer_holds_its_command_back(dsi: Socket) -> None:
    async with dsi.client() as client:
        client.exec("say flood", id=1, stream=True)
        await dsi.execute.until(lambda: len(dsi.execute.begun) == 1)
        client.writer.transport.abort()
    await dsi.execute.until(lambda: len(dsi.execute.finished) == 1)


# --- timeout, cancel ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("timeout", [0.05, "0.05s"])
async def test_past_its_timeout_a_command_is_ended_and_says_what_it_wrote_until_then(
    dsi: Socket, client: Client, timeout: Any
) -> None:
    reply = await client.ask(exec_("say begun wait", id=1, timeout=timeout))
    assert (reply["status_code"], reply["status"]) == (3, "TIMEOUT")
    assert "0.05 s" in reply["message"]
    assert (reply["results"][0]["exit_code"], reply["results"][0]["stdout"]) == (None, "begun")
    assert len(dsi.execute.cancelled) == 1
    assert dsi.ends()[0]["error"] == reply["message"]


async def test_a_timeout_is_for_clients_without_an_id_too(client: Client) -> None:
    assert (await client.ask(exec_("wait", timeout=0.01)))["status"] == "TIMEOUT"
    assert (await client.ask(exec_("say x", timeout="1h2m3.5s"))) == {
        "status_code": 0,
        "status": "OK",
        "message": OK_MESSAGE,
    }


async def test_a_running_command_is_cancelled_on_its_own_connection(dsi: Socket, client: Client) -> None:
    client.exec("wait", id="a")
    await dsi.execute.until(lambda: len(dsi.execute.begun) == 1)
    client.send({"cancel": "a", "id": "c"})
    replies = {reply["id"]: reply for reply in [await client.read(), await client.read()]}
    assert (replies["c"]["status_code"], replies["a"]["status_code"]) == (0, 4)
    assert len(dsi.execute.cancelled) == 1
    assert (await client.ask(exec_("say x", id="a")))["status_code"] == 0


async def test_a_command_that_is_queued_behind_another_is_cancelled_at_once_and_never_begins(
    dsi: Socket, client: Client
) -> None:
    client.exec("wait", id=1)
    client.exec("say second", id=2)
    client.exec("say third", id=3)
    client.send({"cancel": 2, "id": "c"})
    replies = [await client.read(), await client.read()]
    assert {(reply["id"], reply["status"]) for reply in replies} == {("c", "OK"), (2, "CANCELLED")}
    dsi.execute.go_on.set()
    assert [(await client.read())["id"], (await client.read())["id"]] == [1, 3]
    assert [raw["on_workload_client"]["exec"] for raw in dsi.execute.begun] == ["wait", "say third"]


async def test_a_command_that_waits_for_a_place_among_those_that_wait_can_be_cancelled_too(
    dsi: Socket, client: Client
) -> None:
    client.exec("wait")
    for _ in range(MAX_LINES):
        client.exec("say x")
    client.exec("say last", id="last")
    client.exec("say behind it", id="behind it")
    async with dsi.client() as other:
        while (await other.ask({"cancel": "last"}))["status_code"]:  # it has not arrived yet
            pass
        assert (await other.ask({"cancel": "behind it"}))["status_code"] == 2  # so far nothing is read any more
    dsi.execute.go_on.set()
    while (reply := await client.read()).get("id") != "behind it":
        assert reply["status"] == ("CANCELLED" if reply.get("id") == "last" else "OK")
    assert len(dsi.execute.begun) == MAX_LINES + 2


async def test_a_cancel_means_its_own_connections_command_first_and_else_the_only_one_elsewhere(
    dsi: Socket, client: Client
) -> None:
    async with dsi.client() as second, dsi.client() as third:
        for number, one in enumerate([client, second], start=1):
            one.exec("wait", id="same")
            await dsi.execute.until(lambda number=number: len(dsi.execute.begun) == number)  # type: ignore[misc]
        refused = await third.ask({"cancel": "same"})
        assert (refused["status_code"], "2 commands" in refused["message"]) == (2, True)
        second.send({"cancel": "same"})
        assert {(await second.read())["status"], (await second.read())["status"]} == {"OK", "CANCELLED"}
        assert (await third.ask({"cancel": "same"}))["status_code"] == 0
        assert (await client.read())["status"] == "CANCELLED"


async def test_cancelling_what_is_unknown_or_finished_says_so(client: Client) -> None:
    assert (await client.ask(exec_("say x", id=1)))["status_code"] == 0
    for id_ in (1, "1", "other"):
        reply = await client.ask({"cancel": id_})
        assert (reply["status_code"], repr(id_) in reply["message"]) == (2, True)


# --- what is answered at once -------------------------------------------------------------------------------------


async def test_mark_and_describe_are_answered_while_a_command_of_the_same_connection_runs(
    dsi: Socket, client: Client
) -> None:
    client.exec("wait", id=1)
    assert (await client.ask({"mark": "phase 2", "id": 2}))["id"] == 2
    assert list(await client.ask({"describe": {}})) == ["status_code", "status", "message", "description"]
    (mark,) = [event for event in dsi.timeline.events if event["event"] == "mark"]
    assert mark["name"] == "phase 2"
    dsi.execute.go_on.set()
    assert (await client.read())["id"] == 1
