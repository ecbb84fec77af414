"""What a kept shell has ready for the next command that outlives the connection: it serves once, and leaves nothing."""

import asyncio

import pytest
from tests.system.conftest import Connect, StartHosts
from tests.system.test_ssh_detached import ORPHAN_S, Streams, nothing_is_left
from tests.system.testbed import TestbedHost

from dsi.errors import CommandTimeout, ConnectionLost
from dsi.hosts import SshHost


async def say(host: SshHost, word: str) -> str:
    return (await host.run(f"echo {word}", outlives_s=ORPHAN_S)).stdout


@pytest.mark.parametrize(
    ("command", "stdout", "stderr"),
    [
        (r"printf 'a\0b'", b"a\0b", b""),
        (r"printf 'a\0'; printf '\0' >&2", b"a\0", b"\0"),
        (r"printf '\n\n'; printf ' \\x \1\377 ' >&2", b"\n\n", b" \\x \1\377 "),
        ("printf %999s x; printf %1000s y >&2", b" " * 998 + b"x", b" " * 999 + b"y"),
        ("printf %5000s x; echo e >&2", b" " * 4999 + b"x", b"e\n"),
        ("printf 'ä€'; LC_ALL=C.UTF-8 printf 'ö' >&2", "ä€".encode(), "ö".encode()),
        ("sleep 0.3", b"", b""),
        ("sleep 0.3; echo o; echo e >&2", b"o\n", b"e\n"),
    ],
)
async def test_each_output_comes_as_it_was_written(
    ssh_hosts: StartHosts, connect: Connect, command: str, stdout: bytes, stderr: bytes
) -> None:
    (server,) = ssh_hosts(1)
    host = await connect(server)
    for _ in range(2):  # the first one finds nothing prepared
        streams = Streams()
        await host.run(command, outlives_s=ORPHAN_S, on_output=streams)
        assert streams.text == {"stdout": stdout, "stderr": stderr}
    await nothing_is_left(host, server)


async def test_of_many_at_once_each_ones_output_comes_while_it_runs(ssh_hosts: StartHosts, connect: Connect) -> None:
    (server,) = ssh_hosts(1)
    host = await connect(server)
    all_streams = [Streams() for _ in range(8)]  # as many as there are shells
    running = [
        asyncio.create_task(
            host.run(
                f"sleep 0.{number}; echo begun; until [[ -e go ]]; do sleep 0.1; done; exit {number}",
                outlives_s=ORPHAN_S,
                on_output=streams,
                check=False,
            )
        )
        for number, streams in enumerate(all_streams)
    ]
    async with asyncio.timeout(60):
        for streams in all_streams:
            await streams.begun.wait()
    (server.home / "go").touch()
    assert [(await command).exit_status for command in running] == list(range(8))
    assert {streams.text["stdout"] for streams in all_streams} == {b"begun\n"}
    await nothing_is_left(host, server)


async def test_long_texts_and_many_bytes_of_environment_arrive_whole(ssh_hosts: StartHosts, connect: Connect) -> None:
    (server,) = ssh_hosts(1)
    host = await connect(server)
    env = {"WORD": "ä'\n\"$€" * 9_000}
    for _ in range(2):
        result = await host.run(f'printf %s "$WORD" | md5sum; # {"x" * 200_000}', env=env, outlives_s=ORPHAN_S)
        expected = await host.run("md5sum", stdin=env["WORD"].encode())
        assert result.stdout == expected.stdout


@pytest.mark.parametrize(
    "loss",
    ["pkill -KILL -f LC_ALL=[C].IFS", "rm -rf ~/.dsi/run", "rm -f ~/.dsi/run/*.out"],
    ids=["the command's bash was ended", "the folder was removed", "the files were removed"],
)
async def test_what_was_prepared_and_then_lost_is_made_anew(ssh_hosts: StartHosts, connect: Connect, loss: str) -> None:
    (server,) = ssh_hosts(1)
    host = await connect(server)
    for word in ("one", "two"):
        assert await say(host, word) == f"{word}\n"
        lose(server, loss)
    assert await say(host, "three") == "three\n"


@pytest.mark.parametrize("loss", ["rm -rf ~/.dsi/run", "rm -f ~/.dsi/run/*.out", "rm -f ~/.dsi/run/*.err"])
async def test_a_command_that_removes_its_own_output_has_none_that_is_another_ones(
    ssh_hosts: StartHosts, connect: Connect, loss: str
) -> None:
    (server,) = ssh_hosts(1)
    host = await connect(server)
    assert await say(host, "one") == "one\n"
    with pytest.raises(ConnectionLost, match=r"\(or \.dsi/run\) was removed"):
        await host.run(f"echo two; {loss}", outlives_s=ORPHAN_S)
    assert await say(host, "three") == "three\n"
    await nothing_is_left(host, server)


async def test_a_command_that_is_ended_as_it_begins_does_not_go_on(ssh_hosts: StartHosts, connect: Connect) -> None:
    (server,) = ssh_hosts(1)
    host = await connect(server)
    async with asyncio.timeout(60):
        for thousandths in range(12):
            with pytest.raises(CommandTimeout):
                await host.run("sleep 1000", outlives_s=ORPHAN_S, timeout_s=thousandths / 2000)
        await nothing_is_left(host, server)


def lose(server: TestbedHost, loss: str) -> None:
    server.run_inside("sh", "-c", f"{loss}; exit 0")


async def test_what_is_prepared_is_no_process_that_a_command_left_behind(
    ssh_hosts: StartHosts, connect: Connect
) -> None:
    """A shell that is thought to be held would be left, and another opened."""
    (server,) = ssh_hosts(1)
    host = await connect(server)
    await say(host, "first")
    shells = {(await host.run("echo $PPID")).stdout for _ in range(5)}
    assert len(shells) == 1
