"""32 clients with slow commands, and another that asks dsi itself, on a workload client that is reached over SSH."""

import asyncio
from pathlib import Path

from tests.integration.work_directory import LIMIT_S, wait_until
from tests.system.soak_clients import Ground, connected, on_client
from tests.system.sshds import Sshd
from tests.system.test_soak import Dsi

SLOW = 32


async def test_describe_is_answered_while_the_slow_commands_of_all_others_run(tmp_path: Path, sshd: Sshd) -> None:
    dsi = Dsi(tmp_path, sshd)
    ground = Ground(dsi.port, sshd.home)
    wait = on_client("echo begun >> slow; until [ -e go_on ]; do sleep 0.1; done")
    slow = sshd.home / "slow"

    async def be_slow() -> str:
        async with connected(ground) as talk:
            return (await talk.ask(wait))[0]

    with dsi.running():
        async with asyncio.timeout(LIMIT_S), connected(ground) as other:
            clients = [asyncio.create_task(be_slow()) for _ in range(SLOW)]
            await asyncio.to_thread(
                wait_until,
                lambda: slow.exists() and len(dsi.work.events("dsisocket_command_begin")) == SLOW,
                "all have begun; most of them wait for a shell of the host",
            )
            other.send({"describe": {}})
            assert (await other.receive())["description"]["test"] == "soak"
            assert not [client for client in clients if client.done()]
            (sshd.home / "go_on").touch()
            assert set(await asyncio.gather(*clients)) == {"OK"}
    assert len(slow.read_text().splitlines()) == SLOW
