"""`exec true` over the dsisocket, on a workload client that is reached over SSH."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncssh

from bench.dsi_run import DsiSocket, Samples, in_turn, run_on_ssh_client
from bench.series import Comparison


def compare(rounds: int) -> list[Comparison]:
    """Run it, `rounds` times each."""
    samples = run_on_ssh_client("exec_true", rounds)
    dsi_s = samples["dsi"]
    what = "exec true over the dsisocket, SSH workload client"
    return [
        Comparison(what, "session on a kept asyncssh connection", dsi_s, samples["asyncssh"], goal=1.3),
        Comparison(what, "ssh with a ControlMaster", dsi_s, samples["ssh"], goal=0.6),
        Comparison(what, "a new connection each time", dsi_s, samples["new connection"], goal=1 / 30),
        Comparison(what, "a kept shell, told to start one of its own", dsi_s, samples["shell"]),
    ]


async def inside(rounds: int, login: dict[str, Any]) -> Samples:
    """Measure, on the workload client: the same host in each way."""
    dsi = await DsiSocket.connect()
    async with (
        asyncssh.connect(**login) as connection,
        connection.create_process("bash --norc") as shell,
        control_master(login) as ssh,
    ):

        async def in_shell() -> None:
            shell.stdin.write("bash --norc -c true; echo $?\n")
            if await shell.stdout.readline() != "0\n":
                raise RuntimeError("the kept shell failed")

        async def over_new_connection() -> None:
            async with asyncssh.connect(**login) as another:
                await another.run("true", check=True)

        return await in_turn(
            rounds,
            {
                "dsi": lambda: dsi.ask({"on_workload_client": {"exec": "true"}}),
                "asyncssh": lambda: connection.run("true", check=True),
                "ssh": lambda: _call(*ssh, "true"),
                "new connection": over_new_connection,
                "shell": in_shell,
            },
            warm_up=5,
        )


@asynccontextmanager
async def control_master(login: dict[str, Any], cipher: str | None = None) -> AsyncIterator[list[str]]:
    """Keep a connection with OpenSSH's own client; gives the command line that uses it, the destination at its end."""
    (key_file,) = login["client_keys"]
    destination = ["-p", str(login["port"]), "-i", key_file, f"{login['username']}@{login['host']}"]
    with tempfile.TemporaryDirectory() as folder:
        options = ["-F", "none", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-q"]
        options += ["-c", cipher] if cipher else []
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
