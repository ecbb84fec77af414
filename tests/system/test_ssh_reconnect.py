"""The SSH connection breaks, and another takes its place."""

import asyncio
import contextlib
from typing import Any

import pytest
from tests.system.conftest import Connect, StartHosts
from tests.system.testbed import TestbedHost

from dsi.errors import ConnectionLost, HostError, HostUnreachable
from dsi.hosts import Reader, SshHost, Writer

KEEPALIVE_S = 1.5


class Notes(list[tuple[str, dict[str, Any]]]):
    """The events that were noted."""

    def __call__(self, event: str, **fields: Any) -> None:
        self.append((event, fields))

    def names(self) -> list[str]:
        return [event for event, _ in self]


async def echo(reader: Reader, writer: Writer) -> None:
    while block := await reader.read(1000):
        writer.write(block)


async def until(condition: Any, what: str) -> None:
    """Wait for a condition; a coroutine function that may raise while it doesn't hold."""
    async with asyncio.timeout(60):
        while True:
            with contextlib.suppress(HostError, OSError):
                if await condition():
                    return
            await asyncio.sleep(0.02)
    raise AssertionError(what)


async def answers(host: SshHost, port: int) -> bool:
    """Whether the port of the host echoes."""
    ask = f"exec 5<>/dev/tcp/127.0.0.1/{port} && echo hello >&5 && read -t 5 line <&5 && echo $line"
    return (await host.run(ask, check=False)).stdout == "hello\n"


def end_sessions(server: TestbedHost) -> None:
    """End every sshd that serves a connection; the one that listens goes on."""
    server.run_inside("pkill", "-KILL", "-P", "1", "sshd")


def sessions(server: TestbedHost) -> int:
    return len(server.run_inside("sh", "-c", "pgrep -P 1 sshd || true").split())


async def test_what_waited_for_the_connection_runs_on_the_next_one_and_what_had_begun_is_not_repeated(
    ssh_hosts: StartHosts, connect: Connect
) -> None:
    (server,) = ssh_hosts(1)
    notes = Notes()
    host = await connect(server, note=notes)
    running = asyncio.create_task(host.run("echo run >>runs; sleep 1000"))
    await until(lambda: _has(server, "run\n"), "the command has begun")
    end_sessions(server)
    with pytest.raises(ConnectionLost):
        await running
    await until(lambda: _noted(notes, "connection_lost"), "the loss is noticed")
    results = await asyncio.gather(*(host.run(f"echo {number}") for number in range(20)))
    assert [result.stdout for result in results] == [f"{number}\n" for number in range(20)]
    assert await _has(server, "run\n")
    assert notes.names() == ["connection_lost", "connection_regained"]
    assert {fields["host"] for _, fields in notes} == {"mongod.0"}


async def _has(server: TestbedHost, content: str) -> bool:
    return (server.home / "runs").read_text() == content


async def test_ports_and_forwards_are_back_where_they_were(ssh_hosts: StartHosts, connect: Connect) -> None:
    (server,) = ssh_hosts(1)
    host = await connect(server)
    listener = await host.listen("127.0.0.1", 27007, echo)
    async with host.forward("127.0.0.1", 27007) as (address, port):
        for _ in range(5):
            end_sessions(server)
            await until(lambda: answers(host, 27007), "the port is back")
            reader, writer = await asyncio.open_connection(address, port)
            writer.write(b"hello\n")
            assert await reader.readline() == b"hello\n"
            writer.close()
    await listener.close()
    assert "27007" not in server.run_inside("ss", "-Hltn")


async def test_the_old_session_is_ended_where_it_does_not_know_that_its_peer_has_gone(
    ssh_hosts: StartHosts, connect: Connect
) -> None:
    """It would keep the port; here it never hears again from the connection that broke."""
    (server,) = ssh_hosts(1)
    notes = Notes()
    host = await connect(server, keepalive_s=KEEPALIVE_S, connect_timeout_s=1, note=notes)
    await host.listen("127.0.0.1", 27007, echo)
    our_port = (await host.run("echo $SSH_CONNECTION")).stdout.split()[1]
    server.drop_packets()
    await until(lambda: _noted(notes, "connection_lost"), "the loss is noticed")
    waiting = asyncio.create_task(host.run("echo waited"))
    assert sessions(server) == 1
    for chain, side in (("INPUT", "--sport"), ("OUTPUT", "--dport")):
        server.run_inside("iptables", "-I", chain, "-p", "tcp", side, our_port, "-j", "DROP")
        server.run_inside("iptables", "-D", chain, "-j", "DROP")
    assert (await waiting).stdout == "waited\n"
    await until(lambda: answers(host, 27007), "the port is back")
    assert sessions(server) == 1


async def _noted(notes: Notes, event: str) -> bool:
    return event in notes.names()


async def test_somebody_elses_port_is_taken_again_when_it_is_free(ssh_hosts: StartHosts, connect: Connect) -> None:
    (server,) = ssh_hosts(1)
    host = await connect(server)
    await host.listen("127.0.0.1", 27007, echo)
    other = await connect(server)
    listen = "import socket, time; socket.create_server(('127.0.0.1', 27007)); print(flush=True); time.sleep(1000)"
    taker = f'( until python3 -c "{listen}"; do :; done ) >taker 2>/dev/null & echo $!'
    pid = (await other.run(taker)).stdout.strip()
    end_sessions(server)
    await until(lambda: answers(host, 27007), "the port is back")
    await host.run(f"pkill -P {pid}; kill {pid}", check=False)
    await until(lambda: answers(host, 27007), "the port is back")


async def test_names_of_one_machine_share_the_new_connection(ssh_hosts: StartHosts, connect: Connect) -> None:
    (server,) = ssh_hosts(1)
    notes = Notes()
    first = await connect(server, note=notes)
    second = first.named("workload_client.0")
    end_sessions(server)
    await until(lambda: _noted(notes, "connection_lost"), "the loss is noticed")
    await asyncio.gather(first.run("true"), second.run("true"))
    assert sessions(server) == 1
    assert notes.names() == ["connection_lost", "connection_regained"]
    await first.close()
    notes.clear()
    end_sessions(server)
    await until(lambda: _noted(notes, "connection_lost"), "the loss is noticed")
    assert (await second.run("echo on")).stdout == "on\n"
    await second.close()
    assert sessions(server) == 0


async def test_a_host_that_never_comes_back_is_given_up_with_its_name_and_how_long_was_tried(
    ssh_hosts: StartHosts, connect: Connect
) -> None:
    (server,) = ssh_hosts(1)
    notes = Notes()
    host = await connect(server, keepalive_s=KEEPALIVE_S, connect_timeout_s=0.5, reconnect_s=1, note=notes)
    server.crash()
    await until(lambda: _noted(notes, "connection_lost"), "the loss is noticed")
    for _ in range(2):
        with pytest.raises(HostUnreachable, match=r"mongod\.0: .*10\.77\.0\.2.*broke.*not be set up again in 1 s of"):
            await host.run("true")
    assert notes.names() == ["connection_lost", "connection_given_up"]


async def test_closing_ends_the_attempts_to_connect_again_at_once(ssh_hosts: StartHosts, connect: Connect) -> None:
    (server,) = ssh_hosts(1)
    notes = Notes()
    host = await connect(server, keepalive_s=KEEPALIVE_S, connect_timeout_s=1000, reconnect_s=1000, note=notes)
    await host.listen("127.0.0.1", 27007, echo)
    server.drop_packets()
    await until(lambda: _noted(notes, "connection_lost"), "the loss is noticed")
    waiting = asyncio.create_task(host.run("true"))
    await asyncio.sleep(0)
    async with asyncio.timeout(60):
        await host.close()
        with pytest.raises(HostError, match="was closed"):
            await waiting


async def test_many_cuts_leave_a_host_that_works(ssh_hosts: StartHosts, connect: Connect) -> None:
    """Cut at whatever moment, also while it is being set up: no command hangs, and none runs twice."""
    (server,) = ssh_hosts(1)
    host = await connect(server)
    await host.listen("127.0.0.1", 27007, echo)
    stop = asyncio.Event()
    told: list[int] = []

    async def work(worker: int) -> None:
        number = 0
        while not stop.is_set():
            number += 1
            with contextlib.suppress(HostError):
                await host.run(f"echo {worker}-{number} >>runs")
                told.append(number)

    async with asyncio.timeout(120), asyncio.TaskGroup() as tasks:
        for worker in range(3):
            tasks.create_task(work(worker))
        for cut in range(40):
            await asyncio.sleep(0.01 * (cut % 13))
            with contextlib.suppress(Exception):
                await asyncio.to_thread(end_sessions, server)
        stop.set()
    assert told
    runs = (server.home / "runs").read_text().split()
    assert len(runs) == len(set(runs))
    await until(lambda: answers(host, 27007), "the port is back")


async def test_a_bug_while_it_is_set_up_again_is_told_to_whoever_waits(ssh_hosts: StartHosts, connect: Connect) -> None:
    (server,) = ssh_hosts(1)

    def broken(event: str, **fields: Any) -> None:
        raise ZeroDivisionError(event, fields)

    host = await connect(server, note=broken)
    end_sessions(server)

    async def is_given_up() -> bool:
        try:
            await host.run("true")
        except HostUnreachable as problem:
            return "ZeroDivisionError" in str(problem)
        return False

    await until(is_given_up, "it is given up")
