"""How soon `describe` is answered while other clients' commands take long; a replica set on hosts reached over SSH."""

import asyncio
import tempfile
from pathlib import Path
from typing import Any

from tests.system.sshds import start_sshds

from bench.dsi_run import DsiSocket, Samples, in_turn, run_inside, ssh_host
from bench.series import Comparison

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
        samples = run_inside(Path(folder), "slow_clients", {"rounds": rounds}, stages)
    ordered = sorted(samples["describe"])
    p99_s = ordered[len(ordered) * 99 // 100]
    return [
        Comparison(f"p99 of describe, {SLOW} others with slow commands", "a limit", [p99_s], [LIMIT_S], goal=1.0),
        Comparison("describe meanwhile", "describe by itself", ordered, samples["describe alone"]),
    ]


def _node(address: str) -> dict[str, Any]:
    """Each on its own address of this machine, which they share."""
    cache = {"wiredTiger": {"engineConfig": {"cacheSizeGB": 0.25}}}
    return {"config_file": {"net": {"bindIp": address, "unixDomainSocket": {"enabled": False}}, "storage": cache}}


async def inside(rounds: int) -> Samples:
    """Measure, on the workload client."""
    other = await DsiSocket.connect()

    async def describe() -> None:
        await other.ask({"id": 1, "describe": {}})

    alone = await in_turn(rounds, {"describe alone": describe})
    slow = [await DsiSocket.connect() for _ in range(SLOW)]
    await asyncio.gather(*(dsi.ask(SLEEP) for dsi in slow))  # so that the hosts' shells are open
    busy = asyncio.gather(*(_keep_busy(dsi) for dsi in slow))
    meanwhile = await in_turn(rounds, {"describe": describe})
    busy.cancel()
    return {**alone, **meanwhile}


async def _keep_busy(dsi: DsiSocket) -> None:
    while True:
        await dsi.ask(SLEEP)
