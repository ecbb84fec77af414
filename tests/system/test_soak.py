"""Many clients of every kind, for a while: `./run soak MINUTES` for longer."""

import asyncio
import json
import logging
import os
import socket
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.integration.work_directory import DSI, LIMIT_S, WorkDirectory, wait_until
from tests.system.soak_clients import KINDS, Ground, connected, on_client, soak
from tests.system.sshds import Sshd

log = logging.getLogger(__name__)

SOAK_S = 60 * float(os.environ.get("DSI_SOAK_MINUTES", "0.05"))

MEMORY_KB = 100_000
"""More than all the clients' queues together may take."""

SHELLS = 8
"""That dsi keeps on a host."""


class Dsi:
    """A test that runs, whose `cmd` waits, on a workload client that is reached over SSH."""

    def __init__(self, folder: Path, server: Sshd) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.server = server
        client = {
            "public_ip": server.address,
            "ssh_port": server.port,
            "ssh_user": server.user,
            "ssh_key_file": str(server.key_file),
        }
        test = {"id": "soak", "type": "shell", "cmd": "touch begun; until [ -e over ]; do sleep 0.1; done"}
        stages = {
            "infrastructure_provisioning": {"provider": "static", "hosts": {"workload_client": [client]}},
            "test_control": {"run": [test], "dsisocket": {"enabled": True, "port": self.port}},
        }
        self.work = WorkDirectory(folder, **{stage: json.dumps(content) for stage, content in stages.items()})

    @contextmanager
    def running(self) -> Iterator[int]:
        """Give dsi's pid once the socket is there; in the end the test must pass."""
        with (self.work.folder / "output").open("w") as output:
            process = subprocess.Popen(
                [DSI, "run"], cwd=self.work.folder, stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
        try:
            wait_until(lambda: (self.server.home / "begun").exists() or process.poll() is not None, "cmd runs")
            assert process.poll() is None, self.work.read("output")
            yield process.pid
            (self.server.home / "over").touch()
            assert process.wait(LIMIT_S) == 0, self.work.read("output")[-4000:]
        finally:
            process.kill()
            process.wait()


def memory_kb(pid: int, what: str) -> int:
    """VmRSS: now; VmHWM: at most so far (proc_pid_status(5))."""
    (line,) = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith(what)]
    return int(line.split()[1])


def files_of(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def descendants(pid: int) -> int:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return sum(1 + descendants(int(child)) for child in children)


async def warm_up(ground: Ground) -> None:
    """Have dsi open all the shells that it will ever keep."""

    async def one(**beside: float) -> None:
        async with connected(ground) as talk:
            await talk.ask(on_client("sleep 0.5", **beside))

    async with asyncio.TaskGroup() as clients:
        for _ in range(SHELLS):
            clients.create_task(one())
    await one(timeout=0.1)


async def test_clients_of_every_kind_get_what_is_theirs_and_leave_nothing_behind(tmp_path: Path, sshd: Sshd) -> None:
    """One reply per id, each command run once, bounded memory, and afterwards as many processes and files as before."""
    dsi = Dsi(tmp_path, sshd)
    ground = Ground(dsi.port, sshd.home)
    with dsi.running() as pid:
        await warm_up(ground)
        before = (files_of(pid), descendants(sshd.process), memory_kb(pid, "VmRSS"))
        asyncio.get_running_loop().call_later(SOAK_S, ground.over.set)
        await soak(ground)
        wait_until(
            lambda: files_of(pid) <= before[0] and descendants(sshd.process) <= before[1],
            f"as many files of dsi and processes on the host as before: {before[:2]}",
        )
        most_kb = memory_kb(pid, "VmHWM")
        assert most_kb < before[2] + MEMORY_KB
    assert set(ground.rounds) == {kind.__name__ for kind in KINDS}
    assert ground.replies == Counter(ground.asked)
    counted = [int(line) for line in (sshd.home / "counted").read_text().splitlines()]
    assert sorted(counted) == sorted(ground.to_count)
    begun, ended = dsi.work.events("dsisocket_command_begin"), dsi.work.events("dsisocket_command_end")
    assert len(begun) == len(ended) >= len(counted)
    log.info(
        "%s, %d replies, %d kB of memory at first, %d at most", ground.rounds, len(ground.asked), before[2], most_kb
    )
