"""Logging in, and what happens when the connection breaks."""

import asyncio
import socket
import subprocess
from pathlib import Path

import pytest
from tests.system.conftest import Connect, StartHosts
from tests.system.sshds import Sshd, start_sshds

from dsi.errors import CommandFailed, ConnectionLost, HostError, HostUnreachable
from dsi.hosts import SshHost
from dsi.hosts._ssh_connection import Login, log_in
from dsi.hosts._ssh_session import NoSession, open_process


def make_key(path: Path, passphrase: str = "") -> Path:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-f", path], check=True)
    return path


async def test_host_keys_are_kept(sshd: Sshd, connect: Connect) -> None:
    """The first login writes the host's key down, for its owner only; the next one finds it there."""
    await connect(sshd)
    written = sshd.known_hosts.read_text()
    assert written.startswith(f"[{sshd.address}]:{sshd.port} ssh-ed25519 ")
    assert sshd.known_hosts.stat().st_mode & 0o077 == 0
    await connect(sshd)
    assert sshd.known_hosts.read_text() == written


async def test_a_changed_host_key(sshd: Sshd, connect: Connect, tmp_path: Path) -> None:
    """A host that shows another key than last time is refused, with both fingerprints and the line to remove."""
    other = make_key(tmp_path / "other").with_suffix(".pub").read_text()
    sshd.known_hosts.write_text(f"# a comment\nelsewhere {other}[{sshd.address}]:{sshd.port} {other}")
    with pytest.raises(HostUnreachable, match=r"has changed: known is .*SHA256:.*SHA256:.*remove line 3 of") as caught:
        await connect(sshd)
    assert str(sshd.known_hosts) in str(caught.value)


async def test_a_wrong_key(sshd: Sshd, connect: Connect, tmp_path: Path) -> None:
    """A key that the host doesn't know is named, with address, port and user."""
    key = make_key(tmp_path / "wrong")
    with pytest.raises(HostUnreachable, match=r"mongod\.0: no SSH login.*refused the login.*authorized_keys") as caught:
        await connect(sshd, key_file=str(key))
    for part in (sshd.address, str(sshd.port), sshd.user, str(key)):
        assert part in str(caught.value)


async def test_no_key_file(sshd: Sshd, connect: Connect, tmp_path: Path) -> None:
    """A key file that isn't there is named."""
    with pytest.raises(HostUnreachable, match=f"there is no key file {tmp_path}/nothing"):
        await connect(sshd, key_file=str(tmp_path / "nothing"))


async def test_a_file_that_is_no_key(sshd: Sshd, connect: Connect, tmp_path: Path) -> None:
    """A key file with something else in it is named."""
    (tmp_path / "text").write_text("hello")
    with pytest.raises(HostUnreachable, match=f"{tmp_path}/text is no private key"):
        await connect(sshd, key_file=str(tmp_path / "text"))


async def test_a_passphrase_and_no_agent(
    sshd: Sshd, connect: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key with a passphrase can't be used without an agent, and the error says how to start one."""
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    key = make_key(tmp_path / "locked", passphrase="secret")
    with pytest.raises(HostUnreachable, match=r"has a passphrase, and no agent is running: .*ssh-add"):
        await connect(sshd, key_file=str(key))


async def test_a_passphrase_and_an_agent(
    sshd: Sshd, connect: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key with a passphrase is used through the agent that holds it."""
    key = make_key(tmp_path / "locked", passphrase="secret")
    with (sshd.key_file.parent / "authorized_keys").open("a") as keys:
        keys.write(key.with_suffix(".pub").read_text())
    (tmp_path / "ask").write_text("#!/bin/sh\necho secret\n")
    (tmp_path / "ask").chmod(0o700)
    monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "agent"))
    monkeypatch.setenv("SSH_ASKPASS", str(tmp_path / "ask"))
    monkeypatch.setenv("SSH_ASKPASS_REQUIRE", "force")
    agent_command = ["ssh-agent", "-D", "-a", str(tmp_path / "agent")]
    with subprocess.Popen(agent_command, stdout=subprocess.DEVNULL) as agent:
        try:
            while not (tmp_path / "agent").exists():
                await asyncio.sleep(0.01)
            subprocess.run(["ssh-add", "-q", key], check=True)  # noqa: ASYNC221  a test may wait
            assert (await (await connect(sshd, key_file=str(key))).run("echo in")).stdout == "in\n"
        finally:
            agent.terminate()


async def test_a_refused_port(sshd: Sshd, connect: Connect) -> None:
    """Where nobody listens, the error says so at once."""
    with socket.socket() as free:
        free.bind((sshd.address, 0))
        with pytest.raises(HostUnreachable, match=r"connection refused\. Does sshd run there"):
            await connect(sshd, port=free.getsockname()[1])


async def test_a_name_that_is_none(sshd: Sshd, connect: Connect) -> None:
    """A name that can't be resolved is named."""
    with pytest.raises(HostUnreachable, match=r"no-such-host\.invalid.*can't be resolved"):
        await connect(sshd, address="no-such-host.invalid")


async def test_somebody_else_on_the_port(sshd: Sshd, connect: Connect) -> None:
    """A port where something else answers, or nothing is said, is given up within the limit."""
    limit = pytest.raises(HostUnreachable, match=r"no answer within 0\.5 s")
    with socket.create_server((sshd.address, 0)) as silent, limit:
        await connect(sshd, port=silent.getsockname()[1], connect_timeout_s=0.5)


async def test_max_startups(connect: Connect) -> None:
    """sshd drops connections when many log in at once; they are tried again."""
    with start_sshds(1, config="MaxStartups 2:100:2") as (server,):
        hosts = await asyncio.gather(*(connect(server) for _ in range(6)))
        assert len(hosts) == 6


async def test_the_users_configuration_with_a_jump(
    connect: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """~/.ssh/config is honoured: names, ports, users, keys, and a ProxyJump, whose host key is kept as well."""
    with start_sshds(2) as (server, jump):
        (tmp_path / ".ssh").mkdir()
        (tmp_path / ".ssh" / "config").write_text(
            f"Host database\n  HostName {server.address}\n  Port {server.port}\n  ProxyJump jump\n"
            f"Host jump\n  HostName {jump.address}\n  Port {jump.port}\n"
            f"Host *\n  User {server.user}\n  IdentityFile {server.key_file}\n"
        )
        monkeypatch.setenv("HOME", str(tmp_path))
        host = await connect(server, address="database", port=None, user=None, key_file=None)
        assert (await host.run("echo $SSH_CONNECTION")).stdout.split()[2] == server.address
        assert len(server.known_hosts.read_text().splitlines()) == 2


async def test_names_of_one_machine(sshd: Sshd, connect: Connect) -> None:
    """Two names share a connection; each result has its own, and the connection closes with the last."""
    first = await connect(sshd)
    second = first.named("workload_client.0")
    with pytest.raises(CommandFailed, match=r"workload_client\.0: exit status 3"):
        await second.run("exit 3")
    await first.close()
    assert (await second.run("echo on")).host == "workload_client.0"
    await second.close()
    with pytest.raises(HostError, match="closed"):
        await second.run("true")


async def lost(host: SshHost, running: "asyncio.Task[object]") -> None:
    """What ran is told that the connection was lost, and what comes afterwards that there is no other."""
    with pytest.raises(ConnectionLost, match=r"mongod\.0: .*it may have taken effect or not"):
        await running
    for work in (host.run("true"), host.connect("127.0.0.1", 22)):
        with pytest.raises(HostUnreachable, match=r"mongod\.0: .*could not be set up again in 0\.1 s"):
            await work


async def start(host: SshHost, command: str = "echo begun; sleep 1000", **options: float) -> "asyncio.Task[object]":
    begun = asyncio.Event()

    async def note(*_: object) -> None:
        begun.set()

    running: asyncio.Task[object] = asyncio.create_task(host.run(command, on_output=note, **options))  # type: ignore[arg-type]
    await begun.wait()
    return running


async def test_sshd_is_killed(ssh_hosts: StartHosts, connect: Connect) -> None:
    """When the host's sshd drops us, the command is told at once."""
    (server,) = ssh_hosts(1)
    host = await connect(server)
    running = await start(host)
    server.run_inside("pkill", "-KILL", "-P", "1", "sshd")
    with pytest.raises(ConnectionLost, match=r"mongod\.0: .*it may have taken effect or not"):
        await running
    assert (await host.run("echo again")).stdout == "again\n"


async def test_packets_vanish(ssh_hosts: StartHosts, connect: Connect) -> None:
    """When nothing is ever answered again, the command is told within the keepalive."""
    (server,) = ssh_hosts(1)
    host = await connect(server, keepalive_s=1.5, reconnect_s=0.1)
    running = await start(host)
    server.drop_packets()
    async with asyncio.timeout(30):
        await lost(host, running)


async def test_a_limit_passes_while_packets_vanish(ssh_hosts: StartHosts, connect: Connect) -> None:
    """A command that couldn't be ended, since the connection is dead, isn't said to have been."""
    (server,) = ssh_hosts(1)
    host = await connect(server, keepalive_s=3, reconnect_s=0.1)
    running = await start(host, timeout_s=1)
    server.drop_packets()
    async with asyncio.timeout(30):
        await lost(host, running)


async def test_the_host_crashes(ssh_hosts: StartHosts, connect: Connect) -> None:
    """A crash of one host is noticed, and the other hosts go on."""
    crashed, other = ssh_hosts(2)
    host, survivor = await connect(crashed, keepalive_s=1.5, reconnect_s=0.1), await connect(other)
    running = await start(host)
    crashed.crash()
    async with asyncio.timeout(30):
        await lost(host, running)
    assert (await survivor.run("hostname")).stdout == "host2\n"


async def test_an_unreachable_host(ssh_hosts: StartHosts, connect: Connect) -> None:
    """A host that doesn't answer is given up within the limit."""
    (server,) = ssh_hosts(1)
    server.drop_packets()
    with pytest.raises(HostUnreachable, match=r"10\.77\.0\.2, port 22.*no answer within 1 s"):
        await connect(server, connect_timeout_s=1)


async def test_closing_what_is_lost(ssh_hosts: StartHosts, connect: Connect) -> None:
    """A host can be closed after its connection broke, and while nothing is answered."""
    (server,) = ssh_hosts(1)
    host = await connect(server, keepalive_s=1.5, reconnect_s=0.1)
    running = await start(host)
    server.drop_packets()
    async with asyncio.timeout(30):
        await host.close()
        (outcome,) = await asyncio.gather(running, return_exceptions=True)
    assert isinstance(outcome, HostError)


async def test_a_connection_that_has_just_broken_is_not_taken_for_a_refusal(sshd: Sshd) -> None:
    """The message would send people to MaxSessions in sshd_config, and dsi would use fewer sessions."""
    connection = await log_in(sshd.name, Login(**sshd.login))
    connection.abort()
    with pytest.raises(NoSession, match="the SSH connection broke") as problem:
        await open_process(connection, "true")
    assert not problem.value.refused
    await connection.wait_closed()


CUT = """
IFS= read -r times <~/cuts && ((times > 0)) && echo $((times - 1)) >~/cuts && kill -KILL $PPID
"""
"""For ~/.bashrc, which sshd's shell reads: the session's own sshd is killed, as often as the file says."""


async def test_a_connection_that_breaks_before_there_is_a_shell_is_tried_again(sshd: Sshd, connect: Connect) -> None:
    (sshd.home / ".bashrc").write_text(CUT)
    (sshd.home / "cuts").write_text("3\n")
    assert (await (await connect(sshd)).run("echo here; cat cuts")).stdout == "here\n0\n"


async def test_one_that_always_breaks_then_is_an_error(sshd: Sshd, connect: Connect) -> None:
    (sshd.home / ".bashrc").write_text(CUT)
    (sshd.home / "cuts").write_text("1000\n")
    with pytest.raises(HostUnreachable, match=r"logged in .* but the SSH connection broke"):
        await connect(sshd)
