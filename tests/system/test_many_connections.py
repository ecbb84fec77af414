"""A thousand clients of the dsisocket at once, on a workload client that is reached over SSH."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from tests.integration.work_directory import WorkDirectory, wait_until
from tests.system.sshds import Sshd
from tests.system.test_tunnel_cuts import free_port

T = TypeVar("T")

COUNT = 1000

CLIENTS = """
import asyncio, json, os, pathlib, resource

COUNT = %d
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
host, port = os.environ["DSI_SOCKET"].rsplit(":", 1)

async def ask(number, connected):
    reader, writer = await asyncio.open_connection(host, int(port))
    await connected.wait()
    writer.write(json.dumps({"id": number, "on_workload_client": {"exec": f"echo {number}"}}).encode() + b"\\n")
    reply = json.loads(await reader.readline())
    writer.close()
    return (reply["id"], reply["results"][0]["stdout"]) == (number, f"{number}\\n")

async def ask_all(count):
    connected = asyncio.Barrier(count)
    return sum(await asyncio.gather(*(ask(number, connected) for number in range(count))))

async def main():
    await ask_all(64)  # so that the host's shells are open
    print("ready", flush=True)
    while not pathlib.Path("go").exists():
        await asyncio.sleep(0.02)
    print(f"answered {await ask_all(COUNT)}", flush=True)
    while not pathlib.Path("over").exists():
        await asyncio.sleep(0.02)

asyncio.run(main())
"""


def descendants(process: int) -> list[int]:
    children = Path(f"/proc/{process}/task/{process}/children")
    below = [int(pid) for pid in children.read_text().split()] if children.exists() else []
    return [pid for child in below for pid in (child, *descendants(child))]


def open_files(process: int) -> int:
    return len(list(Path(f"/proc/{process}/fd").iterdir()))


def settled(count: Callable[[], T]) -> T:
    """Give what it is once it stays the same: what the shells keep ready for the next commands comes after a reply."""
    seen = [count()]
    while len(seen) < 20 or len(set(seen[-20:])) > 1:
        time.sleep(0.05)
        seen.append(count())
    return seen[-1]


def test_each_is_answered_and_processes_and_open_files_are_as_many_as_before(tmp_path: Path, sshd: Sshd) -> None:
    (sshd.home / "clients.py").write_text(CLIENTS % COUNT)
    client = {
        "public_ip": sshd.address,
        "ssh_port": sshd.port,
        "ssh_user": sshd.user,
        "ssh_key_file": str(sshd.key_file),
    }
    stages = {
        "infrastructure_provisioning": {"provider": "static", "hosts": {"workload_client": [client]}},
        "test_control": {
            "run": [{"id": "many", "type": "shell", "cmd": "python3 clients.py"}],
            "dsisocket": {"enabled": True, "port": free_port()},
        },
    }
    work = WorkDirectory(tmp_path, **{stage: json.dumps(content) for stage, content in stages.items()})
    log = tmp_path / "reports" / "many" / "test_output.log"
    with work.start("run") as dsi:

        def has_said(text: str) -> bool:
            assert dsi.poll() is None, dsi.communicate()
            return log.exists() and text in log.read_text()

        def there_is() -> tuple[int, int, int]:
            (session,) = [
                int(pid) for pid in Path(f"/proc/{sshd.process}/task/{sshd.process}/children").read_text().split()
            ]
            return open_files(dsi.pid), open_files(session), len(descendants(sshd.process))

        wait_until(lambda: has_said("ready"), "all shells are open")
        before = settled(there_is)
        (sshd.home / "go").touch()
        wait_until(lambda: has_said(f"answered {COUNT}"), "all are answered")
        wait_until(lambda: there_is() == before, f"processes and open files are {before} again")
        (sshd.home / "over").touch()
        out, err = dsi.communicate()
    assert dsi.returncode == 0, out + err
    assert descendants(sshd.process) == []
