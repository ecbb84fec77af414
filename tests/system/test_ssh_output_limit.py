"""How much of a command's output may lie on its SSH host: a runaway command must not fill the disk there."""

import asyncio
from pathlib import Path

import pytest
from tests.system.conftest import Connect, StartHosts
from tests.system.test_ssh_detached import ORPHAN_S, nothing_is_left
from tests.system.test_ssh_held_back import Stuck
from tests.system.test_ssh_reconnect import until

from dsi.errors import CommandFailed
from dsi.model import StreamName

MIB = 1 << 20

LIMIT_BYTES = 8 * MIB

FLOOD = "while head -c 1000000 /dev/zero; do sleep 0.02; done"


@pytest.mark.parametrize("command", [FLOOD, f"trap 'exit 0' TERM; {FLOOD}", f"exec >&2; {FLOOD}"])
async def test_one_that_writes_more_than_dsi_takes_is_ended_and_told_why(
    ssh_hosts: StartHosts, connect: Connect, command: str
) -> None:
    (server,) = ssh_hosts(1)
    host = await connect(server, max_output_bytes=LIMIT_BYTES)
    streams = Stuck()
    running = asyncio.create_task(host.run(command, outlives_s=ORPHAN_S, on_output=streams))

    async def is_ended() -> bool:
        return any(len(file.read_text().splitlines()) > 1 for file in (server.home / ".dsi" / "run").glob("*.state"))

    await until(is_ended, "its host has ended it")
    streams.go_on.set()
    with pytest.raises(CommandFailed, match=r"exit status 143: .*more than 8388608 bytes .*ssh_max_output_bytes"):
        await running
    assert sum(block.count(b"\0") for block in streams.got().values()) >= LIMIT_BYTES
    await nothing_is_left(host, server)


def size_on_disk(folder: Path) -> int:
    return sum(file.stat().st_blocks * 512 for file in folder.iterdir())


async def test_what_dsi_has_taken_takes_no_disk_there_any_more(ssh_hosts: StartHosts, connect: Connect) -> None:
    """So one whose output is taken may write as much as it likes."""
    (server,) = ssh_hosts(1)
    host = await connect(server, max_output_bytes=LIMIT_BYTES)
    got = bytearray()

    async def take(_stream: StreamName, block: bytes) -> None:
        got.extend(block)

    chunks = 9  # each ends with a line
    command = (
        f"for ((n = 1; n <= {chunks}; n++)); do yes $n | head -c {2 * MIB}; until [[ -e $n ]]; do sleep 0.1; done; done"
    )
    running = asyncio.create_task(host.run(command, outlives_s=ORPHAN_S, on_output=take))
    for number in range(1, chunks + 1):

        async def little_is_left(size_bytes: int = number * 2 * MIB) -> bool:
            return len(got) == size_bytes and size_on_disk(server.home / ".dsi" / "run") < LIMIT_BYTES // 2

        await until(little_is_left, f"chunk {number} is here, and on the host no more")
        (server.home / str(number)).touch()
    assert (await running).exit_status == 0
    lines = [f"{number}\n".encode() for number in range(1, chunks + 1)]
    assert got == b"".join((line * MIB)[: 2 * MIB] for line in lines)
    await nothing_is_left(host, server)
