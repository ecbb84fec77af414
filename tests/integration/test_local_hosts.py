"""Local hosts: apart from each other while they live, and without a trace when they have ended."""

import asyncio
import contextlib
import dataclasses
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import pytest
import structlog

from dsi.errors import HostUnreachable, PortTaken, Preflight
from dsi.hosts import (
    LocalHost,
    LocalHostRecord,
    Reader,
    Writer,
    conn_argv,
    end_local_hosts,
    end_local_hosts_in,
    is_alive,
    local_host,
    start_local_hosts,
)

DAEMON = "setsid bash -c 'exec -a {name} sleep 1000' >/dev/null 2>&1 & echo $!; disown"
"""Starts something that leaves its session and whose parent ends, like a mongod with `fork: true`."""

START_AND_WAIT = """
import asyncio, json, sys
from dataclasses import asdict
from pathlib import Path
from dsi.hosts import local_host, start_local_hosts

async def main(folder, tied, isolate):
    names, tied, isolate = ["mongod.0", "mongod.1"], tied == "tied", isolate == "yes"
    records = await start_local_hosts(names, Path(folder), tied=tied, isolate=isolate)
    for record in records:
        await local_host(record).run(sys.argv[4])
    print(json.dumps([asdict(record) for record in records]), flush=True)
    await local_host(records[0]).run("touch running; sleep 1000")

asyncio.run(main(*sys.argv[1:4]))
"""
"""A program that starts two hosts, runs the fourth argument on each, tells of them, and is busy with a command then."""


def processes_of(folder: Path) -> list[str]:
    """Processes that have to do with a folder: by their command line, current folder, or environment."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            state = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()[0]
            arguments = (entry / "cmdline").read_bytes()
            traces = [arguments, os.fsencode((entry / "cwd").readlink()), (entry / "environ").read_bytes()]
            if state not in "ZX" and any(os.fsencode(folder) in trace for trace in traces):
                found.append(f"{entry.name} {arguments.decode(errors='replace')}")
    return found


async def until(condition: Callable[[], bool]) -> None:
    """Wait for it; the limit is for a test that fails."""
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def two_hosts(folder: Path, *, isolate: bool = True) -> AsyncIterator[tuple[LocalHost, LocalHost]]:
    records = await start_local_hosts(["mongod.0", "mongod.1"], folder, tied=True, isolate=isolate)
    try:
        yield local_host(records[0]), local_host(records[1])
    finally:
        await end_local_hosts(records)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """As deep as a work directory may be: deeper than the 107 bytes of a Unix socket's path."""
    return tmp_path / ("a-long-name-" * 10) / ".dsi" / "hosts"


async def test_pkill_stays_on_its_host(folder: Path) -> None:
    """`pkill` on one host ends that host's daemon and no other; a second one finds nothing, not even a zombie."""
    async with two_hosts(folder) as (first, second):
        for host in (first, second):
            await host.run(DAEMON.format(name="daemon-under-test"))
            await host.run("until pgrep -f ^daemon-under-test; do sleep 0.02; done")
        await first.run("pkill -9 -f ^daemon-under-test")
        await first.run("while pgrep -f ^daemon-under-test; do sleep 0.02; done")
        assert (await first.run("pkill -f ^daemon-under-test", check=False)).exit_status == 1
        assert (await first.run("ps -eo stat= | grep -c Z", check=False)).stdout == "0\n"
        await second.run("pgrep -f ^daemon-under-test")


async def test_killing_everything_on_a_host_leaves_the_host(folder: Path) -> None:
    """Even `kill -9 -1` on a host ends neither the host nor anything outside."""
    async with two_hosts(folder) as (first, second):
        for number in ("INT", "TERM", "HUP", "KILL"):
            await first.run(f"kill -{number} 1 -1", check=False)
        assert (await first.run("echo alive")).stdout == (await second.run("echo alive")).stdout == "alive\n"


async def test_homes_and_addresses_are_their_own(folder: Path) -> None:
    """Each host has a home and an address: what is written for a real cluster runs unchanged on all at once."""
    records = await start_local_hosts(["mongod.0", "mongod.1"], folder, tied=True)
    more = await start_local_hosts(["mongod.0"], folder.with_name("other"), tied=True)
    try:
        assert [r.home for r in records] == [str(folder / r.name / "home") for r in records]
        assert (await local_host(records[0]).run("echo $HOME; pwd")).stdout == f"{records[0].home}\n" * 2
        with contextlib.ExitStack() as stack:
            port = 0
            for record in [*records, *more]:
                bound = stack.enter_context(socket.socket())
                bound.bind((record.address, port))
                port = bound.getsockname()[1]
    finally:
        await end_local_hosts([*records, *more])


async def test_python_has_pymongo(folder: Path) -> None:
    """`python3` on a local host is dsi's own."""
    async with two_hosts(folder) as (host, _):
        assert (
            (await host.run("python3 -c 'import pymongo, sys; print(sys.executable)'"))
            .stdout.strip()
            .startswith(str(Path(sys.executable).parent))
        )


@pytest.mark.parametrize("isolate", [True, False])
async def test_end_ends_all(folder: Path, isolate: bool) -> None:
    """After the end no process of a host is left: no daemon, no child of one, not the first process; again is fine."""
    records = await start_local_hosts(["mongod.0", "mongod.1"], folder, tied=False, isolate=isolate)
    for record in records:
        await local_host(record).run(DAEMON.format(name="daemon-under-test"))
        await local_host(record).run("trap '' TERM HUP INT; (setsid sleep 1000 & setsid sleep 1000 &) >/dev/null 2>&1")
        assert is_alive(record)
    assert len(processes_of(folder)) >= 8
    await end_local_hosts(records)
    assert processes_of(folder) == []
    assert not any(is_alive(record) for record in records)
    await end_local_hosts(records)
    with pytest.raises(HostUnreachable, match="isn't running"):
        await local_host(records[0]).run("true")


@pytest.mark.parametrize("isolate", [True, False])
async def test_a_group_of_its_own_is_ended_too(folder: Path, isolate: bool) -> None:
    """`timeout` makes a process group of its own; when the command is called off, that is ended as well."""
    async with two_hosts(folder, isolate=isolate) as (host, _):
        running = asyncio.create_task(host.run("timeout 1000 bash -c 'touch running; sleep 1000; true'"))
        await until((host.folder / "running").exists)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert (await host.run("pgrep -f '^timeout 100[0]'", check=False)).stdout == ""


async def test_commands_inherit_nothing_of_ours(folder: Path) -> None:
    """A command has its three files open and no other, also when many start at once."""
    async with two_hosts(folder) as (host, _):
        results = await asyncio.gather(*(host.run("ls -x /proc/self/fd") for _ in range(10)))
        assert {result.stdout for result in results} == {"0  1  2  3\n"}


async def test_a_host_that_ends_under_a_command(folder: Path) -> None:
    """When the host goes away, so does the wait for what runs on it."""
    records = await start_local_hosts(["mongod.0"], folder, tied=True)
    running = asyncio.create_task(local_host(records[0]).run("touch running; sleep 1000"))
    await until((folder / "mongod.0/home/running").exists)
    await end_local_hosts(records)
    with pytest.raises(Exception, match="the local host ended while the command ran"):
        await running


@contextlib.asynccontextmanager
async def another_dsi(
    folder: Path, *, tied: bool, isolate: bool = True, command: str = "true", python: Sequence[str] = (sys.executable,)
) -> AsyncIterator[tuple[subprocess.Popen[str], list[LocalHostRecord]]]:
    """A process of its own that has started two hosts; killed at the end."""
    options = [str(folder), "tied" if tied else "detached", "yes" if isolate else "no", command]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [*python, "-c", START_AND_WAIT, *options], stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout is not None
        line = await asyncio.to_thread(process.stdout.readline)
        records = [LocalHostRecord(**mapping) for mapping in json.loads(line)]
        await until((folder / "mongod.0/home/running").exists)
        try:
            yield process, records
        finally:
            process.kill()
            await end_local_hosts(records)


@pytest.mark.parametrize("isolate", [True, False])
async def test_tied_hosts_die_with_a_killed_dsi(folder: Path, isolate: bool) -> None:
    """SIGKILL of dsi ends its tied hosts with all that runs there, daemons too."""
    command = DAEMON.format(name="daemon-under-test")
    async with another_dsi(folder, tied=True, isolate=isolate, command=command) as (process, records):
        assert len(processes_of(folder)) >= 5
        process.kill()
        process.wait()
        await until(lambda: processes_of(folder) == [])
        assert not any(is_alive(record) for record in records)


async def test_detached_hosts_outlive_a_killed_dsi(folder: Path) -> None:
    """Detached hosts and their daemons live on; the command that the killed dsi ran does not."""
    command = DAEMON.format(name="daemon-under-test")
    async with another_dsi(folder, tied=False, command=command) as (process, records):
        process.kill()
        process.wait()
        host = local_host(records[0])
        await host.run(
            "pgrep -f ^daemon-under-test; while pgrep -x sleep | grep -v $(pgrep -f ^daemon); do sleep 0.02; done"
        )
        assert all(is_alive(record) for record in records)
        await end_local_hosts(records)
        assert processes_of(folder) == []


async def test_hosts_that_no_record_tells_of_are_ended(folder: Path) -> None:
    """Hosts whose records were lost (killed between start and saving) are ended by the next start, or by the folder."""
    async with another_dsi(folder, tied=False) as (process, lost):
        process.kill()
        process.wait()
        records = await start_local_hosts(["mongod.0"], folder, tied=True)
        assert [is_alive(record) for record in [*lost, *records]] == [False, True, True]
        await end_local_hosts_in(folder)
        assert [is_alive(record) for record in [*lost, *records]] == [False, False, False]
        assert processes_of(folder) == []


async def test_a_deleted_folder_ends_its_hosts(folder: Path) -> None:
    """Whoever deletes the work directory isn't left with hosts that nothing finds any more."""
    async with another_dsi(folder, tied=False) as (process, records):
        process.kill()
        process.wait()
        await asyncio.to_thread(subprocess.run, ["rm", "-rf", str(folder)], check=True)
        await until(lambda: not any(is_alive(record) for record in records))


async def test_without_a_namespace_the_daemons_of_a_killed_first_process_are_found(folder: Path) -> None:
    """Even when the first process of a host without a namespace is killed, the end of the host finds what it left."""
    records = await start_local_hosts(["mongod.0"], folder, tied=True, isolate=False)
    await local_host(records[0]).run(DAEMON.format(name="daemon-under-test"))
    os.kill(records[0].pid, signal.SIGKILL)
    await end_local_hosts(records)
    assert processes_of(folder) == []


async def test_a_stale_record_is_recognised(folder: Path) -> None:
    """A record whose pid has gone to another process is no host of ours, and that process isn't touched."""
    async with two_hosts(folder) as (host, _):
        stranger = subprocess.Popen(["sleep", "1000"])
        record = LocalHostRecord(
            name=host.name,
            address="127.0.2.1",
            home=str(host.folder),
            pid=stranger.pid,
            start_time=1,
            isolated=True,
            user_namespace=False,
        )
        assert not is_alive(record)
        await end_local_hosts([record])
        assert stranger.poll() is None
        stranger.kill()
        stranger.wait()
        await host.run("true")


async def test_without_unshare(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where namespaces can't be had there are hosts all the same, and one warning that says what that means and why."""
    (tmp_path / "bash").symlink_to(shutil.which("bash") or "")
    monkeypatch.setenv("PATH", str(tmp_path))
    with structlog.testing.capture_logs() as logs:
        records = await start_local_hosts(["mongod.0", "mongod.1"], folder, tied=True)
    try:
        assert not any(record.isolated for record in records)
        (line,) = logs
        assert line["log_level"] == "warning"
        assert "every process of this user" in line["event"]
        assert "unshare" in line["problem"]
        assert (await local_host(records[0]).run("echo runs")).stdout == "runs\n"
    finally:
        await end_local_hosts(records)


async def test_all_or_none(folder: Path) -> None:
    """If one host can't start, none is left, and the error says which and why."""
    (folder / "mongod.1" / "init.sock" / "in-the-way").mkdir(parents=True)
    with pytest.raises(Exception, match=r"mongod\.1: the local host didn't start: [^$]*Is a directory"):
        await start_local_hosts(["mongod.0", "mongod.1", "mongod.2"], folder, tied=True)
    assert processes_of(folder) == []


async def test_too_many(folder: Path) -> None:
    """More hosts than addresses is refused before anything starts."""
    with pytest.raises(Preflight, match="255 local hosts"):
        await start_local_hosts([f"mongod.{n}" for n in range(255)], folder, tied=True)


async def test_records_are_json(folder: Path) -> None:
    """A record survives being written as JSON and read again."""
    records = await start_local_hosts(["mongod.0"], folder, tied=True)
    try:
        (again,) = (LocalHostRecord(**json.loads(json.dumps(dataclasses.asdict(record)))) for record in records)
        assert again == records[0]
    finally:
        await end_local_hosts(records)


@pytest.mark.parametrize("isolate", [True, False])
async def test_conn(folder: Path, isolate: bool) -> None:
    """The shell that `dsi conn` opens is on that host, in its home folder, and sees the host's processes."""
    records = await start_local_hosts(["mongod.0"], folder, tied=True, isolate=isolate)
    try:
        shell = await asyncio.create_subprocess_exec(
            *conn_argv(records[0]), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        stdout, _ = await shell.communicate(b"pwd; echo $HOME; ps -eww -o pid,args | grep -c '^ *1 .*local_init'\n")
        home = records[0].home
        assert stdout.decode().splitlines() == [home, home, "1" if isolate else "0"]
    finally:
        await end_local_hosts(records)


async def test_who_has_the_port(folder: Path) -> None:
    """The error of a taken port names the process that has it."""

    async def nothing(_reader: Reader, _writer: Writer) -> None: ...

    async with two_hosts(folder) as (host, other):
        listener = await other.listen("127.0.0.1", 0, nothing)
        name = Path("/proc/self/comm").read_text().strip()
        with pytest.raises(PortTaken, match=rf"is taken by process {os.getpid()} \({name}\)$"):
            await host.listen("127.0.0.1", listener.port, nothing)
        await listener.close()


NOBODY = 65534
AS_NOBODY = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")


def pythons_of_nobody() -> list[str]:
    """Pythons of our version that another user may run: root's own often lies in a folder that is closed to others."""
    version = "import sys; print(sys.version_info[:2])"
    return [
        python
        for python in (sys.executable, "/usr/bin/python3")
        if subprocess.run([*AS_NOBODY, "bash", "-c", f"{python} -c '{version}'"], capture_output=True, text=True).stdout
        == f"{sys.version_info[:2]}\n"
    ]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user, who has run all of this already")
async def test_as_an_ordinary_user() -> None:
    """Without root there are hosts all the same; they die with dsi."""
    pythons = pythons_of_nobody()
    if not pythons:
        pytest.skip("no Python of this version that another user may run")
    command = DAEMON.format(name="daemon-under-test") + "; test $(id -u) -ne 0"
    with tempfile.TemporaryDirectory() as temporary:  # pytest's own is closed to others
        os.chown(temporary, NOBODY, NOBODY)
        folder = Path(temporary) / "hosts"
        async with another_dsi(folder, tied=True, command=command, python=[*AS_NOBODY, pythons[0]]) as (dsi, records):
            shell = await asyncio.create_subprocess_exec(
                *AS_NOBODY,
                *conn_argv(records[0]),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
            stdout, _ = await shell.communicate(b"pwd; pgrep -c -f ^daemon\n")
            assert stdout.decode() == f"{records[0].home}\n1\n"
            dsi.kill()
            dsi.wait()
            await until(lambda: processes_of(folder) == [])
            assert not any(is_alive(record) for record in records)
