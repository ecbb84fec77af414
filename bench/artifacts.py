"""Files that are fetched over SSH, as logs and core files are after a test, against scp and rsync.

All have the same sshd, cipher and files, and a connection that is there already. The files lie in memory where that can
be had: what is compared is the way, not the disk.
"""

import asyncio
import json
import os
import random
import shutil
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

from tests.system.sshds import Sshd, start_sshds

from bench.dsi_run import SSHD, Samples, in_turn, ssh_login
from bench.exec_true import control_master
from bench.series import Comparison
from dsi.hosts import SshHost, connect_ssh

CIPHER = "aes128-gcm@openssh.com"
LARGE_BYTES = 512_000_000
SMALL_FILES, SMALL_BYTES = 5000, 4000
IN_MEMORY = Path("/dev/shm")

Action = Callable[[], Awaitable[object]]


def compare(rounds: int) -> list[Comparison]:
    """Fetch it, `rounds` times each."""
    place = IN_MEMORY if os.access(IN_MEMORY, os.W_OK) else None
    with (
        start_sshds(1, config=SSHD) as (server,),
        tempfile.TemporaryDirectory(prefix="dsi-bench-", dir=place) as folder,
    ):
        samples = asyncio.run(_measure(rounds, server, Path(folder)))
    megabytes = LARGE_BYTES // 1_000_000
    return [
        _compared("random", f"{megabytes} MB of random bytes fetched", "scp", 1 / 0.9, samples),
        _compared("log", f"a log of {megabytes} MB fetched", "scp", 1 / 0.9, samples),
        _compared("small", f"a folder of {SMALL_FILES} files of {SMALL_BYTES} bytes fetched", "rsync", 1.0, samples),
    ]


def _compared(name: str, what: str, program: str, goal: float, samples: Samples) -> Comparison:
    floor = "rsync -a" if program == "rsync" else program
    return Comparison(
        what, f"{floor}, {CIPHER}, ControlMaster", samples[f"dsi, {name}"], samples[f"{program}, {name}"], goal
    )


async def _measure(rounds: int, server: Sshd, folder: Path) -> Samples:
    source, target = folder / "source", folder / "target"
    make_files(source)
    host = await connect_ssh(server.name, **server.login)
    try:
        async with control_master(ssh_login(server), CIPHER) as ssh:
            samples: Samples = {}
            for name in ("random", "log", "small"):
                actions = _actions(name, host, ssh, source, target)
                before = dict.fromkeys(actions, lambda: _emptied(target))
                samples |= await in_turn(rounds, actions, before=before)
            return samples
    finally:
        await host.close()


def make_files(folder: Path) -> None:
    """Make a large file that can't be compressed, one as a server's log is, and a folder of small ones."""
    folder.mkdir()
    with (folder / "random").open("wb") as file:
        for _ in range(LARGE_BYTES // 1_000_000):
            file.write(os.urandom(1_000_000))
    lines = _log_lines()
    with (folder / "log").open("wb") as file:
        while file.tell() < LARGE_BYTES:
            random.shuffle(lines)
            file.write(b"".join(lines))
    (folder / "small").mkdir()
    text = b"".join(lines)
    for number in range(SMALL_FILES):
        (folder / "small" / f"file-{number}").write_bytes(text[number : number + SMALL_BYTES])


def _log_lines() -> list[bytes]:
    return [
        json.dumps(
            {
                "t": {"$date": f"2026-01-01T00:00:{number % 60:02}.{random.randrange(1000):03}+00:00"},
                "s": "I",
                "c": "NETWORK",
                "id": 22943,
                "ctx": "listener",
                "msg": "Connection accepted",
                "attr": {
                    "remote": f"127.0.0.1:{random.randrange(60_000)}",
                    "uuid": f"{random.getrandbits(128):032x}",
                    "connectionId": random.randrange(100_000),
                    "connectionCount": random.randrange(500),
                },
            }
        ).encode()
        + b"\n"
        for number in range(4000)
    ]


def _actions(name: str, host: SshHost, ssh: list[str], source: Path, target: Path) -> dict[str, Action]:
    *program, destination = ssh
    there = f"{destination}:{source / name}"

    async def by_program(*command: str) -> None:
        process = await asyncio.create_subprocess_exec(*command)
        if await process.wait() != 0:
            raise RuntimeError(f"{command} ended with {process.returncode}")

    if name == "small":
        floor = ["rsync", "-a", "-e", " ".join(program), f"{there}/", f"{target / name}/"]
    else:
        options = ["-P" if option == "-p" else option for option in program[1:]]
        floor = ["scp", *options, there, str(target / name)]
    return {
        f"dsi, {name}": lambda: host.get(str(source / name), target / name),
        f"{floor[0]}, {name}": lambda: by_program(*floor),
    }


async def _emptied(folder: Path) -> None:
    await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
    await asyncio.to_thread(folder.mkdir)
