"""1, 8 and 64 clients of the dsisocket at once, on a workload client that is reached over SSH."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import asyncssh

from bench.dsi_run import DsiSocket, Samples, run_on_ssh_client
from bench.series import Comparison, milliseconds, rate
from bench.tunnel_floor import tunnel_floor

COUNTS = (1, 8, 64)

ANSWERS = 64
"""That one round has, however many clients there are."""

SESSIONS = 8
"""So many at once: as many as dsi has shells."""

MARK = {"id": 1, "mark": "bench"}
TRUE = {"on_workload_client": {"exec": "true"}}

Ask = Callable[[], Awaitable[object]]


def compare(rounds: int) -> list[Comparison]:
    """Run it; each client is answered `rounds` times or more."""
    samples = run_on_ssh_client("clients", rounds)

    def row(what: str, floor: str, kind: str, goal: float, shown: Callable[[float], str] = milliseconds) -> Comparison:
        return Comparison(what, floor, samples[f"dsi, {kind}"], samples[f"floor, {kind}"], goal, shown)

    rows = []
    for count in COUNTS:
        of = f"{count} client{'s' if count > 1 else ''}"
        sessions = f"asyncssh sessions, {min(count, SESSIONS)} at a time"
        rows += [
            row(f"mark, {of}", "bare echo, the same kind of tunnel", f"mark {count}", 2.0),
            row(f"marks, {of}", "bare echoes, the same kind of tunnel", f"mark {count} each", 2.0, rate("")),
            row(f"exec true, {of}", sessions, f"exec {count}", 1.3),
            row(f"commands, {of}", sessions, f"exec {count} each", 1.3, rate("")),
        ]
    return rows


async def inside(rounds: int, login: dict[str, Any]) -> Samples:
    """Measure, on the workload client."""
    samples: Samples = {}
    async with tunnel_floor(login) as ports, asyncssh.connect(**login) as connection:
        session = _session(connection)
        for count in COUNTS:
            async with _clients(count) as clients, _clients(count, ports["echo"]) as echoed:
                marks = {"dsi": [_asking(one, MARK) for one in clients], "floor": [_echo(one) for one in echoed]}
                execs = {"dsi": [_asking(one, TRUE) for one in clients], "floor": [session] * count}
                samples |= await _rounds(rounds, f"mark {count}", marks)
                samples |= await _rounds(rounds // 4, f"exec {count}", execs)
    return samples


@asynccontextmanager
async def _clients(count: int, port: int | None = None) -> AsyncIterator[list[DsiSocket]]:
    clients = [await DsiSocket.connect(port) for _ in range(count)]
    yield clients
    for client in clients:
        await client.close()


def _asking(client: DsiSocket, command: Mapping[str, Any]) -> Ask:
    return lambda: client.ask(command)


def _echo(client: DsiSocket) -> Ask:
    async def echo() -> None:
        client.send(MARK)
        await client.receive()

    return echo


def _session(connection: asyncssh.SSHClientConnection) -> Ask:
    places = asyncio.Semaphore(SESSIONS)

    async def session() -> None:
        async with places:
            await connection.run("true", check=True)

    return session


async def _rounds(rounds: int, kind: str, sides: Mapping[str, Sequence[Ask]]) -> Samples:
    """Let the sides ask in turn; gives how long each answer took, and the time of each round by its answers."""
    samples: Samples = {f"{side}, {kind}{each}": [] for side in sides for each in ("", " each")}
    for number in range(1 + max(rounds, 2)):
        for side in list(sides) if number % 2 else reversed(list(sides)):
            taken_s, round_s = await _round(sides[side])
            if number:
                samples[f"{side}, {kind}"] += taken_s
                samples[f"{side}, {kind} each"].append(round_s / len(taken_s))
    return samples


async def _round(clients: Sequence[Ask]) -> tuple[list[float], float]:
    clock = asyncio.get_running_loop().time
    taken_s: list[float] = []

    async def be_answered(ask: Ask) -> None:
        for _ in range(max(1, ANSWERS // len(clients))):
            begun_s = clock()
            await ask()
            taken_s.append(clock() - begun_s)

    begun_s = clock()
    await asyncio.gather(*(be_answered(ask) for ask in clients))
    return taken_s, clock() - begun_s
