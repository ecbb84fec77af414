"""Output of commands on an SSH host that nobody takes: it holds up no other command there, and comes whole later."""

import asyncio

import pytest
from tests.system.conftest import Connect, StartHosts
from tests.system.test_ssh_detached import ORPHAN_S, left, nothing_is_left
from tests.system.test_ssh_reconnect import end_sessions, until

from dsi.errors import CommandTimeout, ConnectionLost
from dsi.hosts import SshHost
from dsi.model import Result, StreamName

FLOOD_BYTES = 20_000_000
"""More than all buffers on the way hold."""

FLOOD = f"yes | head -c {FLOOD_BYTES}; echo err >&2"

EXPECTED = {"stdout": b"y\n" * (FLOOD_BYTES // 2), "stderr": b"err\n"}


class Stuck:
    """Takes a first block, and nothing more until `go_on`."""

    def __init__(self) -> None:
        self.blocks: dict[StreamName, list[bytes]] = {"stdout": [], "stderr": []}
        self.begun = asyncio.Event()
        self.go_on = asyncio.Event()

    async def __call__(self, stream: StreamName, block: bytes) -> None:
        self.begun.set()
        await self.go_on.wait()
        self.blocks[stream].append(block)

    def got(self) -> dict[StreamName, bytes]:
        return {stream: b"".join(blocks) for stream, blocks in self.blocks.items()}


async def all_stuck(all_streams: list[Stuck]) -> None:
    for streams in all_streams:
        await streams.begun.wait()


@pytest.mark.parametrize("command", [FLOOD, f"{FLOOD}; until [[ -e over ]]; do sleep 0.1; done"])
async def test_others_are_answered_meanwhile_and_each_byte_comes_once_when_it_is_taken(
    ssh_hosts: StartHosts, connect: Connect, command: str
) -> None:
    (server,) = ssh_hosts(1)
    host = await connect(server)
    all_streams = [Stuck() for _ in range(16)]
    running = [
        asyncio.create_task(host.run(f"echo run >>runs; {command}", outlives_s=ORPHAN_S, on_output=streams))
        for streams in all_streams
    ]
    async with asyncio.timeout(100):
        await all_stuck(all_streams)
        for number in range(3):
            assert (await host.run(f"echo {number}", outlives_s=ORPHAN_S)).stdout == f"{number}\n"
        assert not any(task.done() for task in running)
        for streams in all_streams:
            streams.go_on.set()
        (server.home / "over").touch()
        for task in running:
            assert (await task).exit_status == 0
    for streams in all_streams:
        assert streams.got() == EXPECTED
    assert (server.home / "runs").read_text() == "run\n" * len(running)
    await nothing_is_left(host, server)


async def held_back(
    host: SshHost, command: str, *, orphan_s: float = ORPHAN_S, timeout_s: float | None = None
) -> tuple[Stuck, "asyncio.Task[Result]"]:
    """Have a command whose output is held back, until its shell has been let go."""
    streams = Stuck()
    running = asyncio.create_task(host.run(command, outlives_s=orphan_s, on_output=streams, timeout_s=timeout_s))
    await streams.begun.wait()
    meet = "echo >>at_once; until [[ $(wc -l <at_once) == 8 ]]; do sleep 0.02; done"
    await asyncio.gather(*(host.run(meet) for _ in range(8)))  # all eight shells are theirs
    return streams, running


async def test_a_cut_meanwhile_loses_nothing(ssh_hosts: StartHosts, connect: Connect) -> None:
    (server,) = ssh_hosts(1)
    host = await connect(server)
    streams, running = await held_back(host, FLOOD)
    end_sessions(server)
    await host.run("true", outlives_s=ORPHAN_S)
    streams.go_on.set()
    await running
    assert streams.got() == EXPECTED
    await nothing_is_left(host, server)


async def test_a_time_limit_ends_it_nevertheless(ssh_hosts: StartHosts, connect: Connect) -> None:
    (server,) = ssh_hosts(1)
    host = await connect(server)
    _, running = await held_back(host, f"{FLOOD}; sleep 1000 & sleep 1000", timeout_s=5)
    with pytest.raises(CommandTimeout):
        await running
    await nothing_is_left(host, server)


async def test_without_dsi_the_host_ends_it_nevertheless(ssh_hosts: StartHosts, connect: Connect) -> None:
    (server,) = ssh_hosts(1)
    host = await connect(server, reconnect_s=0)
    streams, running = await held_back(host, f"{FLOOD}; sleep 1000", orphan_s=2)
    end_sessions(server)

    async def gone() -> bool:
        return "sleep" not in left(server)

    await until(gone, "the host has ended it")
    streams.go_on.set()
    with pytest.raises(ConnectionLost, match="may have taken effect or not"):
        await running
