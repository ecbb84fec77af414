"""What a client of the dsisocket sees, to the byte."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
from structlog.testing import capture_logs
from tests.integration.dsisocket_bed import EXEC, OK, RESTART, WAIT_LIMIT_S, Socket, exec_, failed, hang_up, opened

JSON_ERROR = b'{"status_code": 1, "status": "JSON_ERROR", "message": "%s"}\n'


@pytest.fixture
async def dsi() -> AsyncIterator[Socket]:
    async with asyncio.timeout(WAIT_LIMIT_S), opened() as it:
        yield it


@pytest.mark.parametrize(
    ("request_line", "reply"),
    [
        (EXEC, OK),
        (EXEC.replace(b'"exec"', b'"foo"'), failed("Invalid command type")),
        (
            EXEC.replace(b'"exec"', b"1"),
            JSON_ERROR % b"Expecting property name enclosed in double quotes: line 1 column 25 (char 24)",
        ),
        (RESTART, OK),
        (exec_("pkill mongod").strip(), failed("workload_client.0: exit status 1: pkill mongod")),
    ],
    ids=["row 1", "row 2", "row 3", "row 4", "row 5"],
)
@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
async def test_each_row_of_the_document_is_answered_to_the_byte(
    dsi: Socket, request_line: bytes, reply: bytes, line_end: bytes
) -> None:
    assert await dsi.ask(request_line + line_end) == reply


async def test_the_address_that_clients_connect_to_is_given() -> None:
    it = Socket()
    async with it.open() as address:
        assert address == f"{it.settings.bind_addr}:27007"


async def test_an_error_never_closes_the_connection(dsi: Socket) -> None:
    lines = [b"xx\n", b"\xff\n", b"5\n", b"{}\n", b"[" * 100_000 + b"\n", exec_("bug"), EXEC + b"\n"]
    answers = (await dsi.ask(*lines, replies=7)).splitlines()
    assert [json.loads(line)["status_code"] for line in answers] == [1, 1, 2, 2, 1, 2, 0]


async def test_a_command_in_many_segments_is_one_and_needs_no_newline(dsi: Socket) -> None:
    assert await dsi.ask(*(bytes([byte]) for byte in EXEC)) == OK
    assert dsi.execute.finished == [json.loads(EXEC)]


async def test_two_commands_in_one_segment_are_two(dsi: Socket) -> None:
    assert await dsi.ask(EXEC + RESTART, replies=2) == OK + OK
    assert await dsi.ask(EXEC + b"\n\r\n\n" + RESTART + b"\n", replies=2) == OK + OK
    assert dsi.execute.finished == [json.loads(EXEC), json.loads(RESTART)] * 2


async def test_a_command_of_20_kilobytes_arrives_whole(dsi: Socket) -> None:
    line = exec_("# " + "x" * 20_000)
    assert await dsi.ask(line) == OK
    assert dsi.execute.finished == [json.loads(line)]


async def test_a_json_value_that_is_no_object_is_told_what_a_command_is(dsi: Socket) -> None:
    reply = json.loads(await dsi.ask(b'["exec"]\n'))
    assert reply["status"] == "EXECUTION_ERROR"
    assert '{"on_workload_client": {"exec": "uptime"}}' in reply["message"]


async def test_half_a_surrogate_pair_is_refused_before_anything_runs(dsi: Socket) -> None:
    line = rb'{"on_workload_client": {"exec": "echo \ud800"}}'
    assert await dsi.ask(line) == failed(r"'\ud800' is half a surrogate pair: write both halves, or the character")
    assert await dsi.ask(line.replace(b"ud800", b"ud83d\\ude00")) == OK
    assert dsi.execute.begun == [{"on_workload_client": {"exec": "echo \U0001f600"}}]


async def test_a_refusal_says_what_would_have_been_allowed(dsi: Socket) -> None:
    assert await dsi.ask(b"{}") == failed("unknown command; known: restart_mongodb")


async def test_a_failures_newlines_are_shown_and_it_is_cut_at_4_kib(dsi: Socket) -> None:
    reply = json.loads(await dsi.ask(exec_("cluster")))
    assert "\n" not in reply["message"]
    assert "mongod.0: does not start\\n" in reply["message"]
    assert len(json.loads(await dsi.ask(exec_("long")))["message"]) == 4096


async def test_a_bug_of_ours_is_logged_with_its_traceback_and_answered(dsi: Socket) -> None:
    with capture_logs() as logs:
        reply = json.loads(await dsi.ask(exec_("bug")))
    assert reply["status"] == "EXECUTION_ERROR"
    assert "KeyError" in reply["message"]
    (entry,) = [entry for entry in logs if entry["log_level"] == "error"]
    assert entry["exc_info"]


async def test_what_would_have_been_allowed_goes_to_the_log(dsi: Socket) -> None:
    with capture_logs() as logs:
        await dsi.ask(EXEC.replace(b'"exec"', b'"foo"') + b"\n")
    (entry,) = [entry for entry in logs if entry["log_level"] == "info"]
    assert entry["allowed"] == ("exec",)


async def test_a_line_over_the_limit_is_answered_once_and_the_next_one_runs() -> None:
    async with opened(max_line_bytes=1024) as dsi:
        answers = (await dsi.ask(b"x" * 200_000, b"y" * 200_000 + b"\n" + EXEC, replies=2)).splitlines(keepends=True)
    assert json.loads(answers[0])["status"] == "JSON_ERROR"
    assert answers[1] == OK


async def test_a_half_closed_client_gets_every_reply_and_then_the_end(dsi: Socket) -> None:
    reader, writer = await dsi.connect()
    writer.write(exec_("wait") + b"xx\n" + RESTART + b"{")
    writer.write_eof()
    await dsi.execute.until(lambda: len(dsi.execute.begun) == 1)
    dsi.execute.go_on.set()
    answers = (await reader.read()).splitlines(keepends=True)
    assert [json.loads(line)["status_code"] for line in answers] == [0, 1, 0, 1]
    await hang_up(writer)


async def test_commands_are_in_the_timeline_with_their_outcome_and_refused_ones_are_not(dsi: Socket) -> None:
    await dsi.ask(exec_("pkill mongod"), b"{}\n", EXEC, replies=3)
    first, second = dsi.ends()
    assert first["command"] == '{"on_workload_client": {"exec": "pkill mongod"}}'
    assert first["error"] == "workload_client.0: exit status 1: pkill mongod"
    assert (second["error"], second["client"]) == (None, first["client"])
