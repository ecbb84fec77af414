"""Kept shells: what a user's start files cost, and that no command ever notices another."""

import asyncio
import resource
from pathlib import Path

import pytest
from tests.system.conftest import Connect, StartHosts
from tests.system.sshds import Sshd, start_sshds

from dsi.errors import CommandTimeout, HostUnreachable, InvalidCommand, TransferError
from dsi.hosts import SshHost
from dsi.hosts._ssh_machine import SHELLS
from dsi.model import StreamName


@pytest.fixture
async def host(sshd: Sshd, connect: Connect) -> SshHost:
    return await connect(sshd)


async def test_start_files_are_read_once(sshd: Sshd, connect: Connect) -> None:
    """A slow ~/.bashrc is paid once per connection; what it exports holds for all commands, what it prints for none."""
    (sshd.home / ".bashrc").write_text("sleep 1; echo read >> ~/reads; echo noise; echo noise >&2; export MADE=here")
    host = await connect(sshd)
    for _ in range(10):
        result = await host.run("echo $MADE")
        assert (result.stdout, result.stderr) == ("here\n", "")
    assert (sshd.home / "reads").read_text() == "read\n"


@pytest.mark.parametrize(
    ("command", "stdout", "exit_status"),
    [
        ("printf abc", "abc", 0),
        ("printf 'a\\n\\n'", "a\n\n", 0),
        ("exec >&- 2>&-; exit 3", "", 3),
        ("exec 1<&- 0<&- 3<&- 4<&-; exit 3", "", 3),
        ("exec echo replaced", "replaced\n", 0),
        ("set -e; false; echo on", "", 1),
        ("set -u; echo $nothing", "", 127),
        ("kill -9 $$", "", 137),
        ("trap 'echo trapped' EXIT; exit 4", "trapped\n", 4),
        ("echo before; kill -KILL 0; echo after", "before\n", 137),
        ("(exit 5)", "", 5),
        ("set -m; sleep 0 & wait; echo own job control", "own job control\n", 0),
        ("cat /dev/fd/3 /dev/fd/4 2>/dev/null; echo none", "none\n", 0),
        ("return 3 2>/dev/null; echo $?", "2\n", 0),
        ("unset HOME PATH; enable -n printf; echo odd", "odd\n", 0),
        ("exit 0 <", "", 2),
        ("(while kill -CONT $$; do sleep 0.05; done) 2>/dev/null & kill -STOP $$; echo went on", "went on\n", 0),
    ],
)
async def test_odd_commands(host: SshHost, command: str, stdout: str, exit_status: int) -> None:
    """Whatever a command does to itself, its result is exact, and the next command finds all as it was."""
    result = await host.run(command, check=False)
    assert (result.stdout, result.exit_status) == (stdout, exit_status)
    assert (await host.run("echo $PWD $-; printf %s ${x-unset}")).stdout == f"{await home(host)} hBc\nunset"


async def home(host: SshHost) -> str:
    return (await host.run("cd; printf %s $PWD")).stdout


async def test_output_like_our_marks(host: SshHost) -> None:
    """Hexadecimal digits, NULs and what looks like the line behind a mark come through as they are."""
    everything = b""

    async def keep(_: StreamName, block: bytes) -> None:
        nonlocal everything
        everything += block

    command = r"for n in {1000..3000}; do printf %x $n; done; head -c 100000 /dev/zero; printf '\n0 again\n'"
    await host.run(command, on_output=keep)
    digits = b"".join(b"%x" % n for n in range(1000, 3001))
    assert everything == digits + bytes(100_000) + b"\n0 again\n"


async def test_a_prompt_comes_at_once(host: SshHost) -> None:
    """What has no newline isn't held back while the command waits."""
    seen = asyncio.Event()

    async def look(_: StreamName, block: bytes) -> None:
        if block.endswith(b"password: "):
            seen.set()

    running = asyncio.create_task(host.run("printf 'password: '; until [ -e go ]; do sleep 0.05; done", on_output=look))
    await seen.wait()
    await host.run("touch go")
    await running


async def test_text_that_is_no_utf8(host: SshHost) -> None:
    """Bytes that were no UTF-8 when the text was read arrive as they were."""
    command = b"printf %s '\xff\xc3' | od -An -tx1".decode(errors="surrogateescape")
    assert (await host.run(command, env={"LC_ALL": "C.UTF-8"})).stdout.split() == ["ff", "c3"]


@pytest.mark.parametrize(
    "wrong",
    [{"command": "echo a\0b"}, {"command": "true", "env": {"A": "\0"}}, {"command": "true", "env": {"A B": "x"}}],
)
async def test_what_no_shell_can_read(host: SshHost, wrong: dict[str, object]) -> None:
    """A NUL, or a variable's name that is none, is refused before anything runs."""
    with pytest.raises(InvalidCommand):
        await host.run(**wrong)  # type: ignore[arg-type]


async def test_what_a_left_process_writes_is_nobodys_output(host: SshHost) -> None:
    """A process left in the background lives on though it writes, and no later command gets what it wrote."""
    # It may write before its pid is told.
    told = await host.run("(while :; do echo left; echo left >&2; sleep 0.01; done) & echo $!")
    (pid,) = (word for word in told.stdout.split() if word.isdecimal())
    results = [await host.run("echo mine; echo mine >&2; sleep 0.05") for _ in range(10)]
    assert {(result.stdout, result.stderr) for result in results} == {("mine\n", "mine\n")}
    await host.run(f"kill {pid}")


async def test_left_processes_never_take_all_places(host: SshHost) -> None:
    """However many commands leave a process behind that holds the output, the next one has a place."""
    pids = " ".join([(await host.run("sleep 1000 & echo $!")).stdout.strip() for _ in range(20)])
    assert (await host.run(f"kill -0 {pids} && echo all")).stdout == "all\n"
    await host.run(f"kill {pids}")


async def test_shells_that_all_refuse_at_once_are_no_deadlock(host: SshHost) -> None:
    """Each command that meets such a shell waits for another: it must not keep the place of the first meanwhile."""
    together = f"touch here$RANDOM$$; until [ $(ls here* | wc -l) -ge {SHELLS} ]; do sleep 0.01; done"
    async with asyncio.TaskGroup() as tasks:
        for _ in range(SHELLS):
            tasks.create_task(host.run(f"{together}; sleep 1000 & echo $! >> left"))
    async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
        for _ in range(3 * SHELLS):
            tasks.create_task(host.run("true"))
    await host.run("kill $(cat left)")


async def test_a_process_with_outputs_of_its_own_costs_nothing(host: SshHost) -> None:
    """A process that was left behind and doesn't hold our outputs doesn't cost the shell."""
    shell, left = (await host.run("echo $PPID; sleep 1000 >/dev/null 2>&1 & echo $!")).stdout.split()
    assert (await host.run("echo $PPID")).stdout.strip() == shell
    await host.run(f"kill {left}")


async def test_a_shell_that_was_ended_while_idle(sshd: Sshd, connect: Connect) -> None:
    """When somebody ends our shell between two commands, the next command runs all the same, once."""
    host, somebody = await connect(sshd), await connect(sshd)
    shell = (await host.run("echo $PPID")).stdout
    await somebody.run(f"kill -9 {shell}")
    await host.run("echo run >> runs")
    assert (await host.run("cat runs")).stdout == "run\n"


async def test_a_shell_that_is_ended_under_its_command(host: SshHost) -> None:
    """A command that ends its own parent gets an exit status, and doesn't go on."""
    result = await host.run("echo $$; kill -9 $PPID; sleep 1000", check=False)
    assert result.exit_status == 137
    assert (await host.run(f"ps -o stat= -p {result.stdout.strip()} | grep -v Z", check=False)).stdout == ""


@pytest.mark.parametrize("sessions", [10, 4, 2])
async def test_more_commands_than_sessions(connect: Connect, sessions: int) -> None:
    """Thirty commands at once wait for a place, whatever sshd's MaxSessions is; and one can still be ended."""
    with start_sshds(1, config=f"MaxSessions {sessions}") as (server,):
        host = await connect(server)
        results = await asyncio.gather(*(host.run(f"sleep 0.05; echo {n}") for n in range(30)))
        assert [result.stdout for result in results] == [f"{n}\n" for n in range(30)]
        with pytest.raises(CommandTimeout):
            await host.run("sleep 1000", timeout_s=0.5)
        assert (await host.run("echo on")).stdout == "on\n"


async def test_all_places_taken_and_all_ended(host: SshHost) -> None:
    """When every place is taken and others wait, all can be called off; nothing is left of those that ran."""
    pids: list[str] = []
    taken = asyncio.Event()

    async def note(_: StreamName, block: bytes) -> None:
        pids.append(block.decode().strip())
        if len(pids) == SHELLS:
            taken.set()

    running = [asyncio.create_task(host.run("echo $$; exec sleep 1000", on_output=note)) for _ in range(SHELLS + 4)]
    await taken.wait()
    for task in running:
        task.cancel()
    outcomes = await asyncio.gather(*running, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {asyncio.CancelledError}
    assert (await host.run(f"ps -o stat= -p {','.join(pids)} | grep -v Z", check=False)).stdout == ""


async def test_memory_is_bounded(host: SshHost) -> None:
    """200 MB of output pass through without being kept."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    result = await host.run("head -c 200000000 /dev/zero")
    assert result.cut
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 60_000  # KiB


async def test_another_login_shell(ssh_hosts: StartHosts, connect: Connect) -> None:
    """Where the user's login shell is no bash, commands still run with bash."""
    (server,) = ssh_hosts(1)
    server.run_inside("usermod", "--shell", "/bin/dash", server.user)
    host = await connect(server)
    assert (await host.run("echo ${BASH_VERSION:+bash}; [[ a == a ]]")).stdout == "bash\n"


async def test_no_bash(ssh_hosts: StartHosts, connect: Connect) -> None:
    """A host without bash is refused on connecting, with what is missing."""
    (server,) = ssh_hosts(1)
    server.run_inside("usermod", "--shell", "/bin/dash", server.user)
    server.run_inside("rm", "/bin/bash")
    with pytest.raises(HostUnreachable, match=r"mongod\.0: logged in .*no bash"):
        await connect(server)


async def test_a_login_that_is_switched_off(ssh_hosts: StartHosts, connect: Connect) -> None:
    """A user whose shell is nologin can't be used; the error has what it said."""
    (server,) = ssh_hosts(1)
    server.run_inside("usermod", "--shell", "/usr/sbin/nologin", server.user)
    with pytest.raises(HostUnreachable, match="not available"):
        await connect(server)


async def test_no_tar(ssh_hosts: StartHosts, connect: Connect, tmp_path: Path) -> None:
    """A folder can't be copied to a host without tar, and the error says so; a file can."""
    (server,) = ssh_hosts(1)
    server.run_inside("rm", "/bin/tar")
    host = await connect(server)
    (tmp_path / "file").write_text("x")
    with pytest.raises(TransferError, match="no tar"):
        await host.put(tmp_path, "folder")
    await host.put(tmp_path / "file", "file")


async def test_a_full_disk(ssh_hosts: StartHosts, connect: Connect, tmp_path: Path) -> None:
    """When the host's disk is full, the error says so, nothing is left of the file, and commands still run."""
    (server,) = ssh_hosts(1)
    host = await connect(server)
    await host.run("mkdir small && mount -t tmpfs -o size=1m tmpfs small")
    (tmp_path / "big").write_bytes(bytes(20_000_000))
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "big").write_bytes(bytes(20_000_000))
    for source in ("big", "folder"):
        with pytest.raises(TransferError, match=r"(?s)mongod\.0: .*No space left on device"):
            await host.put(tmp_path / source, "small/target")
    assert (await host.run("ls -A small; rm -r small/*; ls -A small", check=False)).stdout == "target\n"
