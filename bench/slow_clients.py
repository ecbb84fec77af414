"""How soon `describe` is answered while other clients' commands take long; a replica set on hosts reached over SSH.

What the machine itself takes then is told by a bare echo over the same kind of tunnel, from a process of its own.
"""

import asyncio
import tempfile
from pathlib import Path
from typing import Any

from tests.system.sshds import start_sshds

from bench.dsi_run import DsiSocket, Samples, in_turn, run_inside, ssh_host, ssh_login
from bench.series import Comparison
from bench.tunnel_floor import tunnel_floor

SLOW = 32
LIMIT_S = 0.05
NODES = 3
SLEEP = {"on_all_hosts": {"exec": "sleep 0.3"}}


def compare(rounds: int) -> list[Comparison]:
    """Run it, `rounds` times; the floor is a figure, that nothing was measured for."""
    with (
        start_sshds(1 + NODES, config="LogLevel QUIET") as (client, *servers),
        tempfile.TemporaryDirectory(prefix="dsi-bench-") as folder,
    ):
        hosts = {"workload_client": [ssh_host(client)], "mongod": [ssh_host(server) for server in servers]}
        nodes = [{**_node(server.address), "public_ip": server.address} for server in servers]
        stages = {
            "infrastructure_provisioning": {"provider": "static", "hosts": hosts},
            "mongodb_setup": {"topology": [{"id": "rs0", "cluster_type": "replset", "mongod": nodes}]},
        }
        samples = run_inside(Path(folder), "slow_clients", {"rounds": rounds, "login": ssh_login(client)}, stages)
    p99_s = _p99_s(samples["describe"])
    return [
        Comparison(f"p99 of describe, {SLOW} others with slow commands", "a limit", [p99_s], [LIMIT_S], goal=1.0),
        Comparison("p99 of describe meanwhile", "that of a bare echo meanwhile", [p99_s], [_p99_s(samples["echo"])]),
        Comparison("describe meanwhile", "bare echo meanwhile", samples["describe"], samples["echo"]),
        Comparison("mark meanwhile", "bare echo meanwhile", samples["mark"], samples["echo"]),
        Comparison("describe by itself", "bare echo by itself", samples["describe alone"], samples["echo alone"]),
    ]


def _p99_s(samples: list[float]) -> float:
    return sorted(samples)[len(samples) * 99 // 100]


def _node(address: str) -> dict[str, Any]:
    """Each on its own address of this machine, which they share."""
    cache = {"wiredTiger": {"engineConfig": {"cacheSizeGB": 0.25}}}
    return {"config_file": {"net": {"bindIp": address, "unixDomainSocket": {"enabled": False}}, "storage": cache}}


async def inside(rounds: int, login: dict[str, Any]) -> Samples:
    """Measure, on the workload client."""
    async with tunnel_floor(login) as ports:
        other, echoed = await DsiSocket.connect(), await DsiSocket.connect(ports["echo"])

        async def describe() -> None:
            await other.ask({"id": 1, "describe": {}})

        async def mark() -> None:
            await other.ask({"id": 1, "mark": "x"})

        async def echo() -> None:
            echoed.send({"id": 1, "describe": {}})
            await echoed.receive()

        alone = await in_turn(rounds, {"describe alone": describe, "echo alone": echo})
        slow = [await DsiSocket.connect() for _ in range(SLOW)]
        await asyncio.gather(*(dsi.ask(SLEEP) for dsi in slow))  # so that the hosts' shells are open
        busy = asyncio.gather(*(_keep_busy(dsi) for dsi in slow))
        meanwhile = await in_turn(rounds, {"describe": describe, "mark": mark, "echo": echo})
        busy.cancel()
        return {**alone, **meanwhile}


async def _keep_busy(dsi: DsiSocket) -> None:
    while True:
        await dsi.ask(SLEEP)
