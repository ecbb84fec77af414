"""`on_all_servers` `exec true` with 1, 10 and 50 hosts that are reached over SSH."""

import asyncio
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import asyncssh
from tests.system.sshds import start_sshds

from bench.dsi_run import DsiSocket, Samples, in_turn, run_inside, ssh_host
from bench.series import Comparison

COUNTS = (1, 10, 50)


def compare(rounds: int) -> list[Comparison]:
    """Run it, `rounds` times each."""
    return [_with_hosts(count, rounds) for count in COUNTS]


def _with_hosts(count: int, rounds: int) -> Comparison:
    with (
        start_sshds(count, config="LogLevel QUIET") as servers,
        tempfile.TemporaryDirectory(prefix="dsi-bench-") as folder,
    ):
        listed = [ssh_host(server) for server in servers]
        hosts = {"provider": "static", "hosts": {"mongod": listed, "workload_client": [{"public_ip": "127.0.0.1"}]}}
        settings = {"rounds": rounds, "hosts": listed}
        samples = run_inside(Path(folder), "fan_out", settings, {"infrastructure_provisioning": hosts})
    what = f"on_all_servers exec true, {count} SSH hosts"
    return Comparison(what, "plain asyncssh loop, kept connections", samples["dsi"], samples["asyncssh"], goal=1.2)


async def inside(rounds: int, hosts: list[dict[str, Any]]) -> Samples:
    """Measure, on the workload client: the same hosts two ways."""
    dsi = await DsiSocket.connect()
    async with AsyncExitStack() as stack:
        connections = [await stack.enter_async_context(_connect(host)) for host in hosts]

        async def loop() -> None:
            await asyncio.gather(*(connection.run("true", check=True) for connection in connections))

        actions = {"dsi": lambda: dsi.ask({"on_all_servers": {"exec": "true"}}), "asyncssh": loop}
        return await in_turn(rounds, actions, warm_up=3)


def _connect(host: dict[str, Any]) -> Any:
    return asyncssh.connect(
        host["public_ip"],
        port=host["ssh_port"],
        username=host["ssh_user"],
        client_keys=[host["ssh_key_file"]],
        known_hosts=None,
        config=None,
    )
