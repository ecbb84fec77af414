"""`exec true` over the dsisocket, on a workload client that is reached over SSH."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncssh
from tests.system.sshds import start_sshds

from bench.dsi_run import DsiSocket, Samples, in_turn, run_inside, ssh_host
from bench.series import Comparison


def compare(rounds: int) -> list[Comparison]:
    """Run it, `rounds` times each."""
    with (
        start_sshds(1, config="LogLevel QUIET") as (server,),
        tempfile.TemporaryDirectory(prefix="dsi-bench-") as folder,
    ):
        hosts = {"provider": "static", "hosts": {"workload_client": [ssh_host(server)]}}
        settings = {"rounds": rounds, **ssh_host(server)}
        samples = run_inside(Path(folder), "exec_true", settings, {"infrastructure_provisioning": hosts})
    dsi_s = samples["dsi"]
    what = "exec true over the dsisocket, SSH workload client"
    return [
        Comparison(what, "session on a kept asyncssh connection", dsi_s, samples["asyncssh"], goal=1.5),
        Comparison(what, "ssh with a ControlMaster", dsi_s, samples["ssh"], goal=0.7),
    ]


async def inside(rounds: int, public_ip: str, ssh_user: str, ssh_port: int, ssh_key_file: str, **_: Any) -> Samples:
    """Measure, on the workload client: the same host three ways."""
    dsi = await DsiSocket.connect()
    login = {"port": ssh_port, "username": ssh_user, "client_keys": [ssh_key_file], "known_hosts": None, "config": None}
    destination = ["-p", str(ssh_port), "-i", ssh_key_file, f"{ssh_user}@{public_ip}"]
    async with asyncssh.connect(public_ip, **login) as connection, _control_master(destination) as ssh:
        return await in_turn(
            rounds,
            {
                "dsi": lambda: dsi.ask({"on_workload_client": {"exec": "true"}}),
                "asyncssh": lambda: connection.run("true", check=True),
                "ssh": lambda: _call(*ssh, "true"),
            },
            warm_up=5,
        )


@asynccontextmanager
async def _control_master(destination: list[str]) -> AsyncIterator[list[str]]:
    """Keep a connection with OpenSSH's own client; gives the command line that uses it."""
    with tempfile.TemporaryDirectory() as folder:
        options = ["-F", "none", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-q"]
        ssh = ["ssh", *options, "-o", f"ControlPath={folder}/master", *destination]
        await _call(ssh[0], "-M", "-f", "-N", *ssh[1:])
        try:
            yield ssh
        finally:
            await _call(ssh[0], "-O", "exit", *ssh[1:])


async def _call(*command: str) -> None:
    process = await asyncio.create_subprocess_exec(*command, stdin=asyncio.subprocess.DEVNULL)
    if await process.wait() != 0:
        raise RuntimeError(f"{command} ended with {process.returncode}")
