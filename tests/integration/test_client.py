"""The client against dsi itself, while a real test runs; the way between them can be cut."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from tests.integration.relay import Relay, relay_to
from tests.integration.running_test import running, two_hosts
from tests.integration.test_cli import free_port
from tests.integration.work_directory import WorkDirectory, wait_until

from dsi.client import AsyncDsiSocket, Cancelled, CommandFailed, ConnectionLost, DsiSocket, Timeout

LIMIT_S = 100
"""Of a test that would hang otherwise; no measure of anything."""


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkDirectory]:
    """The folder of a test that runs."""
    work = two_hosts(tmp_path_factory.mktemp("work"), free_port())
    with running(work):
        yield work


def port_of(work: WorkDirectory) -> int:
    return int(work.read("test_control.yml").split("port: ")[1].split("}")[0])


@pytest.fixture
async def relay(work: WorkDirectory) -> AsyncIterator[Relay]:
    async with asyncio.timeout(LIMIT_S), relay_to(port_of(work)) as it:
        yield it


@pytest.fixture
def dsi(work: WorkDirectory) -> Iterator[DsiSocket]:
    with DsiSocket(f"127.0.0.1:{port_of(work)}") as it:
        yield it


async def until(path: Path) -> None:
    while not path.exists():
        await asyncio.sleep(0.01)


def test_a_reply_has_what_each_host_wrote(dsi: DsiSocket) -> None:
    results = dsi.exec("on_mongod", "echo out; echo err >&2").results
    assert [(each.host, each.exit_code, each.stdout, each.stderr, each.cut) for each in results] == [
        ("mongod.0", 0, "out\n", "err\n", False),
        ("mongod.1", 0, "out\n", "err\n", False),
    ]


def test_a_failure_carries_its_results_and_a_refusal_what_would_have_been_allowed(dsi: DsiSocket) -> None:
    with pytest.raises(CommandFailed, match=r"mongod\.0: exit status 3: oh") as failed:
        dsi.exec("on_mongod.0", "echo oh >&2; exit 3")
    assert [result.exit_code for result in failed.value.reply.results] == [3]
    with pytest.raises(CommandFailed, match="Invalid command type") as refused:
        dsi.send({"on_mongod.0": {"foo": "uptime"}})
    assert "exec_mongo_shell" in (refused.value.reply.detail or "")


def test_text_with_a_nul_character_is_refused_and_none_of_it_runs(dsi: DsiSocket, tmp_path: Path) -> None:
    with pytest.raises(CommandFailed, match="NUL character"):
        dsi.exec("on_mongod", f"touch {tmp_path}/ran\0")
    assert not (tmp_path / "ran").exists()


def test_output_streams_while_the_command_runs(dsi: DsiSocket, tmp_path: Path) -> None:
    told = tmp_path / "told"
    with dsi.stream(
        {"on_mongod.0": {"exec": f"echo one; until [ -e {told} ]; do sleep 0.02; done; echo two"}}
    ) as stream:
        assert next(stream).data == "one\n"
        told.touch()
        assert [event.data for event in stream] == ["two\n"]
    assert stream.reply.results[0].stdout == "one\ntwo\n"


def test_past_its_timeout_a_command_is_ended_and_the_error_says_so(dsi: DsiSocket) -> None:
    with pytest.raises(Timeout):
        dsi.exec("on_mongod.0", "sleep 4713", timeout=0.2)
    with pytest.raises(CommandFailed):
        dsi.exec("on_mongod.0", "pgrep -fx 'sleep 4713'")


def test_another_thread_cancels_by_the_id(dsi: DsiSocket, tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    ended: list[BaseException] = []

    def long() -> None:
        try:
            dsi.send({"id": "long", "on_mongod.0": {"exec": f"touch {begun}; sleep 4712"}})
        except Cancelled as problem:
            ended.append(problem)

    thread = threading.Thread(target=long)
    thread.start()
    wait_until(begun.exists, "the command runs")
    dsi.cancel("long")
    thread.join()
    assert len(ended) == 1


def test_mark_and_describe(dsi: DsiSocket, work: WorkDirectory) -> None:
    dsi.mark("phase 2")
    assert [event["name"] for event in work.events("mark")] == ["phase 2"]
    description = dsi.describe().description
    assert description["test"] == "hold"
    assert "mongod.1" in description["hosts"]


async def test_many_at_once_run_side_by_side(relay: Relay, tmp_path: Path) -> None:
    """Each of 32 commands waits for all the others to have begun."""
    meet = f"touch {tmp_path}/$$; until [ $(ls {tmp_path} | wc -l) -ge 32 ]; do sleep 0.05; done"
    async with AsyncDsiSocket(relay.address) as dsi:
        replies = await asyncio.gather(*(dsi.exec("on_localhost", meet) for _ in range(32)))
    assert {reply.code for reply in replies} == {0}


async def test_a_connection_cut_in_mid_command_gives_the_first_outcome_and_it_ran_once(
    relay: Relay, tmp_path: Path
) -> None:
    log, go_on = tmp_path / "log", tmp_path / "go_on"
    text = f"echo begun >> {log}; until [ -e {go_on} ]; do sleep 0.02; done; echo $(wc -l < {log})"
    async with AsyncDsiSocket(relay.address) as dsi:
        asked = asyncio.create_task(dsi.exec("on_mongod.0", text))
        await until(log)
        for _ in range(5):
            relay.cut()
            await asyncio.sleep(0.05)
        go_on.touch()
        assert (await asked).results[0].stdout == "1\n"
    assert log.read_text() == "begun\n"


async def test_the_same_for_threads(relay: Relay, tmp_path: Path) -> None:
    log, go_on = tmp_path / "log", tmp_path / "go_on"
    text = f"echo begun >> {log}; until [ -e {go_on} ]; do sleep 0.02; done; echo $(wc -l < {log})"
    with DsiSocket(relay.address) as dsi:
        asked = asyncio.create_task(asyncio.to_thread(dsi.exec, "on_mongod.0", text))
        await until(log)
        relay.cut()
        go_on.touch()
        assert (await asked).results[0].stdout == "1\n"
    assert log.read_text() == "begun\n"


async def test_a_cut_stream_ends_with_the_first_outcome(relay: Relay, tmp_path: Path) -> None:
    log, go_on = tmp_path / "log", tmp_path / "go_on"
    text = f"echo begun | tee -a {log}; until [ -e {go_on} ]; do sleep 0.02; done; echo end"
    async with AsyncDsiSocket(relay.address) as dsi, dsi.stream({"on_mongod.0": {"exec": text}}) as stream:
        assert (await anext(stream)).data == "begun\n"
        relay.cut()
        go_on.touch()
        async for _ in stream:
            pass
    assert stream.reply.results[0].stdout == "begun\nend\n"
    assert log.read_text() == "begun\n"


async def test_without_retry_it_says_that_nobody_knows(relay: Relay, tmp_path: Path) -> None:
    begun, go_on = tmp_path / "begun", tmp_path / "go_on"
    async with AsyncDsiSocket(relay.address, retry=False) as dsi:
        text = f"touch {begun}; until [ -e {go_on} ]; do sleep 0.02; done"
        asked = asyncio.create_task(dsi.exec("on_mongod.0", text))
        await until(begun)
        relay.cut()
        with pytest.raises(ConnectionLost):
            await asked
        go_on.touch()
