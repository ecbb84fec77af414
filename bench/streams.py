"""Output that streams over the dsisocket to a workload client that is reached over SSH."""

import asyncio
from typing import Any

from bench.dsi_run import DsiSocket, Samples, in_turn, run_on_ssh_client
from bench.series import Comparison, rate
from bench.tunnel_floor import tunnel_floor

MEGABYTES = 32
MUCH = f"yes 'a line of output as a program writes it' | head -c {MEGABYTES}000000"
FIRST = "echo first; exec sleep 0.01"


def compare(rounds: int) -> list[Comparison]:
    """Run it, `rounds` times each for the first byte; a tenth as often for many."""
    samples = run_on_ssh_client("streams", rounds)
    floor = "a session into the same kind of tunnel"
    return [
        Comparison("first streamed byte", floor, samples["dsi, first"], samples["session, first"], goal=1.3),
        Comparison(
            f"{MEGABYTES} MB streamed", floor, samples["dsi, much"], samples["session, much"], shown=rate(" MB")
        ),
    ]


async def inside(rounds: int, login: dict[str, Any]) -> Samples:
    """Measure, on the workload client."""
    async with tunnel_floor(login) as ports:
        dsi = await DsiSocket.connect()
        first_s: Samples = {"dsi, first": [], "session, first": []}

        async def by_dsi() -> None:
            first_s["dsi, first"].append((await _stream(dsi, FIRST))[0])

        async def by_session() -> None:
            first_s["session, first"].append((await _pump(ports["session"], FIRST))[0])

        await in_turn(rounds, {"dsi": by_dsi, "session": by_session})
        much = await in_turn(
            rounds // 10,
            {"dsi, much": lambda: _stream(dsi, MUCH), "session, much": lambda: _pump(ports["session"], MUCH)},
        )
        return first_s | {name: [seconds / MEGABYTES for seconds in taken] for name, taken in much.items()}


async def _stream(dsi: DsiSocket, command: str) -> tuple[float, int]:
    """Run it over the dsisocket; gives the time to the first output, and how many characters there were."""
    clock = asyncio.get_running_loop().time
    begun_s = clock()
    dsi.send({"id": 1, "stream": True, "on_workload_client": {"exec": command}})
    message = await dsi.receive()
    first_s, got = clock() - begun_s, 0
    while "event" in message:
        got += len(message["data"])
        message = await dsi.receive()
    assert message["status_code"] == 0, message
    return first_s, got


async def _pump(port: int, command: str) -> tuple[float, int]:
    """Do the same by a bare session."""
    clock = asyncio.get_running_loop().time
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    begun_s = clock()
    writer.write(f"{command}\n".encode())
    block = await reader.read(1 << 16)
    first_s, got = clock() - begun_s, 0
    while block:
        got += len(block)
        block = await reader.read(1 << 16)
    writer.close()
    return first_s, got
