"""How a command is ended: past a limit, or called off. Nothing of it is left then."""

import asyncio

import pytest

from dsi.errors import CommandTimeout, NoOutput
from dsi.hosts import Host
from dsi.model import StreamName

FAMILY = "sleep 1000 & echo $!; (sleep 1000 & echo $!; bash -c 'echo $$; sleep 1000; true') & echo $!; wait"
"""A command with children and grandchildren, which prints their pids: four of them."""


async def left_of(host: Host, pids: str) -> str:
    """Those of the processes that still live (zombies don't)."""
    result = await host.run(f"ps -o pid=,stat=,args= -p {','.join(pids.split())}", check=False)
    return "\n".join(line for line in result.stdout.splitlines() if not line.split()[1].startswith("Z"))


class Pids:
    """Collects what a command prints; `complete` is set when there are as many lines as it should print."""

    def __init__(self, count: int) -> None:
        self.text = ""
        self._count = count
        self.complete = asyncio.Event()

    async def __call__(self, _: StreamName, block: bytes) -> None:
        self.text += block.decode()
        if self.text.count("\n") == self._count:
            self.complete.set()


async def test_too_long(host: Host) -> None:
    """Past its time a command is ended with all its processes, and the error has what it said until then."""
    with pytest.raises(CommandTimeout, match=r"took longer than 1.5 s") as caught:
        await host.run(FAMILY, timeout_s=1.5, check=False)
    (result,) = caught.value.results
    assert not isinstance(caught.value, NoOutput)
    assert result.exit_status > 128
    assert len(result.stdout.split()) == 4
    assert await left_of(host, result.stdout) == ""


async def test_too_silent(host: Host) -> None:
    """A command that is silent too long is ended; one that says something now and then is not."""
    command = "for n in 1 2 3 4; do echo $n; sleep 0.4; done; sleep 1000"
    with pytest.raises(NoOutput, match=r"wrote no output for 1.2 s") as caught:
        await host.run(command, no_output_s=1.2, timeout_s=1000)
    assert caught.value.results[0].stdout == "1\n2\n3\n4\n"


async def test_past_a_limit_somebody_is_told_while_it_still_runs(host: Host) -> None:
    """Who wants to know is told that a command has passed a limit before it is ended, and it may take its time."""
    pids, ran = Pids(1), -1

    async def look() -> None:
        nonlocal ran
        ran = (await host.run(f"kill -0 {pids.text}", check=False)).exit_status

    with pytest.raises(NoOutput):
        await host.run("echo $$; sleep 1000; true", no_output_s=0.3, on_output=pids, on_limit=look)
    assert ran == 0
    assert await left_of(host, pids.text) == ""


async def test_waiting_for_us_is_no_silence(host: Host) -> None:
    """A command whose output we don't take isn't silent."""

    async def slow(_: StreamName, _block: bytes) -> None:
        await asyncio.sleep(1)

    assert (await host.run("echo a", no_output_s=0.5, on_output=slow)).stdout == "a\n"


async def test_called_off(host: Host) -> None:
    """When the caller is cancelled, nothing of the command is left by the time that the cancellation leaves."""
    pids = Pids(4)
    running = asyncio.create_task(host.run(FAMILY, on_output=pids))
    await pids.complete.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert await left_of(host, pids.text) == ""


async def test_a_terminals_command_is_called_off_too(host: Host) -> None:
    """With `tty` just the same."""
    pids = Pids(4)
    running = asyncio.create_task(host.run(FAMILY, on_output=pids, tty=True))
    await pids.complete.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert await left_of(host, pids.text) == ""


async def test_first_sigterm_then_sigkill(host: Host) -> None:
    """A command may tidy up on SIGTERM, also with output; what ignores it is killed."""
    said = Pids(1)
    command = "trap 'echo tidied > tidied; exit 5' TERM; (trap '' TERM; exec sleep 1000) & echo $!; wait"
    running = asyncio.create_task(host.run(command, on_output=said))
    await said.complete.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert (await host.run("cat tidied")).stdout == "tidied\n"
    assert await left_of(host, said.text) == ""


async def test_cancelled_again_it_still_ends(host: Host) -> None:
    """A second cancellation while the command is being ended doesn't leave it running."""
    pids = Pids(1)
    running = asyncio.create_task(
        host.run("trap 'sleep 0.3; exit' TERM; echo $$; while :; do sleep 0.1; done", on_output=pids)
    )
    await pids.complete.wait()
    for _ in range(3):
        running.cancel()
        await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError):
        await running
    assert await left_of(host, pids.text) == ""


async def test_a_daemon_that_left_the_session_lives_on(host: Host) -> None:
    """What made itself a daemon (a forked mongod) isn't the command's any more, even if that is ended."""
    pids = Pids(1)
    command = "setsid bash -c 'echo $$; exec sleep 1000 >/dev/null 2>&1' & wait; sleep 1000"
    running = asyncio.create_task(host.run(command, on_output=pids))
    await pids.complete.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert "sleep 1000" in await left_of(host, pids.text)
    await host.run(f"kill -9 {pids.text}")


async def test_close_ends_what_runs(host: Host) -> None:
    """Closing a host ends the commands that still run over it."""
    pids = Pids(4)
    running = asyncio.create_task(host.run(FAMILY, on_output=pids))
    await pids.complete.wait()
    await host.close()
    (outcome,) = await asyncio.gather(running, return_exceptions=True)
    assert isinstance(outcome, Exception)
