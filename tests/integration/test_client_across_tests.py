"""The way to dsi is cut while one test runs, and there again in the next one, which listens on the same port."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.integration.relay import Relay, relay_to
from tests.integration.test_cli import free_port
from tests.integration.work_directory import WorkDirectory, wait_until

from dsi.client import AsyncDsiSocket, ConnectionLost, DsiSocket
from dsi.stages.dsisocket import opened_in
from dsi.state import State

LIMIT_S = 100
"""Of a test that would hang otherwise; no measure of anything."""


class TwoTests:
    """A task of the tests `one` and `two`, and the way to its dsisocket."""

    def __init__(self, work: WorkDirectory, relay: Relay) -> None:
        self.work = work
        self.relay = relay
        self.ran = work.folder / "ran"
        self.text = (
            f"echo ran in $DSI_TEST_ID >> {self.ran}; until [ -e {work.folder}/one_is_over ]; do sleep 0.02; done"
        )

    @property
    def token(self) -> str | None:
        opened = opened_in(State(self.work.folder))
        assert opened is not None
        return opened[1]

    async def until(self, name: str) -> None:
        await asyncio.to_thread(wait_until, (self.work.folder / name).exists, name)

    async def cut_until_the_next_test(self) -> None:
        """Cut the way once the command has begun in test one, and mend it in test two."""
        await self.until("ran")
        self.relay.is_broken = True
        self.relay.cut()
        (self.work.folder / "one_is_over").touch()
        await self.until("two_has_begun")
        self.relay.is_broken = False


@asynccontextmanager
async def two_tests(folder: Path, more: str) -> AsyncIterator[TwoTests]:
    port = free_port()
    cmd = f"cd {folder}; touch ${{DSI_TEST_ID}}_has_begun; until [ -e ${{DSI_TEST_ID}}_is_over ]; do sleep 0.02; done"
    work = WorkDirectory(
        folder,
        infrastructure_provisioning="provider: local\ntfvars: {workload_instance_count: 1}\n",
        test_control=(
            f"run:\n  - {{id: one, type: shell, cmd: '{cmd}'}}\n  - {{id: two, type: shell, cmd: '{cmd}'}}\n"
            f"dsisocket: {{enabled: true, port: {port}{more}}}\n"
        ),
    )
    process = work.start("run")
    try:
        async with asyncio.timeout(LIMIT_S), relay_to(port) as relay:
            it = TwoTests(work, relay)
            await it.until("one_has_begun")
            yield it
        (folder / "two_is_over").touch()
        _, err = process.communicate(timeout=LIMIT_S)
        assert process.returncode == 0, err
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("more", ["", ", token: 'the same for both'", ", token: auto"])
async def test_a_command_is_not_sent_to_the_next_test_and_the_error_says_that_it_may_have_run(
    tmp_path: Path, more: str
) -> None:
    async with two_tests(tmp_path, more) as it:
        async with AsyncDsiSocket(it.relay.address, token=it.token) as dsi:
            asked = asyncio.create_task(dsi.exec("on_workload_client", it.text))
            await it.cut_until_the_next_test()
            with pytest.raises(ConnectionLost, match="may have run") as caught:
                await asked
        assert not caught.value.definite
        async with AsyncDsiSocket(it.relay.address, token=it.token) as dsi:
            await dsi.exec("on_workload_client", "true")
    assert it.ran.read_text() == "ran in one\n"


async def test_the_same_for_threads_and_a_client_that_lives_on_speaks_with_the_next_test(tmp_path: Path) -> None:
    async with two_tests(tmp_path, "") as it:
        with DsiSocket(it.relay.address) as dsi:
            asked = asyncio.create_task(asyncio.to_thread(dsi.exec, "on_workload_client", it.text))
            await it.cut_until_the_next_test()
            with pytest.raises(ConnectionLost, match="may have run"):
                await asked
            assert (await asyncio.to_thread(dsi.describe)).description["test"] == "two"
    assert it.ran.read_text() == "ran in one\n"


async def test_the_same_for_threads_whose_token_was_that_of_the_first_test(tmp_path: Path) -> None:
    async with two_tests(tmp_path, ", token: auto") as it:
        with DsiSocket(it.relay.address, token=it.token) as dsi:
            asked = asyncio.create_task(asyncio.to_thread(dsi.exec, "on_workload_client", it.text))
            await it.cut_until_the_next_test()
            with pytest.raises(ConnectionLost, match="may have run") as caught:
                await asked
    assert not caught.value.definite
    assert it.ran.read_text() == "ran in one\n"
