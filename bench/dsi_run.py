"""Runs dsi as its users do: a work directory, `dsi run`, and a workload that commands it over the dsisocket."""

import asyncio
import json
import os
import shlex
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from tests.system.sshds import Sshd

ROOT = Path(__file__).parents[1]

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
    test = {"id": workload, "type": "mongoshell", "cmd": f"cd {shlex.quote(str(ROOT))} && {shlex.join(call)}"}
    test_control = {"task_name": "bench", "run": [test], "dsisocket": {"enabled": True, "port": _free_port()}}
    for stage, content in {**stages, "test_control": test_control}.items():
        (folder / f"{stage}.yml").write_text(json.dumps(content))
    dsi = Path(sys.executable).with_name("dsi")
    ended = subprocess.run(
        [dsi, "run"], cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if ended.returncode != 0:
        raise SystemExit(f"dsi run ended with {ended.returncode}:\n{ended.stdout}{ended.stderr}")
    samples: Samples = json.loads(result.read_text())
    return samples


def _free_port() -> int:
    """Give a port that nobody has now: another dsi may run on this machine, with the default one."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class DsiSocket:
    """A client of the dsisocket of the running test."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def connect(cls) -> "DsiSocket":
        """Connect to `$DSI_SOCKET`."""
        host, port = os.environ["DSI_SOCKET"].rsplit(":", 1)
        return cls(*await asyncio.open_connection(host.strip("[]"), int(port)))

    async def ask(self, command: Mapping[str, Any]) -> None:
        """Send a command and wait for its reply; fails if it isn't OK."""
        self._writer.write(json.dumps(command).encode() + b"\n")
        reply = json.loads(await self._reader.readline())
        if reply["status_code"] != 0:
            raise RuntimeError(f"{command}: {reply}")


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
