"""Commands that outlive the connection: cut at whatever moment, they run once, their output comes once and whole."""

import asyncio
import contextlib
import random

import pytest
from structlog.testing import capture_logs
from tests.system.conftest import Connect, StartHosts
from tests.system.test_ssh_reconnect import KEEPALIVE_S, Notes, end_sessions, until
from tests.system.testbed import TestbedHost

from dsi.errors import CommandTimeout, ConnectionLost
from dsi.hosts import SshHost
from dsi.model import Result, StreamName

ORPHAN_S = 600

COUNT = "echo run >>runs; for ((n = 0; n < 300; n++)); do echo out $n; echo err $n >&2; sleep 0.01; done; exit 7"


class Streams:
    """What came of each stream."""

    def __init__(self) -> None:
        self.text: dict[StreamName, bytes] = {"stdout": b"", "stderr": b""}
        self.begun = asyncio.Event()

    async def __call__(self, stream: StreamName, block: bytes) -> None:
        self.text[stream] += block
        self.begun.set()


def lines(name: str, count: int) -> bytes:
    return "".join(f"{name} {number}\n" for number in range(count)).encode()


def left(server: TestbedHost) -> str:
    """What is left on the host of commands, supervisors and their files (zombies aside), and of ports."""
    script = "ps -eo stat=,pid=,args= | grep -v '^Z' | grep -E 'sleep|tail|bash' | grep -v grep; ls -A .dsi/run; "
    return server.run_inside("sh", "-c", f"cd {server.home.parent} 2>/dev/null; cd $HOME; {script} exit 0")


async def nothing_is_left(host: SshHost, server: TestbedHost) -> None:
    await host.close()

    async def gone() -> bool:
        return left(server) == ""

    try:
        await until(gone, "nothing is left")
    except TimeoutError:
        raise AssertionError(left(server)) from None


async def run_and_cut(host: SshHost, server: TestbedHost, cuts: list[float]) -> tuple[Result, Streams]:
    streams = Streams()
    running = asyncio.create_task(host.run(COUNT, outlives_s=ORPHAN_S, on_output=streams, check=False))
    for pause_s in cuts:
        await asyncio.sleep(pause_s)
        with contextlib.suppress(Exception):  # there may be no session at this moment
            await asyncio.to_thread(end_sessions, server)
    return await running, streams


async def test_cut_at_random_moments_it_runs_once_and_every_byte_comes_once(
    ssh_hosts: StartHosts, connect: Connect
) -> None:
    (server,) = ssh_hosts(1)
    host = await connect(server)
    chance = random.Random()
    for round_ in range(4):
        result, streams = await run_and_cut(host, server, [chance.random() * 0.4 for _ in range(8)])
        assert result.exit_status == 7
        assert streams.text == {"stdout": lines("out", 300), "stderr": lines("err", 300)}
        assert (server.home / "runs").read_text() == "run\n" * (round_ + 1)
    await nothing_is_left(host, server)


async def test_short_commands_cut_at_random_moments_run_once_each(ssh_hosts: StartHosts, connect: Connect) -> None:
    (server,) = ssh_hosts(1)
    host = await connect(server)
    stop = asyncio.Event()
    told: list[str] = []

    async def work(worker: int) -> None:
        number = 0
        while not stop.is_set():
            number += 1
            name = f"{worker}-{number}"
            result = await host.run(f"echo {name} | tee -a runs", outlives_s=ORPHAN_S)
            assert result.stdout == f"{name}\n"
            told.append(name)

    async with asyncio.timeout(200), asyncio.TaskGroup() as tasks:
        for worker in range(3):
            tasks.create_task(work(worker))
        for cut in range(40):
            await asyncio.sleep(0.02 * (cut % 11))
            with contextlib.suppress(Exception):
                await asyncio.to_thread(end_sessions, server)
        stop.set()
    assert sorted((server.home / "runs").read_text().split()) == sorted(told)
    await nothing_is_left(host, server)


async def test_a_cut_does_not_say_that_the_command_could_not_be_ended(ssh_hosts: StartHosts, connect: Connect) -> None:
    """It goes on, as it should, and nobody wanted to end it."""
    (server,) = ssh_hosts(1)
    host = await connect(server)
    with capture_logs() as logs:
        result, _ = await run_and_cut(host, server, [0.5, 0.5])
    assert result.exit_status == 7
    assert "connection lost" in {line["event"] for line in logs}
    assert "a command could not be ended on its host" not in {line["event"] for line in logs}


async def test_packets_vanish_and_come_again(ssh_hosts: StartHosts, connect: Connect) -> None:
    (server,) = ssh_hosts(1)
    notes = Notes()
    host = await connect(server, keepalive_s=KEEPALIVE_S, connect_timeout_s=1, note=notes)
    streams = Streams()
    command = "for ((n = 0; n < 500; n++)); do echo out $n; sleep 0.01; done"
    running = asyncio.create_task(host.run(command, outlives_s=ORPHAN_S, on_output=streams, joined=True))
    await streams.begun.wait()
    server.drop_packets()

    async def noticed() -> bool:
        return "connection_lost" in notes.names()

    await until(noticed, "the loss is noticed")
    server.heal()
    await running
    assert streams.text == {"stdout": lines("out", 500), "stderr": b""}
    await nothing_is_left(host, server)


async def test_much_output_over_a_cut(ssh_hosts: StartHosts, connect: Connect) -> None:
    """Binary, and more than fits in any buffer."""
    (server,) = ssh_hosts(1)
    host = await connect(server)
    (server.home / "big").write_bytes(random.Random(1).randbytes(30_000_000))
    streams = Streams()
    running = asyncio.create_task(host.run("sleep 0.2; cat big; sleep 0.5", outlives_s=ORPHAN_S, on_output=streams))
    await streams.begun.wait()
    end_sessions(server)
    await running
    assert streams.text["stdout"] == (server.home / "big").read_bytes()


async def test_after_a_cut_it_can_be_ended_with_its_group(ssh_hosts: StartHosts, connect: Connect) -> None:
    (server,) = ssh_hosts(1)
    host = await connect(server)
    streams = Streams()
    command = "sleep 1000 & trap '' TERM; echo begun; sleep 1000; sleep 1000"
    running = asyncio.create_task(host.run(command, outlives_s=ORPHAN_S, on_output=streams, timeout_s=3))
    await streams.begun.wait()
    end_sessions(server)
    with pytest.raises(CommandTimeout):
        await running
    await nothing_is_left(host, server)


async def test_without_dsi_the_host_ends_it_after_a_while(ssh_hosts: StartHosts, connect: Connect) -> None:
    """As after SIGKILL of dsi: nobody is there to close anything."""
    (server,) = ssh_hosts(1)
    host = await connect(server, reconnect_s=0)
    streams = Streams()
    running = asyncio.create_task(host.run("echo begun; sleep 1000", outlives_s=1, on_output=streams))
    await streams.begun.wait()
    await asyncio.sleep(0.3)
    end_sessions(server)
    with contextlib.suppress(ConnectionLost, Exception):
        await running

    async def gone() -> bool:
        return "sleep" not in left(server)

    await until(gone, "the host has ended it")


async def test_no_list_of_processes_shows_text_or_environment(ssh_hosts: StartHosts, connect: Connect) -> None:
    (server,) = ssh_hosts(1)
    host = await connect(server)
    streams = Streams()
    command = 'echo "$SECRET_NAME"; : secret-text; read -t 1000 <> <(:)'
    env = {"SECRET_NAME": "secret-value"}
    running = asyncio.create_task(host.run(command, env=env, outlives_s=ORPHAN_S, on_output=streams))
    await streams.begun.wait()
    assert streams.text["stdout"] == b"secret-value\n"
    listing = server.run_inside(
        "sh", "-c", "cat /proc/[0-9]*/cmdline; cat $HOME/.dsi/run/*.state $HOME/.dsi/run/*.beat"
    )
    assert "secret" not in listing
    assert "SECRET" not in listing
    assert (server.home / ".dsi" / "run").stat().st_mode & 0o077 == 0
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    await nothing_is_left(host, server)


async def test_one_that_is_ended_while_it_waits_for_a_shell_never_runs(ssh_hosts: StartHosts, connect: Connect) -> None:
    (server,) = ssh_hosts(1)
    host = await connect(server)
    busy = [
        asyncio.create_task(host.run(f"touch busy{n}; until [ -e over ]; do sleep 0.05; done", outlives_s=ORPHAN_S))
        for n in range(8)
    ]

    async def all_busy() -> bool:
        return len(list(server.home.glob("busy*"))) == len(busy)

    await until(all_busy, "all shells are taken")
    waiting = asyncio.create_task(host.run("touch ran", outlives_s=ORPHAN_S))
    await asyncio.sleep(0.1)  # whether it waits can't be seen; if it did not yet, that's an end before it began too
    waiting.cancel()
    assert isinstance((await asyncio.gather(waiting, return_exceptions=True))[0], asyncio.CancelledError)
    assert not any(task.done() for task in busy)
    (server.home / "over").touch()
    await asyncio.gather(*busy)
    assert not (server.home / "ran").exists()
    await nothing_is_left(host, server)


async def test_ended_at_its_very_beginning_it_is_over(ssh_hosts: StartHosts, connect: Connect) -> None:
    (server,) = ssh_hosts(1)
    host = await connect(server)
    chance = random.Random()
    for _ in range(60):
        running = asyncio.create_task(host.run("sleep 1000", outlives_s=ORPHAN_S))
        await asyncio.sleep(chance.random() * 0.006)
        running.cancel()
        assert isinstance((await asyncio.gather(running, return_exceptions=True))[0], asyncio.CancelledError)
    await nothing_is_left(host, server)


@pytest.mark.parametrize(
    "whose", ["$PPID", "$(ps -o ppid= -p $PPID)"], ids=["the one that waits", "the one that follows"]
)
@pytest.mark.parametrize("begun_s", [0, 0.3])
async def test_one_whose_supervisor_is_ended_is_told_as_gone_and_does_not_go_on(
    ssh_hosts: StartHosts, connect: Connect, whose: str, begun_s: float
) -> None:
    (server,) = ssh_hosts(1)
    host = await connect(server)
    async with asyncio.timeout(60):
        with pytest.raises(ConnectionLost, match="its supervisor"):
            await host.run(f"sleep {begun_s}; kill -9 {whose}; sleep 1000", outlives_s=ORPHAN_S)
        assert (await host.run("echo and another", outlives_s=ORPHAN_S)).stdout == "and another\n"
    await nothing_is_left(host, server)


async def test_one_that_ends_just_as_it_is_to_be_shown_is_over_with_its_exit_status(
    ssh_hosts: StartHosts, connect: Connect
) -> None:
    """In bash 5.2 a `wait` that the signal interrupts then doesn't hear of the child's end, one time in ten."""
    (server,) = ssh_hosts(1)
    host = await connect(server)
    find_follower = "for file in ~/.dsi/run/*.state; do read -r _ c follower _ <$file; [[ $c != $$ ]] || break; done"
    async with asyncio.timeout(60):
        for _ in range(60):
            result = await host.run(f"{find_follower}; kill -USR1 $follower; exit 7", outlives_s=ORPHAN_S, check=False)
            assert result.exit_status == 7
    await nothing_is_left(host, server)
