"""What a command gets, and what comes back of it."""

import asyncio
import hashlib

import pytest

from dsi.errors import CommandFailed
from dsi.hosts import Host


async def test_both_outputs_come_back(host: Host) -> None:
    """Each output comes back in its own place, with the command and the host's name."""
    result = await host.run("echo to-stdout; echo to-stderr >&2")
    assert (result.stdout, result.stderr, result.exit_status) == ("to-stdout\n", "to-stderr\n", 0)
    assert (result.host, result.command, result.cut) == (host.name, "echo to-stdout; echo to-stderr >&2", False)


@pytest.mark.parametrize(
    ("command", "exit_status"),
    [("exit 0", 0), ("exit 3", 3), ("no-such-program", 127), ("kill -9 $$", 137), ("kill -TERM $$", 143), ("", 0)],
)
async def test_exit_status_is_bashs(host: Host, command: str, exit_status: int) -> None:
    """The exit status is exact; 128 + N for signal N."""
    assert (await host.run(command, check=False)).exit_status == exit_status


async def test_a_failure_raises_and_carries_its_result(host: Host) -> None:
    """An exit status other than 0 raises, with what the command said."""
    with pytest.raises(CommandFailed, match="exit status 7: went wrong") as caught:
        await host.run("echo so far; echo went wrong >&2; exit 7")
    (result,) = caught.value.results
    assert (result.exit_status, result.stdout) == (7, "so far\n")


async def test_it_is_bash_in_the_home_folder(host: Host) -> None:
    """Shell text is bash's, runs in the same folder each time, and changing folder touches nobody else."""
    first = await host.run("cd /; echo ${BASH_VERSION:+bash} $0 $#; a=(1 2); echo ${a[1]}")
    assert first.stdout == "bash bash 0\n2\n"
    await host.run("echo here > made-in-home")
    assert (await host.run("cat made-in-home")).stdout == "here\n"


async def test_stdin_is_all_that_it_can_read(host: Host) -> None:
    """A command reads what it is given, every byte of it, and then the end."""
    content = bytes(range(256)) * 1000
    result = await host.run("cat > copy; cat; echo end; wc -c < copy", stdin=content)
    assert result.stdout == f"end\n{len(content)}\n"
    expected = hashlib.sha256(content).hexdigest()
    assert (await host.run("sha256sum copy; sha256sum", stdin=content)).stdout.count(expected) == 2


async def test_without_stdin_it_reads_nothing(host: Host) -> None:
    """A command that reads without being given anything gets the end at once, not our own input."""
    assert (await host.run("cat; echo end")).stdout == "end\n"


async def test_stdin_that_nobody_reads_does_no_harm(host: Host) -> None:
    """A command may end without reading what it was given."""
    assert (await host.run("exit 0", stdin=b"y" * 1_000_000)).exit_status == 0


async def test_environment(host: Host) -> None:
    """Variables arrive whatever is in them, and only for that command."""
    value = "a b'c\"d$e\\f\ng;h é"
    assert (await host.run('printf %s "$GIVEN"', env={"GIVEN": value})).stdout == value
    assert (await host.run('echo "${GIVEN-unset}"')).stdout == "unset\n"


async def test_neither_text_nor_environment_is_in_a_list_of_processes(host: Host) -> None:
    """Nobody who lists processes sees what a command's text or environment holds."""
    result = await host.run("ps -eww -o args; : text-marker", env={"SECRET": "value-marker"}, keep_bytes=1 << 22)
    assert "ps -eww" in result.stdout
    assert "text-marker" not in result.stdout
    assert "value-marker" not in result.stdout


async def test_long_text(host: Host) -> None:
    """Text longer than a command line may be (128 KiB) runs all the same."""
    command = ": " + "x" * 200_000 + "\necho done"
    assert (await host.run(command)).stdout == "done\n"


async def test_text_of_many_lines(host: Host) -> None:
    """Line ends, here-documents and a syntax error are bash's business, and the error is told."""
    assert (await host.run("cat <<END\na $((1 + 1))\nEND\nif true\nthen echo b\nfi")).stdout == "a 2\nb\n"
    result = await host.run("if then", check=False)
    assert result.exit_status != 0
    assert "syntax error" in result.stderr
    assert "`if then'" in result.stderr


async def test_binary_output(host: Host) -> None:
    """What is no UTF-8 arrives as it is in on_output, and with replacement characters in the result."""
    blocks: list[bytes] = []

    async def keep(_: str, block: bytes) -> None:
        blocks.append(block)

    result = await host.run(r"printf 'a\377\000b'", on_output=keep)
    assert b"".join(blocks) == b"a\xff\x00b"
    assert result.stdout == "a\N{REPLACEMENT CHARACTER}\0b"


async def test_terminal(host: Host) -> None:
    """With `tty` all three are a terminal, and errors come in its one output."""
    command = "test -t 0 && test -t 1 && test -t 2 && echo terminal; echo error >&2; cat; exit 4"
    result = await host.run(command, tty=True, stdin=b"typed\n", check=False)
    assert result.exit_status == 4
    assert {"terminal", "error", "typed"} <= set(result.stdout.split())
    assert result.stderr == ""


async def test_many_at_once(host: Host) -> None:
    """Commands of one host run at the same time, and their outputs never mix."""
    results = await asyncio.gather(*(host.run(f"echo {n}; echo {n} >&2; exit {n}", check=False) for n in range(30)))
    assert [(r.stdout, r.stderr, r.exit_status) for r in results] == [(f"{n}\n", f"{n}\n", n) for n in range(30)]


async def test_two_that_wait_for_each_other(host: Host) -> None:
    """One command can wait for what another does."""
    await host.run("mkfifo pipe")
    reading = asyncio.create_task(host.run("cat pipe"))
    await host.run("echo passed on > pipe")
    assert (await reading).stdout == "passed on\n"
