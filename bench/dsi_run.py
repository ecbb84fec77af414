"""Runs dsi as its users do: a work directory, `dsi run`, and a workload that commands it over the dsisocket."""

import asyncio
import json
import os
import shlex
import socket
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from tests.system.sshds import Sshd, start_sshds

ROOT = Path(__file__).parents[1]

SSHD = "LogLevel QUIET\nMaxSessions 100"
"""By default the eleventh session is refused: a floor that opens one as soon as it has closed one would meet that."""

LINE_BYTES = 1 << 22
"""More than any reply has."""

Samples = dict[str, list[float]]
"""Seconds, by the name of what was measured."""


def ssh_host(server: Sshd) -> dict[str, Any]:
    """Give the entry of infrastructure_provisioning.hosts for a server."""
    return {
        "public_ip": server.address,
        "private_ip": server.address,
        "ssh_user": server.user,
        "ssh_port": server.port,
        "ssh_key_file": str(server.key_file),
    }


def run_inside(folder: Path, workload: str, settings: Mapping[str, Any], stages: Mapping[str, Any]) -> Samples:
    """Have dsi run `bench.WORKLOAD` as a test, and give what its `inside` measured.

    `stages` has the content of the work directory's files, by stage; JSON is YAML.
    """
    result = folder / "samples.json"
    call = [sys.executable, "-m", "bench.inside", workload, json.dumps(dict(settings)), str(result)]
    test = {"id": workload, "type": "shell", "cmd": f"cd {shlex.quote(str(ROOT))} && {shlex.join(call)}"}
    test_control = {"task_name": "bench", "run": [test], "dsisocket": {"enabled": True, "port": _free_port()}}
    for stage, content in {**stages, "test_control": test_control}.items():
        (folder / f"{stage}.yml").write_text(json.dumps(content))
    dsi = Path(sys.executable).with_name("dsi")
    ended = subprocess.run(
        [dsi, "run"], cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if ended.returncode != 0:
        said = "".join(log.read_text() for log in folder.glob(f"reports*/{workload}/test_output.log"))
        raise SystemExit(f"dsi run ended with {ended.returncode}:\n{said}\n{ended.stdout}{ended.stderr[-2000:]}")
    samples: Samples = json.loads(result.read_text())
    return samples


def run_on_ssh_client(workload: str, rounds: int) -> Samples:
    """Have `bench.WORKLOAD` run on a workload client that is reached over SSH, and that is all there is.

    Its `inside` gets `rounds`, and `login`: the keyword arguments with which asyncssh connects to that host.
    """
    with (
        start_sshds(1, config=SSHD) as (server,),
        tempfile.TemporaryDirectory(prefix="dsi-bench-") as folder,
    ):
        hosts = {"provider": "static", "hosts": {"workload_client": [ssh_host(server)]}}
        settings = {"rounds": rounds, "login": ssh_login(server)}
        return run_inside(Path(folder), workload, settings, {"infrastructure_provisioning": hosts})


def ssh_login(server: Sshd) -> dict[str, Any]:
    """Give the keyword arguments of asyncssh.connect for a server."""
    return {
        "host": server.address,
        "port": server.port,
        "username": server.user,
        "client_keys": [str(server.key_file)],
        "known_hosts": None,
        "config": None,
    }


def _free_port() -> int:
    """Give a port that nobody has now: another dsi may run on this machine, with the default one."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class DsiSocket:
    """A client of the dsisocket of the running test, or (`port`) of what speaks in lines of JSON instead of it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def connect(cls, port: int | None = None) -> "DsiSocket":
        """Connect to `$DSI_SOCKET`, or to this port there."""
        host, its_port = os.environ["DSI_SOCKET"].rsplit(":", 1)
        return cls(*await asyncio.open_connection(host.strip("[]"), port or int(its_port), limit=LINE_BYTES))

    async def ask(self, command: Mapping[str, Any]) -> None:
        """Send a command and wait for its reply; fails if it isn't OK."""
        self.send(command)
        reply = await self.receive()
        if reply["status_code"] != 0:
            raise RuntimeError(f"{command}: {reply}")

    def send(self, message: Mapping[str, Any]) -> None:
        """Send one line."""
        self._writer.write(json.dumps(message).encode() + b"\n")

    async def receive(self) -> dict[str, Any]:
        """Read one line."""
        message: dict[str, Any] = json.loads(await self._reader.readline())
        return message

    async def close(self) -> None:
        """Hang up."""
        self._writer.close()
        await self._writer.wait_closed()


async def in_turn(
    rounds: int,
    actions: Mapping[str, Callable[[], Awaitable[Any]]],
    *,
    before: Mapping[str, Callable[[], Awaitable[Any]]] | None = None,
    warm_up: int = 1,
) -> Samples:
    """Time each action once per round: A B, B A, A B … What `before` has for it isn't timed, nor is the warm-up."""
    samples: Samples = {name: [] for name in actions}
    clock = asyncio.get_running_loop().time
    for number in range(warm_up + rounds):
        for name in list(actions) if number % 2 else reversed(list(actions)):
            if before:
                await before[name]()
            begun_s = clock()
            await actions[name]()
            if number >= warm_up:
                samples[name].append(clock() - begun_s)
    return samples
